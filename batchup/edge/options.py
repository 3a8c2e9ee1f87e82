"""How one run differs from the next."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from batchup.core.items import Outcome
from batchup.edge.live.running import Serving
from batchup.edge.progress import Printer, SilentPrinter


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How one run differs from the next. Lengths in real seconds."""

    limit: int | None = None  # hand on only the first so many outstanding items
    sample: int | None = None  # or so many of them, drawn at random: a pilot
    max_duration_s: float | None = None  # stop creating early enough to be done by then
    rerun_failed: bool = False
    strict: bool = False  # one bad row and nothing is created
    handle_signals: bool = False
    log_level: str = "info"
    printer: Printer = field(default_factory=SilentPrinter)
    on_outcome: Callable[[Outcome], None] | None = None
    serve: str | None = None  # HOST:PORT of the live view; None: there is none
    serve_anywhere: bool = False  # at an address that other machines reach, too
    on_serve: Callable[[str], None] | None = None  # told the view's address; None: the printer says it
    executor: Executor | None = None  # makes uploads and downloads in place of what the job names

    @property
    def serving(self) -> Serving | None:
        """Where the live view is to be, None without one."""
        if self.serve is None:
            return None
        on_url = self.on_serve or (lambda url: self.printer.say(f"live: {url}"))
        say = self.printer.say
        return Serving(address=self.serve, is_anywhere=self.serve_anywhere, on_url=on_url, say=say)
