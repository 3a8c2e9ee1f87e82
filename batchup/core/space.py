"""How much room the disk must have: for what is in flight, and for all that is still to come.

Guesses, and said to be: what is saved so far tells the size of an output, before that the size of the images
that are sent and how much larger they are to become.
"""

from dataclasses import dataclass
from typing import Any, Final

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Sizes:
    """The size of an item's outputs in bytes, its mean and its most: measured of those saved, or a guess."""

    mean: float
    largest: float
    is_measured: bool = True


def expected_sizes(input_bytes: float | None, parameters: dict[str, Any]) -> Sizes | None:
    """Guess an output from the mean size of the images that are sent; None where it is unknown."""
    if input_bytes is None or input_bytes <= 0:
        return None
    scale = parameters.get("scale_factor", parameters.get("scale", 1))
    factor = float(scale) if isinstance(scale, int | float) and scale > 0 else 1.0
    guess = input_bytes * factor * factor
    return Sizes(guess, guess, is_measured=False)


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
