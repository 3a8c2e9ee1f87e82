"""What is made of an image before it goes up: exactly what was asked for, and nothing that was not."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import pytest
from edge.servers import answer, serving
from PIL import Image

from batchup.core.items import LocalFile
from batchup.core.messages import Put, Uploaded, UploadFailed
from batchup.edge.images.pictures import BadPicture
from batchup.edge.images.preparing import Recipe, prepare
from batchup.edge.images.put import Uploader, UploadSettings
from batchup.edge.images.sources import SUFFIX, remove_unfinished
from batchup.job import Job, Prepare

MOST = 10_000_000
TURNED = 6  # EXIF: the camera was held upright, so the picture lies on its side


def photo(
    folder: Path,
    form: str = "JPEG",
    mode: str = "RGB",
    turned: int | None = None,
    size: tuple[int, int] = (64, 48),
) -> Path:
    """Make a picture that is darker on its left; `turned` is what EXIF says of the camera."""
    path = folder / f"photo.{form.lower()}"
    image = Image.linear_gradient("L").rotate(90).resize(size)
    if mode == "I;16":
        image = image.convert("I").point(lambda value: value * 256)
    image = image.convert(mode)
    exif = Image.Exif()
    if turned is not None:
        exif[0x0112] = turned
    image.save(path, format=form, exif=exif, icc_profile=b"a profile") if form != "GIF" else image.save(path)
    return path


def prepared(path: Path, **recipe: Any) -> Image.Image:
    """Prepare a picture, and open what came of it."""
    made = prepare(path, Recipe(**recipe), path.with_name("made"), max_pixels=MOST)
    with Image.open(made) as image:
        image.load()
        return image


@pytest.mark.parametrize(
    "recipe",
    [
        {"max_side": 64},
        {"format": "jpeg"},
        {"orient": True},
        {"max_side": 100, "format": "jpeg", "orient": True},
    ],
)
def test_what_fits_already_is_not_touched(tmp_path: Path, recipe: dict[str, Any]) -> None:
    """An image that is small enough, of the format and upright goes up byte for byte."""
    path = photo(tmp_path, turned=1)
    assert prepare(path, Recipe(**recipe), tmp_path / "made", max_pixels=MOST) == path


@pytest.mark.parametrize(("size", "made"), [((64, 48), (32, 24)), ((48, 64), (24, 32)), ((3000, 1), (32, 1))])
def test_the_longer_side_is_bounded(tmp_path: Path, size: tuple[int, int], made: tuple[int, int]) -> None:
    """Both sides shrink alike, none below a pixel, and the format stays."""
    image = prepared(photo(tmp_path, "PNG", size=size), max_side=32)
    assert (image.size, image.format) == (made, "PNG")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"Exif\0\0II", b"Exif\0\0no TIFF at all"])
def test_what_a_camera_says_and_nobody_can_read_is_passed_over(
    tmp_path: Path, form: str, exif: bytes
) -> None:
    """A picture whose EXIF is garbled is as good without: it goes up as it is, or as it was asked for."""
    path = tmp_path / f"photo.{form.lower()}"
    Image.new("RGB", (64, 48)).save(path, format=form, exif=exif)
    assert prepare(path, Recipe(orient=True), tmp_path / "made", max_pixels=MOST) == path
    assert prepared(path, orient=True, max_side=32).size == (32, 24)


def test_a_turned_picture_is_set_upright(tmp_path: Path) -> None:
    """The pixels are turned, what EXIF says of them is gone, and the colours' profile is kept."""
    image = prepared(photo(tmp_path, turned=TURNED), orient=True)
    assert image.size == (48, 64)
    assert 0x0112 not in image.getexif()
    assert image.info["icc_profile"] == b"a profile"
    assert image.convert("L").getpixel((24, 2)) < image.convert("L").getpixel((24, 61))  # type: ignore[operator] # of one band


def test_a_turned_picture_that_shrinks_alone_stays_turned(tmp_path: Path) -> None:
    """Without `orient` what EXIF says goes along: nobody asked for the pixels to be turned."""
    image = prepared(photo(tmp_path, turned=TURNED), max_side=32)
    assert (image.size, image.getexif()[0x0112]) == ((32, 24), TURNED)


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", None])
@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P"),
        ("PNG", "1"), ("PNG", "I;16"), ("WEBP", "RGBA"), ("GIF", "P"), ("BMP", "RGB"), ("TIFF", "CMYK"),
        ("TIFF", "I;16"), ("AVIF", "RGBA"),
    ],
)  # fmt: skip
def test_every_kind_of_picture_can_be_made_any_other(
    tmp_path: Path, form: str, mode: str, target: str | None
) -> None:
    """Whatever its colours are, it is a whole picture of the format that was asked for, or of its own."""
    if target is None and form in ("BMP", "TIFF", "AVIF"):
        return  # of which no service takes any: these are refused
    image = prepared(photo(tmp_path, form, mode), max_side=32, format=target)
    assert image.format == (target or form).upper()
    dark, light = (image.convert("L").getpixel((at, 12)) for at in (1, 30))
    assert dark < light  # type: ignore[operator] # of one band


def test_a_turned_tiff_keeps_its_shape(tmp_path: Path) -> None:
    """Its decoder sets it upright: that is what fits into the bound."""
    assert prepared(photo(tmp_path, "TIFF", turned=TURNED), format="png", max_side=32).size == (24, 32)


def test_what_is_see_through_becomes_white_in_a_jpeg(tmp_path: Path) -> None:
    """A format without transparency shows the picture on white."""
    path = tmp_path / "a.png"
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(path)
    assert prepared(path, format="jpeg").getpixel((4, 4)) == (255, 255, 255)


def test_a_lower_quality_makes_a_smaller_file(tmp_path: Path) -> None:
    """The quality is that of what has to be made."""
    path = tmp_path / "noise.png"
    Image.effect_noise((64, 64), 90).save(path)
    sizes = []
    for quality in (30, 95):
        made = prepare(path, Recipe(format="jpeg", quality=quality), tmp_path / "made", max_pixels=MOST)
        sizes.append(made.stat().st_size)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(("bytes_", "words"), [(700, "cannot be prepared"), (None, "exceed")])
def test_what_cannot_be_decoded_cannot_be_prepared(tmp_path: Path, bytes_: int | None, words: str) -> None:
    """A picture that is cut, or too large to be decoded here, is refused."""
    path = photo(tmp_path)
    path.write_bytes(path.read_bytes()[:bytes_])
    most = 100 if bytes_ is None else MOST
    with pytest.raises(BadPicture, match=words):
        prepare(path, Recipe(format="png"), tmp_path / "made", max_pixels=most)


def test_a_recipe_is_part_of_the_contents_name() -> None:
    """What is done to an image makes another request of it; with nothing to be done its name is its hash."""
    content = "ab" * 32
    names = {
        Recipe(**one).name(content) for one in ({}, {"max_side": 9}, {"format": "png"}, {"orient": True})
    }
    assert len(names) == 4
    assert Recipe.of(Prepare(delete_uploads=True)).name(content) == content


def test_the_job_file_says_what_is_done() -> None:
    """Each key of [prepare] is taken up; nothing is done unless it is asked for."""
    job = Job.from_toml(
        'manifest = "m.jsonl"\nmodel = "m"\n'
        '[prepare]\nmax_side = 4096\nformat = "webp"\nquality = 80\norient = true'
    )
    assert Recipe.of(job.prepare) == Recipe(4096, "webp", 80, True)
    assert Recipe.of(Job.from_toml('manifest = "m.jsonl"\nmodel = "m"').prepare).is_empty


# ---------------------------------------------------------------- the upload


async def put(file: LocalFile, url: str, settings: UploadSettings) -> Uploaded | UploadFailed:
    """Upload, by an uploader that has been sent to another process."""
    async with Uploader(pickle.loads(pickle.dumps(settings))) as uploader:  # noqa: S301 our own
        return await uploader.put(Put(file, url, {}, "https://cdn/x", 9.0, "file-1"))


def settings_of(folder: Path, **more: Any) -> UploadSettings:
    return UploadSettings(timeout_s=5.0, stall_s=5.0, folder=str(folder), **more)


def names_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


@pytest.mark.anyio
async def test_the_prepared_image_is_what_is_sent(tmp_path: Path) -> None:
    """The bytes on the wire are those that were made, and no temporary file is left."""
    path, data = photo(tmp_path, "PNG"), photo(tmp_path, "PNG").read_bytes()
    recipe, content = Recipe(format="jpeg"), hashlib.sha256(data).hexdigest()
    file = LocalFile(str(path), recipe.name(content), len(data), "image/jpeg", content=content)
    with serving(answer("200 OK")) as server:
        event = await put(file, server.url, settings_of(tmp_path, recipe=recipe))
    assert event == Uploaded(recipe.name(content), "https://cdn/x", 9.0, "file-1")
    assert b"\r\n\r\n\xff\xd8\xff" in server.requests[0]
    assert names_in(tmp_path) == ["photo.png"]


@pytest.mark.anyio
@pytest.mark.parametrize("folder", ["here", "missing"])
async def test_a_member_of_an_archive_is_sent_alone(tmp_path: Path, folder: str) -> None:
    """Of a tar only the member's bytes go up, from a machine without the output folder too."""
    path, data = tmp_path / "a.tar", photo(tmp_path).read_bytes()
    path.write_bytes(bytes(512) + data + b"the next member")
    (tmp_path / "here").mkdir()
    file = LocalFile(str(path), hashlib.sha256(data).hexdigest(), len(data), "image/jpeg", offset=512)
    with serving(answer("200 OK")) as server:
        event = await put(file, server.url, settings_of(tmp_path / folder))
    assert isinstance(event, Uploaded)
    assert server.requests[0].partition(b"\r\n\r\n")[2] == data
    assert names_in(tmp_path / "here") == []


@pytest.mark.anyio
async def test_an_archive_that_ends_early_may_be_read_later(tmp_path: Path) -> None:
    """A part that is not there yet is a read error, and worth another try."""
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(600))
    event = await put(
        LocalFile(str(path), "", 512, "image/jpeg", offset=512), "http://127.0.0.1:9/", settings_of(tmp_path)
    )
    assert isinstance(event, UploadFailed)
    assert (event.failure.message, event.failure.retryable) == (
        f"{path} cannot be read: the archive ends early",
        True,
    )


@pytest.mark.anyio
async def test_a_picture_that_cannot_be_prepared_fails_for_good(tmp_path: Path) -> None:
    """Nothing is sent for it, and no second try is made."""
    path = photo(tmp_path)
    path.write_bytes(path.read_bytes()[:700])
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    file = LocalFile(str(path), "ab" * 32, 700, "image/png", content=content)
    event = await put(file, "http://127.0.0.1:9/", settings_of(tmp_path, recipe=Recipe(format="png")))
    assert isinstance(event, UploadFailed)
    assert not event.failure.retryable
    assert event.failure.message.startswith(f"{path} cannot be prepared")


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    """Temporary copies go when the next run begins; nothing else does."""
    for name in (f"input-abc{SUFFIX}", "input-abc.jpg", "results.jsonl"):
        (tmp_path / name).touch()
    remove_unfinished(tmp_path)
    assert names_in(tmp_path) == ["input-abc.jpg", "results.jsonl"]
