"""Names of outputs: contained, distinct, and readable where the id allows it."""

import hashlib
import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchup.core.names import EXTENSIONS, PART, output_path

NASTY = st.text(alphabet="aAbB09./~-_\\ :\x00\n%é\ud800", max_size=30)
IDS = st.one_of(st.text(max_size=60), NASTY, st.from_regex(r"[A-Za-z0-9._/-]{1,240}", fullmatch=True))


def png(item_id: str, *, is_twin: bool = False) -> str:
    return output_path(item_id, index=None, extension="png", is_twin=is_twin)


def digest(item_id: str) -> str:
    return hashlib.sha256(item_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@pytest.mark.parametrize(
    ("item_id", "path"),
    [
        ("sku-1", "images/sku-1.png"),
        ("a/b.jpg", "images/a/b.jpg.png"),
        ("A_b.C-d", "images/A_b.C-d.png"),
        ("x" * 100, f"images/{'x' * 100}.png"),
        ("/".join("a" * 20), f"images/{'/'.join('a' * 20)}.png"),
        ("f" * 99 + "/" + "g" * 100, f"images/{'f' * 99}/{'g' * 100}.png"),
        ("picture.png", "images/picture.png.png"),
        ("console", "images/console.png"),
        ("a..b", "images/a..b.png"),
    ],
)
def test_a_fit_id_is_used_as_it_is(item_id: str, path: str) -> None:
    """An id made of plain segments is the path itself, up to the limits."""
    assert png(item_id) == path


@pytest.mark.parametrize(
    ("item_id", "slug"),
    [
        ("", "item"),
        ("..", "item"),
        ("../../etc/passwd", "etc-passwd"),
        ("/etc/passwd", "etc-passwd"),
        ("a//b", "a-b"),
        ("a/", "a"),
        ("a/../b", "a-b"),
        (".hidden", "hidden"),
        ("a b", "a-b"),
        ("a\n", "a"),
        ("a~0", "a-0"),
        ("Größe", "Gr-e"),
        ("\ud800", "item"),
        ("C:\\temp", "C-temp"),
        ("https://x.y/z?q=1", "https-x-y-z-q-1"),
        ("CON", "CON"),
        ("nul.txt", "nul-txt"),
        ("a/Com1.b/c", "a-Com1-b-c"),
        ("lpt0", "lpt0"),
        ("a.png/b", "a-png-b"),
        ("a.JPG/b", "a-JPG-b"),
        ("a.part/b", "a-part-b"),
        ("x" * 101, "x" * 40),
        ("/".join("a" * 21), "a-" * 19 + "a"),
        ("f" * 100 + "/" + "g" * 100, "f" * 40),
        ("a" * 39 + "/!" + "b", "a" * 39),
    ],
)
def test_an_unfit_id_is_told_by_its_hash(item_id: str, slug: str) -> None:
    """An id that cannot be a path becomes a readable slug of at most 40 characters and its hash."""
    assert png(item_id) == f"images/{slug}-{digest(item_id)}.png"


def test_several_outputs_are_numbered() -> None:
    """Outputs of one item are told apart by `~` and a number from 0, which no plain id can contain."""
    names = [output_path("a", index=index, extension="jpg") for index in range(2)]
    assert names == ["images/a~0.jpg", "images/a~1.jpg"]
    assert "~" not in png("a~0")


def test_a_case_twin_is_hashed() -> None:
    """Of two ids that differ in case alone the later one is told by its hash."""
    assert png("sku") == "images/sku.png"
    assert png("SKU", is_twin=True) == f"images/SKU-{digest('SKU')}.png"


@pytest.mark.parametrize("change", [str, str.upper])
def test_nobody_takes_a_hashed_name(change: type[str]) -> None:
    """An id spelled like another id's hashed name, in any case, is hashed itself."""
    taken = png("a b").removeprefix("images/").removesuffix(".png")
    thief = change(taken)
    assert png(thief).lower() != png("a b").lower()
    assert png(thief).endswith(f"-{digest(thief)}.png")


def test_an_unknown_extension_is_refused() -> None:
    """Only the formats that are saved, and the unfinished file, have names."""
    assert output_path("a", index=None, extension=PART) == "images/a.part"
    with pytest.raises(ValueError, match="exe"):
        output_path("a", index=None, extension="exe")


@given(
    item_id=IDS,
    index=st.none() | st.integers(0, 9),
    extension=st.sampled_from(sorted(EXTENSIONS)),
    is_twin=st.booleans(),
)
def test_no_name_leads_outside(*, item_id: str, index: int | None, extension: str, is_twin: bool) -> None:
    """Whatever the id, the path is plain, stays below `images/` and fits every file system."""
    path = output_path(item_id, index=index, extension=extension, is_twin=is_twin)
    assert posixpath.normpath(path) == path
    assert path.startswith("images/")
    assert path.isascii()
    assert path.isprintable()
    assert len(path) <= 220
    for segment in path.split("/"):
        assert segment[0] not in ".-~"
        assert len(segment) <= 110
        assert segment.split(".")[0].lower() not in {"con", "nul", "aux", "prn", "com1", "lpt9"}


@given(st.lists(IDS, max_size=12, unique=True))
@example(["a", "a.png", "a.png/b", "A", "a~0", "a/b", "a.part", "a.part/b"])
@example(["a b", f"a-b-{digest('a b')}", f"A-B-{digest('a b').upper()}"])
def test_no_two_ids_share_a_name(ids: list[str]) -> None:
    """Distinct ids get distinct files, also where case does not count, and none is another's folder."""
    seen: set[str] = set()
    files: dict[str, str] = {}
    for item_id in ids:
        is_twin = item_id.lower() in seen
        seen.add(item_id.lower())
        for index in (None, 0, 1):
            for extension in (*sorted(EXTENSIONS), PART):
                path = output_path(item_id, index=index, extension=extension, is_twin=is_twin).lower()
                assert files.setdefault(path, item_id) == item_id
    folders = {path[: path.index("/", at)] for path in files for at in _slashes(path)}
    assert not folders & files.keys()


def _slashes(path: str) -> list[int]:
    return [at for at, character in enumerate(path) if character == "/"]
