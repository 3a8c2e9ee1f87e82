"""batchup itself, as its users have it: a job, a manifest, an output folder, every limit at its default."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench.peers.plain import IMAGE
from bench.peers.scene import Service

import batchup

JOB = """
manifest = "items.jsonl"
model = "each-upscaler"
[polling]
list = "{list}"
[service]
url = "{url}"
key = "file:key"
"""


async def run_job(service: Service, item_count: int, *, list_: str) -> None:
    """Run a job to its end; RuntimeError unless every item was saved."""
    rows = (json.dumps({"id": f"n{k}", "image": IMAGE.format(k)}) for k in range(item_count))
    (service.folder / "items.jsonl").write_text("\n".join(rows))
    (service.folder / "key").write_text("k")
    job = batchup.Job.from_toml(JOB.format(url=service.url, list=list_), base=service.folder)
    with _state_in(service):
        summary = await batchup.run(job)
    if summary.saved != item_count:
        raise RuntimeError(f"saved {summary.saved} of {item_count}: {summary.reason}")


@contextmanager
def _state_in(service: Service) -> Iterator[None]:
    """Keep the leases in the folder of this run: they are of its clock."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(service.folder / "state")
    try:
        yield
    finally:
        del os.environ["XDG_STATE_HOME"]
        if before is not None:
            os.environ["XDG_STATE_HOME"] = before
