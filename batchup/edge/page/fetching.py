"""Fetches inputs that lie on the web, so that a report can show them; only when somebody asks for it."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from batchup.core.items import Outcome
from batchup.edge.feeding.items import MAX_FILE_BYTES
from batchup.edge.files import disk_problems, make_folder
from batchup.edge.page.inputs import Inputs
from batchup.edge.saving.download import Downloader, DownloadProblem
from batchup.errors import DiskProblem
from batchup.job import Job

AT_ONE_TIME: Final = 8
TIMEOUT_S: Final = 120.0
STALL_S: Final = 20.0


def fetch_inputs(job: Job, inputs: Inputs, outcomes: Iterable[Outcome], on_each: Callable[[], None]) -> int:
    """Fetch what was not fetched before, call `on_each` after each, and return how many could not be.

    One try each, to public addresses only unless [output] allow_private is set, and no more than the service
    would take. Must not be called where an event loop runs. Raises DiskProblem.
    """
    wanted = dict(found for outcome in outcomes if (found := inputs.elsewhere(outcome.input)) is not None)
    return anyio.run(partial(_fetch, job, wanted, on_each)) if wanted else 0


async def _fetch(job: Job, wanted: dict[str, Path], on_each: Callable[[], None]) -> int:
    failed: list[str] = []
    problems: list[DiskProblem] = []
    coming = iter(wanted.items())
    make_folder(next(iter(wanted.values())).parent)
    allow_private = job.output.allow_private
    downloader = Downloader(allow_private=allow_private, timeout_s=TIMEOUT_S, stall_s=STALL_S)

    async def work() -> None:
        for url, path in coming:
            if problems:
                return
            try:
                await _fetch_one(downloader, url, path)
            except DownloadProblem:
                failed.append(url)
            except DiskProblem as problem:
                problems.append(problem)
            on_each()

    async with downloader, anyio.create_task_group() as tasks:
        for _ in range(AT_ONE_TIME):
            tasks.start_soon(work)
    if problems:
        raise problems[0]
    return len(failed)


async def _fetch_one(downloader: Downloader, url: str, path: Path) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        await downloader.fetch(url, part, max_bytes=MAX_FILE_BYTES)
        with disk_problems(path):
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
