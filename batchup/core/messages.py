"""What goes into the core and what comes out of it: events and commands.

`Batch.handle` turns each `Event` into `Command`s. All of them are frozen: facts do not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from batchup.core.items import Failure, Item, LocalFile, Outcome, SavedFile
from batchup.core.requests import Answer, Request, Sign
from batchup.core.states import State
from batchup.errors import BatchupError


@dataclass(frozen=True, slots=True)
class Place:
    """Where a content can be fetched by the service, until `expires_at` (Unix seconds)."""

    url: str
    expires_at: float


# ---------------------------------------------------------------- events: facts into the core


@dataclass(frozen=True, slots=True)
class ItemRead:
    """The manifest has an item that is outstanding; `attempts` were made in earlier runs.

    `was` is what the checkpoint says of it, `attempts_left` how many more this run may make (None: as many
    as the limits say), `uploaded` where its files are at the service already, by their hash.
    """

    item: Item
    attempts: int = 0
    was: State = State.READY
    attempts_left: int | None = None
    uploaded: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemCounted:
    """The manifest has an item that this run does not work on.

    `state` is the one it has (saved, failed, held), "outstanding" for one left to a later run, "rejected" or
    "duplicate" for a row that is no item.
    """

    state: str
    id: str | None = None
    count: int = 1  # of rows in this state; without an id


@dataclass(frozen=True, slots=True)
class ItemSetAside:
    """The manifest has an item that waits for what becomes of one that is alike; `was` as in ItemRead."""

    item: Item
    was: State = State.READY


@dataclass(frozen=True, slots=True)
class ItemGiven:
    """An item has what its original came to: the `files`, on disk under its own name, or the `failure`.

    `attempts` and `was` as in ItemRead; `original` is the original's id.
    """

    item: Item
    original: str
    attempts: int = 0
    was: State = State.READY
    files: tuple[SavedFile, ...] = ()
    failure: Failure | None = None
    was_aside: bool = False  # and so is counted already


@dataclass(frozen=True, slots=True)
class AsideTold:
    """All that were set aside for the request with this fingerprint have been told what became of it."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class ItemRestored:
    """The checkpoint has an item that an earlier run left unsettled."""

    item: Item
    state: State
    attempt: int
    sent_at: float
    hashes: Mapping[str, str]
    prediction_id: str | None = None
    urls: tuple[str, ...] = ()
    cost_usd: float | None = None
    service_offset_s: float = 0.0  # the service's wall clock minus ours when it was sent
    failure: Failure | None = None  # why it is held, or why its last attempt failed


@dataclass(frozen=True, slots=True)
class ManifestEnded:
    """No more items will be read."""


@dataclass(frozen=True, slots=True)
class CardWanted:
    """An item that is to be bought waits for the model's description, which it is to be held against."""


@dataclass(frozen=True, slots=True)
class RowsCounted:
    """How much is to be bought is known and compared with the balance, or is not waited for any longer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The permit is taken and the request is about to go out; `Sign` needs none, and nothing is sent."""

    request: Request | Sign


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request. `known` are the listed ids that the checkpoint knows as ours."""

    request: Request
    answer: Answer
    service_offset_s: float | None = None  # the service's wall clock minus ours, by its Date header
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The service can fetch the content with this hash at `url` until `expires_at` (Unix seconds).

    `file_id` is the service's name for it, where it was put there.
    """

    sha256: str
    url: str
    expires_at: float
    file_id: str | None = None


@dataclass(frozen=True, slots=True)
class UploadFailed:
    """The PUT, or signing an address, did not work."""

    sha256: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class Downloaded:
    """The item's outputs are on disk, checked, renamed and synced."""

    item_id: str
    files: tuple[SavedFile, ...]


@dataclass(frozen=True, slots=True)
class DownloadFailed:
    """The item's outputs could not be fetched or are not what they should be."""

    item_id: str
    failure: Failure
    is_gone: bool = False  # the address no longer works: a poll may bring a fresh one


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop: `drain` lets what is in flight settle, otherwise ids stay recorded for the next run."""

    reason: str
    drain: bool = False


@dataclass(frozen=True, slots=True)
class Notified:
    """The service called back: this prediction is worth a poll now. Whether it is ours is not known."""

    prediction_id: str


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """The limits are others from now on: the job file was changed, or another run shares them.

    `requests_per_s` in the run's clock (None: unlimited), `burst` the most permits there are at one time.
    """

    concurrency: int
    requests_per_s: float | None
    burst: int


@dataclass(frozen=True, slots=True)
class OthersRunning:
    """So many predictions of other runs with this key may be running, and so many slots are left to them."""

    count: int
    slots: int = 0  # counted or not: those that are running take one each in any case


@dataclass(frozen=True, slots=True)
class KeyRead:
    """The key was read again from its source; `changed`: it is another one, and used from now on."""

    changed: bool


Event: TypeAlias = (
    ItemRead
    | ItemCounted
    | ItemSetAside
    | ItemGiven
    | AsideTold
    | ItemRestored
    | ManifestEnded
    | CardWanted
    | RowsCounted
    | Sent
    | Answered
    | Uploaded
    | UploadFailed
    | Downloaded
    | DownloadFailed
    | Notified
    | LimitsChanged
    | OthersRunning
    | KeyRead
    | Stop
)

# ---------------------------------------------------------------- commands: instructions out of the core


@dataclass(frozen=True, slots=True)
class Keep:
    """Write a change of an item's state to the checkpoint, and sync it, before anything else.

    `changes` are columns of the checkpoint's items; instants are of the run's clock.
    """

    item: Item
    was: State
    becomes: State
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeepUpload:
    """Remember where a content is at the service, until `expires_at` (Unix seconds), and its name there."""

    sha256: str
    url: str
    expires_at: float
    file_id: str | None = None


@dataclass(frozen=True, slots=True)
class KeepSightings:
    """Remember what was seen of durations, for the next run: (not done at age, done at age, kind of item)."""

    sightings: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True)
class Put:
    """Send the bytes of a local file to the place the service named; they will be found at `public_url`."""

    file: LocalFile
    put_url: str
    headers: Mapping[str, str]
    public_url: str
    expires_at: float  # Unix seconds
    file_id: str | None = None  # the service's name for it


@dataclass(frozen=True, slots=True)
class SignAddress:
    """Make an address at which the service can fetch an object from its bucket for so many real seconds."""

    file: LocalFile
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Download:
    """Fetch an item's outputs, not before `not_before`."""

    item_id: str
    urls: tuple[str, ...]
    not_before: float


@dataclass(frozen=True, slots=True)
class Tell:
    """An item has come to its end in this run."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person may want to know; `level` is info, warning or error."""

    event: str
    level: str = "info"
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RereadKey:
    """The service refuses the key: read it again from where the job says it is."""


@dataclass(frozen=True, slots=True)
class End:
    """The run cannot go on; it leaves as on a signal and then raises."""

    error: BatchupError


Command: TypeAlias = (
    Keep | KeepUpload | KeepSightings | Put | SignAddress | Download | Tell | Note | RereadKey | End
)
