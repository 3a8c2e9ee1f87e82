"""What runs the stages: any `concurrent.futures.Executor`, how many workers it has, and how it is closed."""

import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final

from batchup.edge.stages import Look, look

_CONNECT_S: Final = 5.0


class Crew(ABC):
    """Workers that run functions of `batchup.edge.stages`. Every method may block: call it in a thread.

    `where` is how a person knows them, `size` how many stages they run at one time, `is_near` whether they
    are on this machine for certain.
    """

    where: str
    size: int
    is_near: bool

    @abstractmethod
    def submit(self, stage: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have a stage run; it raises, or the future does, where the worker was lost."""

    def look_everywhere(self, folder: str | None, name: str) -> list[Look]:
        """Have as many machines as are known look at the output folder; raises what they raise."""
        return [self.submit(look, folder, name).result()]

    @abstractmethod
    def close(self, *, is_idle: bool) -> None:
        """Let the workers go; where they are not idle, what they do is of no use any more."""


class GivenCrew(Crew):
    """An executor that a caller of the library has made, and closes."""

    where = "the executor that was given"
    is_near = False

    def __init__(self, executor: Executor, size: int | None = None) -> None:
        self._executor = executor
        self.size = size or processor_count()

    def submit(self, stage: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have a stage run."""
        return self._executor.submit(stage, *given)

    def close(self, *, is_idle: bool) -> None:
        """Leave it as it is."""


def refuse_if_silent(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()


def processor_count() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))
