"""How large an output will be, where a parameter says how many times larger than its picture."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Final

from batchup.core.items import Json

_FACTORS: Final = ("scale_factor", "upscale_factor")
_LOOSE: Final = "scale"
"""A name that means it in models that make pictures larger, and much else in others."""

_ENLARGES: Final = re.compile(r"upscal|esrgan|super-?res", re.IGNORECASE)
_SMALLER_FIRST: Final = "downscaling"


def factor_of(
    model: str, parameters: Mapping[str, Json], defaults: Mapping[str, Json]
) -> tuple[str, float] | None:
    """Return the parameter that enlarges in each direction, and by how much; None where nothing tells.

    `defaults` are the model's, for what is left out.
    """
    if parameters.get(_SMALLER_FIRST):
        return None
    for name in (*_FACTORS, _LOOSE) if _ENLARGES.search(model) else _FACTORS:
        value = parameters.get(name, defaults.get(name))
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value > 0:
            return name, value
    return None


def prepared(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """Return the size in pixels of a picture whose longer side is at most `max_side`."""
    longest = max(size)
    if max_side is None or longest <= max_side:
        return size
    width, height = (max(1, round(side * max_side / longest)) for side in size)
    return width, height


def outgrown(
    size: tuple[int, int], enlarging: tuple[str, float], max_pixels: int, max_side: int | None
) -> str | None:
    """Say, in words that follow a picture's name, that its output will be refused; None if it will not."""
    name, factor = enlarging
    sent = prepared(size, max_side)
    width, height = (round(side * factor) for side in sent)
    if width * height <= max_pixels:
        return None
    made = "" if sent == size else f", {sent[0]} x {sent[1]} as [prepare] makes it"
    return (
        f"is {size[0]} x {size[1]} pixels{made}, and {name} = {factor:g} makes {width} x {height} of it,"
        f" more than [output] max_pixels = {max_pixels}"
    )
