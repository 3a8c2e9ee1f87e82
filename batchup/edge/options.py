"""How one run differs from the next."""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

from batchup.core.items import Outcome
from batchup.edge.live.access import address_of
from batchup.edge.live.running import Serving
from batchup.edge.metrics.place import metrics_path
from batchup.edge.progress import Printer, SilentPrinter
from batchup.edge.supervision.supervisor import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How one run differs from the next. Lengths in real seconds."""

    limit: int | None = None  # hand on only the first so many outstanding items
    sample: int | None = None  # or so many of them, drawn at random: a pilot
    max_duration_s: float | None = None  # stop creating early enough to be done by then
    stop_at: float | None = None  # and by this instant of the wall clock, in Unix seconds
    rerun_failed: bool = False
    strict: bool = False  # one bad row and nothing is created
    handle_signals: bool = False
    on_ended: Callable[[], None] = lambda: None  # called when it is settled how it ends
    log_level: str = "info"
    printer: Printer = field(default_factory=SilentPrinter)
    on_outcome: Callable[[Outcome], None] | None = None
    serve: str | None = None  # HOST:PORT of the live view; None: there is none
    serve_anywhere: bool = False  # at an address that other machines reach, too
    on_serve: Callable[[str], None] | None = None  # told the view's address; None: the printer says it
    metrics_file: Path | None = None  # where figures are kept for Prometheus
    supervisor: Supervisor | None = None  # tells systemd how it goes, and ends the process if it hangs
    executor: Executor | None = None  # makes uploads and downloads in place of what the job names

    def reckoned(self) -> "RunOptions":
        """Return them for a run that begins now: no longer than until `stop_at`."""
        if self.stop_at is None:
            return self
        longest_s = inf if self.max_duration_s is None else self.max_duration_s
        return replace(self, max_duration_s=min(longest_s, self.stop_at - time.time()))

    def checked(self) -> "RunOptions":
        """Return them with the metrics file's whole path; UsageProblem for one that nobody would read.

        ConfigProblem for an address at which the live view cannot be.
        """
        if self.serve is not None:
            address_of(self.serve, is_anywhere=self.serve_anywhere)
        if self.metrics_file is None:
            return self
        return replace(self, metrics_file=metrics_path(self.metrics_file))

    @property
    def serving(self) -> Serving | None:
        """Where the live view is to be, None without one."""
        if self.serve is None:
            return None
        on_url = self.on_serve or (lambda url: self.printer.say(f"live: {url}"))
        say = self.printer.say
        return Serving(address=self.serve, is_anywhere=self.serve_anywhere, on_url=on_url, say=say)
