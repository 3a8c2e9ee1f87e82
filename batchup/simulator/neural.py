"""The simulator's second upscaler: a small network in place of Lanczos, for a demo worth looking at.

It is pyanime4k's `acnet-gan` on the CPU, the extra `neural`, whose weights are part of its wheel. On the
demo's 28 photographs: 10 ms each, and 1.75 times the fine detail (mean absolute Laplacian) of Lanczos. Edges,
hair and stone come out crisp at a glance; what it adds is guessed, as any upscaler's is (halved and doubled
again, the photographs are 0.3 dB farther from the truth than with Lanczos), and it sharpens the blocks of a
strongly compressed JPEG too.
"""

from functools import cache
from typing import Any, Final

from PIL import Image

from batchup.errors import ConfigProblem, install

MODEL: Final = "acnet-gan"
BAND_PIXELS: Final = 1_000_000
"""As many pixels are given to the network at one time: it needs 68 bytes for each."""

_MARGIN: Final = 16
"""Rows that a band shares with its neighbours: more than the network looks to either side."""


def require() -> None:
    """Load the network; ConfigProblem says how to install it where it is missing."""
    _network()


def enlarge(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an L, RGB or RGBA image in `size`: doubled until it is as large, then brought to it by Lanczos.

    Transparency is enlarged by Lanczos alone. The same image gives the same pixels; any thread may call it.
    """
    larger = image.convert("RGB") if image.mode == "RGBA" else image
    while larger.width < size[0] or larger.height < size[1]:
        larger = _doubled(larger)
    if larger.size != size:
        larger = larger.resize(size, Image.Resampling.LANCZOS)
    if image.mode == "RGBA":
        larger.putalpha(image.getchannel("A").resize(size, Image.Resampling.LANCZOS))
    return larger


def _doubled(image: Image.Image) -> Image.Image:
    """Double an image band by band, so that memory follows the band and not the image."""
    doubled = Image.new(image.mode, (2 * image.width, 2 * image.height))
    rows = max(BAND_PIXELS // image.width, 1)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        first, last = max(top - _MARGIN, 0), min(bottom + _MARGIN, image.height)
        band = _through_network(image.crop((0, first, image.width, last)))
        doubled.paste(band.crop((0, 2 * (top - first), band.width, 2 * (bottom - first))), (0, 2 * top))
    return doubled


def _through_network(image: Image.Image) -> Image.Image:
    import numpy as np  # noqa: PLC0415 comes with the extra

    return Image.fromarray(_network()(np.asarray(image), 2.0))


@cache
def _network() -> Any:
    try:
        from pyanime4k import Processor  # type: ignore[import-untyped] # noqa: PLC0415 an extra
    except ImportError as missing:
        words = f"The simulator's neural engine is not installed ({missing})."
        remedy = f"{install('neural')}; or leave it at lanczos."
        raise ConfigProblem(words, remedy=remedy) from None
    return Processor("cpu", 0, MODEL)
