"""`run --sample N`: a pilot at random, finished by the same command, and what it tells of the whole."""

import signal
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from docs.parts import invoke
from edge.bench import adds_up, judged, photos, results, rows, run, running, simulated, web

from batchup.cli.piloting import pilot_lines
from batchup.core.calendar import Calendar
from batchup.core.items import Item
from batchup.core.messages import Keep
from batchup.core.money import Cost
from batchup.core.pilot import Drawn, Pilot, Span
from batchup.core.states import State
from batchup.core.summary import Summary
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.images.contents import NAME as CONTENTS
from batchup.edge.images.contents import Contents
from batchup.edge.planning.piloting import FACT, Piloting, look_at, read
from batchup.job import Job

pytestmark = pytest.mark.anyio
COUNT = 30


def pilot_job(folder: Path, **more: Any) -> Path:
    rows(folder / "rows.jsonl", *web(*(f"n{k}" for k in range(COUNT))), {"id": "bad"})
    return simulated(folder, "rows.jsonl", **more)


def test_a_pilot_buys_some_at_random_and_tells_of_all(tmp_path: Path) -> None:
    """So many items are bought and no more, all rows are counted, and the whole is told with its ranges."""
    job = pilot_job(tmp_path, speed=100)
    done = run(job, "--sample", "4", "--max-duration", "1h")
    found = done.summary
    assert (done.code, found["reason"], found["creates"], found["saved"]) == (75, "item_limit", 4, 4)
    assert (found["items"], found["outstanding"], found["rejected"]) == (COUNT + 1, COUNT - 4, 1)
    assert found["manifest_complete"]
    assert adds_up(found)
    pilot = found["pilot"]
    assert (pilot["drawn"], pilot["of"], pilot["saved"], pilot["rest"]) == (4, COUNT, 4, COUNT - 4)
    assert pilot["cost"]["likely_usd"] == pytest.approx(0.01 * COUNT)
    assert (pilot["failed_share"]["low"], pilot["nights"], pilot["night_s"]) == (0.0, 1, 3600)
    assert pilot["bytes"]["low"] <= pilot["bytes"]["likely"] <= pilot["bytes"]["high"]
    assert "stopped after its pilot" in done.err
    assert "the whole job will cost about $0.30" in done.err
    rest = run(job)
    assert (rest.summary["saved"], rest.summary["pilot"]) == (COUNT, None)
    assert judged(job)["creates"] == COUNT


def test_a_pilot_that_was_killed_is_finished_by_the_same_command(tmp_path: Path) -> None:
    """After a kill the same items are bought, those under way not again; said once more, others are drawn."""
    job = pilot_job(tmp_path, speed=10)
    with running(job, "--sample", "5") as process:
        log = tmp_path / "job.out" / "run.log.jsonl"
        while process.poll() is None and not (log.exists() and '"created"' in log.read_text()):
            continue
        process.send_signal(signal.SIGKILL)
        process.wait()
    with Checkpoint(tmp_path / "job.out" / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        drawn = read(checkpoint)
    assert drawn is not None
    pilot_job(tmp_path, speed=100)
    second = run(job, "--sample", "5")
    assert "that an earlier run has drawn" in second.err
    assert f"6/6 of {COUNT + 1}, " in second.err  # with the row that was rejected
    assert {id_ for id_, one in results(job).items() if one["state"] == "saved"} == set(drawn.ids)
    assert judged(job)["creates"] == 5
    third = run(job, "--sample", "5")
    assert f"pilot: 5 of {COUNT - 5} outstanding items, at random" in third.err
    assert (third.summary["saved"], judged(job)["creates"]) == (10, 10)


def test_a_pilot_goes_with_no_limit(tmp_path: Path) -> None:
    """Both say how many items: together they are wrong usage, and so is a pilot of nothing or of too many."""
    job = pilot_job(tmp_path)
    for flags in (["--sample", "2", "--limit", "2"], ["--sample", "0"], ["--sample", "10001"]):
        assert run(job, *flags).code == 2
    assert not (tmp_path / "job.out").exists()


def checkpoint_of(folder: Path) -> Checkpoint:
    return Checkpoint(folder / "checkpoint.db", Calendar(0.0), {})


def ended(**changes: Any) -> Summary:
    return Summary(job="job", run="r", reason="item_limit", exit_code=75, manifest_complete=True, **changes)


async def test_what_was_drawn_is_kept_until_it_is_done(tmp_path: Path) -> None:
    """The same number takes up what was drawn; another draws anew, as the same does once all are at rest."""
    job = Job.load(pilot_job(tmp_path))
    said: list[str] = []
    with checkpoint_of(tmp_path) as checkpoint:
        first, again, other = (Piloting(job, checkpoint, count) for count in (3, 3, 2))
        for one in (first, again):
            await one.begin(said.append, lambda: False)
        assert first.chosen == again.chosen
        assert len(first.chosen or ()) == 3
        assert said[1].startswith("pilot: the 3 items that an earlier run")
        open_ = await again.end(ended())
        assert open_.pilot is not None
        assert open_.pilot.failed == 3  # read to its end without a trace: rejected
        assert read(checkpoint) == Drawn(**{**_fields(first), "is_done": True})
        await other.begin(said.append, lambda: False)
        assert len(other.chosen or ()) == 2
        sent = {"attempt": 1, "hashes": {}, "sent_at": 1.0}
        item = Item(next(iter(other.chosen or ())), 1, {}, {}, "00" * 32)
        checkpoint.keep([Keep(item, State.READY, State.SUBMITTING, sent)])
        await other.end(ended())
        kept = read(checkpoint)
        assert kept is not None
        assert not kept.is_done


def _fields(pilot: Piloting) -> dict[str, Any]:
    drawn = pilot.drawn
    assert drawn is not None
    names = ("count", "seed", "outstanding", "ids", "local_count", "different", "unread")
    return {name: getattr(drawn, name) for name in names}


async def test_equal_and_broken_pictures_that_are_known_are_taken_off(tmp_path: Path) -> None:
    """What `check` has found is believed: no purchase for a copy or a torn file; unknown ones are told of."""
    folder = photos(tmp_path / "photos", 3)
    whole = next(folder.iterdir()).read_bytes()
    (folder / "copy.png").write_bytes(whole)
    (folder / "torn.png").write_bytes(whole[: len(whole) // 2])
    path = simulated(tmp_path, "photos")
    job = Job.load(path)
    with checkpoint_of(tmp_path) as checkpoint:
        blind = Piloting(job, checkpoint, 2)
        await blind.begin(lambda _: None, lambda: False)
        assert invoke("check", str(path)).exit_code == 3
        contents = Contents(job.output.dir / CONTENTS)
        seeing = Piloting(job, checkpoint, 3, contents=contents)
        await seeing.begin(lambda _: None, lambda: False)
        contents.close()
    found = [one.drawn for one in (blind, seeing)]
    assert [(one.outstanding, one.different, one.unread) for one in found if one] == [(5, 5, 5), (4, 3, 0)]
    assert (blind.open_count, seeing.open_count) == (2, 3)


async def test_a_pilot_that_goes_on_hands_on_what_is_left(tmp_path: Path) -> None:
    """Of the items drawn, those that are saved or under way are not to be handed on once more."""
    job = Job.load(pilot_job(tmp_path))
    with checkpoint_of(tmp_path) as checkpoint:
        pilot = Piloting(job, checkpoint, 4)
        await pilot.begin(lambda _: None, lambda: False)
        for number, id_ in enumerate(sorted(pilot.chosen or ())[:2]):
            item = Item(id_, 1, {}, {}, f"{number:064x}")
            checkpoint.keep(
                [Keep(item, State.READY, State.SUBMITTING, {"attempt": 1, "hashes": {}, "sent_at": 1.0})]
            )
        again = Piloting(job, checkpoint, 4)
        await again.begin(lambda _: None, lambda: False)
        assert (pilot.open_count, again.open_count) == (4, 2)


def test_of_what_others_have_cost_nothing_is_kept(tmp_path: Path) -> None:
    """An item's own attempts are counted, and those of the millions beside it are not held."""
    with checkpoint_of(tmp_path) as checkpoint:
        item = Item("a", 1, {}, {}, "00" * 32)
        sent = {"attempt": 3, "hashes": {}, "sent_at": 1.0}
        checkpoint.keep([Keep(item, State.READY, State.SUBMITTING, sent)])
        checkpoint.db.execute(
            "WITH RECURSIVE k(n) AS (VALUES(0) UNION ALL SELECT n + 1 FROM k WHERE n < 50000)"
            " INSERT INTO attempts (item, attempt, cost_usd)"
            " SELECT max(1, n), 1, 0.25 FROM k"
        )
        tracemalloc.start()
        try:
            (found,) = look_at(checkpoint, Drawn(1, 7, 1, ("a",)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert found is not None
    assert found.cost_usd == 0.5
    assert peak < 1 << 20


async def test_a_run_that_is_stopped_while_it_draws_draws_nothing(tmp_path: Path) -> None:
    """Whoever stops it has not to wait for the manifest's end, and nothing is chosen or kept."""
    job = Job.load(pilot_job(tmp_path))
    with checkpoint_of(tmp_path) as checkpoint:
        pilot = Piloting(job, checkpoint, 3)
        await pilot.begin(lambda _: None, lambda: True)
        assert pilot.chosen == frozenset()
        assert read(checkpoint) is None


@pytest.mark.parametrize("value", ["nonsense", 7, "{}"])
def test_a_garbled_draw_was_none(tmp_path: Path, value: Any) -> None:
    """What cannot be read is drawn anew: it only says which items come first."""
    with checkpoint_of(tmp_path) as checkpoint:
        checkpoint.db.execute("INSERT INTO facts VALUES (?, ?)", (FACT, value))
        assert read(checkpoint) is None


async def test_a_run_without_a_pilot_has_none(tmp_path: Path) -> None:
    """Nothing is drawn that was not asked for, and a checkpoint that cannot be read any more ends no run."""
    job = Job.load(pilot_job(tmp_path))
    checkpoint = checkpoint_of(tmp_path)
    none, lost = Piloting(job, checkpoint, None), Piloting(job, checkpoint, 2)
    await none.begin(lambda _: None, lambda: False)
    assert none.chosen is None
    assert await none.end(ended()) == ended()
    await lost.begin(lambda _: None, lambda: False)
    checkpoint.db.execute("DROP TABLE items")
    assert await lost.end(ended()) == ended()
    checkpoint.db.close()


def test_a_pilot_is_told_in_words() -> None:
    """What is known is told with its range, a line a subject, and what is not known is left out."""
    pilot = Pilot(
        drawn=5,
        of=100,
        saved=3,
        failed=1,
        outstanding=1,
        rest=96,
        to_buy=96,
        failed_share=Span(likely=0.25, low=0.05, high=0.7),
        cost=Cost(likely_usd=1.0, low_usd=0.5, high_usd=2.0),
        bytes=Span(likely=1e6, low=5e5, high=2e6),
        wall_s=7200.0,
        night_s=3600.0,
        nights=2,
    )
    assert list(pilot_lines(pilot)) == [
        "5 of 100 items at random: 3 saved, 1 failed, 1 outstanding",
        "about 25 % (5 to 70 %) of all will fail",
        "the whole job will cost about $1.00 ($0.50 to $2.00)",
        "the other 96 will take about 2:00:00, 2 runs of 1:00:00",
        "their outputs will take about 1 MB of disk (500 kB to 2 MB)",
    ]
    some = list(pilot_lines(replace(pilot, to_buy=90, unread=7, nights=3), 60.0))
    assert some[3] == (
        "the other 96, of which 90 are to be bought, will take about 2:00:00 (120:00:00 of simulated time),"
        " 3 runs of 1:00:00"
    )
    assert some[5] == "equal and broken ones among 7 were not looked for: `batchup check` does"
    nothing = Pilot(drawn=0, of=0, saved=0, failed=0, outstanding=0, rest=0)
    assert list(pilot_lines(nothing)) == ["0 of 0 items at random: none"]
