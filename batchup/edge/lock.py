"""One run a checkpoint, one report at a time: locks of the system, released whatever ends their holder."""

import fcntl
import os
import socket
import time
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from batchup.core.names import FOLDER
from batchup.edge.files import disk_problems, make_folder
from batchup.edge.traces import RESULTS
from batchup.errors import DiskProblem, Locked, OutputProblem

NAME = "run.lock"
REPORT = "report.lock"
_SECOND_TRY_S = 0.05
_IN_THE_WAY = "Put it somewhere else, or set `[output] dir`."
_NO_LOCKS = "Some network file systems have no locks: set `[output] dir` to a folder on a local disk."


class RunLock:
    """Holds `<folder>/run.lock` for as long as the process lives or until it is left."""

    _NAME = NAME
    _REMEDY = "Wait for that run to end, or stop it; nothing was touched."

    def __init__(self, folder: Path, run_id: str) -> None:
        self._path = folder / self._NAME
        self._holder = f"run {run_id}, {_process()}"

    def __enter__(self) -> Self:
        with disk_problems(self._path):
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._lock()
        except OSError as error:
            problem = Locked(_words(self._path, self._file), remedy=self._REMEDY)
            os.close(self._file)
            if not isinstance(error, BlockingIOError):
                raise DiskProblem(
                    f"{self._path}: cannot be locked: {error.strerror}", remedy=_NO_LOCKS
                ) from error
            raise problem from None
        with disk_problems(self._path):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{self._holder}\n".encode(), 0)
        return self

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_SECOND_TRY_S)  # `is_held` has it for an instant when it looks
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)


class ReportLock(RunLock):
    """Holds `<folder>/report.lock` in the same way while a report is written; a run minds it not at all."""

    _NAME = REPORT
    _REMEDY = "Wait until that report is written, or stop it; nothing was touched."

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "")
        self._holder = f"another report, {_process()}"


def _process() -> str:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    return f"process {os.getpid()} on {socket.gethostname()}, since {since}"


def _words(path: Path, file: int) -> str:
    holder = os.pread(file, 500, 0).decode(errors="replace").strip() or "another run"
    return f"{path.parent} is in use by {holder}."


def refuse_if_held(folder: Path, remedy: str) -> None:
    """Raise Locked, with this remedy, while a run holds this folder; looks as `is_held` does."""
    if not is_held(folder):
        return
    path = folder / NAME
    with disk_problems(path), path.open("rb") as file:
        words = _words(path, file.fileno())
    raise Locked(words, remedy=remedy)


def is_held(folder: Path) -> bool:
    """Tell whether a run holds this folder; where that cannot be known, that one does.

    To look it takes a shared lock for an instant. A run that starts in that instant is refused, and does not
    mind: it tries a second time.
    """
    try:
        file = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def make_output_folder(folder: Path) -> None:
    """Make a job's output folder; OutputProblem if it, or what is to lie in it, cannot be made or written."""
    try:
        make_folder(folder)
    except DiskProblem as problem:
        if isinstance(problem.__cause__, FileExistsError):
            words = f"{problem.__cause__.filename} is no folder, and has to be one."
            raise OutputProblem(words, remedy=_IN_THE_WAY) from problem
        raise OutputProblem(problem.message, remedy=problem.remedy) from problem
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputProblem(f"{folder} cannot be written.", remedy="Make it writable, or set `[output] dir`.")
    _refuse_in_the_way(folder)


def _refuse_in_the_way(folder: Path) -> None:
    """Raise OutputProblem where what a run writes last could not be written: by then it is paid for."""
    images, lines = folder / FOLDER, folder / RESULTS
    if (images.exists() or images.is_symlink()) and not images.is_dir():
        raise OutputProblem(f"{images} is no folder, and has to be one.", remedy=_IN_THE_WAY)
    if images.exists() and not os.access(images, os.W_OK | os.X_OK):
        raise OutputProblem(f"{images} cannot be written.", remedy="Make it writable, or set `[output] dir`.")
    if lines.is_dir():
        raise OutputProblem(f"{lines} is a folder, and has to be a file.", remedy=_IN_THE_WAY)
