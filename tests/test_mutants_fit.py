"""The list of guards that the reliability families remove, held against the tree: it rots with every edit."""

import ast
from pathlib import Path

import pytest
from reliability.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_fits_the_tree(mutant: Mutant) -> None:
    """Its guard is in its file once, and the test that is named for it is there."""
    assert mutant.fits(ROOT), f"the text to be replaced is not in {mutant.file} exactly once"
    path, _, name = mutant.test.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert not name or name in names
