"""Where a command writes with `-o`: over nothing that a job needs, and into pipes as they are.

A file is replaced as a whole and where it really lies, so a link to it stays one. What is there and no file,
a pipe or a device, is written to and stays what it is.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from batchup.core.names import FOLDER as IMAGES
from batchup.edge.ballast import NAME as BALLAST
from batchup.edge.database.schema import NAME as CHECKPOINT
from batchup.edge.exports.rejects import NAME as REJECTS
from batchup.edge.files import replacing
from batchup.edge.history import NAME as HISTORY
from batchup.edge.images.contents import NAME as CONTENTS
from batchup.edge.lock import NAME as LOCK
from batchup.edge.telling.rotating import is_part
from batchup.edge.telling.runlog import NAME as LOG
from batchup.edge.telling.status import NAME as STATUS
from batchup.edge.traces import RESULTS
from batchup.errors import UsageProblem
from batchup.job import Job
from batchup.settings.homes import from_home

SIMULATOR: Final = "simulator"
_KEPT: Final = frozenset({RESULTS, REJECTS, STATUS, LOG, LOCK, BALLAST, HISTORY})
_BOOKS: Final = (CHECKPOINT, CONTENTS)  # and what SQLite keeps beside them
_HANDLES: Final = ("/dev/", "/proc/")  # names of what is open already, a file perhaps


def refuse_precious(path: Path, job: Job | None = None, *, read: Iterable[Path] = ()) -> None:
    """Raise UsageProblem where writing to `path` would replace what batchup keeps, or what a job is made of.

    That is the job's file, its manifest and what is `read`, and the files in any output folder.
    """
    remedy = "Name another file behind -o."
    if str(path) == "-":
        words = "Standard output is called /dev/stdout; some commands write there without -o."
        raise UsageProblem("`-` is no file to write to.", remedy=words)
    real = _real(path)
    given = [*read] if job is None else [*read, *_sources(job)]
    if any(_is_same(real, one) for one in given):
        raise UsageProblem(f"{path} is what is read, and writing to it would destroy it.", remedy=remedy)
    folders = set() if job is None else {_real(job.output.dir)}
    if _is_kept(real, folders):
        raise UsageProblem(f"{path} is batchup's own record of a job, which it would lose.", remedy=remedy)


def is_stream(path: Path) -> bool:
    """Tell whether a path names what is written to and not replaced: a pipe, a device, an open handle."""
    with suppress(OSError):
        mode = path.stat().st_mode
        is_handle = stat.S_ISREG(mode) and os.path.abspath(path).startswith(_HANDLES)  # noqa: PTH100 no links
        return is_handle or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return False


@contextmanager
def writing(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Give what is written to: a stream, or a file that takes its name when the block ends well.

    With `durable` a file's bytes are on disk by then. OSError if it fails; a file is then as it was.
    """
    if is_stream(path):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), "wb") as stream:
            yield stream
        return
    real = _real(path)
    with replacing(real, real.with_name(f"{real.name}.{os.getpid()}.tmp"), durable=durable) as file:
        yield file


def _real(path: Path) -> Path:
    """Return a path with its links followed, or as it is where this folder itself is gone."""
    try:
        return Path(os.path.realpath(path))
    except OSError:
        return path


def _sources(job: Job) -> list[Path]:
    manifest = job.base / from_home(job.manifest)
    return [manifest] if job.path is None else [manifest, job.path]


def _is_same(real: Path, other: Path) -> bool:
    with suppress(OSError, ValueError):  # a manifest that is a pattern is none of the files it means
        return real.samefile(other)
    return False


def _is_kept(real: Path, folders: set[Path]) -> bool:
    """Tell whether batchup keeps a file in an output folder: one of `folders`, or with a checkpoint."""
    if real.name in _KEPT or real.name.startswith(_BOOKS) or is_part(real.name, LOG):
        return _is_output_folder(real.parent, folders)
    inner = (one for one in real.parents if one.name in {IMAGES, SIMULATOR})
    return any(_is_output_folder(one.parent, folders) for one in inner)


def _is_output_folder(folder: Path, folders: set[Path]) -> bool:
    return folder in folders or (folder / CHECKPOINT).exists()
