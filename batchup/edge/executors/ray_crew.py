"""The workers of a Ray cluster that this machine is part of; needs ray, an extra."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from batchup.edge.executors.crew import Crew, refuse_if_silent
from batchup.edge.stages import Look, look
from batchup.settings.executors import AUTO

ray: Any = import_module("ray")  # types of it need no extra
_ONCE: Final[dict[str, Any]] = {"max_retries": 0, "num_cpus": 1}  # what is lost is counted by whoever asked


class RayCrew(Crew):
    """A cluster at `address`: HOST:PORT, or `auto` for the one of this machine.

    A connection that the process had before is used, and left open. Raises whatever Ray does.
    """

    is_near = False

    def __init__(self, address: str) -> None:
        self.where = f"ray://{address}"
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            if address != AUTO:
                refuse_if_silent(address)  # Ray itself would go on trying for minutes
            logging.getLogger("ray").setLevel(logging.CRITICAL)  # what is lost is told as a note
            ray.init(
                address=address,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                configure_logging=False,
            )
        self.size = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._open: dict[Future[Any], Any] = {}

    def submit(self, stage: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have a stage run as a task of its own name."""
        task = _task_of(stage).remote(*given)
        future: Future[Any] = task.future()
        self._open[future] = task
        future.add_done_callback(lambda done: self._open.pop(done, None))
        return future

    def look_everywhere(self, folder: str | None, name: str) -> list[Look]:
        """Have every machine of the cluster that has a processor to give look at the output folder."""
        strategies = import_module("ray.util.scheduling_strategies")
        on_node = strategies.NodeAffinitySchedulingStrategy
        ids = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        tasks = [
            ray.remote(look)
            .options(scheduling_strategy=on_node(id_, soft=False), **_ONCE)
            .remote(folder, name)
            for id_ in ids
        ]
        return list(ray.get(tasks)) if tasks else super().look_everywhere(folder, name)

    def close(self, *, is_idle: bool) -> None:
        """Take back what is not done, and leave the cluster as it was found."""
        if not is_idle:
            for task in list(self._open.values()):
                with suppress(Exception):  # it may be done, or its node gone
                    ray.cancel(task, force=True)
        if self._is_ours:
            ray.shutdown()


@lru_cache(maxsize=8)
def _task_of(stage: Callable[..., Any]) -> Any:
    """Make a stage what Ray runs, once: each that is made is sent to the cluster, and stays there."""
    return ray.remote(stage).options(name=stage.__name__, **_ONCE)
