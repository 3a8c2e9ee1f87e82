"""What every kind of manifest has in common: how it is found, and what cannot be used at all."""

import os
import tracemalloc
from pathlib import Path

import pytest

from batchup.edge.manifest import Reject, Row, count_rows, manifest_folder, read_manifest
from batchup.errors import DataProblem
from batchup.job import Job


def job_of(folder: Path, manifest: str, *, model: str = "each-upscaler", more: str = "") -> Job:
    return Job.from_toml(f"manifest = '{manifest}'\nmodel = '{model}'\n{more}", base=folder)


def test_a_missing_manifest_is_one_sentence(tmp_path: Path) -> None:
    """A manifest that is not there is named, before anything is read from it."""
    for manifest in ("none.jsonl", "none", "none/*.jpg"):
        with pytest.raises(
            DataProblem, match=r"There is no .*none.*; check `manifest` in the job file"
        ) as caught:
            list(read_manifest(job_of(tmp_path, manifest)))
        assert caught.value.exit_code == 65
        with pytest.raises(DataProblem):
            count_rows(job_of(tmp_path, manifest))


def test_an_unknown_kind_names_the_known_ones(tmp_path: Path) -> None:
    """A file of a kind that is not known is refused with the kinds that are."""
    (tmp_path / "m.xlsx").touch()
    with pytest.raises(DataProblem, match=r"unknown kind; use JSON Lines \(.jsonl\), CSV"):
        list(read_manifest(job_of(tmp_path, "m.xlsx")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_manifest_without_permission_is_one_sentence(tmp_path: Path) -> None:
    """A manifest that may not be read is a problem of the data, not a traceback."""
    (tmp_path / "m.jsonl").touch(mode=0)
    with pytest.raises(DataProblem, match="cannot be read: Permission denied"):
        list(read_manifest(job_of(tmp_path, "m.jsonl")))


def test_a_manifest_that_breaks_off_is_one_sentence(tmp_path: Path) -> None:
    """A read error in the middle of a manifest is a problem of the data, not a traceback."""
    (tmp_path / "m.jsonl").symlink_to("/proc/self/mem")  # the kernel answers reads of its start with EIO
    for use in (list, lambda _: count_rows(job_of(tmp_path, "m.jsonl"))):
        with pytest.raises(DataProblem, match="cannot be read: Input/output error"):
            use(read_manifest(job_of(tmp_path, "m.jsonl")))


def test_a_name_that_no_file_can_have_is_one_sentence(tmp_path: Path) -> None:
    """A manifest with a name too long for the file system is a problem of the data."""
    with pytest.raises(DataProblem, match=r"cannot be read|There is no"):
        list(read_manifest(job_of(tmp_path, "x" * 300 + ".jsonl")))


@pytest.mark.parametrize("name", ["m.jsonl", "m.csv", "m.txt"])
def test_another_encoding_is_named(tmp_path: Path, name: str) -> None:
    """A manifest in UTF-16 is refused as a whole, with what to do."""
    (tmp_path / name).write_text('{"image": "a"}\n', encoding="utf-16")
    with pytest.raises(DataProblem, match="is UTF-16; save it as UTF-8"):
        list(read_manifest(job_of(tmp_path, name)))
    with pytest.raises(DataProblem, match="is UTF-16"):
        count_rows(job_of(tmp_path, name))


def test_a_text_list_is_a_row_a_line(tmp_path: Path) -> None:
    """Paths and addresses are rows with their line; blank lines and comments are passed over."""
    (tmp_path / "m.txt").write_bytes(
        b"\xef\xbb\xbf# photos\r\n\r\n a b.jpg \r\nhttps://x/1.png#2\r\n\xff.jpg\r\n"
        + b"x" * (1 << 20)
        + b"y\nlast.png"
    )
    job = job_of(tmp_path, "m.txt")
    assert list(read_manifest(job)) == [
        Row(3, None, {"image": "a b.jpg"}),
        Row(4, None, {"image": "https://x/1.png#2"}),
        Reject(
            5, None, "encoding", "Line 5 is not UTF-8 (byte 0xff at position 1); save the manifest as UTF-8."
        ),
        Reject(6, None, "too_long", "Line 6 is longer than 1 MiB."),
        Row(7, None, {"image": "last.png"}),
    ]
    assert count_rows(job) == 5


@pytest.mark.parametrize(
    ("model", "more", "parameter"),
    [
        ("each-upscaler", "", "image"),
        ("topaz-upscale-image", "", "image_url"),
        ("gfpgan", "", "img"),
        ("gfpgan", "[columns]\nimage_url = 'image'", "image_url"),
        ("each-upscaler", "[columns]\nimage = 'photo_url'\nid = 'sku'", "image"),
    ],
)
def test_a_lists_images_go_to_the_models_parameter(
    tmp_path: Path, model: str, more: str, parameter: str
) -> None:
    """The picture of a list is the parameter that [columns] names, else the one the model takes."""
    (tmp_path / "m.txt").write_text("a.jpg\n")
    assert list(read_manifest(job_of(tmp_path, "m.txt", model=model, more=more))) == [
        Row(1, None, {parameter: "a.jpg"})
    ]


def test_image_paths_are_relative_to_the_manifest(tmp_path: Path) -> None:
    """A manifest's own folder, a folder itself, and a glob's fixed part are what paths are relative to."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "m.csv").write_text("image\n")
    assert manifest_folder(job_of(tmp_path, "in/m.csv")) == tmp_path / "in"
    assert manifest_folder(job_of(tmp_path, "in/deep")) == tmp_path / "in" / "deep"
    assert manifest_folder(job_of(tmp_path, "in/d*/x/*.jpg")) == tmp_path / "in"
    assert manifest_folder(job_of(tmp_path, str(tmp_path / "in" / "*.jpg"))) == tmp_path / "in"


@pytest.mark.parametrize("name", ["m.jsonl", "m.csv", "m.txt"])
def test_memory_does_not_grow_with_the_length(tmp_path: Path, name: str) -> None:
    """Reading 30,000 rows holds no more than reading a few: far less than the file."""
    lines = {"m.jsonl": '{"image": "https://x/%d.png", "x": "%s"}\n', "m.csv": "%d,%s\n", "m.txt": "%d%s\n"}
    with (tmp_path / name).open("w") as file:
        file.write("image,x\n" if name == "m.csv" else "")
        file.writelines(lines[name] % (number, "x" * 100) for number in range(30_000))
    tracemalloc.start()
    count = sum(1 for _ in read_manifest(job_of(tmp_path, name)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 30_000
    assert peak < 600_000
