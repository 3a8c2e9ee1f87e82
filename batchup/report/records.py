"""Reads the pace of a run out of what was written down: the run's own log, or the log of a simulator.

Pure: lines or bytes in, series out. `source` names where they come from, for the words of a problem.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from batchup.errors import DataProblem
from batchup.report.pace import Delays, Pace, Steps, changes_of, in_use, trailing_window
from batchup.settings.units import Rate

SERVICE_LOG = re.compile(rb'\s*\{\s*"(?:arrivals|predictions)"')
"""How the log of a simulator begins."""

_BEGINS = b'{"ts":"'  # every line of a run's log
_SHOWN = 5  # runs that are named


class _Head(msgspec.Struct):
    event: str
    run: str


class _Started(msgspec.Struct):
    job: str


class _Paced(msgspec.Struct):
    t_s: float
    window: int
    period_s: float
    rate: int | None
    slots: int
    concurrency: int


class _Settled(msgspec.Struct):
    t_s: float
    found_late_s: float | None
    is_told: bool


class _Arrival(msgspec.Struct):
    t: float


class _Prediction(msgspec.Struct):
    created_at: float
    done_at: float | None
    seen_at: float | None


class _ServiceLog(msgspec.Struct):
    arrivals: list[_Arrival]
    predictions: list[_Prediction]


@dataclass(slots=True)
class _Run:
    """What was read of one run."""

    id: str
    job: str = ""
    paced: list[_Paced] = field(default_factory=list)
    settled: list[_Settled] = field(default_factory=list)


def read_run_log(lines: Iterable[bytes], source: str, run_id: str | None = None) -> Pace:
    """Return the pace of a run from the lines of `run.log.jsonl`: of the newest run in it, or of `run_id`.

    A line that a kill or a full disk cut off is passed over. DataProblem names the line that is none of a
    run's log, or says that there is nothing to draw.
    """
    seen: dict[str, None] = {}
    kept: _Run | None = None
    for number, line in enumerate(lines, 1):
        try:
            head = msgspec.json.decode(line, type=_Head)
            seen[head.run] = None
            if run_id not in {None, head.run}:
                continue
            if kept is None or kept.id != head.run:
                kept = _Run(head.run)
            _take_in(kept, head.event, line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            if not _is_cut_off(line):
                words = f"{source}, line {number}, is not a line of a run's log."
                remedy = "Give a job file, its run.log.jsonl, or the JSON of a simulator's /stats/log."
                raise DataProblem(words, remedy=remedy) from None
    if kept is None or not kept.paced:
        raise _nothing(source, run_id, kept, list(seen))
    return _pace_of(kept)


def _take_in(run: _Run, event: str, line: bytes) -> None:
    if event == "pace":
        run.paced.append(msgspec.json.decode(line, type=_Paced))
    elif event == "settled":
        run.settled.append(msgspec.json.decode(line, type=_Settled))
    elif event in ("run_started", "run_continued"):
        run.job = msgspec.json.decode(line, type=_Started).job


def _is_cut_off(line: bytes) -> bool:
    """Tell whether a line is the beginning of one of a run's log, and not all of it."""
    line = line.rstrip(b"\r\n")
    is_beginning = _BEGINS.startswith(line) or line.startswith(_BEGINS)
    return is_beginning and not line.endswith(b"}")


def _nothing(source: str, run_id: str | None, kept: _Run | None, seen: list[str]) -> DataProblem:
    if kept is not None:
        words = f"{source} has no pace lines of the run {kept.id}, so there is nothing to draw."
        return DataProblem(words, remedy="A run at log level info or debug writes them.")
    if run_id is None or not seen:
        return DataProblem(f"{source} is empty: there is nothing to draw.")
    return DataProblem(f"{source} has no run {run_id}; its newest are {', '.join(seen[-_SHOWN:])}.")


def _pace_of(run: _Run) -> Pace:
    paced = run.paced
    at_s = [line.t_s for line in paced]
    found = [line for line in run.settled if line.found_late_s is not None]
    return Pace(
        title=f"{run.job} · run {run.id}" if run.job else f"run {run.id}",
        end_s=max(at_s[-1], max((line.t_s for line in run.settled), default=0.0)),
        period_s=paced[-1].period_s,
        window=Steps(at_s, [line.window for line in paced]),
        rate=changes_of(at_s, [line.rate for line in paced]),
        slots=Steps(at_s, [line.slots for line in paced]),
        concurrency=changes_of(at_s, [line.concurrency for line in paced]),
        delays=Delays(
            [line.t_s for line in found],
            [line.found_late_s or 0.0 for line in found],
            [line.is_told for line in found],
        ),
    )


def read_service_log(data: bytes, source: str, *, rate: Rate | None, concurrency: int) -> Pace:
    """Return the pace of all that a simulator saw, from the JSON of its `/stats/log`.

    It does not say what its limits were: they are drawn as given. DataProblem if it is something else.
    """
    try:
        log = msgspec.json.decode(data, type=_ServiceLog)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        line = data.count(b"\n", 0, _place_of(error)) + 1
        raise DataProblem(f"{source}, line {line}, is not the log of a simulator: {error}.") from None
    if not log.arrivals:
        raise DataProblem(f"{source} is empty: the simulator has seen no request.")
    period_s = 60.0 if rate is None else rate.period_s
    began_at = min(arrival.t for arrival in log.arrivals)
    end_s = max([p.seen_at for p in log.predictions if p.seen_at is not None] + [a.t for a in log.arrivals])
    end_s -= began_at
    held = [_span(p.created_at, p.seen_at, began_at, end_s) for p in log.predictions]
    running = [_span(p.created_at, p.done_at, began_at, end_s) for p in log.predictions]
    return Pace(
        title=f"what the service saw · {source}",
        end_s=end_s,
        period_s=period_s,
        window=trailing_window([arrival.t - began_at for arrival in log.arrivals], period_s),
        rate=Steps([0.0], [None if rate is None else rate.count]),
        slots=in_use(held),
        concurrency=Steps([0.0], [concurrency]),
        delays=_delays(log.predictions, began_at),
        running=in_use(running),
    )


def _place_of(error: Exception) -> int:
    """Return the byte at which decoding failed, as far as the error tells."""
    found = re.search(r"byte (\d+)", str(error))
    return int(found[1]) if found else 0


def _span(since: float, until: float | None, began_at: float, end_s: float) -> tuple[float, float]:
    return since - began_at, end_s if until is None else min(until - began_at, end_s)


def _delays(predictions: Iterable[_Prediction], began_at: float) -> Delays:
    found = sorted(
        (p.seen_at - began_at, max(0.0, p.seen_at - p.done_at))
        for p in predictions
        if p.seen_at is not None and p.done_at is not None
    )
    return Delays([at for at, _ in found], [late for _, late in found], [True] * len(found))
