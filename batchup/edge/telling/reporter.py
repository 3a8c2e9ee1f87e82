"""Tells whoever listens how the run goes: the log, the printer, `status.json`, a caller's function."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from batchup.core.eta import Eta
from batchup.core.in_flight import Running, running
from batchup.core.items import Outcome
from batchup.core.messages import Note
from batchup.core.snapshot import Snapshot, snapshot
from batchup.core.summary import Summary
from batchup.edge.files import write_atomic
from batchup.edge.metrics.recorder import Recorder
from batchup.edge.pool import Pool
from batchup.edge.progress import Printer, SilentPrinter
from batchup.edge.telling.journal import said_as
from batchup.edge.telling.runlog import NAME as LOG_NAME
from batchup.edge.telling.runlog import RunLog
from batchup.edge.telling.status import NAME, Status
from batchup.errors import BatchupError, DiskProblem
from batchup.settings.units import Rate

SHOW_EVERY_S: Final = 0.2  # real seconds
STATUS_EVERY_S: Final = 2.0
SAID_OF_EACH: Final = 5  # notes of one kind that are printed; the log has them all

_SAID: Final = {
    "in_doubt": "{item}: the create was not answered, so it may have been accepted",
    "overdue": "{item}: still running past its timeout; it is looked at ever more rarely",
    "unknown_status": '{item}: the service says "{word}", a status it does not document; taken as running',
    "absent": "{item}: was never created; it is sent again",
    "key_changed": "the service refused the key; another one was read, and the run goes on with it",
    "sharing": "live runs with the same key: {runs}; they share its limits",
    "sharing_ended": "no other run shares the limits any more",
    "found": "{item}: was created after all; found in the service's list",
    "limits_changed": "limits from now on: {concurrency} at a time, {rate}",
    "limits_later": "{names} in the job file: from the next run on; this one goes on as it began",
    "limits_not_read": "the limits stay as they are, the job file cannot be read: {why}",
    "disk_small": "{why}",
    "uploads_deleted": "{count} uploaded images were deleted from the service",
    "uploads_left": "{count} uploaded images are still at the service ({why}); the next run deletes them",
    "doubtful": "{words}",
    "not_validated": "what {model} takes is not known: parameters are sent as they are",
    "key_exposed": "{why}",
    "manifest_empty": "{words}",
    "rest_counted": "no more items are made in this run; the rest of the manifest is counted, for the totals",
    "manifest_changed": "the manifest was changed while it was read: the same command reads it again",
    "outdated_left": "the rows of {count} changed while they were in flight; the next run makes them anew",
    "key_moved": "nothing is sent for {held_s} s, so that the limits hold for both keys together",
    "moved": "this job ran on {host} just now: nothing is sent for {held_s} s, so that its limits hold",
    "price": "{words}",
    "plan": "{words}",
    "balance_low": "the balance is {balance}: at $10 and below the service allows {cap} in flight,"
    " this job is for {concurrency}",
    "balance_short": "the balance, {balance}, is less than the {count} outstanding items will probably cost,"
    " about {cost}",
    "metrics_not_written": "the metrics are not written, the run goes on: {why}",
    "not_recorded": "{item}: bought as {prediction_id}, which could not be written down; the next run looks",
}


@dataclass(slots=True)
class Reporter:
    """Observes one run. `on_outcome` is called for each item that comes to its end."""

    job: str
    run: str
    folder: Path
    log: RunLog
    printer: Printer
    on_outcome: Callable[[Outcome], None] | None = None
    on_shown: Callable[[Outcome], None] = lambda _: None  # for the live view; raises nothing
    total: int | None = None
    rate: Rate | None = None  # the limit, as the job has it now
    eta: Eta = field(default_factory=Eta)
    recorder: Recorder = field(default_factory=Recorder)
    _seen: Snapshot | None = None  # the last picture
    _is_silent: bool = False
    _said: Counter[str] = field(default_factory=Counter)

    def note(self, note: Note) -> None:
        """Log it, and say what a person should know, each kind for the first few items only."""
        self.log.log(note.level, note.event, note.fields)
        self.recorder.measures.note(note)
        words = _SAID.get(note.event)
        if words is None:
            return
        self._said[note.event] += 1
        with said_as(note.level):
            if self._said[note.event] <= SAID_OF_EACH:
                self.printer.say(words.format_map(note.fields))
            elif self._said[note.event] == SAID_OF_EACH + 1:
                self.printer.say(f"... and more like the last ({note.event}), see {LOG_NAME}")

    def end(self, picture: Snapshot, summary: Summary) -> None:
        """Say for the last time how the run stands, and whether anything of it is missing in the log."""
        self.write_status(picture, summary)
        self.log.info(
            "run_ended",
            reason=summary.reason,
            exit_code=summary.exit_code,
            requests=summary.requests,
            creates=summary.creates,
            polls=summary.polls,
            throttled=summary.throttled,
            worst_window=summary.worst_window,
            spend_usd=summary.spend_usd,
            wall_s=summary.wall_s,
        )
        if self.log.problem is not None:
            why = self.log.problem.strerror or type(self.log.problem).__name__
            with said_as("warning"):
                self.printer.say(f"{LOG_NAME} is not complete, as it could not be written: {why}")
        self.printer.close(picture)

    def outcome(self, outcome: Outcome) -> None:
        """Log an item's end and pass it on."""
        fields: dict[str, Any] = {"item": outcome.id, "attempt": outcome.attempts}
        if outcome.prediction_id is not None:
            fields["prediction_id"] = outcome.prediction_id
        if outcome.failure is None:
            self.log.info(outcome.state, **fields)
        else:
            why = {"kind": outcome.failure.kind, "why": outcome.failure.message}
            self.log.warning(outcome.state, **fields, **why)
            with said_as("warning"):
                self.printer.say(f"{outcome.id}: {outcome.state}: {outcome.failure.message}")
        self.recorder.measures.outcome(outcome)
        self.on_shown(outcome)
        if self.on_outcome is not None:
            self.on_outcome(outcome)

    async def show(self, pool: Pool) -> None:
        """Keep the printer and `status.json` fresh until cancelled."""
        next_status_at = 0.0
        every_s = STATUS_EVERY_S if isinstance(self.printer, SilentPrinter) else SHOW_EVERY_S
        while True:
            picture = self.picture(pool)
            self.printer.show(picture)
            monotonic = pool.tools.clock.monotonic()
            if monotonic >= next_status_at:
                next_status_at = monotonic + STATUS_EVERY_S
                self.write_status(picture, None, in_flight(pool))
            await anyio.sleep(every_s)

    def look(self, pool: Pool) -> Status:
        """Return how the run stands now, as `status.json` would say it."""
        return self.status(self.picture(pool), None, in_flight(pool))

    def picture(self, pool: Pool) -> Snapshot:
        """Take a picture of the run now."""
        clock, gate = pool.tools.clock, pool.tools.gate
        permits = 0
        with suppress(BatchupError):  # the run meets the same problem, and ends by it
            permits = gate.free(clock.monotonic())
        self._seen = snapshot(
            pool.batch.board,
            clock.now(),
            total=self.total,
            requests_last_minute=gate.sent_lately(clock.monotonic(), clock.real_s(60.0)),
            rate_limit=None if self.rate is None else round(self.rate.per_minute),
            permits=permits,
            eta=self.eta,
        )
        return self._seen

    def fall_silent(self) -> Snapshot | None:
        """Write files no more, as the run hangs and somebody else tells of it; return the last picture."""
        self._is_silent = self.recorder.is_silent = True
        return self._seen

    def write_status(
        self, picture: Snapshot, summary: Summary | None, in_flight: tuple[Running, ...] = ()
    ) -> None:
        """Replace `status.json`; a disk that does not take it is the log's affair, not the run's."""
        if self._is_silent:
            return
        status = self.status(picture, summary, in_flight)
        try:
            write_atomic(self.folder / NAME, msgspec.json.encode(status), durable=summary is not None)
        except DiskProblem as problem:
            self.log.warning("status_not_written", why=problem.message)

    def status(
        self, picture: Snapshot, summary: Summary | None, in_flight: tuple[Running, ...] = ()
    ) -> Status:
        """Return what `status.json` says of this picture."""
        return Status.of_this_process(self.job, self.run, picture, summary, in_flight)


def in_flight(pool: Pool) -> tuple[Running, ...]:
    """Return what is in flight now, one by one."""
    return running(pool.batch.board, pool.tools.clock.now())
