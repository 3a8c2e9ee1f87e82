"""Our output stage by itself: ADDRESS COUNT FOLDER EXECUTOR; downloads, checks and syncs pictures."""

import sys
from functools import partial
from pathlib import Path

import anyio

from batchup.edge.executors.opening import open_stages
from batchup.job import Job

JOB = """
manifest = "none.txt"
model = "each-upscaler"
[run]
executor = "{executor}"
[output]
dir = "."
allow_private = true
"""


async def fetch(address: str, count: int, folder: Path, executor: str) -> None:
    """Save so many pictures, as many at one time as a run does."""
    job = Job.from_toml(JOB.format(executor=executor), base=folder)
    async with open_stages(job, None) as stages, anyio.create_task_group() as carrying:
        carrying.start_soon(stages.carry)
        slots = anyio.CapacityLimiter(stages.download_count)

        async def save(number: int) -> None:
            async with slots:
                await stages.outputs.save(str(number), [f"{address}/{number}.jpg"], is_twin=False)

        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(save, number)
        carrying.cancel_scope.cancel()


if __name__ == "__main__":
    address_, count_, folder_, executor_ = sys.argv[1:]
    anyio.run(partial(fetch, address_, int(count_), Path(folder_), executor_))
