"""Runs a manifest of images through a paid, rate-limited, create-then-poll prediction API.

    job = batchup.Job.load("jobs/nightly.toml")
    summary = batchup.run_sync(job)

`run` is the same for code that runs in an event loop, `stream` yields each item as it comes to its end, and
`write_report` makes a page of what there is.
Problems raise the classes of `batchup.errors`; a failed item does not raise, it is an `Outcome`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchup.api import run, run_sync, stream, write_report
    from batchup.core.items import Failure, Outcome, SavedFile
    from batchup.core.summary import Summary
    from batchup.job import Job

__version__ = "0.1.0"
__all__ = ["Failure", "Job", "Outcome", "SavedFile", "Summary", "run", "run_sync", "stream", "write_report"]

_HOMES = {
    "Failure": "batchup.core.items",
    "Job": "batchup.job",
    "Outcome": "batchup.core.items",
    "SavedFile": "batchup.core.items",
    "Summary": "batchup.core.summary",
    "run": "batchup.api",
    "run_sync": "batchup.api",
    "stream": "batchup.api",
    "write_report": "batchup.api",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is: aiohttp alone takes longer than `batchup -h` should."""
    if name == "errors":
        return import_module("batchup.errors")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Offer what is there to whoever completes names."""
    return sorted([*globals(), *_HOMES, "errors"])
