"""What a job's folder tells for a report, whole or in part."""

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from edge.nights import BEGAN_AT, BROKEN, RUN, failed, log_of, status_of, summary_of, write_night

from batchup.core.causes import Cause
from batchup.core.items import Failure, Outcome, SavedFile
from batchup.edge.page.described import describe, next_of, pace_of, settings_of
from batchup.edge.page.gather import (
    MOST_ITEMS,
    MOST_TROUBLED,
    Gathered,
    causes_of,
    gather,
    gather_whole,
    read_outcomes,
    read_status,
    totals_of,
)
from batchup.errors import DataProblem
from batchup.job import Job
from batchup.report.document import Totals

FILE = SavedFile("images/a.png", 1000, "0" * 64, 8, 8, "https://files.example/a.png")


def made(item_id: str, saved_at: float) -> Outcome:
    return Outcome(
        id=item_id, state="saved", files=(FILE,), cost_usd=0.02, predict_time_s=50.0, saved_at=saved_at
    )


def gathered_of(outcomes: Sequence[Outcome]) -> Gathered:
    gathered = Gathered()
    for number, outcome in enumerate(outcomes):
        gathered.add(number, outcome)
    return gathered


def test_all_of_a_small_job_is_shown(tmp_path: Path) -> None:
    """The items are those of the results, in their order, and the figures count them all."""
    outcomes = [made("a", 3.0), failed("b"), made("c", 1.0), Outcome(id="d", state="outstanding")]
    gathered = gather(write_night(tmp_path, outcomes).job)
    assert [one.id for one in gathered.items] == ["a", "b", "c", "d"]
    assert gathered.more_count == 0
    assert gathered.counts == {"saved": 2, "failed": 1, "outstanding": 1}
    assert gathered.bytes == 2000
    assert list(gathered.lengths_s) == [50.0, 50.0]


def test_of_a_large_job_the_newest_are_shown() -> None:
    """What is not saved goes first, the newest up to a bound; the newest saved ones fill the page."""
    outcomes = [made(str(k), float(k % 7000)) for k in range(MOST_ITEMS + 500)]
    outcomes += [failed(f"x{k}") for k in range(MOST_TROUBLED + 30)]
    gathered = gathered_of(outcomes)
    items = gathered.items
    assert len(items) == MOST_ITEMS
    assert gathered.more_count == 530 + MOST_TROUBLED
    assert [one.id for one in items[-MOST_TROUBLED:]] == [f"x{k}" for k in range(30, MOST_TROUBLED + 30)]
    shown = items[:-MOST_TROUBLED]
    assert [int(one.id) for one in shown] == sorted(int(one.id) for one in shown)
    oldest = min(one.saved_at or 0 for one in shown)
    assert sum(1 for one in outcomes if (one.saved_at or 0) > oldest) <= len(shown)


def test_a_line_that_was_cut_off_is_no_line(tmp_path: Path) -> None:
    """What a kill left of the last line is passed over; any other that is none is told with its number."""
    night = write_night(tmp_path, [made("a", 1.0)])
    path = night.folder / "results.jsonl"
    path.write_bytes(path.read_bytes() + b'{"id":"b","st')
    assert [one.id for one in read_outcomes(night.job)] == ["a"]
    path.write_bytes(b'{"id":"b","st\n')
    with pytest.raises(DataProblem, match=r"results\.jsonl, line 1, is no item"):
        gather(night.job)


def test_a_job_that_has_not_run_is_told(tmp_path: Path) -> None:
    """Without results there is nothing to show, and the problem says what to type."""
    night = write_night(tmp_path, [])
    (night.folder / "results.jsonl").unlink()
    with pytest.raises(DataProblem, match="has not run yet") as problem:
        gather(night.job)
    assert f"batchup run {night.path}" in problem.value.remedy
    (night.folder / "results.jsonl").mkdir()
    with pytest.raises(DataProblem, match="cannot be read"):
        gather(night.job)


def test_a_run_that_ended_has_the_last_word() -> None:
    """After a run the job's figures are those of its summary, with what the items tell besides."""
    gathered = gathered_of([made("a", 1.0), failed("b")])
    cause = Cause("failed", "went wrong with X-API-Key: abc", 1, "mend", "b")
    summary = summary_of(gathered.items, rejected=3, items=9, outstanding=4, causes=(cause,))
    status = status_of(summary)
    assert totals_of(gathered, status) == Totals(
        items=9,
        saved=1,
        failed=1,
        outstanding=4,
        rejected=3,
        spend_usd=0.01,
        predict_s_mean=50.0,
        bytes=1000,
    )
    assert causes_of(gathered, status) == (replace(cause, cause="went wrong with X-API-Key: ***"),)


def test_a_run_that_was_cut_off_is_counted_by_its_items() -> None:
    """Without a summary the items count, and what the manifest has beyond them is outstanding."""
    gathered = gathered_of([made("a", 1.0), failed("b"), failed("c", state="held")])
    found = totals_of(gathered, status_of(None, total=10))
    assert (found.items, found.saved, found.failed, found.held, found.outstanding) == (10, 1, 1, 1, 7)
    assert found.spend_usd == 0.75
    alone = totals_of(gathered, None)
    assert (alone.items, alone.outstanding, alone.spend_usd) == (3, 0, 0.02)
    assert totals_of(Gathered(), None) == Totals(spend_usd=0.0, bytes=0)
    assert {one.state: one.count for one in causes_of(gathered, None)} == {"failed": 1, "held": 1}


def test_a_status_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """A missing or garbled status.json costs the run's figures and not the report."""
    night = write_night(tmp_path, [made("a", BEGAN_AT)])
    assert read_status(night.folder) is not None
    (night.folder / "status.json").write_bytes(b'{"job":')
    assert read_status(night.folder) is None
    document = describe(night.job, gather(night.job), None, mode="file", items=[], command="night.toml")
    assert (document.run.id, document.run.reason) == ("", None)
    assert document.next_command == "batchup run night.toml"


def test_the_pace_is_that_of_the_last_run(tmp_path: Path) -> None:
    """Of a log of many nights the run that the status names is drawn, from its own beginning."""
    night = write_night(tmp_path, [])
    log = night.folder / "run.log.jsonl"
    log.write_bytes(log_of(5, "r0", 1000.0) + log_of(7) + log_of(9, "r2", 3000.0))
    pace, began_at = pace_of(night.job, read_status(night.folder))
    assert (began_at, len(pace.window.at_s) if pace else 0) == (BEGAN_AT, 7)
    pace, began_at = pace_of(night.job, None)
    assert (began_at, len(pace.window.at_s) if pace else 0) == (3000.0, 9)


@pytest.mark.parametrize("log", [None, b"", b"{}\n", b"?\xff\n", log_of(3, "other"), log_of(0)[:-20]])
def test_a_log_that_tells_nothing_costs_the_plots(log: bytes | None, tmp_path: Path) -> None:
    """Without a log, with an empty one, another one or a torn one there are no plots of the pace."""
    night = write_night(tmp_path, [made("a", BEGAN_AT + 60)])
    (night.folder / "run.log.jsonl").unlink()
    if log is not None:
        (night.folder / "run.log.jsonl").write_bytes(log)
    status = read_status(night.folder)
    document = describe(night.job, gather(night.job), status, mode="file", items=[], command="night.toml")
    assert document.plots.requests is None
    assert document.plots.slots is None
    assert document.plots.durations is not None


def test_a_run_without_pace_still_has_a_throughput(tmp_path: Path) -> None:
    """A log that tells when the run began is enough to count what it saved a minute."""
    night = write_night(tmp_path, [made("a", BEGAN_AT + 60), made("before", BEGAN_AT - 500)])
    (night.folder / "run.log.jsonl").write_bytes(log_of(0))
    status = read_status(night.folder)
    document = describe(night.job, gather(night.job), status, mode="file", items=[], command="night.toml")
    series = document.plots.throughput
    assert series is not None
    assert sum(series.values) * (series.period_s or 0) / 60 == pytest.approx(1)
    assert document.run.began_at == BEGAN_AT


def test_a_document_tells_of_the_run(tmp_path: Path) -> None:
    """The newest run's figures, the job's parameters and what to type next are in the document."""
    night = write_night(tmp_path, [failed("b")])
    status = read_status(night.folder)
    document = describe(night.job, gather(night.job), status, mode="live", items=[], command="a b.toml")
    assert (document.run.id, document.run.worst_window, document.run.exit_code) == (RUN, 60, 0)
    assert document.parameters == {"scale_factor": 2}
    assert document.next_command is not None
    assert "'a b.toml'" in document.next_command
    assert document.mode == "live"
    assert msgspec.json.encode(document)


def test_a_cut_off_run_says_what_it_knows(tmp_path: Path) -> None:
    """Of a run that was cut off its name, its spend and its beginning are known, and to run again is next."""
    night = write_night(tmp_path, [])
    status = status_of(None)
    document = describe(night.job, gather(night.job), status, mode="file", items=[], command="x.toml")
    assert (document.run.id, document.run.reason, document.run.spend_usd) == (RUN, None, 0.5)
    assert next_of(status, "x.toml") == "batchup run x.toml"


def test_settings_are_words_without_secrets(tmp_path: Path) -> None:
    """What limits the job is told in words; no key, no signed address and no folder of this machine."""
    text = f"""
        manifest = "{tmp_path}/in.csv"
        model = "m"
        [limits]
        rate = "unlimited"
        max_spend = 12.5
        [output]
        dir = "{tmp_path}/out"
        [service]
        url = "https://api.example/v1"
        key = "env:SECRET_NAME"
    """
    found = settings_of(Job.from_toml(text))
    assert found["Requests"] == "no limit"
    assert found["Spending"] == "$12.50 for the whole job"
    assert (found["Manifest"], found["Output folder"]) == ("in.csv", "out")
    assert str(tmp_path) not in str(found)
    assert "SECRET_NAME" not in str(found)


def test_a_failure_is_told_by_its_group() -> None:
    """Failures whose words hold what is secret are grouped without it."""
    failure = Failure("prediction_failed", "no X-API-Key: abcdef")
    gathered = gathered_of([failed("b", failure), failed("c", BROKEN)])
    assert "abcdef" not in str(causes_of(gathered, None))


@pytest.mark.parametrize("line", [msgspec.json.encode(failed("old")), b"the end of what was cut off"])
def test_results_that_change_while_they_are_read_are_read_again(tmp_path: Path, line: bytes) -> None:
    """What is gathered is one state of the file, as it is in the end, whatever was met on the way."""
    night = write_night(tmp_path, [failed("new")])
    results = night.folder / "results.jsonl"
    results.rename(tmp_path / "new")
    os.mkfifo(results)  # whoever reads it is in the middle of it for as long as we like

    def change() -> None:
        with results.open("wb") as old:
            old.write(line + b"\n")
            (tmp_path / "new").rename(results)

    thread = threading.Thread(target=change)
    thread.start()
    gathered, status = gather_whole(night.job)
    thread.join()
    assert [one.id for one in gathered.items] == ["new"]
    assert status is not None


def test_results_that_are_none_are_read_once(tmp_path: Path) -> None:
    """A line that is no item and stays there is a problem, as is a file that is gone."""
    night = write_night(tmp_path, [failed("a")])
    (night.folder / "results.jsonl").write_bytes(b"?\n")
    with pytest.raises(DataProblem, match="line 1"):
        gather_whole(night.job)
    (night.folder / "results.jsonl").unlink()
    with pytest.raises(DataProblem, match="has not run yet"):
        gather_whole(night.job)


def ended_line(run: str, **figures: Any) -> bytes:
    """Return the last line of a run's log."""
    usual = {"requests": 0, "creates": 0, "polls": 0, "throttled": 0, "worst_window": 0, "spend_usd": 0.0}
    line = {"ts": "2030-01-01T00:00:00Z", "level": "info", "event": "run_ended", "run": run, "wall_s": 0.1}
    line |= {"reason": "nothing_to_do", "exit_code": 0} | usual | figures
    return msgspec.json.encode(line) + b"\n"


def test_a_run_without_work_takes_nothing_from_the_night(tmp_path: Path) -> None:
    """After a run with nothing to do plots and run figures are those of the newest one that did anything."""
    idle = summary_of([], reason="nothing_to_do", requests=0, creates=0, worst_window=0, wall_s=0.1)
    night = write_night(tmp_path, [made("a", BEGAN_AT + 60)], replace(idle, run="r3", items=1, saved=1))
    busy = {"reason": "finished", "requests": 500, "worst_window": 60, "wall_s": 900.0}
    log = night.folder / "run.log.jsonl"
    log.write_bytes(
        log_of(90)
        + ended_line(RUN, **busy)
        + log_of(1, "r2", BEGAN_AT + 5000)
        + ended_line("r2")
        + b'{"ts":"2030-01-01T00:00:00Z","event":"run_ended","run":"older","reason":"finished"}\n'
        + log_of(1, "r3", BEGAN_AT + 6000)
        + ended_line("r3")
    )
    status = replace(read_status(night.folder) or status_of(None), run="r3")
    document = describe(night.job, gather(night.job), status, mode="file", items=[], command="night.toml")
    assert (document.run.id, document.run.is_newest) == (RUN, False)
    assert (document.run.wall_s, document.run.requests, document.run.began_at) == (900.0, 500, BEGAN_AT)
    assert document.plots.requests is not None
    assert max(document.plots.requests.values) == 60
    assert document.plots.throughput is not None
    log.write_bytes(log_of(1, "r3", BEGAN_AT) + ended_line("r3").rstrip())
    document = describe(night.job, gather(night.job), status, mode="file", items=[], command="night.toml")
    assert (document.run.id, document.run.is_newest) == ("r3", True)
