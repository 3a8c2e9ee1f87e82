"""How much room the disk must have: for what is in flight, and for all that is still to come.

Guesses, and said to be: what is saved so far tells the size of an output, before that the size of the images
that are sent and how much larger they are to become.
"""

from dataclasses import dataclass
from typing import Any, Final

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
_SCALES: Final = ("scale_factor", "upscale_factor", "scale")
_UNHEARD_OF: Final = 1e15  # bytes


@dataclass(frozen=True, slots=True)
class Sizes:
    """The size of an item's outputs in bytes, its mean and its most: measured of those saved, or a guess."""

    mean: float
    largest: float
    is_measured: bool = True
    grown_by: str = ""  # the parameter that the guess goes by, as in "scale_factor = 4"


def expected_sizes(input_bytes: float | None, parameters: dict[str, Any]) -> Sizes | None:
    """Guess an output from the mean size of the images that are sent; None where it is unknown."""
    if input_bytes is None or input_bytes <= 0:
        return None
    name = next((name for name in _SCALES if name in parameters), "")
    scale = parameters.get(name, 1)
    factor = float(scale) if isinstance(scale, int | float) and scale > 0 else 1.0
    guess = input_bytes * factor * factor
    return Sizes(guess, guess, is_measured=False, grown_by=f"{name} = {factor:g}" if factor > 1 else "")


def absurdity(free: int, sizes: Sizes | None) -> str | None:
    """Say in a sentence that a parameter makes outputs of which not even one fits; None if it does not."""
    if sizes is None or not sizes.grown_by or sizes.mean <= free:
        return None
    each = f"about {in_words(sizes.mean)}" if sizes.mean < _UNHEARD_OF else "more than any disk holds"
    return (
        f"with {sizes.grown_by} one output alone will need {each}, by the size of the images that are sent,"
        f" and {in_words(free)} are free: that parameter is too large, rather than the disk too small"
    )


def floor_bytes(ballast: int, open_count: int, sizes: Sizes | None) -> int:
    """Return the free bytes below which nothing is bought any more: a ballast's worth, and what is to come.

    `open_count` are the predictions whose outputs are still to be fetched, the next one included.
    """
    outputs = 0.0 if sizes is None else open_count * sizes.mean + (sizes.largest - sizes.mean)
    return ballast + int(outputs)


def shortage(free: int, outstanding_count: int, sizes: Sizes | None) -> str | None:
    """Say in a sentence that the disk is too small for what is outstanding; None if it is not, or unknown."""
    if sizes is None:
        return None
    needed = outstanding_count * sizes.mean
    if needed <= free:
        return None
    if (absurd := absurdity(free, sizes)) is not None:
        return absurd
    basis = "of what is saved" if sizes.is_measured else "of the images that are sent, and how much they grow"
    items = "1 item" if outstanding_count == 1 else f"{outstanding_count:,} items"
    return (
        f"the disk may be too small: {items} will need about {in_words(needed)} (by the size {basis}),"
        f" and {in_words(free)} are free"
    )


def in_words(count: float) -> str:
    """Write a number of bytes with three figures and its unit."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.3g} {_UNITS[unit]}"
