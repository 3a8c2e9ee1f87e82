"""What stands in for the uploader and the outputs: the same events and problems, whatever a worker says."""

from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest

from batchup.core.items import Failure, LocalFile, SavedFile
from batchup.core.messages import Put, Uploaded, UploadFailed
from batchup.edge.executors.bugs import StageBug
from batchup.edge.executors.chunks import Chunks
from batchup.edge.executors.crew import GivenCrew
from batchup.edge.executors.remote import RemoteOutputs, RemoteUploader
from batchup.edge.images.put import Uploader, UploadSettings
from batchup.edge.outputs import DownloadProblem
from batchup.edge.stages import Bug, Ended, Refused, Saved
from batchup.errors import DiskProblem, OutputProblem

pytestmark = pytest.mark.anyio

FILE = LocalFile("photo.png", "00" * 32, 3, "image/png")
PUT = Put(FILE, "http://127.0.0.1:1/put", {}, "http://127.0.0.1:1/get", 1.0)
SAVED = SavedFile("images/a.png", 3, "00" * 32, 1, 1, "http://127.0.0.1/a.png")


def says(outcome: Any, refs: Sequence[Any]) -> list[Any]:
    """Say the same of each; an exception is raised, as by a worker that is lost."""
    if isinstance(outcome, Exception):
        raise outcome
    return [outcome for _ in refs]


async def saved(folder: Path, outcome: Any) -> tuple[SavedFile, ...]:
    """Return what a run hears of a download of which its worker says this."""
    with ThreadPoolExecutor(1) as threads:
        chunks = Chunks[Any, Any](GivenCrew(threads), says, outcome, lambda _: None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(chunks.run)
            try:
                return await RemoteOutputs(chunks, folder).save("a", ["http://127.0.0.1/a"], is_twin=False)
            except Exception as problem:  # noqa: BLE001 the group would wrap it
                caught = problem
            finally:
                tasks.cancel_scope.cancel()
    raise caught


async def uploaded(outcome: Any) -> Uploaded | UploadFailed:
    """Return what a run hears of an upload of which its worker says this."""
    with ThreadPoolExecutor(1) as threads:
        chunks = Chunks[Any, Any](GivenCrew(threads), says, outcome, lambda _: None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(chunks.run)
            try:
                async with Uploader(UploadSettings(timeout_s=5, stall_s=5)) as here:
                    return await RemoteUploader(chunks, here).put(PUT)
            except Exception as problem:  # noqa: BLE001 the group would wrap it
                caught = problem
            finally:
                tasks.cancel_scope.cancel()
    raise caught


async def test_a_finished_output_gets_its_name_from_the_run(tmp_path: Path) -> None:
    """What waits in a worker's folder is moved to its place; what is in a bucket is there already."""
    (tmp_path / "images/.unfinished/7/images").mkdir(parents=True)
    (tmp_path / "images/.unfinished/7/images/a.png").write_bytes(b"png")
    assert await saved(tmp_path, Saved((SAVED,), "images/.unfinished/7")) == (SAVED,)
    assert (tmp_path / "images/a.png").read_bytes() == b"png"
    assert not list((tmp_path / "images/.unfinished").iterdir())
    assert await saved(tmp_path / "elsewhere", Saved((SAVED,), None)) == (SAVED,)


async def test_an_output_that_is_not_seen_here_is_not_saved(tmp_path: Path) -> None:
    """A worker's word is not enough: without the file the folder is not shared, which ends the run."""
    with pytest.raises(OutputProblem, match="is not seen here"):
        await saved(tmp_path, Saved((SAVED,), "images/.unfinished/7"))


async def test_downloads_that_fail(tmp_path: Path) -> None:
    """A refusal, a problem of the run, a bug and a lost worker each are raised as they would be here."""
    with pytest.raises(DownloadProblem, match="answered 404") as gone:
        await saved(tmp_path, Refused(Failure("http", "answered 404"), is_gone=True))
    assert gone.value.is_gone
    with pytest.raises(DiskProblem, match="full"):
        await saved(tmp_path, Ended(DiskProblem("full", remedy="Make room.")))
    with pytest.raises(StageBug, match="KeyError: 'x'") as bug:
        await saved(tmp_path, Bug("KeyError", "'x'", "Traceback: there"))
    assert bug.value.trace == "Traceback: there"
    with pytest.raises(DownloadProblem, match="workers that fetched it were lost") as lost:
        await saved(tmp_path, BrokenExecutor("it has died"))
    assert (lost.value.failure.kind, lost.value.failure.retryable, lost.value.is_gone) == (
        "worker_lost",
        True,
        False,
    )


async def test_uploads_that_fail() -> None:
    """What may be tried again is told, what may not is tried here first; the rest is raised."""
    later = UploadFailed(FILE.sha256, Failure("upload", "broke", retryable=True))
    assert await uploaded(later) == later
    here = await uploaded(UploadFailed(FILE.sha256, Failure("upload", "not on that machine")))
    assert isinstance(here, UploadFailed)
    assert "not on that machine" not in here.failure.message
    with pytest.raises(DiskProblem, match="full"):
        await uploaded(Ended(DiskProblem("full", remedy="Make room.")))
    with pytest.raises(StageBug, match="KeyError"):
        await uploaded(Bug("KeyError", "'x'", "Traceback: there"))
    lost = await uploaded(BrokenExecutor("it has died"))
    assert isinstance(lost, UploadFailed)
    assert lost.failure.retryable
