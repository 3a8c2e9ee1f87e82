"""Writes a job's report: one page, its thumbnails, and an archive of everything to hand on."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Final

from batchup.core.items import Outcome
from batchup.edge.exports.targets import is_stream, writing
from batchup.edge.files import disk_problems, make_folder
from batchup.edge.lock import ReportLock, is_held, refuse_if_held
from batchup.edge.manifest.media import MEDIA_PARAMETERS
from batchup.edge.mending.recovery import catch_up
from batchup.edge.page.archive import Entry, write_archive
from batchup.edge.page.described import describe
from batchup.edge.page.fetching import fetch_inputs
from batchup.edge.page.gallery import FOLDER as THUMBNAILS
from batchup.edge.page.gallery import Gallery, Made
from batchup.edge.page.gather import Gathered, gather_whole, mark_of, read_outcomes, refuse_if_new
from batchup.edge.page.inputs import Inputs, image_name
from batchup.edge.page.places import Archived, Beside, Inside, Places, is_picture
from batchup.edge.shelves import Shelf, kept_folder, shelf_of, size_of
from batchup.edge.telling.status import Status
from batchup.errors import OutputProblem
from batchup.job import Job
from batchup.report.document import Document, Row
from batchup.report.page import render
from batchup.report.rows import Pictures, address, row_of, web_address

NAME: Final = "report.html"
INLINED: Final = 500
"""Up to so many items the thumbnails are in the page itself."""

LARGE: Final = 200_000_000
"""Bytes from which on a page with everything in it is too much for most programs."""


_TRIES: Final = 3
"""Times that what is read is read again, because a run that began meanwhile has ended too."""


class Watcher:
    """Sees how far a report is; this one looks away."""

    def begin(self, total: int) -> None:
        """Thumbnails of so many items are looked at or made."""

    def tick(self) -> None:
        """Those of one item are there."""

    def end(self) -> None:
        """All of them are."""

    def warn(self, words: str) -> None:
        """Hear what a person should know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A report that was written, its archive if one was asked for, and the document that it shows."""

    path: Path
    archive: Path | None
    document: Document
    flawed_count: int = 0  # outputs that the archive has not as they were saved

    @property
    def is_well(self) -> bool:
        """Whether nothing failed, was held, rejected, is in doubt, or missing in the archive."""
        totals = self.document.totals
        is_whole = self.flawed_count == 0
        return is_whole and not (totals.failed or totals.held or totals.in_doubt or totals.rejected)


@dataclass(slots=True, kw_only=True)
class Report:
    """A report to be written to `path`; `command` is the job file as one types it.

    `is_single` puts the pictures themselves into the page, `is_zipped` makes an archive beside it,
    `is_fetching` gets the inputs that are on the web. After `patience_s` seconds no thumbnail is made any
    more: those that are not there are left for the next time.
    """

    job: Job
    path: Path
    command: str
    is_single: bool = False
    is_zipped: bool = False
    is_fetching: bool = False
    patience_s: float = inf
    watcher: Watcher = field(default_factory=Watcher)
    _inputs: Inputs = field(init=False)
    _shelf: Shelf = field(init=False)
    _gathered: Gathered = field(init=False)
    _status: Status | None = field(init=False)
    _items: Sequence[Outcome] = field(init=False)
    _made: Sequence[Made] = field(init=False)
    _flawed_count: int = field(init=False, default=0)

    def write(self) -> Written:
        """Write it; Locked while the job runs, or another report of it is written.

        A run that begins meanwhile is in nobody's way: what it has changed when it ends is read again.
        """
        job, folder = self.job, self.job.output.dir
        remedy = (
            f"`batchup status {self.command}` shows how it is going; a run with --serve also shows its"
            " pictures. Its end writes the report."
        )
        refuse_if_held(folder, remedy)
        catch_up(job)
        refuse_if_new(job)
        with disk_problems(self.path):
            self._refuse_places()
        make_folder(folder / THUMBNAILS)
        with ReportLock(folder / THUMBNAILS):
            self._inputs, self._shelf = Inputs(job), shelf_of(job)
            for _ in range(_TRIES):
                mark = mark_of(job)
                gallery = self._look()
                if mark == mark_of(job):
                    break
            return self._write(gallery)

    def _refuse_places(self) -> None:
        """Raise OutputProblem where something else is in the way, or the folder is not there."""
        beside, thumbnails = self.path.parent, self.job.output.dir / THUMBNAILS
        if not beside.is_dir():
            words = f"The folder {beside} is not there."
            raise OutputProblem(words, remedy="Make it, or name another with -o.")
        for path in (self.path, self.path.with_suffix(".zip")) if self.is_zipped else (self.path,):
            if path.is_dir():
                remedy = "Move it away, or name another file with -o."
                raise OutputProblem(f"{path} is a folder, and the report is to be there.", remedy=remedy)
        if os.path.lexists(thumbnails) and not thumbnails.is_dir():
            words = f"{thumbnails} is no folder, and the report's thumbnails are to lie in it."
            raise OutputProblem(words, remedy="Move it away.")

    def _look(self) -> Gallery:
        """Read what there is to show, and make the thumbnails."""
        job = self.job
        self._gathered, self._status = gather_whole(job)
        self._items = self._gathered.items
        if self.is_fetching:
            self._fetch()
        gallery = Gallery(job.output.dir, self._inputs, job.output.max_pixels, self._shelf)
        self.watcher.begin(len(self._items))
        self._made = list(gallery.make_all(self._items, self.watcher.tick, self.patience_s))
        self.watcher.end()
        return gallery

    def _write(self, gallery: Gallery) -> Written:
        folder = self.job.output.dir
        if gallery.late_count:
            self.watcher.warn(
                f"the report has no thumbnails of {gallery.late_count} items yet:"
                f" `batchup report {self.command}` makes them"
            )
        is_inlined = len(self._items) <= INLINED
        beside = Path.cwd() if is_stream(self.path) else self.path.parent
        places: Places = Beside(beside, folder, is_inlined, self._shelf)
        if self.is_single:
            self._warn_if_large()
            places = Inside(folder, self._shelf)
        document = self._document(places)
        archive = self.path.with_suffix(".zip") if self.is_zipped else None
        if archive is not None:
            inside = Archived(folder, self._inputs.folder, is_inlined)
            page = render(replace(document, mode="file", items=self._rows(inside)))
            write_archive(archive, self._entries(page, inside))
            self._warn_if_flawed()
            document = replace(document, zip=address(archive.name))
        text = render(document).encode()
        with disk_problems(self.path), writing(self.path) as file:
            file.write(text)
        if not is_held(folder):  # a run makes thumbnails of what is in no results yet
            with disk_problems(gallery.folder):
                gallery.tidy(self._made)
            shutil.rmtree(kept_folder(folder), ignore_errors=True)
        return Written(path=self.path, archive=archive, document=document, flawed_count=self._flawed_count)

    def _fetch(self) -> None:
        """Get the inputs from the web; what cannot be had is told, and no problem."""
        self.watcher.begin(len(self._items))
        failed_count = fetch_inputs(self.job, self._inputs, self._items, self.watcher.tick)
        self.watcher.end()
        if failed_count:
            self.watcher.warn(f"{failed_count} inputs could not be fetched; they are links in the report")

    def _document(self, places: Places) -> Document:
        return describe(
            self.job,
            self._gathered,
            self._status,
            mode="single" if self.is_single else "file",
            items=self._rows(places),
            command=self.command,
        )

    def _rows(self, places: Places) -> list[Row]:
        job, speed = self.job, self.job.speed
        return [
            row_of(
                outcome,
                self._pictures(outcome, made, places),
                job_input=job.input,
                media=MEDIA_PARAMETERS,
                speed=speed,
            )
            for outcome, made in zip(self._items, self._made, strict=True)
        ]

    def _pictures(self, outcome: Outcome, made: Made, places: Places) -> Pictures:
        given = self._inputs.path_of(outcome.input)
        name = image_name(outcome.input)
        if given is None:
            href = None if name is None else web_address(outcome.input[name])
        else:
            href = places.input(given) if made.has_input else None
        return Pictures(
            before=None if made.before is None else places.thumbnail(made.before),
            after=None if made.after is None else places.thumbnail(made.after),
            input=href,
            outputs=[places.output(file) for file in outcome.files],
            input_width=made.input_width,
            input_height=made.input_height,
            gain=made.gain,
        )

    def _entries(self, page: str, places: Archived) -> Iterator[Entry]:
        """Yield what the archive holds: every picture of the job, in the page or not."""
        folder = self.job.output.dir
        yield NAME, page.encode()
        if not places.is_inlined:
            for made in self._made:
                for name in (made.before, made.after):
                    if name is not None:
                        yield f"{THUMBNAILS}/{name}", folder / THUMBNAILS / name
        for outcome in read_outcomes(self.job):
            for file in outcome.files:
                found = self._shelf.find(file.path)
                self._flawed_count += found is None or size_of(found) != file.bytes
                if found is not None:
                    yield file.path, found
            given = self._inputs.path_of(outcome.input)
            if given is not None and is_picture(given):
                yield places.name_of(given), given

    def _warn_if_flawed(self) -> None:
        if self._flawed_count:
            self.watcher.warn(
                f"{self._flawed_count} pictures are missing or not what was saved:"
                f" `batchup verify {self.command} --fix`"
            )

    def _warn_if_large(self) -> None:
        """Say how large the page will be, before the memory for it is asked for."""
        outputs = sum(file.bytes for outcome in self._items for file in outcome.files)
        given = (self._inputs.path_of(outcome.input) for outcome in self._items)
        size = (outputs + sum(size_of(path) for path in given if path is not None)) * 4 // 3
        if size > LARGE:
            self.watcher.warn(
                f"the page will have about {size / 1e6:,.0f} MB, which many programs will not open;"
                " --zip makes an archive instead"
            )
