"""What the pool works with: one of each part of the edge, opened for one run."""

from collections.abc import Callable
from dataclasses import dataclass

from batchup.core import wire
from batchup.edge.ballast import Ballast
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.client import Client
from batchup.edge.clock import Clock
from batchup.edge.images.put import Uploader
from batchup.edge.limits import Gate, Unlimited
from batchup.edge.outputs import Outputs


@dataclass(slots=True)
class Tools:
    """What the pool works with; `ballast` is given up for a write that finds the disk full."""

    clock: Clock
    gate: Gate | Unlimited
    client: Client
    uploader: Uploader
    outputs: Outputs
    checkpoint: Checkpoint
    model: str
    download_count: int
    hook: wire.Hook | None = None  # where the service is to call back
    ballast: Ballast | None = None
    read_key: Callable[[], str] | None = None  # from where it is kept: it may have been changed there
