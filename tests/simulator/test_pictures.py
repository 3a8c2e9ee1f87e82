import pytest
from simulator.bench import opened, picture

from batchup.simulator import pictures

MANY = 1_000_000


@pytest.mark.parametrize(
    ("extension", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("jpeg", "JPEG"), ("webp", "WEBP")]
)
def test_an_image_grows_by_its_scale_in_the_format_asked_for(extension: str, kind: str) -> None:
    """Upscaling really resizes, and encodes as the extension says."""
    image = opened(pictures.upscale(picture(40, 30), 2.5, extension, MANY))
    assert (image.size, image.format) == ((100, 75), kind)
    assert pictures.media_type(extension) == f"image/{kind.lower()}"


def test_a_palette_with_transparency_can_become_a_jpeg() -> None:
    """An image in a mode that the format does not know is converted first."""
    import io  # noqa: PLC0415 - for these lines alone

    data = io.BytesIO()
    opened(picture()).convert("RGBA").convert("P").save(data, "GIF")
    assert opened(pictures.upscale(data.getvalue(), 1, "jpg", MANY)).mode == "RGB"


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", picture()[:60], picture(kind="JPEG")[:-40]])
def test_what_is_no_whole_image_is_refused(data: bytes) -> None:
    """Bytes that are no image, or half of one, raise PictureError."""
    with pytest.raises(pictures.PictureError):
        pictures.check(data, 1, MANY)


@pytest.mark.parametrize("scale", [100, 1e308, 0, -2, 0.01])
def test_what_would_be_too_large_or_nothing_is_refused(scale: float) -> None:
    """The bound on pixels holds before anything is decoded, for every number."""
    with pytest.raises(pictures.TooLargeError):
        pictures.check(picture(), scale, MANY)


def test_drawn_pictures_differ_by_address_and_are_always_the_same() -> None:
    """A stand-in follows from its address alone."""
    one, other = pictures.draw("https://example.com/1.jpg"), pictures.draw("https://example.com/2.jpg")
    assert opened(one).size == pictures.DRAWN_SIZE
    assert one == pictures.draw("https://example.com/1.jpg")
    assert opened(one).tobytes() != opened(other).tobytes()
