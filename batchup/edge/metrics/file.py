"""The metrics file on disk: written as a whole, read by another user, and over nothing but the job's own.

Two jobs may have one name. So a comment at its head, which Prometheus passes over, says by a hash of which
output folder the figures are, and no series is another for it.
"""

import hashlib
import os
import re
import time
from pathlib import Path
from typing import Final

from batchup.edge.files import disk_problems, replacing
from batchup.edge.metrics.exposition import Written, read_back
from batchup.errors import DiskProblem

_LARGEST: Final = 1 << 20
_MODE: Final = 0o644  # whatever the umask: the node exporter is another user
_FOLDER: Final = "# batchup: of the output folder "
_FOLDER_LINE: Final = re.compile(rf"{_FOLDER}([0-9a-f]+)\n")


def written_at(path: Path, job: str | None = None, folder: Path | None = None) -> Written | None:
    """Return what a metrics file says of the job called `job` of an output folder; None where there is none.

    None too where it is about another output folder. DiskProblem where something else is there, or a run of
    another job keeps it. Without a `job` it may be any, without a `folder` any of that name.
    """
    text = _text_at(path)
    found = read_back(text)
    if found is None and text.strip("\0 \n"):
        raise DiskProblem(f"{path} is there and no metrics of batchup: it stays as it is")
    if found is None:
        return None
    is_elsewhere = folder is not None and _folder_of(text) not in ("", _hash(folder))
    if (is_elsewhere or job not in (None, found.job)) and found.is_live(time.time()):
        whose = f"another {found.job}" if found.job == job else found.job
        raise DiskProblem(f"{path} is kept by a run of {whose}: each job wants a file of its own")
    return None if is_elsewhere else found


def write(path: Path, text: str, job: str, folder: Path | None = None) -> None:
    """Replace a metrics file as a whole, readable for all, a link's target in its place; else DiskProblem.

    What is not finished lies beside it, under one name for each job: whoever is killed leaves one at most.
    Without a `folder` it stays of the one that it was of.
    """
    real = Path(os.path.realpath(path))
    of = _folder_of(_text_at(real)) if folder is None else _hash(folder)
    own = hashlib.sha256(f"{job}{of}".encode("utf-8", "surrogateescape")).hexdigest()[:8]
    unfinished = real.with_name(f"{real.name}.{own}.tmp")  # which the node exporter passes over
    head = f"{_FOLDER}{of}\n" if of else ""
    with disk_problems(path), replacing(real, unfinished, durable=False) as file:
        file.write(f"{head}{text}".encode())
        os.fchmod(file.fileno(), _MODE)


def _text_at(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise DiskProblem(f"{path}: {error.strerror}") from None


def _folder_of(text: str) -> str:
    """Return the hash of the output folder that a file says it is of, nothing where it says none."""
    found = _FOLDER_LINE.match(text)
    return "" if found is None else found[1]


def _hash(folder: Path) -> str:
    """Return what tells an output folder from others, and nobody where it is: all users read the file."""
    return hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:16]
