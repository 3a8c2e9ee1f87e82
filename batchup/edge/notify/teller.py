"""Tells somebody elsewhere that a run begins and how it ended. Whatever goes wrong with that ends no run."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from signal import Signals
from socket import gethostname
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import anyio
import msgspec

from batchup.core.history import unsummed
from batchup.core.notice import Notice, Trouble, as_json, as_slack, is_told, notice_of, trial
from batchup.core.summary import Summary
from batchup.edge.notify.addresses import NAMES, find_addresses
from batchup.edge.notify.pings import START, ping_address, signal_of
from batchup.edge.notify.posting import post
from batchup.edge.notify.services import send
from batchup.edge.progress import Printer
from batchup.edge.signals import watch_signals
from batchup.edge.telling.journal import said_as
from batchup.edge.telling.redact import Redactor
from batchup.edge.telling.runlog import NAME as LOG_NAME
from batchup.edge.telling.runlog import RunLog
from batchup.edge.telling.words import duration
from batchup.errors import BatchupError, InternalProblem, Locked
from batchup.job import Job, Notify
from batchup.settings.hooks import split_services

Act: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

HURRIED_S: Final = 4.0  # at most, for a run that was told to stop now
_GRACE_S: Final = 1.0  # for the word that a run begins, when it has ended already
_SLACK: Final = ("hooks.slack.com", "hooks.slack-gov.com")
_JSON: Final = {"Content-Type": "application/json"}
_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}


@dataclass(slots=True)
class Teller:
    """Tells of one run of a job, as its `[notify]` says; without one nothing is told.

    `handle_signals`: a signal that comes while the end is told drops what is not told yet. `is_hurried`:
    there is little time. `has_new_failures`: as of `kind_of`.
    """

    job: Job
    run_id: str
    printer: Printer
    log_level: str = "info"
    handle_signals: bool = False
    is_hurried: bool = False
    has_new_failures: bool = True
    problems: dict[str, str] = field(default_factory=dict)  # ways, and why nobody was told by them
    told: list[str] = field(default_factory=list)  # ways by which somebody was
    _addresses: dict[str, str] = field(default_factory=dict)
    _redact: Redactor = field(default_factory=Redactor)

    def __post_init__(self) -> None:
        if self.job.notify is None:
            return
        self._addresses, problems = find_addresses(self.job.notify)
        for address in self._addresses.values():
            for secret in (address, *address.split()):
                self.hide(secret)
        for way, why in problems.items():
            self._fail(way, why)

    def hide(self, secret: str) -> None:
        """Let one more value appear in no message: the service's key."""
        self._redact.hide(secret)

    # ------------------------------------------------------------ what is told

    @asynccontextmanager
    async def beginning(self) -> AsyncIterator[None]:
        """Tell, beside the block, that a run begins; the run does not wait for it."""
        if (notify := self.job.notify) is None or "ping" not in self._addresses:
            yield
            return
        found: Exception | None = None
        async with anyio.create_task_group() as tasks:
            words = f"{self.job.name} begins: run {self.run_id}"
            tasks.start_soon(self._safely, "ping", partial(self._ping, notify, START, words))
            try:
                yield
            except Exception as error:  # noqa: BLE001 taken out of the group, which would wrap it
                found = error
            tasks.cancel_scope.deadline = anyio.current_time() + _GRACE_S
        if found is not None:
            raise found

    async def ended(self, summary: Summary, trouble: Trouble | None = None) -> None:
        """Tell how a run ended, all ways at one time; what fails is a line in the log and for the printer."""
        notify = self.job.notify
        if notify is None:
            return
        await self._safely("message", partial(self._end_told, notify, summary, trouble))
        self._log()

    async def failed(self, problem: Exception, wall_s: float) -> None:
        """Tell of a run that a problem has ended, but for one that another run did not let begin."""
        if isinstance(problem, Locked):
            return
        if not isinstance(problem, BatchupError):
            problem = InternalProblem(f"A bug in batchup: {type(problem).__name__}: {problem}")
        nothing = unsummed(problem, self.job.name, self.run_id, wall_s)
        await self.ended(problem.summary or nothing, Trouble(problem.message, problem.remedy))

    async def trial(self) -> None:
        """Send a message that says that it is only a trial, and the ping that all is well, all ways."""
        if (notify := self.job.notify) is not None:
            await self._tell(notify, trial(self.job.name, gethostname()), has_message=True)

    # ------------------------------------------------------------ how

    async def _end_told(self, notify: Notify, summary: Summary, trouble: Trouble | None) -> None:
        notice = self._notice(summary, trouble)
        with anyio.CancelScope() as scope:
            async with self._signals(scope):
                await self._tell(notify, notice, has_message=is_told(notice.kind, notify.on))
        if scope.cancelled_caught:
            self._fail("message", "a signal came before all were told")

    def _notice(self, summary: Summary, trouble: Trouble | None) -> Notice:
        took = duration(summary.wall_s)
        job = str(self.job.path or self.job.name)
        return notice_of(
            summary,
            job=job,
            host=gethostname(),
            took=took,
            trouble=trouble,
            has_new_failures=self.has_new_failures,
        )

    @asynccontextmanager
    async def _signals(self, scope: anyio.CancelScope) -> AsyncIterator[None]:
        """Give up, while the block lasts, at a signal: the run's own end stays what it was."""
        if not self.handle_signals:
            yield
            return

        def give_up(_number: Signals) -> None:
            scope.cancel()

        async with anyio.create_task_group() as tasks:
            await tasks.start(watch_signals, give_up, give_up)
            yield
            tasks.cancel_scope.cancel()

    async def _tell(self, notify: Notify, notice: Notice, *, has_message: bool) -> None:
        is_stopped = notice.summary is not None and notice.summary.reason == "signal"
        is_hurried = self.is_hurried or is_stopped  # who stops a run waits for it
        within_s = min(notify.timeout_s, HURRIED_S) if is_hurried else notify.timeout_s
        async with anyio.create_task_group() as tasks:
            for way, act in self._acts(notify, notice, within_s).items():
                if way in self._addresses and (has_message or way == "ping"):
                    tasks.start_soon(self._safely, way, act)

    def _acts(self, notify: Notify, notice: Notice, within_s: float) -> dict[str, Act]:
        words = f"{notice.title}\n\n{notice.body}\n"
        return {
            "webhook": partial(self._post, notify, notice, within_s),
            "apprise": partial(self._send, notice, within_s),
            "ping": partial(self._ping, notify, signal_of(notice), words, within_s),
        }

    async def _safely(self, way: str, act: Act) -> None:
        """Tell somebody; nothing that goes wrong with it reaches the run, nor the other ways."""
        try:
            await act()
        except Exception as bug:  # noqa: BLE001 nothing that is only told may end a run
            self._fail(way, f"a bug in batchup: {type(bug).__name__}")

    async def _post(self, notify: Notify, notice: Notice, within_s: float) -> None:
        address = self._addresses["webhook"]
        is_slack = notify.webhook_format == "slack" or (
            notify.webhook_format == "auto" and urlsplit(address).hostname in _SLACK
        )
        body = msgspec.json.encode(as_slack(notice) if is_slack else as_json(notice)).decode()
        why = await post(address, self._redact(body).encode(), _JSON, within_s=within_s)
        self._end("webhook", why)

    async def _send(self, notice: Notice, within_s: float) -> None:
        addresses = split_services(self._addresses["apprise"])
        title, body = self._redact(notice.title), self._redact(notice.body)
        why = await send(addresses, title=title, body=body, kind=notice.kind, within_s=within_s)
        self._end("apprise", why)

    async def _ping(self, notify: Notify, signal: str, words: str, within_s: float | None = None) -> None:
        address = ping_address(self._addresses["ping"], signal)
        body = self._redact(words).encode()
        limit_s = notify.timeout_s if within_s is None else within_s
        why = await post(address, body, _TEXT, within_s=limit_s, is_repeatable=True)
        if why is not None or signal != START:
            self._end("ping", why)

    # ------------------------------------------------------------ what becomes of it

    def _end(self, way: str, why: str | None) -> None:
        if why is None:
            self.told.append(way)
        else:
            self._fail(way, why)

    def _fail(self, way: str, why: str) -> None:
        """Say it now, once for each way; the log is the run's as long as that goes on, so that waits."""
        if way in self.problems:
            return
        self.problems[way] = why
        with said_as("warning"):
            self.printer.say(f"notify: {NAMES.get(way, way)}: {why}")

    def _log(self) -> None:
        folder: Path = self.job.output.dir
        if not folder.is_dir() or not (self.problems or self.told):
            return
        # Another run may hold the folder by now, or still: full parts are for it to make.
        log = RunLog(folder / LOG_NAME, self.run_id, level=self.log_level, part_bytes=0)
        for way in self.told:
            log.info("told", way=way)
        for way, why in self.problems.items():
            log.warning("not_told", way=way, why=why)
        log.close()
