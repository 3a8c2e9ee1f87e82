"""Outputs that workers put into a bucket: they need no folder that they share with the run."""

from pathlib import Path

import pytest
from edge.bench import results, simulated
from executors.helpers import Elsewhere
from stores.servers import StoreServer

import batchup
from batchup import Job
from batchup.edge.stores import open_store


@pytest.mark.anyio
async def test_workers_put_outputs_into_the_bucket(s3: StoreServer, tmp_path: Path) -> None:
    """Workers on whose machine no folder of the run is do all of it, and leave nothing behind there."""
    theirs = tmp_path / "theirs"
    executor = Elsewhere(theirs)
    with s3.in_environment():
        job = simulated(tmp_path, more=f'[output]\ndir = "{s3.address}/by-workers"')
        summary = await batchup.run(Job.load(job), executor=executor)
        found = {one.key: one.size for one in open_store(s3.address).list_under("by-workers/images/")}
    executor.shutdown()
    assert (summary.exit_code, summary.saved) == (0, 6)
    files = [file for line in results(job).values() for file in line["files"]]
    assert {f"by-workers/{file['path']}": file["bytes"] for file in files} == found
    assert executor.stages["save_chunk"] >= 1
    assert not theirs.exists()
    assert not list((tmp_path / "job.out").rglob("*.part"))
