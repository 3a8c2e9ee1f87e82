"""The service, for real and small: its protocol, its two limits, its faults, and a judge of what it saw.

`Simulator` and `SimulatorSettings` are here; the heavy parts are imported when first asked for.
"""

from typing import TYPE_CHECKING, Any

from batchup.simulator.durations import Durations
from batchup.simulator.faults import FAULTS
from batchup.simulator.settings import SimulatorSettings

if TYPE_CHECKING:
    from batchup.simulator.server import Address, Simulator

__all__ = ["FAULTS", "Address", "Durations", "Simulator", "SimulatorSettings"]


def __getattr__(name: str) -> Any:
    """Import the server with aiohttp and Pillow only for who uses it: a job file's check does not."""
    if name in {"Address", "Simulator"}:
        from batchup.simulator import server  # noqa: PLC0415 - the point of this function

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
