"""Reads what a job's folder tells of it for a report: its items, and how its last run went.

Nothing here touches the checkpoint or a run, and nothing is changed.
"""

from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from heapq import heappush, heappushpop
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from batchup.core.causes import Cause, group
from batchup.core.items import Failure, Outcome
from batchup.core.redaction import plain_words
from batchup.edge.telling.status import NAME as STATUS
from batchup.edge.telling.status import Status
from batchup.edge.traces import RESULTS
from batchup.errors import DataProblem
from batchup.job import Job
from batchup.report.document import Totals
from batchup.report.rows import time_s

MOST_ITEMS: Final = 20_000
"""Items that a page holds; of more, the newest saved ones are left."""

MOST_TROUBLED: Final = 2000
"""Of these, items that are not saved: the newest of them."""

Mark: TypeAlias = tuple[tuple[int, int, int] | None, str | None]

_TRIES: Final = 3


@dataclass(slots=True)
class Gathered:
    """What `results.jsonl` tells: the newest items, each with its line, and figures of all of them.

    `lengths_s` are the predictions' in the service's time, `saved_at` Unix seconds.
    """

    speed: float = 1.0
    counts: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    cost_usd: float = 0.0
    lengths_s: "array[float]" = field(default_factory=lambda: array("d"))
    saved_at: "array[float]" = field(default_factory=lambda: array("d"))
    _saved: list[tuple[float, int, Outcome]] = field(default_factory=list)  # a heap, the oldest first
    _troubled: deque[tuple[float, int, Outcome]] = field(default_factory=lambda: deque(maxlen=MOST_TROUBLED))

    def add(self, number: int, outcome: Outcome) -> None:
        """Take one more line in."""
        self.counts[outcome.state] += 1
        self.bytes += sum(file.bytes for file in outcome.files)
        self.cost_usd += outcome.cost_usd or 0.0
        if outcome.state != "saved":
            self._troubled.append((0.0, number, outcome))
            return
        length_s = time_s(outcome, self.speed)
        if length_s is not None:
            self.lengths_s.append(length_s)
        saved_at = outcome.saved_at or 0.0
        if saved_at:
            self.saved_at.append(saved_at)
        put = heappush if len(self._saved) < MOST_ITEMS else heappushpop
        put(self._saved, (saved_at, number, outcome))

    @property
    def items(self) -> list[Outcome]:
        """The items that a page holds, in the order of the lines."""
        room = MOST_ITEMS - len(self._troubled)
        newest = sorted(self._saved, reverse=True)[:room]
        chosen = sorted([*newest, *self._troubled], key=lambda one: one[1])
        return [outcome for _, _, outcome in chosen]

    @property
    def more_count(self) -> int:
        """How many items are in the file and not among `items`."""
        return (
            sum(self.counts.values())
            - len(self._troubled)
            - min(len(self._saved), MOST_ITEMS - len(self._troubled))
        )


def gather(job: Job) -> Gathered:
    """Read a job's results; DataProblem where there are none, or where a line is none of them."""
    gathered = Gathered(speed=job.speed)
    for number, outcome in enumerate(read_outcomes(job)):
        gathered.add(number, outcome)
    return gathered


def gather_whole(job: Job) -> tuple[Gathered, Status | None]:
    """Read a job's results and how its last run stands, again where they changed meanwhile; as `gather`.

    A run may end, or another command change items, at any time: the file is replaced or appended to then, and
    of what was cut off the rest may be met as a line that is none.
    """
    for _ in range(_TRIES - 1):
        mark = mark_of(job)
        with suppress(DataProblem):
            found = gather(job), read_status(job.output.dir)
            if mark == mark_of(job):
                return found
        if mark == mark_of(job):
            break  # it is not because of a change
    return gather(job), read_status(job.output.dir)


def mark_of(job: Job) -> Mark:
    """Return what tells one state of a job's results from the next, and the last run of it that has ended."""
    status = read_status(job.output.dir)
    ended = None if status is None or status.summary is None else status.run
    try:
        file = (job.output.dir / RESULTS).stat()
    except OSError:
        return None, ended
    return (file.st_ino, file.st_size, file.st_mtime_ns), ended


def read_outcomes(job: Job) -> Iterator[Outcome]:
    """Yield each line of a job's results; DataProblem as `gather`. One that a kill cut off is passed over."""
    path = job.output.dir / RESULTS
    decoder = msgspec.json.Decoder(Outcome)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.endswith(b"\n"):
                    yield _outcome(decoder, line, path, number)
    except FileNotFoundError:
        raise _new(job) from None
    except OSError as problem:
        raise DataProblem(f"{path} cannot be read: {problem.strerror}.") from None


def refuse_if_new(job: Job) -> None:
    """Raise DataProblem where no run of a job has come to its end yet."""
    if not (job.output.dir / RESULTS).is_file():
        raise _new(job)


def read_status(folder: Path) -> Status | None:
    """Return how the last run stands, None where nothing tells."""
    try:
        return msgspec.json.decode((folder / STATUS).read_bytes(), type=Status)
    except (OSError, ValueError):
        return None


def totals_of(gathered: Gathered, status: Status | None) -> Totals:
    """Return the job's figures: as its last run summed them up, else as the items and `status.json` tell."""
    counts, lengths_s = gathered.counts, gathered.lengths_s
    mean_s = round(sum(lengths_s) / len(lengths_s), 3) if lengths_s else None
    summary = None if status is None else status.summary
    if summary is not None and summary.items:
        return Totals(
            items=summary.items,
            saved=summary.saved,
            failed=summary.failed,
            held=summary.held,
            in_doubt=summary.in_doubt,
            outstanding=summary.outstanding,
            rejected=summary.rejected,
            spend_usd=summary.job_spend_usd,
            predict_s_mean=mean_s,
            bytes=gathered.bytes,
        )
    rejected = 0 if status is None else status.now.rejected
    known = sum(counts.values()) + rejected
    items = max(known, 0 if status is None else status.now.total or 0)
    return Totals(
        items=items,
        saved=counts["saved"],
        failed=counts["failed"],
        held=counts["held"],
        in_doubt=counts["in_doubt"],
        outstanding=counts["outstanding"] + items - known,
        rejected=rejected,
        spend_usd=round(max(gathered.cost_usd, 0.0 if status is None else status.now.job_spend_usd), 6),
        predict_s_mean=mean_s,
        bytes=gathered.bytes,
    )


def causes_of(gathered: Gathered, status: Status | None) -> tuple[Cause, ...]:
    """Return why items failed: as the last run has grouped them, else as the items tell."""
    if status is not None and status.summary is not None:
        return tuple(replace(one, cause=plain_words(one.cause)) for one in status.summary.causes)
    return causes_in(gathered.items)


def causes_in(outcomes: Iterable[Outcome]) -> tuple[Cause, ...]:
    """Return why these items failed, the largest group first."""
    return group(_failures(outcomes))


def _new(job: Job) -> DataProblem:
    words = f"{job.name} has not run yet: there is no {job.output.dir / RESULTS}."
    return DataProblem(words, remedy=f"Start it with `batchup run {job.path or job.name}`.")


def _failures(outcomes: Iterable[Outcome]) -> Iterator[tuple[str, str, Failure]]:
    for outcome in outcomes:
        if outcome.failure is not None:
            plain = replace(outcome.failure, message=plain_words(outcome.failure.message))
            yield outcome.state, outcome.id, plain


def _outcome(decoder: "msgspec.json.Decoder[Outcome]", line: bytes, path: Path, number: int) -> Outcome:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        remedy = "Move the file away; the next run writes it anew."
        raise DataProblem(f"{path}, line {number}, is no item: {problem}.", remedy=remedy) from None
