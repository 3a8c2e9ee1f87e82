"""Numbers and booleans in places that hold only text: CSV cells and environment variables."""

import re
from typing import Final

_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9]\d{0,17})\.\d{1,17}", re.ASCII)
_BOOLEANS: Final = {
    "true": True,
    "false": False,
    "True": True,
    "False": False,
    "TRUE": True,
    "FALSE": False,
}


def plain_value(text: str) -> str | float | bool:
    """Read the number or boolean a text can only mean, else the text itself: `007` and `1e5` stay text."""
    bare = text.strip()
    if bare in _BOOLEANS:
        return _BOOLEANS[bare]
    if _WHOLE.fullmatch(bare):
        return int(bare)
    if _DECIMAL.fullmatch(bare):
        return float(bare)
    return text
