"""How large an output will be: foreseen where a parameter says so, and only there."""

import pytest

from batchup.core.enlarging import factor_of, outgrown, prepared
from batchup.core.items import Json

UPSCALER = "each-upscaler"


@pytest.mark.parametrize(
    ("model", "parameters", "defaults", "found"),
    [
        (UPSCALER, {"scale_factor": 4}, {}, ("scale_factor", 4)),
        (UPSCALER, {}, {"scale_factor": 2}, ("scale_factor", 2)),
        (UPSCALER, {"scale_factor": 3}, {"scale_factor": 2}, ("scale_factor", 3)),
        ("real-esrgan", {"scale": 1.5}, {}, ("scale", 1.5)),
        ("some-painter", {"scale": 7.5}, {}, None),  # how closely a prompt is followed
        ("some-painter", {"upscale_factor": 2}, {}, ("upscale_factor", 2)),
        (UPSCALER, {"scale_factor": 2, "downscaling": True}, {}, None),
        (UPSCALER, {"scale_factor": True}, {}, None),
        (UPSCALER, {"scale_factor": "4"}, {}, None),
        (UPSCALER, {"scale_factor": -4}, {}, None),
        (UPSCALER, {"scale_factor": float("inf")}, {}, None),
        (UPSCALER, {}, {}, None),
    ],
)
def test_a_factor_is_found_where_it_means_that(
    model: str, parameters: dict[str, Json], defaults: dict[str, Json], found: tuple[str, float] | None
) -> None:
    """Names that always mean it count anywhere, `scale` only in models that make pictures larger."""
    assert factor_of(model, parameters, defaults) == found


def test_an_output_beyond_the_bound_is_told_with_parameter_and_key() -> None:
    """The words name the parameter and the key; what comes to the bound exactly passes."""
    assert outgrown((100, 50), ("scale_factor", 2), 20_000, None) is None
    words = outgrown((100, 50), ("scale_factor", 2), 19_999, None)
    assert words == (
        "is 100 x 50 pixels, and scale_factor = 2 makes 200 x 100 of it,"
        " more than [output] max_pixels = 19999"
    )


def test_what_is_made_smaller_first_becomes_less_large() -> None:
    """The size that is sent is what is enlarged."""
    assert prepared((100, 51), 50) == (50, 26)
    assert prepared((100, 1), 20) == (20, 1)
    assert prepared((100, 50), 100) == (100, 50)
    assert outgrown((100, 50), ("scale", 2), 5_000, 50) is None
    assert "50 x 25 as [prepare] makes it" in (outgrown((100, 50), ("scale", 2), 4_999, 50) or "")
