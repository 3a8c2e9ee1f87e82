"""The report: whole, small, with every address leading somewhere, and nothing in it that opens anything."""

import base64
import io
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

import pytest
from edge.nights import (
    RUN,
    Listening,
    Night,
    document_in,
    document_of,
    failed,
    picture,
    saved,
    summary_of,
    write_night,
    written,
)
from PIL import Image

import batchup
from batchup.core.items import Failure
from batchup.edge.lock import ReportLock, RunLock
from batchup.edge.page.report import INLINED, LARGE
from batchup.errors import DataProblem, DiskProblem, Locked, OutputProblem

NASTY = ("a b#1.jpg", "ä?&.jpg", "x/y'\".jpg", "</script>.jpg", "100%.jpg")


def rows_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in document["items"]}


def night_of(folder: Path, *ids: str) -> Night:
    return write_night(folder, [saved(folder, item_id, k) for k, item_id in enumerate(ids)])


def image_in(address: str) -> Image.Image:
    head, _, data = address.partition(",")
    assert head.startswith("data:image/")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    image.load()
    return image


def test_a_small_report_is_one_file(tmp_path: Path) -> None:
    """Up to 500 items the thumbnails are in the page, and its other addresses lead to files."""
    night = night_of(tmp_path, *NASTY)
    path = written(night).path
    rows = rows_of(document_in(path))
    assert rows.keys() == set(NASTY)
    for row in rows.values():
        assert image_in(row["before"]).size == image_in(row["after"]).size == (80, 60)
        for kind in ("input", "output"):
            assert re.fullmatch(r"[A-Za-z0-9_./~%-]+", row[kind])
            assert (path.parent / unquote(row[kind])).is_file()


def test_a_large_report_has_its_thumbnails_beside_it(tmp_path: Path) -> None:
    """Beyond 500 items the thumbnails are files beside the page, each of which is there."""
    one = saved(tmp_path, "a.jpg", 1)
    night = write_night(tmp_path, [replace(one, id=str(k)) for k in range(INLINED + 1)])
    path = written(night).path
    assert path.stat().st_size < 500_000
    for row in document_in(path)["items"]:
        assert row["before"].startswith("report/")
        assert (path.parent / row["before"]).is_file()
        assert (path.parent / row["after"]).is_file()


def test_a_report_elsewhere_leads_back(tmp_path: Path) -> None:
    """A page that is written to another folder finds the pictures from there."""
    night = night_of(tmp_path / "job", "a.jpg")
    (tmp_path / "desk").mkdir()
    path = written(night, path=tmp_path / "desk" / "night.html").path
    row = document_in(path)["items"][0]
    assert (path.parent / row["output"]).resolve() == night.folder / "images" / "a.jpg.png"
    assert (path.parent / row["input"]).resolve() == tmp_path / "job" / "in" / "a.jpg"


def test_what_failed_is_told(tmp_path: Path) -> None:
    """A failed item has its input, its cause and what to do; one from the web has its plain address."""
    picture(tmp_path / "in" / "bad.jpg", (30, 20))
    signed = "https://shop.example/w.jpg?X-Amz-Signature=abcdef&w=1"
    night = write_night(tmp_path, [failed("bad.jpg"), failed("web", image=signed), failed("gone.jpg")])
    done = written(night)
    rows = rows_of(document_in(done.path))
    assert not done.is_well
    assert rows["bad.jpg"]["failure"]["what_to_do"]
    assert rows["bad.jpg"]["input"] == "../in/bad.jpg"
    assert "before" in rows["bad.jpg"]
    assert rows["web"]["input"] == "https://shop.example/w.jpg"
    assert "input" not in rows["gone.jpg"]
    assert "abcdef" not in done.path.read_text(encoding="utf-8")


def test_no_secret_is_in_the_page(tmp_path: Path) -> None:
    """Whatever results, job or failures hold of keys and signed addresses, the page has none of it."""
    signed = "https://bucket.example/x.png?X-Amz-Signature=s3cret-1"
    one = replace(saved(tmp_path, "a.jpg", 1), input={"image": "a.jpg", "mask": signed, "style": [signed]})
    bad = failed("b", Failure("http_403", f"GET {signed}: X-API-Key: s3cret-1"), prompt=signed)
    night = write_night(tmp_path, [one, bad], summary_of([one, bad]))
    text = night.path.read_text(encoding="utf-8").replace("[input]", f'[input]\nreference = "{signed}"')
    night.path.write_text(text, encoding="utf-8")
    night = replace(night, job=batchup.Job.load(night.path, environ={}))
    assert "s3cret-1" in str(night.job)
    assert "s3cret-1" not in written(night).path.read_text(encoding="utf-8")


def test_a_single_file_holds_everything(tmp_path: Path) -> None:
    """In a page that goes alone each picture is in full, and no address leads out of it."""
    night = night_of(tmp_path, "a.jpg", "b.jpg")
    (night.folder / "images" / "b.jpg.png").unlink()
    path = written(night, path=tmp_path / "alone.html", is_single=True).path
    document = document_in(path)
    rows = rows_of(document)
    assert document["mode"] == "single"
    assert image_in(rows["a.jpg"]["output"]).size == (80, 60)
    assert image_in(rows["a.jpg"]["input"]).size == (40, 30)
    assert "output" not in rows["b.jpg"]


def test_a_huge_single_file_is_warned_of(tmp_path: Path) -> None:
    """Before a page is made that hardly a program opens, its size is told."""
    one = saved(tmp_path, "a.jpg", 1)
    (tmp_path / "in" / "big.jpg").write_bytes(b"")
    with (tmp_path / "in" / "big.jpg").open("wb") as file:
        file.truncate(LARGE * 3 // 4)  # no picture, so it is not in the page
    watcher = Listening()
    small = written(write_night(tmp_path, [one]), is_single=True, watcher=watcher)
    assert (watcher.heard, small.is_well) == ("", True)
    written(write_night(tmp_path, [one, failed("big.jpg")]), is_single=True, watcher=watcher)
    assert "200 MB" in watcher.heard


def test_an_archive_works_elsewhere(tmp_path: Path) -> None:
    """An archive has the page, every output and input, and unpacked each address leads to one of them."""
    night = night_of(tmp_path / "job", *NASTY)
    far = picture(tmp_path / "far" / "z.jpg", (30, 20))
    outcomes = [*night.outcomes, replace(failed("z"), input={"image": str(far)})]
    night = write_night(tmp_path / "job", outcomes)
    done = written(night, is_zipped=True)
    assert done.archive == night.folder / "report.zip"
    assert document_in(done.path)["zip"] == "report.zip"
    with ZipFile(done.archive) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unpacked")
        names = set(archive.namelist())
    document = document_in(tmp_path / "unpacked" / "report.html")
    assert document["zip"] is None
    addresses = [row[kind] for row in document["items"] for kind in ("input", "output") if kind in row]
    assert len(addresses) == 2 * len(NASTY) + 1
    assert {unquote(one) for one in addresses} <= names
    assert all(re.match(r"(images|inputs)/", one) for one in addresses)


def test_an_archive_has_pictures_alone(tmp_path: Path) -> None:
    """A file that a manifest names and that is no picture is handed on to nobody."""
    (tmp_path / "passwords").write_bytes(b"root:x")
    night = write_night(tmp_path, [saved(tmp_path, "a.jpg", 1), failed("../passwords"), failed("nul\0")])
    done = written(night, is_zipped=True)
    assert done.archive is not None
    assert ZipFile(done.archive).namelist() == ["report.html", "images/a.jpg.png", "inputs/a.jpg"]


def test_a_large_archive_has_the_thumbnails(tmp_path: Path) -> None:
    """Where the thumbnails are beside the page they are in the archive too."""
    one = saved(tmp_path, "a.jpg", 1)
    night = write_night(tmp_path, [replace(one, id=str(k)) for k in range(INLINED + 1)])
    done = written(night, is_zipped=True, path=tmp_path / "night.html")
    assert done.archive == tmp_path / "night.zip"
    with ZipFile(done.archive) as archive:
        names = archive.namelist()
        document = document_of(archive.read("report.html").decode())
    assert len(names) == 1 + 2 + 1 + 1
    assert {row["after"] for row in document["items"]} < set(names)


def test_a_report_in_a_hurry_says_what_it_lacks(tmp_path: Path) -> None:
    """Where the time is up the page is written without some thumbnails, and how to make them is told."""
    watcher, night = Listening(), night_of(tmp_path, "a.jpg", "b.jpg")
    row = document_in(written(night, patience_s=-1.0, watcher=watcher).path)["items"][0]
    assert ("after" in row, row["output"], row["input"]) == (False, "images/a.jpg.png", "../in/a.jpg")
    assert "2 items" in watcher.heard
    assert "batchup report night.toml" in watcher.heard


def test_thumbnails_of_what_is_gone_are_removed(tmp_path: Path) -> None:
    """After an item is made anew its old thumbnails are not kept beside the new ones."""
    night = night_of(tmp_path, "a.jpg", "b.jpg")
    written(night)
    assert len(list((night.folder / "report").glob("*.webp"))) == 4
    written(write_night(tmp_path, [saved(tmp_path, "a.jpg", 7)]))
    assert len(list((night.folder / "report").glob("*.webp"))) == 2


def test_a_report_waits_for_no_run(tmp_path: Path) -> None:
    """While a run holds the folder nothing is written, and the problem says where to look instead."""
    night = night_of(tmp_path, "a.jpg")
    with RunLock(night.folder, RUN), pytest.raises(Locked, match=RUN) as problem:
        written(night)
    assert "batchup status night.toml" in problem.value.remedy
    assert "--serve" in problem.value.remedy
    assert not (night.folder / "report.html").exists()


class Meddling(Listening):
    """Does something once while the thumbnails are looked at."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self._meddle: Callable[[], object] | None = meddle

    def begin(self, total: int) -> None:
        """Do it."""
        meddle, self._meddle = self._meddle, None
        if meddle is not None:
            assert total
            meddle()


def test_a_run_waits_for_no_report(tmp_path: Path) -> None:
    """A run begins, and ends, while a report of its job is written, which then shows how it has ended."""
    night = night_of(tmp_path, "a.jpg")

    def run() -> None:
        with RunLock(night.folder, RUN):
            write_night(tmp_path, [*night.outcomes, failed("b.jpg")])

    done = written(night, watcher=Meddling(run))
    assert rows_of(document_in(done.path)).keys() == {"a.jpg", "b.jpg"}
    assert done.document.totals.failed == 1


def test_a_report_takes_nothing_from_a_run(tmp_path: Path) -> None:
    """What a run has made by then for items that are in no results yet is left to it."""
    night, other = night_of(tmp_path, "a.jpg"), "0" * 32 + "a.webp"
    with ExitStack() as later:

        def begin() -> None:
            later.enter_context(RunLock(night.folder, RUN))
            (night.folder / "report" / other).write_bytes(b"x")

        written(night, watcher=Meddling(begin))
        assert (night.folder / "report" / other).exists()
    written(night)
    assert not (night.folder / "report" / other).exists()


def test_two_reports_are_not_written_at_once(tmp_path: Path) -> None:
    """The second one is told who writes, and writes nothing."""
    night = night_of(tmp_path, "a.jpg")
    (night.folder / "report").mkdir()
    with (
        ReportLock(night.folder / "report"),
        pytest.raises(Locked, match="another report, process") as problem,
    ):
        written(night)
    assert "report is written" in problem.value.remedy
    assert not (night.folder / "report.html").exists()
    written(night)


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Where the page cannot be written the problem names it."""
    night = night_of(tmp_path, "a.jpg")
    with pytest.raises(DiskProblem, match=r"night\.html"):
        written(night, path=tmp_path / f"{'x' * 255}night.html")
    with pytest.raises(OutputProblem, match="nowhere is not there"):
        written(night, path=tmp_path / "nowhere" / "night.html")


def test_a_library_writes_it_too(tmp_path: Path) -> None:
    """`batchup.write_report` writes it to the output folder or elsewhere, and raises as the command does."""
    night = night_of(tmp_path, "a.jpg")
    assert batchup.write_report(night.job) == night.folder / "report.html"
    assert batchup.write_report(night.job, tmp_path / "x.html") == tmp_path / "x.html"
    assert document_in(tmp_path / "x.html")["next_command"] is None
    (night.folder / "results.jsonl").unlink()
    with pytest.raises(DataProblem, match="has not run yet"):
        batchup.write_report(night.job)


def test_inputs_are_found_where_the_reader_found_them(tmp_path: Path) -> None:
    """An input of the job file lies beside it, one of the manifest beside that, even if that is gone."""
    picture(tmp_path / "style.jpg", (12, 8))
    night = night_of(tmp_path, "a.jpg")
    text = night.path.read_text(encoding="utf-8")
    night.path.write_text(text.replace("[input]", '[input]\nimage = "style.jpg"'), encoding="utf-8")
    job = batchup.Job.load(night.path, environ={})
    outcomes = [*night.outcomes, failed("b", image="style.jpg")]
    written(replace(write_night(tmp_path, outcomes), job=job))
    rows = rows_of(document_in(night.folder / "report.html"))
    assert (rows["a.jpg"]["input"], rows["b"]["input"]) == ("../in/a.jpg", "../style.jpg")
    gone = batchup.Job.load(night.path, overrides={"manifest": str(tmp_path / "in" / "gone.csv")}, environ={})
    written(replace(night, job=gone))
    rows = rows_of(document_in(night.folder / "report.html"))
    assert rows["a.jpg"]["input"] == "../in/a.jpg"
