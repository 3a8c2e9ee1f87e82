"""Who makes a run's uploads and downloads: this process, or workers that were looked at before."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread

from batchup.core.messages import Note
from batchup.edge.executors.chunks import AHEAD, MOST, Chunks
from batchup.edge.executors.looking import look_at, open_crew
from batchup.edge.executors.remote import RemoteOutputs, RemoteUploader, clear
from batchup.edge.images.put import Uploader
from batchup.edge.making import output_settings, upload_settings
from batchup.edge.outputs import Outputs
from batchup.edge.stages import save_chunk, upload_chunk
from batchup.edge.tools import Saves, Uploads
from batchup.job import Job
from batchup.settings.executors import HERE

DOWNLOADS: Final = 8  # at one time in this process


@dataclass(frozen=True, slots=True)
class Stages:
    """What makes uploads and what makes downloads, `download_count` of them at one time.

    `chunks` go to workers, as long as `carry` does.
    """

    uploader: Uploads
    outputs: Saves
    download_count: int = DOWNLOADS
    chunks: tuple[Chunks[Any, Any], ...] = ()

    async def carry(self) -> None:
        """Bring to the workers what they are to do, until cancelled; without any there is nothing to do."""
        async with anyio.create_task_group() as tasks:
            for chunks in self.chunks:
                tasks.start_soon(chunks.run)

    @property
    def is_idle(self) -> bool:
        """Whether no worker has anything to do."""
        return not any(chunks.open_count for chunks in self.chunks)


@asynccontextmanager
async def open_stages(
    job: Job,
    executor: Executor | None,
    *,
    on_changed: Callable[[str], None] = lambda _: None,
    note: Callable[[Note], None] = lambda _: None,
) -> AsyncIterator[Stages]:
    """Give what makes a job's transfers for a block: this process, what the job names, or an `executor`.

    Workers do so while `Stages.carry` does. Raises ConfigProblem where the workers cannot be had,
    OutputProblem where they do not share the folder.
    """
    uploads, outputs = upload_settings(job), output_settings(job)
    here = Uploader(uploads, on_changed=on_changed)
    await anyio.to_thread.run_sync(clear, outputs.folder)  # a run that was killed may have left something
    if executor is None and job.run.executor == HERE:
        async with here, Outputs(outputs) as near:
            yield Stages(here, near)
        return
    folder, stages = outputs.folder, None
    crew = await open_crew(job, executor)
    try:
        await look_at(crew, None if outputs.bucket is not None else folder)
        note(Note("workers", "info", {"where": crew.where, "count": crew.size}))
        if not crew.is_near:  # what only this machine has is of no use there
            uploads, outputs = replace(uploads, folder=None), replace(outputs, kept=None)
        puts = Chunks(crew, upload_chunk, uploads, note)
        gets = Chunks(crew, save_chunk, outputs, note)
        async with here:
            uploader, saves = RemoteUploader(puts, here), RemoteOutputs(gets, folder)
            stages = Stages(uploader, saves, MOST * AHEAD * crew.size, (puts, gets))
            yield stages
    finally:
        is_idle = stages is not None and stages.is_idle
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(partial(crew.close, is_idle=is_idle))
            await anyio.to_thread.run_sync(clear, folder)
