"""What all tests share: the kind of event loop, and which tests may be skipped under CI."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="batchup-cache-")  # what tests fetch is nobody else's

MAY_BE_SKIPPED = {
    "root may": "as root, file permissions bind nobody, so a refusal by them cannot be shown",
    "no pid namespaces": "being process 1 can only be shown where the kernel lets one make a namespace",
    "no mounts for tests": "a disk that is truly full is a small one, and only mounting makes one",
}
"""Reasons for which a test may be skipped under CI, and why there is no way around it there."""

_skipped: list[str] = []


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio: aiohttp knows no other."""
    return "asyncio"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the tests that were skipped, with their reasons."""
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in MAY_BE_SKIPPED):
            _skipped.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under CI a skip outside the list fails: what a test needs is installed there."""
    if _skipped and os.environ.get("CI"):
        print("\nskipped, and not listed in tests/conftest.py:", *_skipped, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """Forget what processes measured that were killed while they wrote it down; the rest is then added up."""
    result = yield
    if session.config.getoption("cov_source", None):
        data = Path(os.environ.get("COVERAGE_FILE", session.config.rootpath / ".coverage"))
        for path in sorted(data.parent.glob(f"{data.name}.*")):
            if not _is_readable(path):
                path.unlink(missing_ok=True)
    return result


def _is_readable(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            db.execute("SELECT count(*) FROM file").fetchone()
    except sqlite3.Error:
        return False
    return True
