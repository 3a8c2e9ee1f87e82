"""What a run leaves beside its checkpoint: by that an emptied checkpoint is told from a new one."""

from pathlib import Path
from typing import Final

from batchup.edge.telling.rotating import parts_of
from batchup.edge.telling.runlog import NAME as LOG
from batchup.errors import DataProblem

RESULTS: Final = "results.jsonl"


def refuse_if_emptied(folder: Path) -> None:
    """Raise DataProblem where the files beside a checkpoint without items tell of some."""
    trace = _trace_of_items(folder)
    if trace is not None:
        raise DataProblem(
            f"{trace} tells of items and the checkpoint beside it is empty: all would be bought again.",
            remedy="Put checkpoint.db back, or remove the folder to start over.",
        )


def _trace_of_items(folder: Path) -> Path | None:
    """Return a file of a run that had bought something, or None: `results.jsonl`, else the log."""
    results, log = folder / RESULTS, folder / LOG
    if results.exists() and results.stat().st_size:
        return results
    return next((part for part in parts_of(log) if part.is_file() and _tells_of_items(part)), None)


def _tells_of_items(part: Path) -> bool:  # of a file: a device may have no end
    with part.open("rb") as lines:
        return any(b'"event":"created"' in line for line in lines)
