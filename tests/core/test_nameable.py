"""Names in every language: kept as they are under a template, and told apart on every file system."""

import posixpath
import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchup.core.nameable import is_nameable, low, spellings
from batchup.core.names import keeps_id, output_path
from batchup.core.templates import rivals

STEM = "{stem}@2x.{ext}"
LETTERS = st.text(alphabet="aAüÜßöÖ\u0308uUéÉйЙжЖ日 .-/", min_size=1, max_size=8)
HASHED = re.compile(r"[A-Za-z0-9-]+-[0-9a-f]{16}")


def named(template: str, item_id: str, *, is_twin: bool = False) -> str:
    path = output_path(item_id, index=None, extension="png", is_twin=is_twin, template=template)
    return path.removeprefix("images/")


@pytest.mark.parametrize(
    ("item_id", "name"),
    [
        ("Übergröße/b c.jpg", "Übergröße/b c@2x.png"),
        ("Sommer Hüte/Größe 42.JPG", "Sommer Hüte/Größe 42@2x.png"),
        ("日本/東京　駅.jpg", "日本/東京　駅@2x.png"),
        ("SKU;3", "SKU;3@2x.png"),
        ("a (1) #2 100% [x] & 'y'.jpg", "a (1) #2 100% [x] & 'y'@2x.png"),
        ("ÉTÉ/été.jpg", "ÉTÉ/été@2x.png"),
        ("Жук.jpg", "Жук@2x.png"),
        ("\N{CAT FACE}.jpg", "\N{CAT FACE}@2x.png"),
        ("x" * 200, f"{'x' * 200}@2x.png"),
        (unicodedata.normalize("NFD", "Hüte/ö.jpg"), "Hüte/ö@2x.png"),
    ],
)
def test_a_template_keeps_what_a_file_system_takes(item_id: str, name: str) -> None:
    """Spaces and letters of all languages stay, composed as most programs write them; by default none do."""
    assert named(STEM, item_id) == name
    assert keeps_id(item_id, STEM)
    assert not keeps_id(item_id, None)


@pytest.mark.parametrize(
    "item_id",
    [
        "a\nb", "a\x7f", ".ü", "-ü", " ü", "ü ", "", "ü/", "ü//a", "../ü", "ü./a", "a:ü", "a\\ü", "ü?", "ü~0",
        "\ud800", "\u200bü", "nul.ü", "ü/CON", "ü.png/a", "ü" * 200, "/".join("ü" * 21),
        "/".join(["ü" * 50] * 9), "üÜÖ",
    ],
)  # fmt: skip
def test_what_some_file_system_does_not_take_is_hashed(item_id: str) -> None:
    """Control characters, devices, what hides or leads elsewhere or is too long is told by its hash."""
    assert not keeps_id(item_id, STEM)
    assert HASHED.fullmatch(named(STEM, item_id).removesuffix("@2x.png").rpartition("/")[2])


def test_folders_stay_where_the_name_cannot() -> None:
    """An id that is no name as it is keeps its folders, where these are."""
    assert re.fullmatch(r"Hüte/a-b-[0-9a-f]{16}@2x\.png", named(STEM, "Hüte/a?b.jpg"))
    assert re.fullmatch(r"H-te-a-b-jpg-[0-9a-f]{16}@2x\.png", named(STEM, "H?te/a?b.jpg"))
    assert re.fullmatch(r"te-a-b-jpg-[0-9a-f]{16}@2x\.png", named("{stem}@2x.{ext}", "~te/a b.jpg"))


def test_a_name_that_a_template_makes_too_long_is_hashed() -> None:
    """No segment is longer than file systems take, with what lies beside it."""
    folder, stem = "ü" * 120, "ö" * 120
    assert named("{stem}.{ext}", f"{folder}/{stem}") == f"{folder}/{stem}.png"
    path = named("{stem} - much larger.{ext}", f"{folder}/{stem}")
    assert re.fullmatch(rf"{folder}/item-[0-9a-f]{{16}} - much larger\.png", path)


def test_ids_that_some_file_systems_take_for_one_are_rivals() -> None:
    """Case and composition of letters beyond ASCII do not tell names apart: the later one is hashed."""
    assert low("Über ÉTÉ") in spellings("ÜBER été")
    assert low(unicodedata.normalize("NFD", "Ü.jpg")) in rivals("{id}.{ext}", "ü.jpg")
    assert {"Ü", "ü.png", "Ü.png"} <= set(rivals(STEM, "ü.jpg"))
    assert rivals("{id}.{ext}", "ü") == tuple(sorted(spellings("ü") - {"ü"}))
    assert not is_nameable("üÜÖ.jpg")  # found by no other's spellings


@pytest.mark.parametrize("template", ["{id}.{ext}", STEM, "{folder}/2x/{stem}.{ext}"])
@settings(max_examples=60)
@given(ids=st.lists(LETTERS, max_size=8, unique=True))
@example(ids=["Ü.jpg", "ü.jpg", "ü.jpg", "U\u0308.jpg", "ü", "Ü.png", "ÜÖ", "üÖ", "Üö", "üö"])
def test_no_two_ids_share_a_name(template: str, ids: list[str]) -> None:
    """Distinct ids have distinct files on a file system that looks at neither case nor composition."""
    known: set[str] = set()
    files: dict[str, str] = {}
    for item_id in ids:
        is_twin = low(item_id) in known or not known.isdisjoint(rivals(template, item_id))
        known.add(low(item_id))
        path = output_path(item_id, index=None, extension="png", is_twin=is_twin, template=template)
        assert posixpath.normpath(path) == path
        assert path.startswith("images/")
        seen = unicodedata.normalize("NFD", unicodedata.normalize("NFC", path).lower())
        assert files.setdefault(seen, item_id) == item_id
