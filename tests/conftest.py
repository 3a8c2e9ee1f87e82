"""What all tests share: the kind of event loop, and which tests may be skipped under CI."""

import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from bench.conftest import shared_bench
from hypothesis import settings

os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="batchup-cache-")  # what tests fetch is nobody else's
IS_LEADER = "SHARED_BY_TESTS" not in os.environ  # and no worker of these tests, nor started by one
if IS_LEADER:
    os.environ["SHARED_BY_TESTS"] = tempfile.mkdtemp(prefix="batchup-shared-")

# A shell's background job ignores the one, `nohup` the other: what a test starts would do so too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("batchup", settings(), deadline=None)  # two cores may have more to do than this
settings.load_profile("batchup")

MAY_BE_SKIPPED = {
    "root may": "as root, file permissions bind nobody, so a refusal by them cannot be shown",
    "no pid namespaces": "being process 1 can only be shown where the kernel lets one make a namespace",
    "no service manager": "one of a test's own needs root, systemd and control groups that may be made",
    "no mounts for tests": "a disk that is truly full is a small one, and only mounting makes one",
}
"""Reasons for which a test may be skipped under CI, and why there is no way around it there."""

SKIPPED = 7
"""The exit code of tests that passed but for skips outside the list: pytest has none of its own above 5."""

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
        session.exitstatus = SKIPPED


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """Forget what processes measured that were killed while they wrote it down; the rest is then added up."""
    result = yield
    if session.config.getoption("cov_source", None) and IS_LEADER:
        data = Path(os.environ.get("COVERAGE_FILE", session.config.rootpath / ".coverage"))
        for path in sorted(data.parent.glob(f"{data.name}.*")):
            if not _is_readable(path):
                path.unlink(missing_ok=True)
    return result


def pytest_unconfigure() -> None:
    """Leave neither the bench running nor its folder."""
    if IS_LEADER:
        shared_bench().close()
        shutil.rmtree(os.environ["SHARED_BY_TESTS"], ignore_errors=True)


def _is_readable(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            db.execute("SELECT count(*) FROM file").fetchone()
    except sqlite3.Error:
        return False
    return True
