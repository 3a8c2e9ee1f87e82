"""A run rehearsed: the same decisions on a virtual clock, against a service that is a distribution.

Nothing is sent and nothing sleeps; a thousand items take about a second. It answers what a run would need:
how long, how many requests, how many polls.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import cast

from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.calendar import Calendar
from batchup.core.items import Item, LocalFile, SavedFile
from batchup.core.messages import (
    Answered,
    Command,
    Download,
    Downloaded,
    ItemRead,
    ManifestEnded,
    Put,
    Sent,
    Uploaded,
)
from batchup.core.policy import Policy
from batchup.core.requests import (
    Accepted,
    Answer,
    Create,
    Done,
    Poll,
    Presign,
    Presigned,
    Request,
    Seen,
    Surveyed,
    Wait,
)
from batchup.core.wire import PAGE

LEASE_SHARE = 1 + 1 / 120  # of the period: how long after its answer a permit comes back
UPLOAD_S = 1.0
DOWNLOAD_S = 1.0
FAR_S = 1e9


@dataclass(slots=True)
class Rehearsal:
    """A rehearsal of `item_count` items, `upload_share` of which have a file to be uploaded first.

    `draw` gives each prediction's duration; `list_lag_s` how late the service's list is, None where it has
    none. Lengths in seconds of the service's time, `period_s` that of the rate. `settled_at` are the instants
    at which items were saved, in order.
    """

    policy: Policy
    item_count: int
    draw: Callable[[Random], float]
    upload_share: float = 0.0
    seed: int = 0
    period_s: float = 60.0
    round_trip_s: float = 0.15
    list_lag_s: float | None = None
    remembered: tuple[Sequence[object], ...] = ()
    now: float = 0.0
    saved_at: list[float] = field(default_factory=list)
    drawn_s: list[float] = field(default_factory=list)
    batch: Batch = field(init=False)
    _rng: Random = field(init=False)
    _tokens: float = field(init=False)
    _tokens_at: float = 0.0
    _leases: deque[float] = field(default_factory=deque)
    _open_count: int = 0
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: int = 0
    _running: dict[str, tuple[float, float]] = field(default_factory=dict)  # by id: from, to
    _read_count: int = 0

    def __post_init__(self) -> None:
        self._rng = Random(self.seed)  # noqa: S311 - repeatable, not secret
        self._tokens = float(self.policy.burst)
        rng = Random(self.seed)  # noqa: S311 - the same
        board = Board(self.policy, Calendar(0.0), rng, self.remembered)
        self.batch = Batch(board)

    def run(self) -> "Rehearsal":
        """Rehearse to the end."""
        while True:
            self._read()
            permits = self._permits()
            choice = self.batch.choose(self.now, permits)
            if isinstance(choice, Done):
                return self
            if isinstance(choice, Wait):
                self._wait(choice, permits)
            else:
                self._send(cast("Request", choice))  # nothing that is rehearsed lies in a bucket

    # ------------------------------------------------------------ the manifest

    def _read(self) -> None:
        while not self.batch.board.has_manifest_ended and self.batch.wants_items():
            k = self._read_count
            if k == self.item_count:
                self.batch.handle(ManifestEnded(), self.now)
                return
            has_upload = int((k + 1) * self.upload_share) > int(k * self.upload_share)
            files = {"image": LocalFile("", f"{k}", 1, "")} if has_upload else {}
            self.batch.handle(ItemRead(Item(f"{k}", k, {}, files, "")), self.now)
            self._read_count += 1

    # ------------------------------------------------------------ the gate

    def _permits(self) -> int:
        rate = self.policy.requests_per_s
        if rate is None:
            return self.policy.burst
        while self._leases and self._leases[0] <= self.now:
            self._leases.popleft()
        burst = self.policy.burst
        self._tokens = min(burst, self._tokens + (self.now - self._tokens_at) * rate)
        self._tokens_at = self.now
        free = round(rate * self.period_s) - len(self._leases) - self._open_count
        return max(0, min(free, int(self._tokens + 1e-9)))

    def _more_permits_at(self, permits: int) -> float:
        rate = self.policy.requests_per_s
        if rate is None or permits >= self.policy.burst:
            return FAR_S
        if permits < int(self._tokens + 1e-9):
            return self._leases[0] if self._leases else FAR_S
        return self.now + (permits + 1 - self._tokens) / rate

    # ------------------------------------------------------------ time

    def _wait(self, wait: Wait, permits: int) -> None:
        instants = [self._more_permits_at(permits), FAR_S if wait.until is None else wait.until]
        if self._agenda:
            instants.append(self._agenda[0][0])
        self.now = max(self.now + 1e-7, min(instants))
        while self._agenda and self._agenda[0][0] <= self.now:
            heapq.heappop(self._agenda)[2]()

    def _later(self, after_s: float, act: Callable[[], None]) -> None:
        self._numbers += 1
        heapq.heappush(self._agenda, (self.now + after_s, self._numbers, act))

    # ------------------------------------------------------------ the service

    def _send(self, request: Request) -> None:
        self._tokens -= 1
        self._open_count += 1
        self.batch.handle(Sent(request), self.now)
        there_s = self.round_trip_s * self._rng.uniform(0.25, 0.75)
        back_s = self.round_trip_s * self._rng.uniform(0.25, 0.75)
        answer = self._answer(request, self.now + there_s)

        def answered() -> None:
            self._open_count -= 1
            self._leases.append(self.now + self.period_s * LEASE_SHARE)
            for command in self.batch.handle(Answered(request, answer), self.now):
                self._do(command)

        self._later(there_s + back_s, answered)

    def _answer(self, request: Request, at: float) -> Answer:
        match request:
            case Create():
                took_s = self.draw(self._rng)
                self.drawn_s.append(took_s)
                self._running[f"p{len(self.drawn_s)}"] = at, at + took_s
                return Accepted(f"p{len(self.drawn_s)}")
            case Poll():
                return self._seen(request.prediction_id, at)
            case Presign():
                return Presigned("put", {}, "there", None)
            case _:
                lag_s = 0.0 if self.list_lag_s is None else self.list_lag_s
                newest = islice(reversed(self._running.items()), PAGE)
                shown = [name for name, (since, _) in newest if since <= at - lag_s]
                return Surveyed(tuple(self._seen(name, at - lag_s) for name in shown))

    def _seen(self, name: str, at: float) -> Seen:
        since, until = self._running[name]
        if at < until:
            return Seen(name, has_settled=False)
        return Seen(name, has_settled=True, urls=("https://out",), cost_usd=0.0, predict_time_s=until - since)

    def _do(self, command: Command) -> None:
        match command:
            case Download():
                self._later(DOWNLOAD_S, lambda: self._saved(command.item_id))
            case Put():
                uploaded = Uploaded(command.file.sha256, command.public_url, FAR_S)
                self._later(UPLOAD_S, lambda: self._feed(uploaded))

    def _feed(self, event: Uploaded | Downloaded) -> None:
        for command in self.batch.handle(event, self.now):
            self._do(command)

    def _saved(self, item_id: str) -> None:
        self.saved_at.append(self.now)
        file = SavedFile("", 0, "", 0, 0, "")
        self._feed(Downloaded(item_id, (file,)))
