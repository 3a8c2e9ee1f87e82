"""The workers of a Dask cluster; needs distributed, an extra."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from typing import Any, Final

from batchup.edge.executors.crew import Crew, refuse_if_silent
from batchup.edge.stages import Look, look

distributed: Any = import_module("distributed")  # types of it need no extra
_CONNECT_S: Final = 5
_WORKERS_S: Final = 15


class DaskCrew(Crew):
    """A cluster whose scheduler is at `address`, HOST:PORT. Raises whatever Dask does."""

    is_near = False

    def __init__(self, address: str) -> None:
        self.where = f"dask://{address}"
        refuse_if_silent(address)  # Dask itself goes on trying
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is told as a note
        self._client = distributed.Client(f"tcp://{address}", timeout=_CONNECT_S, set_as_default=False)
        self._client.wait_for_workers(1, timeout=_WORKERS_S)
        self._executor = self._client.get_executor(pure=False, retries=0)
        self.size = max(1, sum(self._client.nthreads().values()))

    def submit(self, stage: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have a stage run; the scheduler itself gives what a lost worker had to others, a few times."""
        future: Future[Any] = self._executor.submit(stage, *given)
        return future

    def look_everywhere(self, folder: str | None, name: str) -> list[Look]:
        """Have every worker look at the output folder."""
        return list(self._client.run(look, folder, name).values())

    def close(self, *, is_idle: bool) -> None:
        """Take back what is not done, and leave the cluster as it was found."""
        self._executor.shutdown(wait=is_idle)
        self._client.close()
