"""Guards removed one by one: each time, the test that is named for it must fail, and pass with the guard.

A copy of the package and its tests is changed, never the tree itself. A change that no longer fits its file
fails too: a list that has rotted proves nothing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import pytest
from reliability.conftest import Record
from reliability.mutants import LIBRARIES, MUTANTS, PROMISES, Mutant

FAMILY = "guards removed one by one"
PASS = "each is caught by a named test"
SECONDS = 100
pytestmark = pytest.mark.reliability

ROOT = Path(__file__).parents[2]
AT_ONCE = 2
LONGEST_S = 120  # of processor time, of a test or of all that are named: however busy the machine is
PATIENCE_S = 1200.0  # for what waits for something that never comes; nothing else takes as long
FAILED = 1  # pytest's code for tests that ran and failed; anything else is no proof


@dataclass(frozen=True)
class Ran:
    """What pytest made of one test: its exit code (None: it did not end) and the end of its output."""

    code: int | None
    output: str


class Copy:
    """A copy of the package and its tests, in which one file at a time is another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("batchup", "tests"):
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy2(ROOT / "pyproject.toml", folder)

    def mutated(self, mutant: Mutant) -> Ran:
        """Run the mutant's test with its guard removed."""
        path = self.folder / mutant.file
        path.write_text(mutant.applied(path.read_text(encoding="utf-8")), encoding="utf-8")
        try:
            return self.run(mutant.test)
        finally:
            shutil.copy2(ROOT / mutant.file, path)  # with its times, so that what was compiled still fits

    def run(self, *tests: str, longest_s: int = LONGEST_S, patience_s: float = PATIENCE_S) -> Ran:
        """Run tests of the copy against the copy, processes that they start included."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("COV", "RELIABILITY"))
        }
        environ = kept | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        flags = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "", "--tb=line", "--no-header"]
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", f'ulimit -t {longest_s}; exec "$@"', "sh", sys.executable, *flags, *tests],
                cwd=self.folder,
                env=environ,
                capture_output=True,
                text=True,
                timeout=patience_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Ran(None, "it did not end")
        return Ran(done.returncode, done.stdout[-2000:] + done.stderr[-500:])


@pytest.fixture(scope="module")
def copies() -> Iterator["SimpleQueue[Copy]"]:
    """Make as many copies as are used at one time."""
    free = SimpleQueue[Copy]()
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of our own is made in it
    with TemporaryDirectory(dir=shared) as folder:
        for k in range(AT_ONCE):
            free.put(Copy(Path(folder, str(k))))
        yield free


@pytest.fixture(scope="module")
def convicted(copies: "SimpleQueue[Copy]") -> dict[Mutant, Ran]:
    """Run every mutant's test, two at a time."""

    def run(mutant: Mutant) -> Ran:
        copy = copies.get()
        try:
            return copy.mutated(mutant)
        finally:
            copies.put(copy)

    fitting = [mutant for mutant in MUTANTS if mutant.fits(ROOT)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(fitting, threads.map(run, fitting), strict=True))


def test_each_promise_and_pitfall_has_a_mutant() -> None:
    """At least one guard is removed for each promise and for each row of the libraries' pitfalls."""
    rows = {row for mutant in MUTANTS for row in mutant.rows}
    assert rows == {*PROMISES, *LIBRARIES}
    assert len(set(MUTANTS)) == len(MUTANTS)


def test_with_all_guards_the_tests_pass(copies: "SimpleQueue[Copy]") -> None:
    """Untouched, the copy passes every test that is named, and it is the copy that is tested."""
    copy = copies.get()
    try:
        tests = dict.fromkeys(mutant.test for mutant in MUTANTS)
        ran = copy.run(*tests)
        assert ran.code == 0, ran.output
        (copy.folder / "batchup" / "__init__.py").write_text("raise RuntimeError('this is the copy')\n")
        assert "this is the copy" in copy.run(MUTANTS[0].test).output
    finally:
        shutil.copy2(ROOT / "batchup" / "__init__.py", copy.folder / "batchup" / "__init__.py")
        copies.put(copy)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_removed_guard_is_caught(mutant: Mutant, convicted: dict[Mutant, Ran], record: Record) -> None:
    """The test named for a guard fails once the guard is gone."""
    assert mutant.fits(ROOT), f"the text to be replaced is not in {mutant.file} exactly once"
    ran = convicted[mutant]
    record(guards_removed=1, caught=ran.code == FAILED)
    assert ran.code == FAILED, f"{mutant.test} ended with {ran.code}:\n{ran.output}"
