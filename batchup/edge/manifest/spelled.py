"""How a manifest spells a file of this machine: a path, `~/...` for the home folder, or `file:///...`."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

_FILE_ADDRESS: Final = re.compile(r"file://(?:localhost)?(?=/)", re.IGNORECASE)


def is_file_address(value: str) -> bool:
    """Whether a value is the address of a file of this machine."""
    return _FILE_ADDRESS.match(value) is not None


def as_path(value: str) -> str:
    """Return the path that a value spells; one that is plain is returned as it is."""
    if value.startswith("~/"):
        return str(Path.home() / value[2:])
    found = _FILE_ADDRESS.match(value)
    return value if found is None else unquote(value[found.end() :])
