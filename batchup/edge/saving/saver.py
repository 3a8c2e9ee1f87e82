"""Saves an item's outputs with what the checkpoint knows of the item: its names, and what lies beside."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import msgspec

from batchup.core.items import SavedFile
from batchup.core.names import keeps_id, mark_of
from batchup.core.templates import rivals
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import id_key
from batchup.edge.duplicates.alike import paths_of
from batchup.edge.files import write_atomic
from batchup.edge.outputs import DownloadProblem, store_failure
from batchup.edge.saving.keeping import make_room
from batchup.edge.shelves import METADATA, BucketShelf, kept_folder
from batchup.edge.stores import StoreProblem
from batchup.edge.tools import Saves
from batchup.job import Job

_TIMES: Final = "SELECT predict_time_s, created_at, settled_at FROM items WHERE id_key = ? AND id = ?"


@dataclass(slots=True)
class Saver:
    """Saves the outputs of one job; `outputs` does the work, here or elsewhere."""

    job: Job
    checkpoint: Checkpoint
    outputs: Saves
    renamed_count: int = 0  # items saved whose outputs are not called by their ids
    _shelf: BucketShelf | None = field(init=False)

    def __post_init__(self) -> None:
        bucket = self.job.output.bucket
        self._shelf = None if bucket is None else BucketShelf(bucket)
        if bucket is not None:
            make_room(kept_folder(self.job.output.dir))
        self.checkpoint.rivals_of = partial(rivals, self.job.output.name)

    async def save(
        self,
        item_id: str,
        urls: Sequence[str],
        *,
        is_twin: bool,
        own: Collection[str] = (),
        expected: Sequence[str] | None = None,
    ) -> tuple[SavedFile, ...]:
        """Save an item's outputs, and what belongs beside them; arguments and errors as `Outputs.save`."""
        own = {*own, *paths_of(self.checkpoint, item_id)}
        files = await self.outputs.save(item_id, urls, is_twin=is_twin, own=own, expected=expected)
        is_marked = any(mark_of(file) in file.path for file in files)
        self.renamed_count += is_twin or is_marked or not keeps_id(item_id, self.job.output.name)
        if self.job.output.metadata:
            await self._describe(item_id, files)
        return files

    async def _describe(self, item_id: str, files: Sequence[SavedFile]) -> None:
        """Write down beside each file what it is and where it comes from."""
        told = self._known(item_id)
        texts = {f"{file.path}{METADATA}": _json({**told, "file": file}) for file in files}
        if self._shelf is None:
            await anyio.to_thread.run_sync(_write, self.job.output.dir, texts)
            return
        try:
            for path, text in texts.items():
                await self._shelf.put_bytes(path, text)
        except StoreProblem as problem:
            raise DownloadProblem(await store_failure(self._shelf, problem)) from None

    def _known(self, item_id: str) -> dict[str, Any]:
        """Return what the checkpoint knows of an item; nothing in it opens anything."""
        left = self.checkpoint.as_they_stand([item_id])[item_id]
        with self.checkpoint.problems():
            row = self.checkpoint.db.execute(_TIMES, (id_key(item_id), item_id)).fetchone()
        predict_time_s, created_at, settled_at = row
        return {
            "id": item_id,
            "model": self.job.model,
            "parameters": left.item.input,
            "prediction_id": left.prediction_id,
            "cost_usd": left.cost_usd,
            "predict_time_s": predict_time_s,
            "created_at": created_at,
            "settled_at": settled_at,
        }


def _json(told: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _write(folder: Path, texts: dict[str, bytes]) -> None:
    for path, text in texts.items():
        write_atomic(folder / path, text)
