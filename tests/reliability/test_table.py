import subprocess
import sys
from pathlib import Path

from reliability import table

PASSING = """
import pytest
FAMILY = "{name}"
PASS = "nothing lost"
SECONDS = {about_s}
pytestmark = pytest.mark.reliability
def test_it(record, column):
    record(kills=3, worst_window=7)
    record(kills=2, worst_window=5)
    assert column == "ci"
"""


def families_in(folder: Path, **sources: str) -> list[table.Family]:
    (folder / "conftest.py").write_text((table.FOLDER / "conftest.py").read_text())
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = reliability: x\n")
    for name, source in sources.items():
        (folder / f"test_{name}.py").write_text(source)
    return table.families(folder)


def test_counts_become_a_row(tmp_path: Path) -> None:
    """Counts of a family add up, the worst of a worst is shown, and a file without a FAMILY is none."""
    found = families_in(tmp_path, a=PASSING.format(name="kills", about_s=1), b="def test_b(): ...")
    (result,) = table.run_all(found)
    assert result.is_well, result.output
    assert result.counts == {"kills": 5, "worst_window": 7}
    assert "| kills | 5 kills, 7 worst window | nothing lost | pass |" in table.as_markdown([result])
    (row,) = table.as_json([result], is_long=False)["families"]
    assert (row["passed"], row["counts"]["kills"]) == (True, 5)


def test_what_fails_or_counts_nothing_is_told(tmp_path: Path) -> None:
    """A family that fails, one that counts nothing and one that holds no test at all are not well."""
    failing = PASSING.format(name="failing", about_s=1) + "    assert not column\n"
    silent = PASSING.format(name="silent", about_s=1).replace("record(", "dict(")
    empty = 'FAMILY = "empty"\n'
    results = table.run_all(families_in(tmp_path, failing=failing, silent=silent, empty=empty))
    assert [result.is_well for result in results] == [False, False, False]
    assert table.as_markdown(results).count("**FAIL**") == 3


def test_the_longest_is_begun_first(tmp_path: Path) -> None:
    """Families are in the order of how long they take, so that two at a time end about together."""
    sources = {name: PASSING.format(name=name, about_s=k) for k, name in enumerate("abc")}
    assert [family.key for family in families_in(tmp_path, **sources)] == ["c", "b", "a"]


def test_the_command_refuses_what_it_does_not_know() -> None:
    """A family that there is not is a wrong usage and runs nothing."""
    command = [sys.executable, str(table.FOLDER), "no-such-family"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "no such family: no-such-family" in done.stderr) == (2, True)
