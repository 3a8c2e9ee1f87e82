"""Telling somebody elsewhere of a run that its job file did not let begin: whom to tell may be legible."""

import os
import re
from pathlib import Path
from typing import Final

import anyio

from batchup.edge.notify.teller import Teller
from batchup.edge.progress import Printer
from batchup.edge.run_id import new_run_id
from batchup.errors import BatchupError, ConfigProblem
from batchup.job import Job, Notify, Output
from batchup.settings.outputs import is_bucket
from batchup.settings.sources import Settings, read_in_part
from batchup.settings.toml_source import TomlSource

_MEANT: Final = re.compile(r"^\s*\[?\s*notify\b", re.MULTILINE)


def tell_unloaded(path: Path, problem: BatchupError, printer: Printer) -> str | None:
    """Tell, as far as the file's `[notify]` can be used by itself; blocks for as long as that says.

    Returns why nobody could be told, None where somebody was or nobody is to be. Raises nothing but bugs.
    """
    try:
        job = _legible(path)
    except ConfigProblem:
        return "whom to tell cannot be read from the job file" if _is_meant(path) else None
    if job is not None:
        anyio.run(Teller(job, new_run_id(), printer, handle_signals=True).failed, problem, 0.0)
    return None


def _legible(path: Path) -> Job | None:
    """Return a job that is told of and never run, None where it tells nobody; ConfigProblem if it may."""
    source = TomlSource.from_file(path)
    settings = read_in_part(source, environ=os.environ)
    if any(one.key.partition(".")[0] == "notify" for one in settings.problems):
        raise ConfigProblem("notify: cannot be used")
    notify = settings.section("notify")
    if not notify:
        return None
    values = settings.values
    name = values.get(("name",), path.stem)
    return Job(
        name=name,
        manifest=values.get(("manifest",), "unknown"),
        model=values.get(("model",), "unknown"),
        base=settings.folder,
        output=Output(dir=_folder(settings, name)),
        path=path.absolute(),
        notify=Notify(**notify),
    )


def _folder(settings: Settings, name: str) -> Path:
    """Return where the job's log is, as far as that is known."""
    place = settings.values.get(("output", "dir"))
    if is_bucket(place):
        place = settings.values.get(("output", "state"))
    return Path(place) if place else settings.folder / f"{name}.out"


def _is_meant(path: Path) -> bool:
    """Tell whether somebody is to be told, as far as a file shows that cannot be read."""
    try:
        return _MEANT.search(path.read_text(encoding="utf-8-sig", errors="replace")) is not None
    except (OSError, ValueError):
        return False
