"""Images that are none, or not whole: each is refused in its own sentence, before anything is bought."""

import hashlib
import io
import os
import resource
import struct
import zlib
from pathlib import Path

import pytest
from edge.test_manifest_items import Cache, job_of
from PIL import Image

from batchup.core.items import LocalFile
from batchup.edge.feeding.items import MAX_FILE_BYTES, Draft, ItemMaker
from batchup.edge.images.contents import Contents
from batchup.edge.images.convertible import open_convertible
from batchup.edge.images.pictures import BadPicture
from batchup.edge.images.preparing import Glance, check_input
from batchup.edge.manifest import Reject, Row
from batchup.edge.manifest.rows import Member
from batchup.errors import DiskProblem

CONVERT = "convert it to a JPEG, PNG or WebP"
PREPARE = f"{CONVERT}, or set [prepare] format, which does"
MOST = 10_000_000


def made(form: str, mode: str = "RGB", size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    """Make a small whole picture."""
    into = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert(mode).save(into, format=form, **options)
    return into.getvalue()


def cut(data: bytes, share: float = 0.5) -> bytes:
    return data[: int(len(data) * share)]


def flipped(data: bytes, share: float = 0.5) -> bytes:
    """Turn all bits of one byte."""
    at = int(len(data) * share)
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def png_of(width: int, height: int) -> bytes:
    """Make a PNG that promises more than it has."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + rows + chunk(b"IEND", b"")


JPEG, PNG, GIF = made("JPEG"), made("PNG"), made("GIF")
LOSSLESS, LOSSY = made("WEBP", lossless=True), made("WEBP")


def ends_early(form: str) -> str:
    return f"is cut short or damaged: the {form} does not decode to its end"


def damaged(form: str) -> str:
    return f"is damaged: the {form} does not decode"


BAD = {
    "half a JPEG": (cut(JPEG), ends_early("JPEG")),
    "a JPEG without its end": (JPEG[:-2], ends_early("JPEG")),
    "the head of a JPEG": (JPEG[:20], damaged("JPEG")),
    "three bytes": (JPEG[:3], damaged("JPEG")),
    "a progressive JPEG that is cut": (cut(made("JPEG", progressive=True), 0.6), ends_early("JPEG")),
    "a JPEG that goes on in zeros": (cut(JPEG) + bytes(len(JPEG)), ends_early("JPEG")),
    "a text behind a JPEG's magic": (b"\xff\xd8\xff\xe0 a photo", ends_early("JPEG")),
    "half a PNG": (cut(PNG), ends_early("PNG")),
    "a PNG without its end": (PNG[:-12], ends_early("PNG")),
    "a PNG with a wrong byte": (flipped(PNG), ends_early("PNG")),
    "a PNG with a wrong header": (PNG[:8] + b"\0\0\0\1" + PNG[12:], damaged("PNG")),
    "a PNG's magic": (PNG[:8], damaged("PNG")),
    "a PNG with fewer rows than it says": (png_of(640, 480), ends_early("PNG")),
    "a PNG of no size": (png_of(0, 0), damaged("PNG")),
    "a bomb": (
        png_of(60_000, 60_000),
        f"is too large: 60000 x 60000 pixels or its frames exceed [output] max_pixels = {MOST}",
    ),
    "half a lossless WebP": (cut(LOSSLESS), ends_early("WebP")),
    "most of a lossy WebP": (cut(LOSSY, 0.7), ends_early("WebP")),
    "the head of a WebP": (LOSSY[:16], ends_early("WebP")),
    "half a GIF": (cut(GIF), ends_early("GIF")),
    "a GIF without its end": (GIF[:-1], ends_early("GIF")),
    "the head of a GIF": (GIF[:10], damaged("GIF")),
    "a TIFF": (made("TIFF"), f"is a TIFF; {PREPARE}"),
    "a BMP": (made("BMP"), f"is a BMP; {PREPARE}"),
    "an icon": (made("ICO"), f"is an icon (ICO); {CONVERT}"),
    "a JPEG 2000": (made("JPEG2000"), f"is a JPEG 2000; {CONVERT}"),
    "an AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0", f"is an AVIF; {PREPARE}"),
    "a HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0", f"is a HEIC; {CONVERT}"),
    "a Photoshop file": (b"8BPS\0\1", f"is a Photoshop file; {CONVERT}"),
    "a PDF": (b"%PDF-1.7\n", f"is a PDF; {CONVERT}"),
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", f"is an SVG; {CONVERT}"),
    "a web page": (
        b"<!DOCTYPE html><title>404</title>",
        "is a web page; what answered a download may have been an error",
    ),
    "a pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\n",
        "is a Git LFS pointer and not the file itself; run git lfs pull",
    ),
    "a video": (b"\0\0\0\x18ftypisom", "is a video"),
    "a ZIP": (b"PK\x03\x04aaaa", "is a ZIP archive; unpack it"),
    "zeros": (bytes(4096), "is no picture: it begins with zeros, as a copy cut off does"),
    "a text": (b"a photo, honestly", "is no picture: it begins with 61 20 70 68 6f 74 6f 2c"),
    "nothing": (b"", "is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_refused_in_its_own_words(tmp_path: Path, name: str) -> None:
    """What is not a whole picture of a kind that services take is named for what it is."""
    data, words = BAD[name]
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(BadPicture) as caught:
        check_input(LocalFile(str(path), "ab" * 32, len(data), "image/jpeg"), max_pixels=MOST)
    assert str(caught.value) == words


@pytest.mark.parametrize("data", [JPEG, PNG, GIF, LOSSLESS, LOSSY, made("JPEG", "CMYK"), made("PNG", "LA")])
def test_a_whole_image_passes(tmp_path: Path, data: bytes) -> None:
    """Whole pictures of the four kinds pass, inside an archive too."""
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(512) + data + b"the next member")
    check_input(LocalFile(str(path), "", len(data), "image/jpeg", offset=512), max_pixels=MOST)


def checked(maker: ItemMaker, **parameters: str) -> Reject | None:
    """Let a row of the manifest be looked into."""
    draft = maker.draft(Row(7, None, dict(parameters)))
    assert isinstance(draft, Draft)
    item = maker.finish(draft)
    assert not isinstance(item, Reject)
    return maker.check(item)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("half a JPEG", "broken_image"), ("a TIFF", "unsupported_image"), ("a bomb", "too_many_pixels")],
)
def test_a_row_with_a_bad_image_is_a_reject(tmp_path: Path, name: str, kind: str) -> None:
    """It names the line, the parameter and the file."""
    job = job_of(tmp_path, f"[output]\nmax_pixels = {MOST}")
    data, words = BAD[name]
    (tmp_path / "a.jpg").write_bytes(data)
    found = checked(ItemMaker(job, Cache()), image="a.jpg")
    message = f'Line 7: "image": {tmp_path / "a.jpg"} {words}.'
    assert found == Reject(7, "a.jpg", kind, message)


@pytest.mark.parametrize("form", ["BMP", "TIFF", "AVIF"])
def test_what_is_converted_is_no_reject(tmp_path: Path, form: str) -> None:
    """With `[prepare] format` such a picture is sent as that; one that is cut or huge is a reject."""
    data = made(form)
    contents = Contents(tmp_path / "contents.db")
    (tmp_path / "whole.jpg").write_bytes(data)
    assert checked(ItemMaker(job_of(tmp_path), contents), image="whole.jpg") is not None  # and that is kept
    job = job_of(tmp_path, "[prepare]\nformat = 'png'\n[output]\nmax_pixels = 3072")
    (tmp_path / "cut.jpg").write_bytes(cut(data))
    (tmp_path / "large.jpg").write_bytes(made(form, size=(64, 49)))
    (tmp_path / "head.jpg").write_bytes(data[:20])
    maker, names = ItemMaker(job, contents), ("whole", "cut", "large", "head")
    found = [checked(maker, image=f"{name}.jpg") for name in names]
    kinds = [None if one is None else (one.kind, one.message.partition(".jpg ")[2]) for one in found]
    broken = ("broken_image", f"is damaged: the {form} does not decode.")
    large = "is too large: 64 x 49 pixels exceed [output] max_pixels = 3072."
    assert kinds == [None, broken, ("too_many_pixels", large), broken]
    contents.close()


@pytest.mark.parametrize("mode", ["F", "I"])
def test_measurements_are_no_shades(tmp_path: Path, mode: str) -> None:
    """A TIFF whose samples have no known white is a reject: what would be sent for it is black."""
    Image.linear_gradient("L").convert(mode).save(tmp_path / "a.tif")
    job = job_of(tmp_path, "[prepare]\nformat = 'png'")
    found = checked(ItemMaker(job, Cache()), image="a.tif")
    words = "is a TIFF of 32 bits a sample, which does not say what is white; convert it to 8 or 16 bits"
    message = f'Line 7: "image": {tmp_path / "a.tif"} {words}.'
    assert found == Reject(7, "a.tif", "unsupported_image", message)


def test_a_disk_that_does_not_read_is_no_pictures_fault(tmp_path: Path) -> None:
    """What cannot be read is told as that, also where it would be converted."""
    with pytest.raises(DiskProblem):
        open_convertible(tmp_path / "gone.bmp", "BMP", max_pixels=MOST)


def test_a_member_of_an_archive_is_named_by_its_bytes(tmp_path: Path) -> None:
    """The same picture in an archive and beside it is one content, told by its name in the archive."""
    archive = tmp_path / "a.tar"
    archive.write_bytes(bytes(512) + JPEG + cut(JPEG))
    maker = ItemMaker(job_of(tmp_path), Contents(tmp_path / "contents.db"))
    found = []
    for at, size in ((512, len(JPEG)), (512 + len(JPEG), len(cut(JPEG)))):
        row = Row(7, "a", {"image": "a.tar/0.jpg"}, {"image": Member("a.tar", "0.jpg", at, size)})
        draft = maker.draft(row)
        assert isinstance(draft, Draft)
        maker.finish(draft)
        item = maker.finish(draft)  # its hash is known by now
        assert not isinstance(item, Reject)
        found.append((item.files["image"].sha256, maker.check(item)))
    assert found[0] == (hashlib.sha256(JPEG).hexdigest(), None)
    words = 'Line 7: "image": a.tar/0.jpg is cut short or damaged: the JPEG does not decode to its end.'
    assert found[1][1] == Reject(7, "a", "broken_image", words)


@pytest.mark.parametrize(
    ("size", "kind", "words"),
    [
        (0, "missing_file", '"image": 0.jpg is empty'),
        (MAX_FILE_BYTES + 1, "too_large", '"image": 0.jpg is larger than the 100 MB the service takes'),
        (900, "missing_file", '"image": the file {archive} cannot be read: the archive ends early'),
    ],
)
def test_a_member_that_cannot_be_sent_is_a_reject(tmp_path: Path, size: int, kind: str, words: str) -> None:
    """An empty, a huge and a torn member are told as files are."""
    archive = tmp_path / "a.tar"
    archive.write_bytes(bytes(512) + JPEG[:100])
    maker = ItemMaker(job_of(tmp_path), Cache())
    draft = maker.draft(Row(7, "a", {"image": "x"}, {"image": Member("a.tar", "0.jpg", 512, size)}))
    assert isinstance(draft, Draft)
    assert maker.finish(draft) == Reject(7, "a", kind, f"Line 7: {words.format(archive=archive)}.")


def test_an_image_is_decoded_once_for_each_content(tmp_path: Path) -> None:
    """What decoding found is kept beside the hash: for the same bytes under another name it is known."""
    job = job_of(tmp_path)
    contents = Contents(tmp_path / "contents.db")
    maker = ItemMaker(job, contents)
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(JPEG)
    assert checked(maker, image="a.jpg") is None
    digest = hashlib.sha256(JPEG).digest()
    contents.keep_problem(digest, Glance().rules, job.output.max_pixels, "broken_image:was found broken")
    found = checked(maker, image="b.jpg")
    assert found is not None
    assert found.message == f'Line 7: "image": {tmp_path / "b.jpg"} was found broken.'
    contents.close()


def test_another_bound_is_another_look(tmp_path: Path) -> None:
    """Raising max_pixels lets an image be decoded again that was too large."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    contents = Contents(tmp_path / "contents.db")
    small = ItemMaker(job_of(tmp_path, "[output]\nmax_pixels = 100"), contents)
    assert checked(small, image="a.jpg") is not None
    assert checked(ItemMaker(job_of(tmp_path), contents), image="a.jpg") is None
    contents.close()


def test_a_file_that_vanished_is_a_reject(tmp_path: Path) -> None:
    """A file that is gone between its hash and its decoding is told as one that cannot be read."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    maker = ItemMaker(job_of(tmp_path), Cache())
    draft = maker.draft(Row(7, None, {"image": "a.jpg"}))
    assert isinstance(draft, Draft)
    item = maker.finish(draft)
    (tmp_path / "a.jpg").unlink()
    assert not isinstance(item, Reject)
    found = maker.check(item)
    assert found is not None
    words = f"the file {tmp_path / 'a.jpg'} cannot be read: No such file or directory"
    assert (found.kind, found.message) == ("missing_file", f'Line 7: "image": {words}.')


def test_a_lack_of_handles_is_no_images_fault(tmp_path: Path) -> None:
    """A process that can open nothing any more ends the run: else each row would be rejected for it."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    maker = ItemMaker(job_of(tmp_path), Cache())
    draft = maker.draft(Row(7, None, {"image": "a.jpg"}))
    assert isinstance(draft, Draft)
    item = maker.finish(draft)
    assert not isinstance(item, Reject)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(DiskProblem, match="can no longer be read"):
            maker.check(item)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
