"""Templates for names of outputs: refused unless they tell ids apart, and then they do."""

import posixpath
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batchup.core.names import output_path, part_path
from batchup.core.templates import FIELDS, SUFFIXES, check_template, rivals, split_id

GOOD = [
    "{id}.{ext}",
    "{stem}.{ext}",
    "{stem}@2x.{ext}",
    "{folder}/large/{stem}.{ext}",
    "large/{stem}.{ext}",
    "{stem}-{width}x{height}.{ext}",
    "{width}-{stem}.{ext}",
    "{index}_{id}.{ext}",
    "co{stem}.{ext}",
    "up (2x), {stem}.{ext}",
]
SEGMENT = st.from_regex(r"[A-Za-z0-9._-]{1,12}(\.jpg|\.PNG|\.webp|)", fullmatch=True)
IDS = st.one_of(
    st.text(alphabet="aAbB019./~-_n ", max_size=14),
    st.lists(SEGMENT, min_size=1, max_size=3).map("/".join),
)


def named(template: str, item_id: str, *, index: int | None = None, is_twin: bool = False) -> str:
    path = output_path(
        item_id, index=index, extension="png", is_twin=is_twin, template=template, size=(640, 480)
    )
    return path.removeprefix("images/")


@pytest.mark.parametrize(
    ("template", "item_id", "name"),
    [
        ("{stem}@2x.{ext}", "a.jpg", "a@2x.png"),
        ("{stem}@2x.{ext}", "shoes/red/a.b.JPG", "shoes/red/a.b@2x.png"),
        ("{stem}@2x.{ext}", "sku-1.5", "sku-1.5@2x.png"),
        ("{folder}/large/{stem}.{ext}", "shoes/a.jpg", "shoes/large/a.png"),
        ("{folder}/large/{stem}.{ext}", "a.jpg", "large/a.png"),
        ("large/{stem}.{ext}", "shoes/a.jpg", "shoes/large/a.png"),
        ("large/{id}.{ext}", "shoes/a.jpg", "large/shoes/a.jpg.png"),
        ("{stem}-{width}x{height}.{ext}", "a", "a-640x480.png"),
        ("{stem}_{index}.{ext}", "a", "a_0.png"),
        ("{id}.{ext}", "shoes/a.jpg", "shoes/a.jpg.png"),
    ],
)
def test_a_template_names_an_output(template: str, item_id: str, name: str) -> None:
    """Fields are filled in, and the folders of the id stay where the template does not place them."""
    check_template(template)
    assert named(template, item_id) == name


def test_several_outputs_are_numbered() -> None:
    """Each of several outputs has its number, before its extension or where the template has it."""
    assert [named("{stem}@2x.{ext}", "a.jpg", index=k) for k in (0, 1)] == ["a@2x~0.png", "a@2x~1.png"]
    assert [named("{index}-{stem}.{ext}", "a.jpg", index=k) for k in (0, 1)] == ["0-a.png", "1-a.png"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{sku}.{ext}", "there is no {sku}; known are {id}, {folder}, {stem}"),
        ("{stem}@2x.png", "end in .{ext}"),
        ("{stem}.{ext}.{ext}", "end in .{ext}"),
        ("large.{ext}", "{id} or {stem} in it, once"),
        ("{id}-{stem}.{ext}", "{id} or {stem} in it, once"),
        ("{stem}-{stem}.{ext}", "{id} or {stem} in it, once"),
        ("{stem}/large.{ext}", "behind the last slash"),
        ("large/{folder}/{stem}.{ext}", "{folder} at the start"),
        ("{folder}/{id}.{ext}", "{folder} at the start"),
        ("{folder}/{folder}/{stem}.{ext}", "{folder} at the start"),
        ("{stem}{width}.{ext}", "no digit between {stem} and {width}"),
        ("{stem}2{width}.{ext}", "no digit between {stem} and {width}"),
        ("{width}{height}-{stem}.{ext}", "no digit between {width} and {height}"),
        ("../{stem}.{ext}", "neither begin nor end with a dot or a space"),
        ("a//{stem}.{ext}", "neither begin nor end"),
        ("/{stem}.{ext}", "neither begin nor end"),
        (" {stem}.{ext}", "neither begin nor end"),
        ("a./{stem}.{ext}", "neither begin nor end"),
        ("x.png/{stem}.{ext}", "do not end like an image"),
        ("{stem}~.{ext}", "letters, digits, spaces"),
        ("{stem:>9}.{ext}", "there is no {stem:>9}"),
        ("{stem.{ext}", "letters, digits, spaces"),
        ("a\\{stem}.{ext}", "letters, digits, spaces"),
        ("x" * 90 + "{stem}.{ext}", "at most 100 characters"),
    ],
)
def test_a_template_that_names_nothing_apart_is_refused(template: str, said: str) -> None:
    """What would lead outside, or give two ids one name, is refused with what to write instead."""
    with pytest.raises(ValueError, match=re.escape(said)):
        check_template(template)


def test_a_stem_is_what_precedes_an_image_suffix() -> None:
    """Only the suffix of an image is left out: a dot in a product's number is part of it."""
    assert split_id("a/b.c.JPEG") == ("a", "b.c")
    assert split_id("sku-1.5") == ("", "sku-1.5")
    assert split_id(".jpg") == ("", ".jpg")


def test_rivals_are_the_ids_with_another_suffix() -> None:
    """Ids that a stem does not tell apart are found, so that only the first of them has the plain name."""
    assert set(rivals("{stem}.{ext}", "A/x.JPG")) == {"a/x", *(f"a/x.{end}" for end in SUFFIXES - {"jpg"})}
    assert "x.jpg" not in rivals("{stem}.{ext}", "x.jpg.png")  # whose stem is x.jpg, and not x
    assert rivals("{id}.{ext}", "x.jpg") == rivals(None, "x.jpg") == ()


def test_a_rival_keeps_its_folder_and_gets_a_hash() -> None:
    """Of `a/x.jpg` and `a/x.png` the later is told by its hash, in the same folder."""
    assert re.fullmatch(r"a/x-[0-9a-f]{16}@2x\.png", named("{stem}@2x.{ext}", "a/x.png", is_twin=True))
    assert re.fullmatch(r"a-x-png-[0-9a-f]{16}\.png", named("{id}.{ext}", "a/x.png", is_twin=True))


def test_nobody_takes_the_name_of_a_rival() -> None:
    """An id spelled like the hashed name of another, in any case, is hashed itself."""
    taken = named("{stem}.{ext}", "x.png", is_twin=True).removesuffix(".png")
    for thief in (f"{taken}.jpg", f"{taken.upper()}.jpg"):
        assert named("{stem}.{ext}", thief).lower() != f"{taken}.png"


def test_a_mark_stands_where_the_hash_would() -> None:
    """Where a name is taken, what the output holds tells it."""
    mark = "0123456789abcdef"
    assert output_path("a/x", index=None, extension="png", mark=mark) == f"images/a-x-{mark}.png"
    path = output_path("a/x.jpg", index=0, extension="png", template="{stem}.{ext}", mark=mark)
    assert path == f"images/a/x-{mark}~0.png"


def test_no_device_comes_of_a_template() -> None:
    """An id that a template completes to the name of a device is hashed."""
    assert re.fullmatch(
        r"n-[0-9a-f]{16}", named("co{stem}.{ext}", "n").removeprefix("co").removesuffix(".png")
    )


def test_unfinished_names_are_flat_and_distinct() -> None:
    """What is not finished has a name of its own in one folder, whatever the id."""
    names = {part_path(item_id, k) for item_id in ("a", "A", "a/b", "a b") for k in (None, 1)}
    assert len(names) == 8
    assert all(re.fullmatch(r"images/[A-Za-z0-9-]+~[01]\.part", name) for name in names)


@pytest.mark.parametrize("template", GOOD)
@settings(max_examples=25)
@given(ids=st.lists(IDS, max_size=10, unique=True))
@example(ids=["a.jpg", "a.png", "a", "A.JPG", "a.jpg.png", "b/a.jpg", "B/a.jpg"])
@example(ids=["a1.jpg", "a", "1-a", "640-a", "a-640", "a-640x480", "n", "con", "0_a"])
def test_no_two_ids_share_a_name(template: str, ids: list[str]) -> None:
    """Under every template distinct ids have distinct files, where case does not count either."""
    check_template(template)
    known: set[str] = set()
    files: dict[str, str] = {}
    for item_id in ids:
        low = item_id.lower()
        is_twin = low in known or any(rival in known for rival in rivals(template, item_id))
        known.add(low)
        for index in (None, 0, 1):
            for extension in ("jpg", "png"):
                for size in ((1, 20), (11, 2)):
                    path = output_path(
                        item_id,
                        index=index,
                        extension=extension,
                        is_twin=is_twin,
                        template=template,
                        size=size,
                    )
                    assert posixpath.normpath(path) == path
                    assert path.startswith("images/")
                    assert files.setdefault(path.lower(), item_id) == item_id
    folders = {path[:at] for path in files for at in range(len(path)) if path[at] == "/"}
    assert not folders & files.keys()


def test_every_field_is_filled_in() -> None:
    """No name has a brace left in it."""
    path = named("{folder}/{width}x{height}/{index}-{stem}.{ext}", "a/b.jpg", index=3)
    assert path == "a/640x480/3-b.png"
    assert set(FIELDS) >= {"folder", "width", "height", "index", "stem", "ext"}
