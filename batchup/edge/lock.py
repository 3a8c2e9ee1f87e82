"""One run a checkpoint, one report at a time: locks of the system, released whatever ends their holder.

There is no stale one: the kernel holds it for the process and gives it up with it, whatever the file says. A
process forked off the holder does not take it along. A run locks its folder as well as the file in it, so
that nobody gets in by removing the file, and a run whose file was removed is still seen.
"""

import fcntl
import os
import socket
import time
from contextlib import suppress
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
_NAP_S = 0.002
_IN_THE_WAY = "Put it somewhere else, or set `[output] dir`."
_HELD: set[int] = set()  # handles of locked files, which no fork keeps
_NO_LOCKS = "Some network file systems have no locks: set `[output] dir` to a folder on a local disk."


class RunLock:
    """Holds `<folder>/run.lock` for as long as the process lives or until it is left.

    `LOOKING_S`: for so long those who look are waited for; one of them may have been stopped as it looked.
    """

    LOOKING_S = 10.0
    _NAME = NAME
    _REMEDY = "Wait for that run to end, or stop it; nothing was touched."
    _HAS_FOLDER = True

    def __init__(self, folder: Path, run_id: str) -> None:
        self._path = folder / self._NAME
        self._holder = f"run {run_id}, {_process()}"

    def __enter__(self) -> Self:
        with disk_problems(self._path):
            self._file, is_made = _opened(self._path)
        self._lock_file()
        try:
            self._folder = self._lock_folder() if self._HAS_FOLDER else None
        except Locked:
            if is_made:  # it would look like the run's; whoever has opened it meanwhile minds the folder
                with suppress(OSError):
                    self._path.unlink()
            os.close(self._file)
            raise
        _HELD.update(self._handles)
        try:
            with disk_problems(self._path):
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, f"{self._holder}\n".encode(), 0)
        except DiskProblem:
            self.__exit__(None, None, None)
            raise
        return self

    @property
    def _handles(self) -> list[int]:
        return [self._file] if self._folder is None else [self._file, self._folder]

    def _lock_file(self) -> None:
        """Lock the file that was opened; Locked, which names its holder, where a run has it."""
        try:
            _lock(self._file, self.LOOKING_S)
        except OSError as error:
            problem = Locked(_words(self._path, self._file), remedy=self._REMEDY)
            os.close(self._file)
            if not isinstance(error, BlockingIOError):
                raise DiskProblem(
                    f"{self._path}: cannot be locked: {error.strerror}", remedy=_NO_LOCKS
                ) from error
            raise problem from None

    def _lock_folder(self) -> int | None:
        """Lock the folder too, where that can be done; Locked where a run has it whose file was removed."""
        try:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # it can be entered and not read
            return None
        try:
            _lock(folder, self.LOOKING_S)
        except OSError as error:
            os.close(folder)
            if not isinstance(error, BlockingIOError):  # a file system that locks files alone
                return None
            raise Locked(_unnamed(self._path), remedy=self._REMEDY) from None
        return folder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in reversed(self._handles):  # whoever gets the file finds the folder free
            if handle in _HELD:  # not in a fork
                _HELD.discard(handle)
                os.close(handle)


def _opened(path: Path) -> tuple[int, bool]:
    """Open a lock's file; return its handle, and whether the file was made for that."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_EXCL, 0o644), True
    except FileExistsError:
        return os.open(path, flags, 0o644), False


def _lock(handle: int, looking_s: float) -> None:
    """Lock what is open, for this process alone; OSError where it cannot be, `looking_s` as of `RunLock`."""
    try:
        _lock_now(handle, looking_s)
    except BlockingIOError:
        time.sleep(_SECOND_TRY_S)  # a short command may have it for an instant
        _lock_now(handle, looking_s)


def _lock_now(handle: int, looking_s: float) -> None:
    """Lock what is open; BlockingIOError where somebody has it alone, not where others look.

    Those who look share it for an instant, and this does so too, to tell them from a run: a share is given
    beside shares. So a run that begins is refused for another one, and waits for any number that look.
    """
    until = time.monotonic() + looking_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
        else:
            return
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(handle, fcntl.LOCK_UN)
        time.sleep(_NAP_S)


def _let_go() -> None:
    """Close, in a process that was just forked, what its parent holds: it would hold on for longer."""
    for handle in _HELD:
        with suppress(OSError):
            os.close(handle)
    _HELD.clear()


os.register_at_fork(after_in_child=_let_go)


class ReportLock(RunLock):
    """Holds `<folder>/report.lock` in the same way while a report is written; a run minds it not at all."""

    _NAME = REPORT
    _HAS_FOLDER = False
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


def _unnamed(path: Path) -> str:
    return f"{path.parent} is in use by a run whose {NAME} was removed."


def refuse_if_held(folder: Path, remedy: str) -> None:
    """Raise Locked, with this remedy, while a run holds this folder; looks as `is_held` does."""
    if not is_held(folder):
        return
    path = folder / NAME
    with disk_problems(path):
        words = _holder_of(path)
    raise Locked(words, remedy=remedy)


def _holder_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _words(path, file.fileno())
    except FileNotFoundError:
        return _unnamed(path)


def is_held(folder: Path) -> bool:
    """Tell whether a run holds this folder; where that cannot be known, that one does.

    It looks at the file and at the folder, as the file may have been removed. To look it takes a shared lock
    for an instant: a run that starts in that instant waits for it.
    """
    try:
        is_seen = _is_locked(folder / NAME)
    except (FileNotFoundError, NotADirectoryError):
        is_seen = False
    except OSError:
        return True
    return is_seen or _is_locked_itself(folder)


def _is_locked_itself(folder: Path) -> bool:
    try:
        return _is_locked(folder, os.O_DIRECTORY)
    except OSError:  # where a run cannot lock it either, its file says all
        return False


def _is_locked(path: Path, flags: int = 0) -> bool:
    """Tell whether a run has locked this; OSError where that cannot be known."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
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
