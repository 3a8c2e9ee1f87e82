"""What `[output]` must fulfil: a folder of this machine or a bucket, and names that tell outputs apart.

Every rule raises ValueError with the end of a sentence that says what to do.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from batchup.core.templates import check_template
from batchup.errors import ConfigProblem

_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
BY_ID: Final = "{id}.{ext}"
"""What names outputs unless a job says otherwise."""

_STORES: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss"})
_HALF_ADDRESS: Final = re.compile(r"(s3a?|gs|gcs|azure|az|abfss?):/?(?!/)(.*)", re.IGNORECASE | re.DOTALL)
_SEGMENT: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._@+=,() -]{1,200}", re.ASCII)


def is_bucket(place: object) -> bool:
    """Tell whether a place for outputs is named by an address, and not a folder of this machine."""
    return isinstance(place, str) and _ADDRESS.match(place) is not None


def check_output_dir(folder: str | Path) -> None:
    """Check that outputs go to a folder of this machine, or to a bucket."""
    if not str(folder).strip():
        raise ValueError("expected a folder or a bucket, but it is empty")
    half = _HALF_ADDRESS.match(folder) if isinstance(folder, str) else None
    if half is not None:
        hint = f'did you mean "{half[1].lower()}://{half[2]}"?'
        raise ValueError(f"expected a folder or a bucket; {hint} A folder of that name is ./{half[0]}")
    found = _ADDRESS.match(folder) if isinstance(folder, str) else None
    if found is None or not isinstance(folder, str):
        return
    if found[1].lower() not in _STORES:
        raise ValueError(
            f"outputs cannot go to {found[1]}://; name a folder, or a bucket such as s3://bucket/prefix"
        )
    bucket, *segments = folder[found.end() :].rstrip("/").split("/")
    if not bucket or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ValueError("expected a bucket and plain folders in it, such as s3://bucket/prefix")


def check_bucket(address: str) -> None:
    """Hold the address of a bucket to the same, however it was made; else ConfigProblem."""
    try:
        check_output_dir(address)
    except ValueError as problem:
        raise ConfigProblem(f"output.bucket: {problem}") from None
    if not is_bucket(address):
        raise ConfigProblem("output.bucket: expected a bucket such as s3://bucket/prefix")


def check_folders(*folders: Path) -> None:
    """Check that the names of a job's folders can be written down as text; else ConfigProblem."""
    for folder in map(Path.absolute, folders):
        try:
            str(folder).encode()
        except UnicodeEncodeError:
            shown = os.fsencode(folder).decode(errors="backslashreplace")
            words = f"The name of the folder {shown} is not UTF-8."
            raise ConfigProblem(words, remedy="Rename it.") from None


def check_state(folder: str | Path) -> None:
    """Check that the checkpoint lies on this machine."""
    if not str(folder).strip():
        raise ValueError("expected a folder, but it is empty")
    if is_bucket(folder):
        raise ValueError("expected a folder of this machine: a checkpoint cannot lie in a bucket")


def state_problem(output: Mapping[str, object]) -> str | None:
    """Find out what is wrong with `state` beside `dir`: words for a person, None where nothing is."""
    place, state = output.get("dir"), output.get("state")
    if state is not None and state != place and not is_bucket(place):
        return "is only for an [output] dir in a bucket; a folder holds the checkpoint itself"
    return None


def check_output_name(template: str) -> None:
    """Check that a template for the names of outputs tells them apart."""
    check_template(template)
