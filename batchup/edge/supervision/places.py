"""Where each thread and each task of a process stands, in words for whoever looks why it hangs."""

import asyncio
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import Final

_MOST_TASKS: Final = 50
_INNERMOST: Final = 3  # frames of a thread's short line
_DEEPEST: Final = 30
_FRAMES: Final = ("cr_frame", "ag_frame", "gi_frame")  # of coroutines, and generators of both kinds
_NEXT: Final = ("cr_await", "ag_await", "gi_yieldfrom")


def threads_in_short() -> list[str]:
    """Return a line for each thread but the one that asks: its name, and its innermost frames."""
    return [f"{name}: {_short(frame)}" for name, frame in _threads()]


def all_in_full(loop: asyncio.AbstractEventLoop | None) -> str:
    """Return the stack of each thread but the one that asks, and a line for each task: what it awaits."""
    parts = [f"thread {name}:\n{''.join(traceback.format_stack(frame))}" for name, frame in _threads()]
    tasks = [f"task {task.get_name()}: {_awaited(task)}" for task in _tasks(loop)[:_MOST_TASKS]]
    return "\n".join([*parts, *tasks])


def _threads() -> list[tuple[str, FrameType]]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    found = sys._current_frames().items()  # noqa: SLF001 there is no other way to ask
    return [(names.get(number, str(number)), frame) for number, frame in found if number != own]


def _tasks(loop: asyncio.AbstractEventLoop | None) -> list["asyncio.Task[object]"]:
    found = set() if loop is None else asyncio.all_tasks(loop)
    return sorted(found, key=lambda task: task.get_name())


def _awaited(task: "asyncio.Task[object]") -> str:
    """Return what a task awaits, the innermost first."""
    places: list[str] = []
    at: object = task.get_coro()
    while at is not None and len(places) < _DEEPEST:
        frame = next((found for name in _FRAMES if (found := getattr(at, name, None)) is not None), None)
        if frame is not None:
            places.append(_place(frame))
        at = next((found for name in _NEXT if (found := getattr(at, name, None)) is not None), None)
    return " < ".join(reversed(places))


def _short(frame: FrameType | None) -> str:
    places: list[str] = []
    while frame is not None and len(places) < _INNERMOST:
        places.append(_place(frame))
        frame = frame.f_back
    return " < ".join(places)


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_name} ({Path(code.co_filename).name}:{frame.f_lineno})"
