"""How many handles a run may need: more where more is done at one time."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchup.edge.handles import check_handles, handles_needed
from batchup.job import Job

MANY = 'limits.concurrency = 2000\nlimits.rate = "unlimited"\nlimits.open_creates = 64\n'
TEXT = 'manifest = "rows.jsonl"\nmodel = "each-upscaler"\n'


def needed(folder: Path, more: str = "") -> int:
    """Return what a job needs."""
    return handles_needed(Job.from_toml(TEXT + more, base=folder))


def test_what_is_done_at_one_time_needs_handles(tmp_path: Path) -> None:
    """More at a time, callbacks, and a simulator in the same process each need more, within bounds."""
    plain = needed(tmp_path)
    assert plain < 128
    assert needed(tmp_path, "limits.concurrency = 20") == plain + 10
    assert needed(tmp_path, "limits.concurrency = 10000") < 256
    assert needed(tmp_path, 'webhook.listen = "127.0.0.1:0"\nservice.url = "http://127.0.0.1:9/v1"') > plain
    assert needed(tmp_path, 'service.url = "simulator"') > plain + 30


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """What this process may have, put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_without_a_rate_each_prediction_may_be_asked_after_at_once(tmp_path: Path) -> None:
    """Nothing holds back thousands of polls then, and each is a connection."""
    assert needed(tmp_path, MANY) > 2000 + 64
    assert needed(tmp_path, MANY.replace('"unlimited"', '"60/min"')) < 256


def test_handles_are_asked_for_where_the_system_has_them(tmp_path: Path, limits: tuple[int, int]) -> None:
    """A run with more in flight than it has handles raises its own limit, and only then."""
    few = (512, limits[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, few)
    check_handles(Job.from_toml(TEXT, base=tmp_path))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == few
    check_handles(Job.from_toml(TEXT + MANY.replace("2000", "600"), base=tmp_path))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (limits[1], limits[1])
