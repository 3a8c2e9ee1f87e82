"""The bench takes minutes: it runs beside all other tests, on what they leave of the processors."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MINUTES = 20
_BENCH = pytest.StashKey["Bench"]()


class Bench:
    """A bench on its way, of lower priority than everybody else."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.figures, self._said = Path(self.folder.name, "bench.json"), Path(self.folder.name, "said")
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        bench = [sys.executable, str(ROOT / "tests" / "bench"), "--json", str(self.figures)]
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                ["/usr/bin/env", "nice", "-n", "19", *bench],
                stdout=said,
                stderr=subprocess.STDOUT,
                env=plain,
                start_new_session=True,
            )

    def wait(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and what it said."""
        return self._process.wait(60 * MINUTES), self._said.read_text()

    def close(self) -> None:
        """End it, if nobody waited for it, and its workers."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
        self.folder.cleanup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask for the figures when all other tests are through."""
    items.sort(key=lambda item: item.name == "test_the_bench")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin at once if the figures are going to be asked for."""
    is_dry = session.config.option.collectonly
    if not is_dry and any(item.name == "test_the_bench" for item in session.items):
        session.config.stash[_BENCH] = Bench()


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Bench:
    """Give the bench that was begun with the session."""
    return request.config.stash[_BENCH]


def pytest_unconfigure(config: Any) -> None:
    """Leave nothing running."""
    if _BENCH in config.stash:
        config.stash[_BENCH].close()
