"""Worlds side by side: what a fork of this process comes to, and the one world that goes on."""

import asyncio
import gc
import os
import pickle
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from reliability.fabric import Process
from reliability.whole import MEMORY, Plan, Scene, Verdict, nobody

LONGEST_S = 300  # real seconds, from a kill to the end of what it was a kill of

T = TypeVar("T")


class ForkDied(Exception):
    """A copy of this process did not come to its result; its words, or how it ended."""


class Fork(Generic[T]):
    """A copy of this process as it is now; `is_copy` tells in which of the two one is."""

    def __init__(self, longest_s: int = LONGEST_S) -> None:
        if threading.active_count() > 1:
            raise RuntimeError(f"a fork would have none of these: {threading.enumerate()}")
        self._read, self._write = os.pipe()
        gc.freeze()
        self._pid = os.fork()
        self.is_copy = self._pid == 0
        if self.is_copy:
            gc.disable()  # nothing of what was cut off may be collected, and it soon ends anyway
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(longest_s)

    def end(self, result: T | str) -> NoReturn:
        """End the copy with its result, or with words on why there is none."""
        with os.fdopen(self._write, "wb") as pipe:
            pickle.dump(result, pipe)
        os._exit(0)

    def result(self) -> T:
        """Wait for the copy and return its result; ForkDied if it has none."""
        os.close(self._write)
        with os.fdopen(self._read, "rb") as pipe:
            data = pipe.read()
        _, status = os.waitpid(self._pid, 0)
        if not data:
            raise ForkDied(f"ended with {os.waitstatus_to_exitcode(status)}")
        result: Any = pickle.loads(data)  # noqa: S301 our own
        if isinstance(result, str):
            raise ForkDied(result)
        return result  # type: ignore[no-any-return]


def apart(work: Callable[[], T], longest_s: int = LONGEST_S) -> T:
    """Do something in a copy of this process and return its result; ForkDied if there is none."""
    fork = Fork[T](longest_s)
    if fork.is_copy:
        try:
            result: T | str = work()
        except BaseException:  # noqa: BLE001 the copy must not go on as if it were the original
            result = traceback.format_exc()
        fork.end(result)
    return fork.result()


def in_memory(work: Callable[[Path], T], longest_s: int = LONGEST_S) -> T:
    """Do something in a copy of this process that has met the whole program, with a folder in memory.

    What is imported and compiled at its first use would otherwise be so in each copy of the copy.
    """

    def met() -> T:
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            Scene(Plan(seed=0, item_count=4), Path(folder, "first")).play(nobody)
            gc.freeze()  # else each copy would look through all of it again, and make it its own
            return work(Path(folder))

    return apart(met, longest_s)


class Sweep:
    """One job, and a copy of it killed and resumed in every world that it comes through.

    Steps that change nothing that a kill leaves are one world; with `every_step` each is killed all the same.
    With `one_in` above 1 only each so-manieth is.
    """

    def __init__(self, plan: Plan, folder: Path, *, every_step: bool = False, one_in: int = 1) -> None:
        self._scene = Scene(plan, folder)
        self.verdicts: list[tuple[int, Verdict]] = []  # each after the step that was not taken any more
        self.step_count = self.world_count = 0
        self._every_step, self._one_in = every_step, one_in
        self._world: Any = None

    def run(self) -> "Sweep":
        """Run it to its end; the last of `verdicts` is that of the one run that nobody killed."""
        self.verdicts.append((0, self._scene.play(self._at_step)))
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Leave the scene behind."""
        return {name: value for name, value in vars(self).items() if name not in ("_scene", "_world")}

    def _at_step(self, process: Process) -> None:
        self.step_count += 1
        world = None if self._every_step else self._scene.world(process)
        if world is not None and world == self._world:
            return
        self._world = world
        self.world_count += 1
        if self.world_count % self._one_in == 0:
            self._kill_a_copy(process)

    def _kill_a_copy(self, process: Process) -> None:
        fork = Fork[Verdict]()
        if fork.is_copy:
            self._scene.at_end = fork.end
            asyncio._set_running_loop(self._scene.loop)  # which asyncio forgets in a fork
            self._scene.kill(process)
            return
        try:
            verdict = fork.result()
        except ForkDied as death:
            verdict = Verdict(problems=[str(death)], kills=1)
        self.verdicts.append((process.step_count, verdict))
        self._scene.put_back(1)
