"""The items that the live view shows, the newest ones, and their pictures when somebody looks at them."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

import anyio
import anyio.to_thread
import msgspec

from batchup.core.items import Outcome
from batchup.edge.files import open_regular
from batchup.edge.live.hub import MOST_ROWS
from batchup.edge.manifest.media import MEDIA_PARAMETERS, content_type
from batchup.edge.page.gallery import Gallery, Made, shared_gallery
from batchup.edge.page.inputs import Inputs, image_name
from batchup.errors import DiskProblem
from batchup.job import Job
from batchup.report.document import Row
from batchup.report.rows import Pictures, address, row_of, web_address

_MAKERS: Final = 2  # thumbnails that are made at one time
_HEAD: Final = 16
_ILL: Final = frozenset({"failed", "held", "in_doubt"})


@dataclass(slots=True)
class _Page:
    """One item: how it came out, and its row."""

    outcome: Outcome
    row: Row


class Album:
    """Rows of a job's items, at most `most` of them, those that changed last at the end."""

    def __init__(self, job: Job, most: int = MOST_ROWS) -> None:
        self._job = job
        self._speed = job.speed
        self._inputs = Inputs(job)
        self._gallery: Gallery | None = None
        self._pages: OrderedDict[str, _Page] = OrderedDict()
        self._makers = anyio.CapacityLimiter(_MAKERS)
        self._most = most

    def __iter__(self) -> Iterator[Row]:
        """Go through the rows, those that changed last at the end."""
        return (page.row for page in self._pages.values())

    def __len__(self) -> int:
        """Return how many items are here."""
        return len(self._pages)

    def troubled(self) -> list[Outcome]:
        """Return the items that are as they should not be: failed, held or in doubt."""
        return [page.outcome for page in self._pages.values() if page.outcome.state in _ILL]

    def add(self, outcome: Outcome) -> Row:
        """Take an item up, in place of what was known of it, and return its row."""
        row = row_of(
            outcome,
            _pictures(outcome, has_input=self._inputs.path_of(outcome.input) is not None),
            job_input=self._job.input,
            media=MEDIA_PARAMETERS,
            speed=self._speed,
        )
        self._pages[outcome.id] = _Page(outcome, row)
        self._pages.move_to_end(outcome.id)
        if len(self._pages) > self._most:
            self._pages.popitem(last=False)
        return row

    def row(self, item_id: str) -> Row | None:
        """Return the row of an item, None if it is not here."""
        page = self._pages.get(item_id)
        return None if page is None else page.row

    def put_under(self, older: "Album") -> "Album":
        """Put the items of this album on top of another one's, and return that."""
        for page in self._pages.values():
            older.add(page.outcome)
        return older

    async def input_of(self, item_id: str) -> Path | None:
        """Return the picture that an item was made from, None where there is none on this machine."""
        page = self._pages.get(item_id)
        path = None if page is None else self._inputs.path_of(page.outcome.input)
        if path is None:
            return None
        return await anyio.to_thread.run_sync(_picture_at, path, abandon_on_cancel=True)

    async def thumbnail(
        self, kind: Literal["before", "after"], item_id: str
    ) -> tuple[Path | None, Row | None]:
        """Return an item's thumbnail; its row too if making the thumbnail has told more of the item."""
        page = self._pages.get(item_id)
        if page is None:
            return None, None
        async with self._makers:
            made = await anyio.to_thread.run_sync(self._make, page.outcome, abandon_on_cancel=True)
        name = made.before if kind == "before" else made.after
        path = None if name is None or self._gallery is None else self._gallery.folder / name
        return path, self._learn(page, made)

    def save(self) -> None:
        """Remember which thumbnails were made, for the report and the next night."""
        with suppress(DiskProblem):
            if self._gallery is not None:
                self._gallery.save()

    def _learn(self, page: _Page, made: Made) -> Row | None:
        """Put what the thumbnails tell into the row; return it if it has become another one by that."""
        row = msgspec.structs.replace(
            page.row, gain=made.gain, input_width=made.input_width, input_height=made.input_height
        )
        if row == page.row:
            return None
        page.row = row
        return row

    def _make(self, outcome: Outcome) -> Made:
        """Make the thumbnails, or find them where an earlier night has left them; blocks."""
        if self._gallery is None:
            self._gallery = shared_gallery(self._job)
        try:
            return self._gallery.make(outcome)
        except DiskProblem:
            return Made()


def _pictures(outcome: Outcome, *, has_input: bool) -> Pictures:
    """Return where the live view has the pictures of an item."""
    own = quote(outcome.id, safe="", errors="surrogatepass")
    name = image_name(outcome.input)
    elsewhere = None if name is None else web_address(outcome.input[name])
    return Pictures(
        before=f"thumbnails/before/{own}" if has_input else None,
        after=f"thumbnails/after/{own}" if outcome.files else None,
        input=f"inputs/{own}" if has_input else elsewhere,
        outputs=[address(file.path) for file in outcome.files],
    )


def _picture_at(path: Path) -> Path | None:
    """Return a path if a picture is there: whatever else a manifest names is shown to nobody."""
    try:
        with open_regular(path) as file:
            kind = content_type(path.name, file.read(_HEAD))
    except (OSError, ValueError):  # a NUL in a path is a ValueError
        return None
    return path if kind.startswith("image/") else None
