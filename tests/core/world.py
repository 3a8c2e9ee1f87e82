"""A virtual world: a real Batch, a fake service, a gate, a checkpoint, and a clock that only jumps.

Nothing sleeps and nothing is random but by seed, so a night takes milliseconds. After each step the board is
checked against its own rules, so that a slot that leaks or an item that no queue holds is caught where it
happens.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

from core.fake_service import EPOCH, FakeService
from core.spoken import WIRE

from batchup.core import wire
from batchup.core.batch import Batch
from batchup.core.board import Board
from batchup.core.calendar import Calendar
from batchup.core.items import Failure, Item, LocalFile, SavedFile
from batchup.core.messages import (
    Answered,
    Command,
    Download,
    Downloaded,
    DownloadFailed,
    End,
    Event,
    ItemCounted,
    ItemRead,
    ItemRestored,
    Keep,
    KeepUpload,
    ManifestEnded,
    Place,
    Put,
    Sent,
    SignAddress,
    Stop,
    Tell,
    Uploaded,
    UploadFailed,
)
from batchup.core.policy import Policy
from batchup.core.requests import Done, Listed, Request, Sign, Wait
from batchup.core.resume import Plan, Remembered, decide
from batchup.core.states import MAY_BE_RUNNING, UNSETTLED, Fate, State
from batchup.core.work import Work
from batchup.errors import BatchupError

LEASES = 60
LEASE_S = 60.5
BURST = 6.0
COUNTED = {State.SAVED: "saved", State.FAILED: "failed", State.HELD: "held"}


def item(key: str, *, is_local: bool = False, line: int = 1, content: str = "") -> Item:
    """Make an item; a local one has an image that must be uploaded first."""
    path = f"photos/{key}.jpg"
    image = path if is_local else f"https://images.example/{key}.jpg"
    files = {"image": LocalFile(path, content or f"sha-{key}", 10, "image/jpeg")} if is_local else {}
    return Item(key, line, {"image": image, "key": key}, files, f"print-{key}")


def items(count: int, *, is_local: Callable[[int], bool] = lambda _: False) -> list[Item]:
    """Make a manifest."""
    return [item(f"i{k}", is_local=is_local(k), line=k + 1) for k in range(count)]


def saved_file(item_id: str) -> SavedFile:
    return SavedFile(f"images/{item_id}.png", 1, "00" * 32, 1, 1, "https://cdn.example/x.png")


@dataclass
class Kept:
    """What the checkpoint says of one item, made of Keep commands alone; instants are Unix seconds."""

    item: Item
    state: State
    attempt: int = 0
    sent_at: float = 0.0
    service_offset_s: float = 0.0
    hashes: Mapping[str, str] = field(default_factory=dict)
    prediction_id: str | None = None
    urls: tuple[str, ...] = ()
    cost_usd: float | None = None
    failure: Failure | None = None


@dataclass
class Disk:
    """What outlives a kill: the checkpoint, the predictions it knows, uploads, leases."""

    kept: dict[str, Kept] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    uploads: dict[str, Place] = field(default_factory=dict)
    leases: list[float] = field(default_factory=list)
    spent: dict[tuple[str, int], float] = field(default_factory=dict)
    written_off: list[float] = field(default_factory=list)  # when their creates were sent

    def keep(self, command: Keep, calendar: Calendar) -> None:
        """Write one change down; as in the real one, what was must be what is there."""
        kept = self.kept.setdefault(command.item.id, Kept(command.item, State.READY))
        assert kept.state is command.was, f"{command.item.id} was {kept.state}, not {command.was}"
        kept.state, changes = command.becomes, command.changes
        if changes.get("fate") is Fate.WRITTEN_OFF:
            self.written_off.append(kept.sent_at)
        if command.becomes is State.SUBMITTING:
            kept.item, kept.prediction_id, kept.urls, kept.failure = command.item, None, (), None
            kept.cost_usd = None
        for name in ("attempt", "hashes", "service_offset_s", "prediction_id", "urls", "cost_usd", "failure"):
            if name in changes:
                setattr(kept, name, changes[name])
        if "sent_at" in changes:
            kept.sent_at = calendar.to_unix(changes["sent_at"])
        if kept.prediction_id is not None:
            self.known.add(kept.prediction_id)
        if kept.cost_usd is not None:
            self.spent[command.item.id, kept.attempt] = kept.cost_usd

    def restored(self, calendar: Calendar) -> list[ItemRestored]:
        """Return what an earlier run left unsettled; local files are not known until their row is met."""
        return [
            ItemRestored(
                Item(kept.item.id, 0, kept.item.input, {}, kept.item.fingerprint),
                kept.state,
                kept.attempt,
                calendar.from_unix(kept.sent_at),
                kept.hashes,
                kept.prediction_id,
                kept.urls,
                kept.cost_usd,
                kept.service_offset_s,
            )
            for kept in self.kept.values()
            if kept.state in UNSETTLED
        ]

    def states(self) -> Counter[State]:
        """Count the items in each state."""
        return Counter(kept.state for kept in self.kept.values())


@dataclass
class World:
    """One run. `t` is the world's clock, which all runs share; the run's own reads `now()`."""

    service: FakeService
    manifest: Sequence[Item]
    policy: Policy = field(default_factory=Policy)
    disk: Disk = field(default_factory=Disk)
    t: float = 0.0
    seed: int = 0
    download_faults: float = 0.0
    upload_faults: float = 0.0
    clock_error_s: float = 0.0  # our wall clock minus the true one
    read_s: float = 0.0  # how long a row of the manifest takes to read
    signed_s: float = 1e9  # how long an address that is signed lasts
    signed_count: int = 0
    is_checked: bool = True
    steps: int = 0
    fact_count: int = 0  # told to the core
    started_at: float = field(init=False)
    told: list[Tell] = field(default_factory=list)
    requests: list[tuple[float, Request]] = field(default_factory=list)
    error: BatchupError | None = None
    is_done: bool = False

    def __post_init__(self) -> None:
        self.started_at = self.t
        self.rng = Random(f"world {self.seed}")
        self.calendar = Calendar(EPOCH + self.t + self.clock_error_s)
        self.batch = Batch(Board(self.policy, self.calendar, Random(f"board {self.seed}")))
        self.board = self.batch.board
        self.board.tally.job_spend_usd = sum(self.disk.spent.values())
        self.board.tally.dearest_usd = max(self.disk.spent.values(), default=None)
        for at in self.disk.written_off:
            self.board.keep_slot(self.calendar.from_unix(at))
        self.agenda: list[tuple[float, int, bool, Callable[[], None]]] = []  # the flag: at the service
        self.tokens, self.tokens_at = BURST, self.t
        self.unread = iter(self.manifest)
        self.read_at = self.t
        for event in self.disk.restored(self.calendar):
            self.feed(event)

    def now(self) -> float:
        """Return the instant on the run's own clock."""
        return self.t - self.started_at

    # ------------------------------------------------------------ running

    def run(self, *, steps: int | None = None, until_s: float = 1e6) -> Self:
        """Run to the end, or for so many steps, or until the run's clock reads `until_s`."""
        while not self.is_done and (steps is None or self.steps < steps) and self.now() < until_s:
            self.step()
        return self

    def step(self) -> None:
        """Let one thing happen: a row is read, a request goes out, or the clock jumps to what is next."""
        self.steps += 1
        self._read_manifest()
        choice = self.batch.choose(self.now(), self.permits())
        if isinstance(choice, Done):
            self.is_done = True
        elif isinstance(choice, Wait):
            self._jump(choice)
        elif isinstance(choice, Sign):
            self.feed(Sent(choice))
        else:
            self._send(choice)
        if self.is_checked:
            check(self.board, self.now())

    def kill(self, *, after_s: float = 1.0, **changes: Any) -> Self:
        """Kill this run and start the next; what was on the wire still reaches the service."""
        for _, _, _, act in sorted(entry for entry in self.agenda if entry[2]):
            act()
        self.agenda.clear()
        more: dict[str, Any] = {"policy": self.policy, "seed": self.seed + 1, "read_s": self.read_s} | changes
        return type(self)(self.service, self.manifest, disk=self.disk, t=self.t + after_s, **more)

    def feed(self, event: Event) -> list[Command]:
        """Tell the core a fact and do what follows, the writing first."""
        self.fact_count += 1
        commands = self.batch.handle(event, self.now())
        for command in commands:
            match command:
                case Keep():
                    self.disk.keep(command, self.calendar)
                case KeepUpload():
                    self.disk.uploads[command.sha256] = Place(command.url, command.expires_at)
        for command in commands:
            self._do(command)
        return commands

    def suspend(self, length_s: float) -> None:
        """Let the machine sleep: the world goes on, the run's clock does not, and no answer is lost by it."""
        self.t, self.started_at = self.t + length_s, self.started_at + length_s
        self.agenda = [(at + length_s, order, is_there, act) for at, order, is_there, act in self.agenda]
        self.disk.leases = [at + length_s for at in self.disk.leases]
        self.read_at, self.tokens_at = self.read_at + length_s, self.tokens_at + length_s

    def stop(self, *, drain: bool = False) -> None:
        """Ask the run to stop."""
        self.feed(Stop("signal", drain=drain))

    # ------------------------------------------------------------ gate

    def permits(self) -> int:
        """Return how many requests may go out now."""
        self.disk.leases = [at for at in self.disk.leases if at > self.t]
        self.tokens = min(BURST, self.tokens + (self.t - self.tokens_at) * LEASES / 60.0)
        self.tokens_at = self.t
        return min(LEASES - len(self.disk.leases), int(self.tokens + 1e-6))

    def _next_permit(self) -> float:
        permits = self.permits()
        if permits == LEASES - len(self.disk.leases):
            return min(self.disk.leases)
        return self.t + (permits + 1 - self.tokens) * 60.0 / LEASES

    def _send(self, request: Request) -> None:
        self.tokens -= 1
        lease = self.t + self.policy.request_timeout_s + LEASE_S
        self.disk.leases.append(lease)
        self.requests.append((self.now(), request))
        self.feed(Sent(request))
        call = WIRE.call_of(request, "m")
        is_answered = self._later  # bound here: a killed run's answers reach nobody

        def arrive() -> None:
            raw, took = self.service.serve(call, self.t)
            is_answered(took, lambda: self._answer(request, raw, lease))

        self._later(self.rng.uniform(0.02, 0.1), arrive, is_at_service=True)

    def _answer(self, request: Request, raw: wire.Raw, lease: float) -> None:
        if isinstance(raw, wire.Response):
            self.disk.leases.remove(lease)
            self.disk.leases.append(self.t + LEASE_S)
        unix = self.calendar.to_unix(self.now())
        answer = WIRE.read(request, raw, unix)
        known = frozenset[str]()
        if isinstance(answer, Listed):
            known = frozenset(row[0] for row in answer.rows) & self.disk.known
        self.feed(Answered(request, answer, wire.service_offset_s(raw, unix), known))

    # ------------------------------------------------------------ inside

    def _later(self, after_s: float, act: Callable[[], None], *, is_at_service: bool = False) -> None:
        heapq.heappush(self.agenda, (self.t + after_s, self.rng.getrandbits(60), is_at_service, act))

    def _jump(self, wait: Wait) -> None:
        instants = [self.agenda[0][0]] if self.agenda else []
        if wait.until is not None:
            instants.append(self.started_at + wait.until)
        if self.permits() < BURST:  # each one more may change the choice
            instants.append(self._next_permit())
        if self.read_at > self.t:
            instants.append(self.read_at)
        assert instants, "the run waits for ever, and nothing is under way"
        self.t = max(self.t + 1e-9, min(instants))
        while self.agenda and self.agenda[0][0] <= self.t:
            heapq.heappop(self.agenda)[3]()

    def _read_manifest(self) -> None:
        while not self.board.has_manifest_ended and self.read_at <= self.t and self.batch.wants_items():
            row = next(self.unread, None)
            self.read_at = self.t + self.read_s if self.read_s else self.read_at
            self.feed(ManifestEnded() if row is None else self._event_of(row))

    def _event_of(self, row: Item) -> Event:
        kept = self.disk.kept.get(row.id)
        known = None
        if kept is not None:
            known = Remembered(kept.item.fingerprint, kept.state, kept.attempt, kept.failure)
        plan = decide(row, known, on_change="error", max_attempts=self.policy.max_attempts)
        if kept is not None and plan.plan in (Plan.SKIP, Plan.LEAVE):
            return ItemCounted(COUNTED[kept.state], row.id)
        attempts, was = (kept.attempt, kept.state) if kept else (0, State.READY)
        return ItemRead(row, attempts, was, plan.attempts_left, dict(self.disk.uploads))

    def _do(self, command: Command) -> None:
        match command:
            case Download():
                self._later(max(0.0, command.not_before - self.now()) + 0.5, lambda: self._fetch(command))
            case Put():
                self._later(0.4, lambda: self._put(command))
            case SignAddress():
                self.signed_count += 1
                signed = f"https://{command.file.path}?X-Amz-Signature={self.now()}"
                ends_at = self.calendar.to_unix(self.now()) + self.signed_s
                told = Uploaded(command.file.sha256, signed, ends_at)
                self._later(0.01, lambda: self._told(told))
            case Tell():
                self.told.append(command)
            case End():
                self.error = command.error

    def _fetch(self, command: Download) -> None:
        if self.rng.random() < self.download_faults:
            is_gone = self.rng.random() < 0.3
            self.feed(DownloadFailed(command.item_id, Failure("cut", "cut", retryable=True), is_gone=is_gone))
        else:
            self.feed(Downloaded(command.item_id, (saved_file(command.item_id),)))

    def _told(self, event: Event) -> None:
        self.feed(event)

    def _put(self, command: Put) -> None:
        if self.rng.random() < self.upload_faults:
            self.feed(UploadFailed(command.file.sha256, Failure("http_403", "expired", retryable=True)))
        else:
            self.feed(Uploaded(command.file.sha256, command.public_url, command.expires_at))


def judge(world: World, *, count: int | None = None) -> None:
    """Assert what must hold after any run: the limits, nothing bought twice, nothing lost or uncounted."""
    tally, states = world.board.tally, world.disk.states()
    assert world.service.twice() == []
    assert world.service.worst_window() <= LEASES
    assert world.service.most_in_flight <= world.policy.concurrency
    counted = tally.saved + tally.failed + tally.held + tally.in_doubt + tally.outstanding + tally.rejected
    assert tally.items == counted
    if count is not None:
        assert tally.items == count
        assert tally.saved == states[State.SAVED]
        assert tally.failed == states[State.FAILED]
        assert tally.held == states[State.HELD]
        assert tally.in_doubt == states[State.IN_DOUBT]


def check(board: Board, now: float) -> None:
    """Assert the board's own rules: each item is in one place, and each count is right."""
    works = board.works
    assert board.running_count == sum(work.state in MAY_BE_RUNNING for work in works.values())
    assert board.overdue_count == sum(work.is_overdue for work in works.values())
    assert set(board.doubtful) == {key for key, work in works.items() if work.state is State.IN_DOUBT}
    assert not any(count < 0 for count in board.open.values())
    assert board.listing.open_count >= 0
    places = Counter[str](board.prepared)
    places.update(list(board.unprepared))
    places.update(list(board.backing_off))
    assert set(places) <= set(works), "a queue holds what nobody works on"
    for key, work in works.items():
        _check_place(board, work, places[key], now)
    for sha256, upload in board.uploads.items():
        assert (sha256 in board.wanted_uploads) <= (not upload.is_under_way and upload.url is None)
    assert set(board.wanted_uploads) <= set(board.uploads)


def _check_place(board: Board, work: Work, queued: int, now: float) -> None:
    key = work.item.id
    if work.state in (State.READY, State.BACKING_OFF):
        assert queued == int(work.is_from_manifest), f"{key}, {work.state}, is in {queued} queues"
    else:
        assert queued == 0, f"{key}, {work.state}, is in a queue"
    if work.state is State.IN_FLIGHT or (work.state is State.SUCCEEDED and not work.urls):
        assert work.is_open or board.watch.holds(work), f"{key} is never polled again"
    assert work.state not in (State.SAVED, State.FAILED), f"{key} is at its end and still here"
    assert now >= 0
