"""The text that Prometheus reads, held against its own client's parser, and what is counted for it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from edge.nights import failed, saved, status_of, summary_of
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.calendar import Calendar
from batchup.core.history import CUT_OFF, PastRun
from batchup.core.items import Failure, Item
from batchup.core.messages import ItemRead, Note
from batchup.core.picture import Running
from batchup.core.policy import Policy
from batchup.core.requests import (
    Wait,
)
from batchup.core.summary import Summary
from batchup.core.wire import Response, Silence
from batchup.edge.metrics.catalogue import BY_NAME, JOB_LABEL, METRICS
from batchup.edge.metrics.exposition import Histogram, Value, exposition, plain, read_back
from batchup.edge.metrics.figures import STATES, items_by_state, samples_of
from batchup.edge.metrics.last import Last
from batchup.edge.metrics.measures import NO_ANSWER, OTHER, Measures, PermitWaits
from batchup.edge.metrics.text import text_of

LAST = Last(success_at=900.5, ended_at=1000.0, reason="finished", exit_code=0)


def parsed(text: str) -> dict[str, Metric]:
    """Read metrics as Prometheus' own client does, by the names that they are written under."""
    families = text_string_to_metric_families(text)
    return {f"{one.name}_total" if one.type == "counter" else one.name: one for one in families}


def values(metric: Metric) -> dict[tuple[str, ...], float]:
    """Return a metric's values by their labels, the job's aside."""
    return {
        tuple(value for name, value in sample.labels.items() if name != JOB_LABEL): sample.value
        for sample in metric.samples
    }


@pytest.mark.parametrize(
    "job",
    ["nightly", 'a "b"', "back\\slash\\n", "two\nlines", "ü {x=1} #", "", "odd\x85lines\u2028of\u2029it\x0b"],
)
def test_names_come_out_as_they_are(job: str) -> None:
    """Whatever a job is called, the parser reads the same name, and so does the next run."""
    text = exposition(job, {"batchup_run_active": {(): 1.0}, "batchup_spend_usd_total": {(): 0.25}})
    families = parsed(text)
    assert {sample.labels[JOB_LABEL] for one in families.values() for sample in one.samples} == {job}
    before = read_back(text)
    assert before is not None
    assert (before.job, before.value("batchup_spend_usd_total")) == (job, 0.25)


def test_a_name_that_is_no_text_is_written_all_the_same() -> None:
    """A file name may hold bytes that are no characters; they are replaced."""
    assert '"a?b"' in exposition("a\udc80b", {"batchup_run_active": {(): 1.0}})


def test_a_histogram_is_written_as_prometheus_counts() -> None:
    """Buckets add up, the last holds all, a value on a bound is within it, and sum and count are there."""
    histogram = Histogram((1, 2.5))
    for value in (1, 0.5, 2.6, 2.5):
        histogram.observe(value)
    text = exposition("j", {"batchup_save_duration_seconds": {(): histogram}})
    found = values(parsed(text)["batchup_save_duration_seconds"])
    assert found == {("1",): 2, ("2.5",): 3, ("+Inf",): 4, (): 4}
    assert "batchup_save_duration_seconds_sum" in text
    assert " 6.6\n" in text


def test_each_metric_is_named_by_the_conventions() -> None:
    """What only grows ends in _total and nothing else does; lengths and instants are in seconds."""
    for metric in METRICS:
        assert metric.name.startswith("batchup_")
        assert metric.name.endswith("_total") is (metric.kind == "counter")
        assert (metric.kind == "histogram") is bool(metric.bounds)
        assert list(metric.bounds) == sorted(metric.bounds)
        assert metric.help.endswith((".", "1."))
        assert "\n" not in metric.help
        if any(word in metric.name for word in ("duration", "timestamp", "wait_", "eta", "end_s")):
            assert metric.name.removesuffix("_total").endswith("_seconds")
    assert len(BY_NAME) == len(METRICS)


def test_what_is_kept_stays_until_something_else_is_known() -> None:
    """A run with nothing to say of the job leaves what the last one said; another job's file counts not."""
    before = read_back(
        exposition(
            "j",
            {
                "batchup_items": {("saved",): 5.0, ("failed",): 2.0},
                "batchup_requests_total": {("poll", "200"): 9.0},
                "batchup_spend_limit_usd": {(): 7.0},
                **LAST.samples(),
            },
        )
    )
    told = plain({"batchup_run_active": 0.0, "batchup_spend_limit_usd": None})
    kept = parsed(exposition("j", told, before))
    assert values(kept["batchup_items"]) == {("saved",): 5.0, ("failed",): 2.0}
    assert values(kept["batchup_last_success_timestamp_seconds"]) == {(): 900.5}
    assert kept.keys() & {"batchup_requests_total", "batchup_spend_limit_usd"} == set()
    assert parsed(exposition("other", told, before)).keys() == {"batchup_run_active"}


@pytest.mark.parametrize(
    "text", ["", "\0\0", "a,b\n1,2\n", 'batchup_run_active{batchup_job="j"} what', 'up{batchup_job="j"} 1']
)
def test_what_is_no_metrics_file_is_told(text: str) -> None:
    """Nothing of another program, or of a torn disk, is taken for ours."""
    assert read_back(text) is None


def total(counts: Mapping[tuple[str, ...], Value]) -> float:
    """Add up."""
    return sum(count for count in counts.values() if not isinstance(count, Histogram))


def test_items_are_in_one_state_each() -> None:
    """By state they add up to the job's, held ones are not in flight too, and nobody guesses what waits."""
    now = replace(status_of(None).now, saved=3, failed=2, held=1, in_flight=5, saving=1, rejected=4)
    status = replace(status_of(None), now=now)
    counts = items_by_state(status)
    assert counts == {
        ("saved",): 3,
        ("failed",): 2,
        ("held",): 1,
        ("in_doubt",): 0,
        ("rejected",): 4,
        ("in_flight",): 0,
        ("saving",): 1,
    }
    running = tuple(Running(id=str(k), prediction_id=None, attempt=1, age_s=1.0) for k in range(4))
    counts = items_by_state(replace(status, running=running, now=replace(now, total=40)))
    assert (counts["in_flight",], counts["waiting",], total(counts)) == (4, 25, 40)
    many = replace(status, running=running * 20, now=replace(now, in_flight=81))
    assert items_by_state(many)["in_flight",] == 80


def test_at_the_end_items_are_those_of_the_summary() -> None:
    """What the run has left is waiting or in flight still; with a summary of nothing the picture counts."""
    summary = replace(summary_of([]), items=9, saved=5, failed=1, outstanding=3)
    ended = status_of(summary)
    ended = replace(ended, now=replace(ended.now, in_flight=2))
    counts = items_by_state(ended)
    assert {state: counts[state,] for state in ("saved", "in_flight", "waiting")} == {
        "saved": 5,
        "in_flight": 2,
        "waiting": 1,
    }
    assert {name for (name,) in counts} == set(STATES)
    assert ("waiting",) not in items_by_state(status_of(summary_of([])))


def test_a_run_is_paused_while_something_holds_creates_back() -> None:
    """A reason for it is a pause, but for the run's own end."""
    now = replace(status_of(None).now, note="no credit")
    for changes, is_paused in (({}, 1), ({"is_stopping": True}, 0), ({"note": None}, 0)):
        samples = samples_of(replace(status_of(None), now=replace(now, **changes)), 1.0)
        assert samples["batchup_creates_paused"] == {(): is_paused}
    ended = replace(status_of(summary_of([])), now=now)
    assert samples_of(ended, 1.0)["batchup_creates_paused"] == {(): 0}


def test_the_last_run_is_told_by_the_history() -> None:
    """The newest that has ended, the newest that came to an end of its own, and none that goes on."""
    runs = [
        PastRun(run="a", began_at=1, ended_at=10, reason="finished", exit_code=3, wall_s=9),
        PastRun(run="b", began_at=20, ended_at=30, reason="key_refused", exit_code=77),
        PastRun(run="c", began_at=40),
    ]
    last = Last.of_history(runs)
    assert (last.success_at, last.ended_at, last.exit_code, last.needs_person) == (10, 30, 77, True)
    assert (Last.of_history(runs[2:]), Last.of_history(())) == (Last(), Last())
    assert Last().samples() == {"batchup_last_success_timestamp_seconds": {}}
    cut = Last.of_history([*runs, PastRun(run="d", began_at=50, ended_at=60, reason=CUT_OFF)])
    samples = cut.samples()
    assert (samples["batchup_last_run_exit_code"], cut.needs_person) == ({}, False)
    assert samples["batchup_last_run_success"] == {(): 0}
    assert samples["batchup_last_run_info"] == {(CUT_OFF,): 1}


@pytest.mark.parametrize(
    ("code", "success_at", "needs_person"),
    [(0, 50.0, 0), (3, 50.0, 0), (75, 50.0, 0), (4, 5.0, 0), (69, 5.0, 0), (77, 5.0, 1), (143, 5.0, 0)],
)
def test_a_run_that_ends_is_a_success_by_its_code(code: int, success_at: float, needs_person: int) -> None:
    """An end of its own with nothing paid left open is one; else the last stays; a person may be needed."""
    last = Last(success_at=5.0).after(Summary(job="j", run="r", reason="x", exit_code=code), 50.0)
    samples = last.samples()
    assert samples["batchup_last_success_timestamp_seconds"] == {(): success_at}
    assert samples["batchup_last_run_success"] == {(): float(success_at == 50.0)}
    assert samples["batchup_last_run_needs_person"] == {(): needs_person}
    assert samples["batchup_last_run_exit_code"] == {(): code}
    before = PastRun(run="a", began_at=1, ended_at=5.0, reason="finished", exit_code=0)
    told = Last.of_history([before, replace(before, run="b", began_at=6, ended_at=50.0, exit_code=code)])
    assert told.samples()["batchup_last_run_success"] == samples["batchup_last_run_success"]
    assert told.success_at == success_at


def test_without_a_history_the_file_tells_of_the_last_success() -> None:
    """A history that is gone costs no success that was told already; another job's file tells nothing."""
    written = read_back(exposition("j", LAST.samples()))
    assert Last().or_written(written, "j").success_at == 900.5
    assert Last().or_written(written, "other").success_at is None
    assert Last(success_at=1000.0).or_written(written, "j").success_at == 1000.0
    assert Last().or_written(None, "j") == Last()


def test_exchanges_are_counted_by_kind_and_answer() -> None:
    """Each has its status, or none, and its time; what alarms go by is there before it happens."""
    measures = Measures()
    usual = {"429", NO_ANSWER}
    assert {answer for _, answer in measures.requests} == usual
    measures.exchange("poll", Response(200, {}, b""), 0.2)
    measures.exchange("poll", Response(429, {}, b""), 0.3)
    measures.exchange("create", Silence(was_sent=True, message="cut"), 30.0)
    measures.exchange("list", Response(999, {}, b""), 0.0)
    seen = {key: count for key, count in measures.requests.items() if count}
    assert seen == {("poll", "200"): 1, ("poll", "429"): 1, ("create", NO_ANSWER): 1, ("list", OTHER): 1}
    assert (sum(measures.request_s["poll"].counts), measures.request_s["poll"].total) == (2, 0.5)
    assert measures.request_s["create"].total == 30.0


def test_what_requests_ask_for_is_listed() -> None:
    """The list of metrics says by which words requests are counted."""
    told = BY_NAME["batchup_requests_total"].help
    for word in ("create", "poll", "list", "inspect", "presign", "account"):
        assert re.search(rf"[(,] ?{word}[,)]", told), word


def test_outcomes_are_counted_by_their_end(tmp_path: Path) -> None:
    """Failures count by kind, bytes once where outputs are shared, and saving by what ended in this run."""
    one = saved(tmp_path, "a.png", 1)
    measures = Measures(started_at=one.settled_at or 0.0)
    size = one.files[0].bytes
    alike, older = replace(one, id="b", shared_with="a.png"), replace(one, settled_at=1.0)
    for outcome in (one, alike, older, failed("c")):
        measures.outcome(outcome)
    assert measures.ended == {"saved": 3, "failed": 1}
    assert (measures.saved_bytes, measures.failures) == (2 * size, {"prediction_failed": 1})
    assert (sum(measures.save_s.counts), measures.save_s.total) == (1, 1.0)


def test_kinds_of_failures_are_not_told_apart_for_ever() -> None:
    """However many there are, those beyond a bound are one."""
    measures = Measures()
    for k in range(100):
        measures.outcome(failed("a", Failure(f"kind-{k}", "")))
    assert len(measures.failures) == 41
    assert (measures.failures[OTHER], measures.failures["kind-0"]) == (60, 1)


def test_durations_are_of_predictions_of_this_run() -> None:
    """One that an earlier run has created counts not: the time between the runs is in it."""
    measures = Measures()
    for took_s, t_s in ((53.0, 60.0), (4000.0, 60.0)):
        measures.note(Note("settled", fields={"took_s": took_s, "t_s": t_s}))
    measures.note(Note("created"))
    measures.note(Note("found"))  # in the list, as its create was not answered
    measures.note(Note("attempt_failed"))
    measures.note(Note("pace"))
    assert (measures.prediction_s.total, measures.created, measures.attempts_failed) == (53.0, 2, 1)


def batch_of(*ids: str) -> Batch:
    """Return a batch with these items to be created."""
    batch = Batch(Board(Policy(requests_per_s=1.0), Calendar(0.0), Random(0)))
    for name in ids:
        batch.handle(ItemRead(Item(name, 1, {"image": f"https://x/{name}"}, {}, name)), 0.0)
    return batch


def naps(batch: Batch, waits: PermitWaits, *given: tuple[int, float]) -> None:
    """Nap for some seconds each, with so many free permits."""
    ticks = iter([at for _, length_s in given for at in (0.0, length_s)])
    for permits, _ in given:
        with waits.of(batch, 0.0, permits, lambda: next(ticks)):
            pass


def test_a_wait_for_a_permit_is_one_that_a_permit_would_end() -> None:
    """Naps with permits, and with nothing worth sending, are none; one that is woken up is still the same."""
    waits = PermitWaits(is_on=True)
    batch = batch_of("a")
    assert not isinstance(batch.choose(0.0, 1), Wait)
    naps(batch, waits, (0, 1.5), (0, 0.5), (1, 9.0))
    assert (waits.count, waits.total_s) == (1, 2.0)
    batch.board.tally.requests += 1
    naps(batch, waits, (0, 1.0))
    assert (waits.count, waits.total_s) == (2, 3.0)
    naps(batch_of(), waits, (0, 9.0))
    assert (waits.count, waits.total_s) == (2, 3.0)


def test_nobody_measures_waits_that_nobody_asks_for() -> None:
    """Without metrics the loop is not slowed by them."""
    waits = PermitWaits()
    naps(batch_of("a"), waits, (0, 9.0))
    assert (waits.count, waits.total_s) == (0, 0.0)


def test_a_run_in_another_process_is_told_without_what_was_measured_there() -> None:
    """Its status has the figures that all see; the others are not made up."""
    families = parsed(text_of(status_of(None), LAST))
    assert values(families["batchup_run_active"]) == {(): 1}
    assert families.keys().isdisjoint({"batchup_requests_total", "batchup_run_start_timestamp_seconds"})
    measured = parsed(text_of(status_of(None), LAST, measures=Measures(started_at=5.0)))
    assert values(measured["batchup_run_start_timestamp_seconds"]) == {(): 5.0}
    assert values(measured["batchup_requests_total"])["poll", "429"] == 0
