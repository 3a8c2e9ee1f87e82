"""The bench takes minutes: most of it runs beside all other tests, on what they leave of the processors."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MINUTES = 20


class Bench:
    """A bench of lower priority than everybody else, begun by whichever worker of the tests comes first."""

    def __init__(self, folder: Path) -> None:
        self.figures, self._said, self._code = folder / "bench.json", folder / "said", folder / "code"
        self._group = folder / "group"

    def begin(self) -> None:
        """Begin, unless another worker has."""
        try:
            group = self._group.open("x")
        except FileExistsError:
            return
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
        bench = [sys.executable, str(ROOT / "tests" / "bench"), "--quick", "--json", str(self.figures)]
        line = f"nice -n 19 {shlex.join(bench)}; echo $? > {self._code}.new; mv {self._code}.new {self._code}"
        with group, self._said.open("w") as said:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", line],
                stdout=said,
                stderr=subprocess.STDOUT,
                env=plain,
                start_new_session=True,
            )
            group.write(str(self.process.pid))

    def wait(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and what it said."""
        give_up_at = time.monotonic() + 60 * MINUTES
        while not self._code.exists():
            assert time.monotonic() < give_up_at, self._said.read_text()
            time.sleep(0.5)
        return int(self._code.read_text()), self._said.read_text()

    def close(self) -> None:
        """End it, if nobody waited for it, and its workers."""
        if self._group.exists() and not self._code.exists():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(self._group.read_text()), signal.SIGKILL)


@cache
def shared_bench() -> Bench:
    """Return the one bench of all workers of these tests."""
    return Bench(Path(os.environ["SHARED_BY_TESTS"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask for the figures when all other tests are through."""
    items.sort(key=lambda item: item.name == "test_the_bench")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin at once if the figures are going to be asked for."""
    is_dry = session.config.option.collectonly
    if not is_dry and any(item.name == "test_the_bench" for item in session.items):
        shared_bench().begin()


@pytest.fixture
def bench() -> Bench:
    """Give the bench that was begun with the session."""
    return shared_bench()
