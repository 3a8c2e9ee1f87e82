"""A job folder that is moved to another host between two runs: its last requests count there too."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import anyio
import pytest
from edge.bench import real, results, rows, run, web
from edge.test_pool import bench
from test_cli_disk import judged, service

from batchup.edge.gate.ledger import Ledger
from batchup.edge.moved import CLOCKS_DIFFER_S, NOTE_EVERY_S, hold_back_s, keep_last_request, this_host

SLACK_S = NOTE_EVERY_S + CLOCKS_DIFFER_S
RATE = '[limits]\nrate = "60/3s"\n[polling]\nexpected = "1s"'


@pytest.mark.parametrize(
    ("age_s", "held_s"),
    [
        (0.0, 90.0),
        (-5000.0, 90.0),
        (SLACK_S, 90.0),
        (SLACK_S + 80.0, 10.0),
        (SLACK_S + 90.0, 0.0),
        (1e6, 0.0),
    ],
)
def test_leases_are_held_for_what_is_left_of_their_life(age_s: float, held_s: float) -> None:
    """Nothing is sent until the last request over there can count no more, by the worse of two clocks."""
    assert hold_back_s(age_s, 90.0) == held_s


def test_leases_that_are_held_are_out_for_all_runs(tmp_path: Path) -> None:
    """Held leases come back at their time, beside those that were out, and other runs see them."""
    one, other = (Ledger(tmp_path / "l.db", now=0.0, hold_s=1.0) for _ in range(2))
    one.take(0.0, 5.0, 60)
    one.hold(59, 10.0)
    assert [ledger.count(1.0) for ledger in (one, other)] == [60, 60]
    assert other.take(1.0, 20.0, 60) is None
    assert [ledger.count(7.0) for ledger in (one, other)] == [59, 59]
    assert other.take(11.0, 20.0, 60) is not None
    one.close()
    other.close()


@pytest.mark.anyio
async def test_the_last_request_is_noted_while_a_run_goes_on(tmp_path: Path) -> None:
    """A run that will be killed has noted when it last sent something, and notes nothing while it is idle."""
    async with bench(tmp_path) as it, anyio.create_task_group() as tasks:
        tasks.start_soon(keep_last_request, it.pool, 0.01)
        seen: list[str | float | None] = [None]
        for requests in (0, 1, 1, 2):
            has_news = requests > it.pool.batch.board.tally.requests
            it.pool.batch.board.tally.requests = requests
            with anyio.move_on_after(30 if has_news else 0.1):
                while (noted_at := facts_of(tmp_path).get("last_request_at")) == seen[-1]:  # noqa: ASYNC110 no event
                    await anyio.sleep(0.02)
            seen.append(noted_at)
        tasks.cancel_scope.cancel()
    assert seen[1] is None
    assert seen[2] == seen[3] is not None
    assert float(seen[4] or 0) > float(seen[2] or 0)


@pytest.mark.anyio
async def test_a_note_that_the_disk_does_not_take_ends_the_run(tmp_path: Path) -> None:
    """Where nothing can be written down, nothing is sent any more."""
    async with bench(tmp_path) as it, anyio.create_task_group() as tasks:
        it.checkpoint.db.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON facts BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        it.pool.batch.board.tally.requests = 1
        tasks.start_soon(partial(it.run, may_wait=True))
        tasks.start_soon(keep_last_request, it.pool, 0.01)
        with anyio.move_on_after(30):
            while it.pool.error is None:  # noqa: ASYNC110 nobody sets an event for a test
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()
    assert it.pool.error is not None


def set_facts(folder: Path, **facts: str | float) -> None:
    """Change what the checkpoint knows of where it ran."""
    with closing(sqlite3.connect(folder / "checkpoint.db", isolation_level=None)) as db:
        db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))


def facts_of(folder: Path) -> dict[str, str | float]:
    with closing(sqlite3.connect(folder / "checkpoint.db")) as db:
        return dict(db.execute("SELECT name, value FROM facts"))


def test_a_folder_from_another_host_waits_for_the_window_over_there(tmp_path: Path) -> None:
    """On another host, with no lease of the first run, nothing is sent until the period there is over."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    rows(here / "rows.jsonl", *web("a", "b"))
    with service(tmp_path) as address:
        job = real(here, address["url"], more=RATE)
        job.write_text(job.read_text().replace('"5s"', '"2s"'))
        first = run(job)
        assert (first.code, first.summary["saved"]) == (0, 2)
        assert facts_of(here / "job.out")["host"] == this_host()
        rows(here / "rows.jsonl", *web("a", "b", "c"))
        same = run(job)
        assert (same.summary["saved"], "nothing is sent" in same.err) == (3, False)
        set_facts(here / "job.out", host="elsewhere", host_name="mars")
        (here / "state").rename(tmp_path / "state-of-mars")
        here.rename(there)
        rows(there / "rows.jsonl", *web("a", "b", "c", "d"))
        moved = run(there / "job.toml")
        assert (moved.code, moved.summary["saved"], moved.summary["skipped"]) == (0, 4, 3), moved
        assert moved.summary["wall_s"] > 5  # a request's timeout and a period
        assert "ran on mars" in moved.err
        assert facts_of(there / "job.out")["host"] == this_host()
        again = run(there / "job.toml")
        assert (again.code, again.summary["requests"]) == (0, 0)
        assert "mars" not in again.err
        totals = judged(address)
        assert (totals["creates"], totals["duplicate_creates"], totals["throttled"]) == (4, 0, 0)
    files = [file["path"] for line in results(there / "job.toml").values() for file in line["files"]]
    assert all((there / "job.out" / path).is_file() for path in files)


def test_a_folder_that_came_long_ago_waits_for_nothing(tmp_path: Path) -> None:
    """Where the last request over there is old, nothing is held back."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    with service(tmp_path) as address:
        job = real(tmp_path, address["url"], more=RATE)
        run(job)
        set_facts(tmp_path / "job.out", host="elsewhere", host_name="mars", last_request_at=1e9)
        rows(tmp_path / "rows.jsonl", *web("a", "b"))
        done = run(job)
    assert (done.code, done.summary["saved"]) == (0, 2)
    assert "mars" not in done.err
