"""Uploaded images taken away from the service again, once no prediction may need them any more.

Each deletion is a request like any other: it goes through the gate and counts. What a stop or a failure
leaves is deleted at the end of a later run. Nothing here ends a run.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from math import isfinite
from typing import Final

import anyio
import msgspec

from batchup.core import wire
from batchup.core.fingerprint import value_hash
from batchup.core.messages import KeepUpload, Note
from batchup.core.states import UNSETTLED
from batchup.core.summary import Summary
from batchup.core.tally import Tally
from batchup.core.verdicts import Kind
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import SEALED_UPLOAD, UNSAVED, is_whole
from batchup.edge.database.sealed import REPLACED
from batchup.edge.limits import Lease
from batchup.edge.pending import Pending
from batchup.edge.pool import Pool
from batchup.edge.stopper import Stopper
from batchup.edge.tools import Tools
from batchup.errors import BatchupError
from batchup.job import Job

TRIES: Final = 3
"""Refusals in a row after which the rest is left to the next run."""

_PAGE: Final = 200
_LONGEST_NAP_S: Final = 1.0  # so that a stop is heard soon
_THROTTLED_S: Final = 10.0
_STATES: Final = ", ".join(f"'{state.value}'" for state in sorted(UNSETTLED, key=lambda state: state.value))
_SENT: Final = f"SELECT hashes FROM items WHERE {UNSAVED} AND state IN ({_STATES}) AND hashes IS NOT NULL"  # noqa: S608 names are ours
_UPLOADS: Final = (
    "SELECT sha256, url, file_id, expires_at FROM uploads"  # noqa: S608 names are ours
    f" WHERE file_id IS NOT NULL AND sha256 > ? AND {is_whole('uploads', SEALED_UPLOAD)}"
    " ORDER BY sha256 LIMIT ?"
)


@dataclass(slots=True)
class Erased:
    """How many uploaded images were deleted, how many are left, and what was in the way."""

    count: int = 0
    left: int = 0
    why: str = ""

    @property
    def notes(self) -> list[Note]:
        """What a person should know of it."""
        found = []
        if self.count:
            found.append(Note("uploads_deleted", fields={"count": self.count}))
        if self.left:
            fields = {"count": self.left, "why": self.why}
            found.append(Note("uploads_left", "warning", fields))
        return found


_REPLACED: Final = "SELECT substr(name, ?1), value FROM facts WHERE name GLOB ?2 ORDER BY name"


@dataclass(frozen=True, slots=True)
class _Upload:
    """One file at the service; `sha256` is None where its content was uploaded again since.

    `is_blank`: its address is not kept as it was sent, or not for certain.
    """

    sha256: str | None
    url: str
    file_id: str
    is_blank: bool

    def is_needed(self, sent: Collection[str]) -> bool:
        """Tell whether a prediction may still fetch it, by hashes of what was sent for those that may run."""
        return bool(sent) and (self.is_blank or value_hash(self.url) in sent)


async def after_run(job: Job, pool: Pool, summary: Summary, stopper: Stopper) -> Summary:
    """Delete what the job has uploaded, if it asks for that and the run has ended well, and say so.

    Returns the summary with these requests counted in.
    """
    if not job.prepare.delete_uploads or pool.error is not None:
        return summary
    tools, tally = pool.tools, pool.batch.board.tally
    began_at, requests, throttled = tools.clock.monotonic(), tally.requests, tally.throttled

    def is_over() -> bool:
        pool.on_look(Pending(), False)
        return stopper.is_asked or stopper.is_draining or pool.batch.board.is_leaving(tools.clock.now())

    erased = await erase_uploads(tools, tally, is_over)
    for note in erased.notes:
        pool.observer.note(note)
    return replace(
        summary,
        requests=summary.requests + tally.requests - requests,
        throttled=summary.throttled + tally.throttled - throttled,
        worst_window=max(summary.worst_window, tools.gate.worst_window),
        wall_s=summary.wall_s + tools.clock.monotonic() - began_at,
    )


async def erase_uploads(tools: Tools, tally: Tally, is_over: Callable[[], bool]) -> Erased:
    """Delete the images that no prediction may need any more, until `is_over`; raises nothing.

    An address is struck out before its file is deleted, so that no later create is ever given it.
    """
    erased, refusals = Erased(), 0
    try:
        needed = _needed(tools.checkpoint)
        for upload in chain(_uploads(tools.checkpoint), _replaced(tools.checkpoint)):
            if upload.is_needed(needed):
                continue
            if refusals >= TRIES or is_over():
                erased.left += 1
                erased.why = erased.why or "the run was stopped"
                continue
            if upload.sha256 is not None:
                tools.checkpoint.keep([KeepUpload(upload.sha256, upload.url, 0.0, upload.file_id)])
            raw = await _delete(tools, tally, upload.file_id, is_over)
            if raw is not None and wire.is_deleted(raw):
                _forget(tools.checkpoint, upload)
                erased.count, refusals = erased.count + 1, 0
                continue
            erased.left += 1
            refusals += raw is not None
            erased.why = "the run was stopped" if raw is None else _words(raw)
    except BatchupError as error:
        erased.left, erased.why = max(1, erased.left), error.message
    return erased


async def _delete(tools: Tools, tally: Tally, file_id: str, is_over: Callable[[], bool]) -> wire.Raw | None:
    """Send one deletion, once more where it was lost or came too soon; None where the run was over first."""
    for _ in range(2):
        lease = await _permit(tools, is_over)
        if lease is None:
            return None
        tools.gate.sent(lease, tools.clock.monotonic())
        tally.requests += 1
        raw = await tools.client.send(tools.wire.delete_call(file_id), Kind.PRESIGN)
        if isinstance(raw, wire.Silence):
            continue
        tools.gate.answered(lease, tools.clock.monotonic())
        if raw.status != 429:
            return raw
        tally.throttled += 1
        await anyio.sleep(tools.clock.real_s(_THROTTLED_S))
    return raw


async def _permit(tools: Tools, is_over: Callable[[], bool]) -> Lease | None:
    """Wait for a permit and take it; None where the run was over first."""
    while not is_over():
        now = tools.clock.monotonic()
        if tools.gate.free(now) > 0:
            lease = await tools.gate.take(now)
            if lease is not None:
                return lease
        nap_s = tools.gate.next_at(now) - now
        await anyio.sleep(min(max(0.001, nap_s if isfinite(nap_s) else _LONGEST_NAP_S), _LONGEST_NAP_S))
    return None


def _needed(checkpoint: Checkpoint) -> set[str]:
    """Return hashes of what was sent for predictions that may still run, or whose end was not taken in."""
    needed: set[str] = set()
    with checkpoint.problems():
        for (hashes,) in checkpoint.db.execute(_SENT):
            with suppress(msgspec.DecodeError):
                needed.update(msgspec.json.decode(hashes, type=dict[str, str]).values())
    return needed


def _uploads(checkpoint: Checkpoint) -> Iterator[_Upload]:
    last = b""
    while True:
        with checkpoint.problems():
            rows = checkpoint.db.execute(_UPLOADS, (last, _PAGE)).fetchall()
        if not rows:
            return
        for sha256, url, file_id, ends_at in rows:
            yield _Upload(bytes(sha256).hex(), url, file_id, is_blank=not ends_at)
        last = bytes(rows[-1][0])


def _replaced(checkpoint: Checkpoint) -> list[_Upload]:
    with checkpoint.problems():
        rows = checkpoint.db.execute(_REPLACED, (len(REPLACED) + 1, f"{REPLACED}*")).fetchall()
    return [_Upload(None, str(url), file_id, is_blank=True) for file_id, url in rows]


def _forget(checkpoint: Checkpoint, upload: _Upload) -> None:
    with checkpoint.problems():
        if upload.sha256 is None:
            checkpoint.db.execute("DELETE FROM facts WHERE name = ?", (REPLACED + upload.file_id,))
        else:
            row = (bytes.fromhex(upload.sha256),)
            checkpoint.db.execute("DELETE FROM uploads WHERE sha256 = ?", row)


def _words(raw: wire.Raw) -> str:
    if isinstance(raw, wire.Silence):
        return f"the service did not answer: {raw.message}"
    return f"the service answered HTTP {raw.status}"
