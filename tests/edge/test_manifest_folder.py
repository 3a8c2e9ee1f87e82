"""A folder of images, or a glob: what is taken, in which order, and under which id."""

import os
from pathlib import Path

import pytest

from batchup.edge.manifest import Passed, Reject, Row, count_rows, read_manifest
from batchup.edge.manifest.links import matching
from batchup.job import Job


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def read(folder: Path, manifest: str, more: str = "") -> list[Row | Reject]:
    job = Job.from_toml(f"manifest = '{manifest}'\nmodel = 'each-upscaler'\n{more}", base=folder)
    found = list(read_manifest(job))
    assert count_rows(job) == len(found)
    return found


def names(rows: list[Row | Reject]) -> list[str | None]:
    return [row.id for row in rows]


def test_a_folder_is_read_to_its_depth_in_order(tmp_path: Path) -> None:
    """Images of a folder and those below it are rows, sorted, with their relative path as the id."""
    touch(
        tmp_path,
        "in/b.JPG",
        "in/a/z.png",
        "in/a/a.webp",
        "in/c.jpeg",
        "in/notes.txt",
        "in/.hidden.jpg",
        "in/a/._z.png",
    )
    touch(tmp_path, "in/.thumbs/x.jpg")
    assert read(tmp_path, "in") == [
        Row(1, "a/a.webp", {"image": "a/a.webp"}),
        Row(2, "a/z.png", {"image": "a/z.png"}),
        Row(3, "b.JPG", {"image": "b.JPG"}),
        Row(4, "c.jpeg", {"image": "c.jpeg"}),
    ]


def test_pictures_that_no_model_takes_are_rejects(tmp_path: Path) -> None:
    """A picture of a format that the service does not take is rejected by name, not passed over."""
    touch(tmp_path, "in/a.heic", "in/b.jpg")
    assert read(tmp_path, "in") == [
        Reject(
            1,
            "a.heic",
            "unsupported_image",
            "The service takes no HEIC: convert a.heic to JPEG, PNG or WebP.",
        ),
        Row(2, "b.jpg", {"image": "b.jpg"}),
    ]


def test_names_that_are_no_text_or_no_id_are_rejects(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 or has control characters is rejected with a printable message."""
    (tmp_path / "in").mkdir()
    for raw in (b"\xff.jpg", b"a\nb.jpg", b"ok.jpg"):
        (tmp_path / "in" / os.fsdecode(raw)).touch()
    rows = read(tmp_path, "in")
    assert sorted(row.kind for row in rows if isinstance(row, Reject)) == ["bad_id", "encoding"]
    assert all(row.message.isprintable() for row in rows if isinstance(row, Reject))
    assert "ok.jpg" in names(rows)


def test_the_outputs_of_the_job_are_never_its_inputs(tmp_path: Path) -> None:
    """Images that the job itself has saved are passed over, wherever its output folder lies."""
    touch(tmp_path, "a.jpg", "batch.out/images/a.jpg.png", "batch.out/uploads/b.png")
    assert names(read(tmp_path, ".")) == ["a.jpg"]
    assert names(read(tmp_path, "**/*.*g")) == ["a.jpg"]
    touch(tmp_path, "o/images/x.png", "o/c.jpg", "o/d/e.jpg")
    assert names(read(tmp_path, "o", "[output]\ndir = 'o'")) == ["c.jpg", "d/e.jpg"]
    assert names(read(tmp_path, "o/**/*.*", "[output]\ndir = '.'")) == ["c.jpg", "d/e.jpg", "images/x.png"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    """A link to an image or a folder is followed, one back to a folder above and a dead one are not."""
    touch(tmp_path, "other/x.jpg", "in/a/b.jpg")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "a" / "up").symlink_to(tmp_path / "in" / "a")
    (tmp_path / "in" / "other").symlink_to(tmp_path / "other")
    (tmp_path / "in" / "one.jpg").symlink_to(tmp_path / "other" / "x.jpg")
    (tmp_path / "in" / "dead.jpg").symlink_to(tmp_path / "none.jpg")
    (tmp_path / "in" / "itself").symlink_to("itself")
    assert names(read(tmp_path, "in")) == ["a/b.jpg", "one.jpg", "other/x.jpg"]
    assert names(read(tmp_path, "in/**/*.jpg")) == ["a/b.jpg", "one.jpg", "other/x.jpg"]


def test_braces_stand_for_several_patterns(tmp_path: Path) -> None:
    """What one of them matches is a row, once; the ids are relative to what stands before the first brace."""
    touch(tmp_path, "in/a.jpg", "in/b.png", "in/c.webp", "in/x/a.jpg", "in/y/a.jpg", "in/z/a.jpg")
    assert names(read(tmp_path, "in/*.{jpg,png}")) == ["a.jpg", "b.png"]
    assert names(read(tmp_path, "in/{x,y,x}/*")) == ["x/a.jpg", "y/a.jpg"]
    assert names(read(tmp_path, "in/{a.jpg,y/a.jpg}")) == ["a.jpg", "y/a.jpg"]


def test_a_glob_goes_by_names_and_signs(tmp_path: Path) -> None:
    """Plain parts are taken as they are, signs leave out hidden names, and `**` takes all depths."""
    touch(tmp_path, "in/a/new/1.jpg", "in/b/new/1.jpg", "in/b/old/2.jpg", "in/.c/new/1.jpg", "in/b/[x]/3.jpg")
    for pattern, wanted in {
        "in/*/new/*.jpg": ["a/new/1.jpg", "b/new/1.jpg"],
        "in/?/old/2.jpg": ["b/old/2.jpg"],
        "in/.*/new/1.jpg": [".c/new/1.jpg"],
        "in/[ab]/[[]x]/*": ["b/[x]/3.jpg"],
        "in/*/**": ["a/new/1.jpg", "b/[x]/3.jpg", "b/new/1.jpg", "b/old/2.jpg"],
    }.items():
        assert names(read(tmp_path, pattern)) == wanted
    assert list(matching(tmp_path / "gone", "**")) == []


def test_links_never_lead_above_or_twice_to_a_place(tmp_path: Path) -> None:
    """One above the folder, or into what is read anyhow, is passed over; one to a hidden folder is not."""
    touch(tmp_path, "all/x.jpg", "all/in/a/b.jpg", "all/in/.v3/c.jpg", "other/o/d.jpg")
    folder = tmp_path / "all" / "in"
    for name, target in (
        ("loop", folder.parent), ("again", folder / "a"), ("latest", folder / ".v3"),
        ("newest", folder / ".v3"), ("out", tmp_path / "other"), ("twice", tmp_path / "other" / "o"),
    ):  # fmt: skip
        (folder / name).symlink_to(target)
    (tmp_path / "other" / "up").symlink_to(tmp_path)
    assert names(read(tmp_path, "all/in")) == ["a/b.jpg", "latest/c.jpg", "out/o/d.jpg"]
    found = names(read(tmp_path, "all/in/**/*.jpg"))
    assert "a/b.jpg" in found
    assert "again/b.jpg" in found  # a pattern may name a link alone
    assert not [one for one in found if {"loop", "up"} & set(str(one).split("/"))]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed_is_a_reject(tmp_path: Path) -> None:
    """A folder without permission is named in a reject, and its neighbours are read."""
    touch(tmp_path, "in/a/x.jpg", "in/b.jpg")
    (tmp_path / "in" / "a").chmod(0)
    rows = read(tmp_path, "in")
    (tmp_path / "in" / "a").chmod(0o700)
    assert [type(row) for row in rows] == [Reject, Row]


def test_a_folder_that_goes_away_is_a_reject(tmp_path: Path) -> None:
    """A folder that is taken away while its neighbours are read is named in a reject."""
    touch(tmp_path, "in/a.jpg", "in/b/x.jpg", "in/c.jpg")
    rows = read_manifest(Job.from_toml("manifest = 'in'\nmodel = 'each-upscaler'", base=tmp_path))
    assert next(rows) == Row(1, "a.jpg", {"image": "a.jpg"})
    (tmp_path / "in/b/x.jpg").unlink()
    (tmp_path / "in/b").rmdir()
    gone, last = rows
    assert isinstance(gone, Reject)
    assert (gone.line, gone.kind) == (2, "missing_file")
    assert gone.message.endswith("in/b cannot be listed: No such file or directory.")
    assert last == Row(3, "c.jpg", {"image": "c.jpg"})


def test_an_empty_folder_has_no_rows(tmp_path: Path) -> None:
    """A folder without images is no problem: tonight there is nothing to do."""
    touch(tmp_path, "in/readme.txt")
    assert read(tmp_path, "in") == []


def test_a_glob_takes_the_images_it_matches(tmp_path: Path) -> None:
    """A pattern's images are rows, sorted, with ids relative to the last folder before its first sign."""
    touch(tmp_path, "in/x/b.jpg", "in/x/a.jpg", "in/y/deep/c.jpg", "in/y/d.png", "in/x/.h.jpg", "in/x/t.txt")
    assert names(read(tmp_path, "in/x/*.jpg")) == ["a.jpg", "b.jpg"]
    assert names(read(tmp_path, "in/*/*")) == ["x/a.jpg", "x/b.jpg", "y/d.png"]
    assert names(read(tmp_path, "in/**/*.jpg")) == ["x/a.jpg", "x/b.jpg", "y/deep/c.jpg"]
    assert names(read(tmp_path, str(tmp_path / "in/[x]/a.jp?"))) == ["x/a.jpg"]
    assert read(tmp_path, "in/*.gif") == []
    assert read(tmp_path, "in/x/a*.jpg") == [Row(1, "a.jpg", {"image": "a.jpg"})]


def test_signs_of_a_pattern_in_real_names_are_names(tmp_path: Path) -> None:
    """A folder that exists is that folder, whatever characters it and those above it are named with."""
    touch(tmp_path, "job [1]/in [2]/a.jpg")
    assert names(read(tmp_path / "job [1]", "in [2]")) == ["a.jpg"]
    touch(tmp_path, "job [1]/in/a.jpg")
    assert names(read(tmp_path / "job [1]", "in/*.jpg")) == ["a.jpg"]


@pytest.mark.parametrize("manifest", [".", "**/*"])
def test_outputs_of_another_job_are_no_new_pictures(tmp_path: Path, manifest: str) -> None:
    """A folder that holds a checkpoint holds a job's outputs: they are passed over, by folder and glob."""
    touch(tmp_path, "a.jpg", "other.out/checkpoint.db", "other.out/images/a.jpg.png")
    assert [row.id for row in read(tmp_path, manifest)] == ["a.jpg"]


def test_all_endings_of_a_jpeg_are_taken(tmp_path: Path) -> None:
    """Names that cameras and browsers give to JPEG are those of pictures."""
    touch(tmp_path, "in/a.jfif", "in/b.jpe", "in/c.JPG", "in/d.jpeg")
    assert names(read(tmp_path, "in")) == ["a.jfif", "b.jpe", "c.JPG", "d.jpeg"]


def passed(folder: Path, manifest: str) -> dict[str, int]:
    counted = Passed()
    job = Job.from_toml(f"manifest = '{manifest}'\nmodel = 'each-upscaler'", base=folder)
    for _ in read_manifest(job, None, counted):
        pass
    return dict(counted)


def test_what_is_no_picture_is_counted(tmp_path: Path) -> None:
    """Files that are passed over are counted by kind, by folder and glob; other outputs are not."""
    touch(tmp_path, "in/a.jpg", "in/b.TXT", "in/x/c.txt", "in/x/README", "in/.h.jpg", "in/o/checkpoint.db")
    (tmp_path / "in" / "l.jpg").symlink_to(tmp_path / "none.jpg")
    os.mkfifo(tmp_path / "in" / "pipe.jpg")
    rest = {".txt": 2, "without an ending": 1, "a link that leads nowhere": 1}
    assert passed(tmp_path, "in") == {**rest, "hidden": 1, "no file": 1}
    assert passed(tmp_path, "in/**") == rest
    for k in range(60):
        touch(tmp_path, f"many/f.x{k}")
    assert passed(tmp_path, "many")["others"] == 10
