"""Tar shards and Parquet: what becomes a row, and that nothing of it is held or unpacked."""

import io
import tarfile
import tracemalloc
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from edge.archives import parquet, tar

from batchup.edge.feeding.reading import first_of_each_id
from batchup.edge.manifest import Member, Passed, Reject, Row, count_rows, manifest_folder, read_manifest
from batchup.edge.manifest.patterns import expand, matches
from batchup.errors import ConfigProblem, DataProblem
from batchup.job import Job


def read(folder: Path, manifest: str, more: str = "") -> list[Row | Reject]:
    job = Job.from_toml(f"manifest = '{manifest}'\nmodel = 'each-upscaler'\n{more}", base=folder)
    found = list(read_manifest(job))
    assert count_rows(job) == len(found)
    return found


def test_a_sample_is_a_row_with_its_key_as_its_id(tmp_path: Path) -> None:
    """Members of one key are one row: the image by its place, the JSON as parameters, other files not."""
    members = [
        ("./a/1.jpg", b"one" * 300),
        ("./a/1.json", b'{"seed": 4, "id": "other", "scale_factor": 2}'),
        ("./a/1.txt", b"a cat"),
        ("./a/2.seg.png", b"two"),
        ("notes.md", b"#"),
        ("3.cls", b"7"),
    ]
    (tmp_path / "s.tar").write_bytes(tar(members))
    archive = str(tmp_path / "s.tar")
    assert read(tmp_path, "s.tar") == [
        Row(
            1,
            "a/1",
            {"seed": 4, "scale_factor": 2, "image": "s.tar/a/1.jpg"},
            {"image": Member(archive, "a/1.jpg", 512, 900)},
        ),
        Row(2, "a/2", {"image": "s.tar/a/2.seg.png"}, {"image": Member(archive, "a/2.seg.png", 4096, 3)}),
    ]


def test_a_member_is_where_its_row_says(tmp_path: Path) -> None:
    """The bytes at the offset are the member's, behind long names and in every form of tar."""
    long = "folder/" * 30
    members = [(f"{long}ü{number}.png", bytes([number]) * (number * 700)) for number in range(1, 4)]
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        made = tar(members, form=form)
        (tmp_path / "s.tar").write_bytes(made)
        rows = [row for row in read(tmp_path, "s.tar") if isinstance(row, Row)]
        places = [row.members["image"] for row in rows]
        assert [(place.name, made[place.offset : place.offset + place.size]) for place in places] == members


def test_columns_say_what_the_members_are(tmp_path: Path) -> None:
    """[columns] picks the image of several, makes texts parameters, and may take the id from elsewhere."""
    members = [
        ("1.in.jpg", b"a"),
        ("1.out.jpg", b"b"),
        ("1.mask.png", b"m"),
        ("1.txt", b" a cat\n"),
        ("1.cls", b"7"),
        ("1.json", b'{"sku": "x-1"}'),
    ]
    (tmp_path / "s.tar").write_bytes(tar(members))
    columns = "[columns]\nimage = 'in.jpg'\nprompt = 'txt'\nseed = 'cls'\nid = 'sku'\nmask_url = 'mask.png'"
    [row] = read(tmp_path, "s.tar", f"{columns}\ncontrol_image = 'out.jpg'")
    assert isinstance(row, Row)
    assert (row.id, row.input["prompt"], row.input["seed"]) == ("x-1", "a cat", 7)
    assert {name: member.name for name, member in row.members.items()} == {
        "image": "1.in.jpg",
        "mask_url": "1.mask.png",
        "control_image": "1.out.jpg",
    }
    [row] = read(tmp_path, "s.tar", "[columns]\nimage = 'in.jpg'\nid = '__key__'\nmask = 'out.jpg'")
    assert (row.id, isinstance(row, Row)) == ("1", True)


def test_shards_are_read_in_their_order(tmp_path: Path) -> None:
    """Braces, globs and folders of shards are read one after the other, and lines go on counting."""
    for number in range(3):
        (tmp_path / f"s-{number:03}.tar").write_bytes(tar([(f"{number}.jpg", b"x")]))
    for manifest in ("s-{000..002}.tar", "s-*.tar", "s-{000,001,002}.tar", "."):
        assert [(row.line, row.id) for row in read(tmp_path, manifest)] == [(1, "0"), (2, "1"), (3, "2")]


def test_a_size_beyond_all_reason_is_one_damaged_archive(tmp_path: Path) -> None:
    """A number of thousands of digits in a header ends the archive, not the program."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.jpg")
        info.pax_headers = {"size": "9" * 5000}
        archive.addfile(info)
    (tmp_path / "s.tar").write_bytes(made.getvalue())
    (row,) = read(tmp_path, "s.tar")
    assert isinstance(row, Reject)
    assert (row.kind, "is cut short" in row.message) == ("bad_archive", True)


def test_members_that_cannot_be_rows_are_rejects_in_their_place(tmp_path: Path) -> None:
    """Keys that are no ids, texts that are too long or no text, and missing ids spare the other samples."""
    members = [
        (b"\xff.jpg".decode("utf-8", "surrogateescape"), b"x"),
        ("a\nb.jpg", b"x"),
        ("long.jpg", b"x"),
        ("long.json", b'{"sku": "' + b"x" * (1 << 20) + b'"}'),
        ("deep.jpg", b"x"),
        ("deep.json", b'{"a":' * 40 + b"1" + b"}" * 40),
        ("none.jpg", b"x"),
        ("latin.jpg", b"x"),
        ("latin.json", b'{"sku": 1}'),
        ("latin.txt", b"\xe4"),
        ("good.jpg", b"x"),
        ("good.json", b'{"sku": "g"}'),
        (".hidden.jpg", b"x"),
        ("folder/", b""),
    ]
    (tmp_path / "s.tar").write_bytes(tar(members))
    rows = read(tmp_path, "s.tar", "[columns]\nid = 'sku'\nprompt = 'txt'")
    assert [(row.id, row.kind if isinstance(row, Reject) else "") for row in rows] == [
        (None, "bad_id"),
        (None, "bad_id"),
        ("long", "bad_row"),
        ("deep", "bad_row"),
        (None, "bad_id"),
        ("latin", "bad_row"),
        ("g", ""),
    ]
    assert all(row.message.isprintable() for row in rows if isinstance(row, Reject))


def test_what_a_pax_header_says_holds(tmp_path: Path) -> None:
    """A size and a name in an extended header win over those in the member's own; holes are refused."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, headers in (("1.jpg", {"size": "700"}), ("2.jpg", {"GNU.sparse.major": "1"})):
            info = tarfile.TarInfo(name)
            info.size = 700
            info.pax_headers = {**headers, "comment": "x"}
            archive.addfile(info, io.BytesIO(b"y" * 700))
    (tmp_path / "s.tar").write_bytes(made.getvalue())
    first, second = read(tmp_path, "s.tar")
    assert isinstance(first, Row)
    assert first.members["image"].size == 700
    assert isinstance(second, Reject)
    assert second.message == "2 of s.tar: 2.jpg is a file with holes, not a file."


def test_many_members_are_not_held(tmp_path: Path) -> None:
    """Reading 2,000 samples holds no more than reading a few."""
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for number in range(2000):
            info = tarfile.TarInfo(f"{number}.jpg")
            info.size = 4
            archive.addfile(info, io.BytesIO(b"abcd"))
    tracemalloc.start()
    job = Job.from_toml("manifest = 's.tar'\nmodel = 'each-upscaler'", base=tmp_path)
    count = sum(1 for _ in read_manifest(job))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 400_000) == (2000, True)


def test_a_table_is_read_by_its_columns(tmp_path: Path) -> None:
    """Cells keep their type where JSON has it, nulls are absent, and columns of bytes are left aside."""
    table: dict[str, list[object]] = {
        "sku": [1, 2],
        "photo": ["a.jpg", "https://x/b.jpg"],
        "image": ["thumb", None],
        "seed": [None, 7],
        "day": [date(2026, 1, 2), None],
        "price": [Decimal("1.50"), Decimal(2)],
        "tags": [["a"], []],
        "more": [{"x": 1, "y": None}, None],
        "blob": [b"1", b"2"],
    }
    (tmp_path / "t.parquet").write_bytes(parquet(table))
    assert read(tmp_path, "t.parquet", "[columns]\nid = 'sku'\nimage = 'photo'") == [
        Row(1, "1", {"image": "a.jpg", "day": "2026-01-02", "price": 1.5, "tags": ["a"], "more": {"x": 1}}),
        Row(2, "2", {"image": "https://x/b.jpg", "seed": 7, "price": 2, "tags": []}),
    ]
    with pytest.raises(DataProblem, match=r'has no column "skuu", as .* did you mean "sku"'):
        read(tmp_path, "t.parquet", "[columns]\nid = 'skuu'")


def test_cells_that_json_cannot_say_are_rejects(tmp_path: Path) -> None:
    """A length of time is no parameter, and the rows beside it are read."""
    table: dict[str, list[object]] = {"image": ["a.jpg", "b.jpg"], "length": [timedelta(1), None]}
    (tmp_path / "t.pq").write_bytes(parquet(table))
    first, second = read(tmp_path, "t.pq")
    assert isinstance(first, Reject)
    assert (first.kind, first.message) == ("bad_row", "Row 1: 1 day, 0:00:00 is no JSON value.")
    assert second == Row(2, None, {"image": "b.jpg"})


def test_several_tables_are_one_manifest(tmp_path: Path) -> None:
    """A folder or a glob of Parquet files is read in the order of names, without what tools leave beside."""
    (tmp_path / "in" / "x").mkdir(parents=True)
    for name in ("in/b.parquet", "in/a.pq", "in/x/c.parquet", "in/_metadata.parquet", "in/.d.parquet"):
        (tmp_path / name).write_bytes(parquet({"image": [f"{name}.jpg"] * 3}, group=1))
    assert [row.line for row in read(tmp_path, "in")] == list(range(1, 10))
    assert [row.input["image"] for row in read(tmp_path, "in/*.parquet") if isinstance(row, Row)] == [
        "in/_metadata.parquet.jpg",
        "in/_metadata.parquet.jpg",
        "in/_metadata.parquet.jpg",
        *["in/b.parquet.jpg"] * 3,
    ]
    job = Job.from_toml("manifest = 'in'\nmodel = 'each-upscaler'", base=tmp_path)
    assert manifest_folder(job) == tmp_path / "in"
    (tmp_path / "in" / "z.jpg").touch()
    assert [row.id for row in read(tmp_path, "in")] == ["z.jpg"]  # a folder of images, whatever else is in it


@pytest.mark.parametrize(
    ("pattern", "name", "does"),
    [
        ("a/*.jpg", "a/b.jpg", True),
        ("a/*.jpg", "a/b/c.jpg", False),
        ("a/**/*.jpg", "a/b/c/d.jpg", True),
        ("a/**/*.jpg", "a/d.jpg", True),
        ("a/**", "a/b/c", True),
        ("?[0-9].jpg", "x7.jpg", True),
        ("[!a].jpg", "a.jpg", False),
        ("[!a].jpg", "b.jpg", True),
        ("a.jpg", "aXjpg", False),
        ("[.jpg", "[.jpg", True),
    ],
)
def test_patterns_are_those_of_a_shell(pattern: str, name: str, does: bool) -> None:  # noqa: FBT001 - a table
    """A star stays in its folder, two do not, and brackets mean one letter."""
    assert matches(pattern, name) is does


def test_braces_stand_for_several_names() -> None:
    """Ranges keep their width, lists their order, and braces may follow each other."""
    assert expand("s-{08..10}.tar") == ["s-08.tar", "s-09.tar", "s-10.tar"]
    assert expand("{2..1}{a,b}") == ["2a", "2b", "1a", "1b"]
    assert expand("{x}.tar") == ["{x}.tar"]
    assert expand("{x}{a,b}.tar") == ["{x}a.tar", "{x}b.tar"]
    with pytest.raises(ConfigProblem, match=r"more than 100,000 files"):
        expand("{0..999}{0..999}")


def test_samples_without_an_image_are_counted(tmp_path: Path) -> None:
    """A sample that has no image is no row and no reject, but it is counted; so is what has no ending."""
    members = [("1.jpg", b"x"), ("2.json", b"{}"), ("3.jpg", b"x"), ("README", b"x"), (".h", b"x")]
    (tmp_path / "s.tar").write_bytes(tar(members))
    counted = Passed()
    job = Job.from_toml("manifest = 's.tar'\nmodel = 'each-upscaler'", base=tmp_path)
    assert [row.id for row in read_manifest(job, None, counted)] == ["1", "3"]
    assert counted == {"a sample without an image": 1, "without an ending": 1, "hidden": 1}


def test_a_second_sample_of_a_key_is_told_with_its_shard(tmp_path: Path) -> None:
    """There are no lines in a shard: a sample is told by its key, and by the shard where it repeats one."""
    for name, image in (("a.tar", b"x"), ("b.tar", b"yy")):
        (tmp_path / name).write_bytes(tar([("1.jpg", image)]))
    job = Job.from_toml("manifest = '{a,b}.tar'\nmodel = 'each-upscaler'", base=tmp_path)
    _, second = first_of_each_id(job)
    assert isinstance(second, Reject)
    assert second.message == "1 of b.tar: the id 1 was row 1 already, with another request."
