"""What the pool works with: one of each part of the edge, opened for one run."""

from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from batchup.core.items import SavedFile
from batchup.core.messages import Put, Uploaded, UploadFailed
from batchup.core.wire import Hook, Wire
from batchup.edge.ballast import Ballast
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.limits import Gate, Unlimited
from batchup.edge.metrics.measures import PermitWaits


class Uploads(Protocol):
    """Makes uploads: `Uploader` does it here, others have it done elsewhere."""

    async def put(self, command: Put) -> Uploaded | UploadFailed:
        """Upload once."""


class Saves(Protocol):
    """Fetches outputs: `Outputs` does it here, others have it done elsewhere."""

    async def save(
        self,
        item_id: str,
        urls: Sequence[str],
        *,
        is_twin: bool,
        own: Collection[str] = (),
        expected: Sequence[str] | None = None,
    ) -> tuple[SavedFile, ...]:
        """Download an item's outputs, check them, and give them their names; one try each."""


async def _nothing() -> None:
    """Do what there is to do beside a pool that has no workers."""


@dataclass(slots=True)
class Tools:
    """What the pool works with; `ballast` is given up for a write that finds the disk full."""

    clock: Clock
    gate: Gate | Unlimited
    client: Client
    uploader: Uploads
    outputs: Saves
    checkpoint: Checkpoint
    model: str
    wire: Wire  # how the service spells it
    download_count: int
    hook: Hook | None = None  # where the service is to call back
    ballast: Ballast | None = None
    read_key: Callable[[], str] | None = None  # from where it is kept: it may have been changed there
    carry: Callable[[], Coroutine[Any, Any, None]] = _nothing  # brings transfers to workers, until cancelled
    waits: PermitWaits = field(default_factory=PermitWaits)
