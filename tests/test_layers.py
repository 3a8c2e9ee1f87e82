"""The layers: cli -> api -> edge -> core, one direction; the core computes and nothing else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "batchup"

# What each layer may not know of. A file of the package's top level is a layer of its own name.
FORBIDDEN = {
    "core": {"edge", "api", "cli", "simulator", "report", "job", "settings"},
    "edge": {"api", "cli"},
    "api": {"cli"},
    "report": {"edge", "api", "cli"},
    "simulator": {"core", "edge", "api", "cli", "report", "job"},
    "settings": {"edge", "api", "cli"},
    "job": {"edge", "api", "cli"},
    "errors": {"edge", "api", "cli", "simulator", "report", "job", "settings"},
}
# Modules that compute, and do not look at the world.
PURE = {
    "batchup",
    "bisect",
    "collections",
    "dataclasses",
    "email.utils",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "itertools",
    "json",
    "math",
    "msgspec",
    "operator",
    "re",
    "statistics",
    "typing",
    "unicodedata",
    "urllib.parse",
}
# Of these the named parts alone: a type of what is passed in, or a calculation with dates.
PURE_PARTS = {"random": {"Random"}, "datetime": {"UTC", "datetime", "timedelta", "timezone", "tzinfo"}}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
CLOCKS = {"now", "today", "utcnow"}
ENDS = {"exit", "quit", "SystemExit", "sys.exit", "os._exit", "os.abort"}
TALKS = {"print", "click.echo", "sys.stdout.write", "sys.stderr.write"}
# Ends the process as a signal would: that is its one job.
MAY_END = {"edge/signals.py"}


def complaints(source: str, path: str) -> list[str]:
    """Say what is wrong with a file of the package, of which `path` is the path within it."""
    tree = ast.parse(source)
    layer = path.split("/", maxsplit=1)[0].removesuffix(".py")
    found = list(upward(tree, layer))
    if layer == "core":
        found += impure(tree)
    if layer != "cli":
        found += loud(tree, may_end=path in MAY_END)
    return [f"{path}: {complaint}" for complaint in found]


def upward(tree: ast.AST, layer: str) -> Iterator[str]:
    for module, _ in imports(tree):
        top, _, rest = module.partition(".")
        if top == "batchup" and rest.split(".")[0] in FORBIDDEN.get(layer, set()):
            yield f"{layer} knows of {module}"
        elif top == "":
            yield "a relative import"


def impure(tree: ast.AST) -> Iterator[str]:
    for module, name in imports(tree):
        is_pure = module in PURE or module.split(".")[0] in {"batchup", "collections", "msgspec"}
        if not is_pure and name not in PURE_PARTS.get(module, set()):
            yield f"imports {name or 'all'} of {module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"line {node.lineno}: async"
        if isinstance(node, ast.Call):
            name = spelled(node.func)
            if name in IMPURE_CALLS or (name.split(".")[-1] in CLOCKS and name != "now"):
                yield f"line {node.lineno}: calls {name}"


def loud(tree: ast.AST, *, may_end: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := spelled(node.func)) in TALKS:
            yield f"line {node.lineno}: talks by {name}"
        if isinstance(node, ast.Name | ast.Attribute) and (name := spelled(node)) in ENDS and not may_end:
            yield f"line {node.lineno}: ends the process by {name}"


def imports(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Yield each import as module and name; the name is None where the module itself is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or "" if node.level == 0 else ""
            for alias in node.names:
                # `from batchup import edge` is an import of batchup.edge.
                yield (f"batchup.{alias.name}", None) if module == "batchup" else (module, alias.name)


def spelled(node: ast.AST) -> str:
    """Spell a dotted name; what is not one is empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{spelled(node.value)}.{node.attr}"
    return ""


FILES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES)
def test_each_file_keeps_to_its_layer(path: str) -> None:
    """No file knows of a layer above it, the core is pure, and the command alone prints and exits."""
    assert complaints((PACKAGE / path).read_text(encoding="utf-8"), path) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/x.py", "import batchup.edge.client"),
        ("core/x.py", "from batchup import edge"),
        ("core/x.py", "from batchup.simulator.faults import FAULTS"),
        ("core/x.py", "from . import y"),
        ("core/x.py", "import os"),
        ("core/x.py", "import time"),
        ("core/x.py", "import random"),
        ("core/x.py", "import asyncio"),
        ("core/x.py", "import anyio"),
        ("core/x.py", "from pathlib import Path"),
        ("core/x.py", "from random import randint"),
        ("core/x.py", "def f():\n    import sqlite3"),
        ("core/x.py", "from datetime import UTC, datetime\nat = datetime.now(UTC)"),
        ("core/x.py", "data = open('file')"),
        ("core/x.py", "print('hello')"),
        ("core/reactions/x.py", "async def f(): pass"),
        ("edge/x.py", "from batchup.api import run"),
        ("edge/x.py", "import batchup.cli"),
        ("edge/x.py", "import sys\nsys.exit(1)"),
        ("edge/x.py", "raise SystemExit"),
        ("api.py", "from batchup.cli import main"),
        ("api.py", "print('done')"),
        ("job.py", "from batchup.edge.secret import read_key"),
        ("errors.py", "from batchup.edge.client import Client"),
        ("simulator/x.py", "from batchup.core.items import Item"),
        ("simulator/x.py", "import click\nclick.echo('x')"),
    ],
)
def test_a_breach_is_found(path: str, source: str) -> None:
    """Each rule can fail: a file that breaks it is told."""
    assert complaints(source, path)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/x.py", "from random import Random\nfrom datetime import UTC, datetime\nimport msgspec"),
        ("core/x.py", "from batchup.core.items import Item\nfrom batchup.errors import BatchupError"),
        ("core/x.py", "import urllib.parse\nfrom collections.abc import Mapping\nnow(1)"),
        ("edge/x.py", "import os\nfrom batchup.core.items import Item\nasync def f(): open('x')"),
        ("edge/signals.py", "import sys\nsys.exit(130)"),
        ("cli/x.py", "import sys\nfrom batchup.api import run\nprint(run)\nsys.exit(0)"),
        ("api.py", "from batchup.edge.client import Client"),
    ],
)
def test_what_is_allowed_is_left_alone(path: str, source: str) -> None:
    """What a layer is there for raises no complaint."""
    assert complaints(source, path) == []
