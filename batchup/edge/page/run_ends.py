"""How earlier runs of a job ended, from its log: a run that had nothing to do tells nothing of the night."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from batchup.edge.telling.rotating import mapped, parts_of
from batchup.edge.telling.runlog import NAME as LOG
from batchup.edge.telling.status import Status

_ENDED: Final = b'"event":"run_ended"'


class _End(msgspec.Struct):
    """The last line of a run: figures of its summary, under the same names."""

    run: str
    reason: str
    exit_code: int
    requests: int
    creates: int
    polls: int
    throttled: int
    worst_window: int
    spend_usd: float
    wall_s: float


def last_busy(folder: Path, status: Status | None) -> Status | None:
    """Return the status with the newest run that has done anything in place of the last one.

    The status itself where the last run did, or goes on, or was cut off, and where the log tells of no such
    run; the counts of items stay as they are.
    """
    summary = None if status is None else status.summary
    if status is None or summary is None or _is_busy(summary.reason, summary.requests):
        return status
    end = _newest_busy(folder / LOG)
    if end is None:
        return status
    told = replace(summary, **msgspec.structs.asdict(end))
    return replace(status, run=end.run, summary=told)


def _is_busy(reason: str, requests: int) -> bool:
    """Tell whether a run has sent anything, or fetched what an earlier one had bought."""
    return requests > 0 or reason == "finished"


def _newest_busy(log: Path) -> _End | None:
    """Look from the end of the log, part by part: it may be of many nights."""
    return next((end for part in reversed(parts_of(log)) if (end := _newest_in(part)) is not None), None)


def _newest_in(part: Path) -> _End | None:
    with suppress(OSError, ValueError), mapped(part) as text:
        found = text.rfind(_ENDED)
        while found >= 0:
            start, stop = text.rfind(b"\n", 0, found) + 1, text.find(b"\n", found)
            with suppress(msgspec.MsgspecError):
                end = msgspec.json.decode(text[start : stop if stop >= 0 else len(text)], type=_End)
                if _is_busy(end.reason, end.requests):
                    return end
            found = text.rfind(_ENDED, 0, start)
    return None
