"""Whose checkpoint it is: what one service made and billed says nothing about another."""

from typing import Final
from urllib.parse import urlsplit

from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import UNSAVED
from batchup.edge.saving.placing import claim_place
from batchup.edge.traces import refuse_if_emptied
from batchup.errors import DataProblem
from batchup.job import Job
from batchup.settings.hosts import is_loopback
from batchup.settings.profiles import DEFAULT

_SIMULATED: Final = "a simulator"
_DOUBTFUL: Final = (State.SUBMITTING.value, State.IN_DOUBT.value, State.HELD.value)


def claim(checkpoint: Checkpoint, job: Job) -> None:
    """Note which service and model the items are of, and where they go; DataProblem if they are of another.

    Simulated pictures must not pass for real ones, an id means nothing to another service, and a create in
    doubt can only be looked up under its own model.
    """
    facts = dict(checkpoint.db.execute("SELECT name, value FROM facts WHERE name IN ('service', 'model')"))
    has_items = checkpoint.db.execute("SELECT 1 FROM items LIMIT 1").fetchone() is not None
    if not has_items:
        refuse_if_emptied(job.output.dir)
    service = _name_of(job.service.url)
    if job.service.spelling.name != DEFAULT:  # ids and images of another shape, at whatever address
        service = f"{service} ({job.service.spelling.title})"
    if has_items and facts.get("service", service) != service:
        raise DataProblem(
            f"{job.output.dir} holds what {facts['service']} made, and this job is for {service}.",
            remedy="Give the job another `[output] dir`, or remove that folder.",
        )
    if facts.get("model", job.model) != job.model and _count_doubtful(checkpoint):
        raise DataProblem(
            f"{job.output.dir} has items in doubt under {facts['model']}, and this job is for {job.model}.",
            remedy="Run the job once with the former model, so that they are looked up.",
        )
    claim_place(checkpoint, job)
    now = [("service", service), ("model", job.model)]
    if facts != dict(now):
        checkpoint.db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", now)


def _name_of(url: str) -> str:
    """Name a service; whatever answers on this machine is a simulator, at whichever port it is today."""
    host = urlsplit(url).hostname
    return _SIMULATED if host is None or is_loopback(host) else url.rstrip("/")


def _count_doubtful(checkpoint: Checkpoint) -> int:
    query = f"SELECT count(*) FROM items WHERE {UNSAVED} AND state IN (?, ?, ?)"  # noqa: S608 a name of ours
    return int(checkpoint.db.execute(query, _DOUBTFUL).fetchone()[0])
