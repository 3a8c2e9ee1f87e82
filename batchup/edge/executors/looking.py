"""Workers are found, and looked at before a cent is spent: that they are of one version, at one folder."""

import secrets
import signal
import threading
from concurrent.futures import Executor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import anyio.to_thread

from batchup import __version__
from batchup.edge.executors.chunks import come
from batchup.edge.executors.crew import Crew, GivenCrew
from batchup.edge.executors.processes import ProcessCrew
from batchup.edge.executors.remote import NOT_SHARED, is_seen
from batchup.edge.page.helpers import Helpers
from batchup.edge.stages import UNFINISHED, Look
from batchup.errors import ConfigProblem, DiskProblem, OutputProblem, install
from batchup.job import Job
from batchup.settings.executors import ExecutorAddress, parse_executor

_ENV: Final = "env:"
_PATIENCE_S: Final = 60.0  # a cluster may have to start its workers
_EXTRAS: Final = {"ray": "ray", "dask": "distributed"}
_GUARD: Final = 'A script that runs a job so has to do it under `if __name__ == "__main__":`.'
_INSTALL: Final = f"batchup-runner {__version__} has to be installed for the Python of each worker."


async def open_crew(job: Job, executor: Executor | None) -> Crew:
    """Return the workers that an executor or the job names; ConfigProblem where there are none."""
    if executor is not None:
        return GivenCrew(executor)
    address = parse_executor(job.run.executor)
    if address.kind == "processes":
        names = [job.service.key.removeprefix(_ENV)] if job.service.key.startswith(_ENV) else []
        return ProcessCrew(address.count, names)
    name = f"{address.kind}://{address.where}"
    try:
        return await come(Helpers(1).submit(partial(_join, address)), _PATIENCE_S)
    except ImportError as missing:
        remedy = install(address.kind, missing)
        raise ConfigProblem(f"The executor {name} needs {_EXTRAS[address.kind]}.", remedy=remedy) from None
    except Exception as problem:
        remedy = "Start the cluster, or name another one with [run] executor."
        raise ConfigProblem(
            f"The workers of {name} cannot be had: {_words(problem)}", remedy=remedy
        ) from problem
    finally:
        _take_signals_back()


def refuse_missing_workers(job: Job) -> None:
    """Raise ConfigProblem where the job names workers whose library is not installed; asks nobody."""
    address = parse_executor(job.run.executor)
    library = _EXTRAS.get(address.kind)
    if library is not None and find_spec(library) is None:
        name = f"{address.kind}://{address.where}"
        raise ConfigProblem(f"The executor {name} needs {library}.", remedy=install(address.kind))


def _take_signals_back() -> None:
    """Put this process's own signal handlers in force again: Ray's core has put its own in their place.

    With those the first SIGTERM would be the end of the process, in the middle of a create.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # which alone may, and has none of ours then
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        handler = signal.getsignal(number)
        if handler is not None:
            signal.signal(number, handler)
            signal.siginterrupt(number, False)


def _join(address: ExecutorAddress) -> Crew:
    if address.kind == "ray":
        from batchup.edge.executors.ray_crew import RayCrew  # noqa: PLC0415 an extra, and slow to import

        return RayCrew(address.where)
    from batchup.edge.executors.dask_crew import DaskCrew  # noqa: PLC0415 the same

    return DaskCrew(address.where)


async def look_at(crew: Crew, folder: Path | None) -> None:
    """Refuse workers that cannot do the work; with a `folder` they have to share it.

    Raises ConfigProblem where no worker answers or one is of another version, OutputProblem where the folder
    is not the same for one of them.
    """
    name = f"look-{secrets.token_hex(8)}"
    shared = None if folder is None else str(folder)
    try:
        looks = await come(Helpers(1).submit(partial(crew.look_everywhere, shared, name)), _PATIENCE_S)
    except DiskProblem as problem:
        raise OutputProblem(f"A worker of {crew.where}: {problem.message}", remedy=NOT_SHARED) from None
    except Exception as problem:
        remedy = _GUARD if isinstance(crew, ProcessCrew) else _INSTALL
        words = f"The workers of {crew.where} do not work: {_words(problem)}"
        raise ConfigProblem(words, remedy=remedy) from problem
    for look in looks:
        _refuse_other(look)
        if folder is not None and not await anyio.to_thread.run_sync(
            is_seen, folder / UNFINISHED / look.name
        ):
            raise OutputProblem(f"{folder} of {look.host} is another folder than here.", remedy=NOT_SHARED)


def _refuse_other(look: Look) -> None:
    if look.version != __version__:
        words = (
            f"The worker at {look.host} has batchup-runner {look.version}, and {__version__} runs the job."
        )
        raise ConfigProblem(words, remedy=_INSTALL)


def _words(problem: Exception) -> str:
    """Say what was raised: of a trace, as a cluster shows one, its last line."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    text = lines[-1] if "traceback" in str(problem).lower() else " ".join(lines)
    return text[:300] or type(problem).__name__
