"""The thumbnails of a job, in `report/` of its output folder: made once, and taken from there the next night.

A file is named by what it was made from: the output's hash and the input's path, size and time. Interrupted
at any moment, what was made stays. The folder may be deleted at any time.
"""

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import nullcontext, suppress
from functools import partial
from math import inf
from pathlib import Path
from threading import Lock, get_native_id
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from batchup.core.items import Outcome
from batchup.edge.files import disk_problems, make_folder
from batchup.edge.page.helpers import Helpers
from batchup.edge.page.inputs import Inputs
from batchup.edge.page.thumbnails import make_pair
from batchup.edge.shelves import FolderShelf, Shelf, shelf_of
from batchup.job import Job

FOLDER: Final = "report"
INDEX: Final = "index.json"
THREADS: Final = 4
"""Pictures that are decoded at one time, at most; each may take 4 bytes a pixel."""

GRACE_S: Final = 1.0
"""How long a picture that was begun in time may take beyond it."""

_MAKE: Final = 1  # how thumbnails are made; another number makes them all anew
_SAVE_EVERY: Final = 500  # new ones, between two savings of the index
_NAME: Final = re.compile(r"[0-9a-f]{32}[ab]\.webp|(?:[0-9a-f]{32}[ab]\.webp|index\.json)\.[0-9]+\.tmp")


class Made(msgspec.Struct, frozen=True, array_like=True):
    """What was made for one item; `key` is empty where there is nothing to make anything from."""

    key: str = ""
    has_before: bool = False
    has_after: bool = False
    gain: float | None = None
    input_width: int | None = None
    input_height: int | None = None
    has_input: bool = False  # here, whether it can be decoded or not

    @property
    def before(self) -> str | None:
        """The file name of the input's thumbnail."""
        return f"{self.key}b.webp" if self.has_before else None

    @property
    def after(self) -> str | None:
        """The file name of the output's thumbnail."""
        return f"{self.key}a.webp" if self.has_after else None


class Index(msgspec.Struct):
    """What `index.json` holds: all that was made."""

    made: list[Made]
    make: int = _MAKE


class Gallery:
    """The thumbnails of one job. `make` may be called from several threads, and makes each once.

    Outputs are in the folder `output`, unless they are on another `shelf`.
    """

    def __init__(self, output: Path, inputs: Inputs, max_pixels: int, shelf: Shelf | None = None) -> None:
        self.folder = output / FOLDER
        self._inputs, self._max_pixels = inputs, max_pixels
        self._shelf = FolderShelf(output) if shelf is None else shelf
        self._made = {one.key: one for one in self._read()}
        self._names: set[str | None] = set()
        with suppress(OSError):
            self._names.update(path.name for path in self.folder.iterdir())
        self._new_count = 0
        self._saving = Lock()
        self._turns: dict[str, Lock] = {}
        self._late: list[str] = []

    def make(self, outcome: Outcome, *, is_late: bool = False) -> Made:
        """Make what is not there yet of an item, and say what there is; DiskProblem if that fails.

        When `is_late`, nothing is made any more: what is not there is counted in `late_count`.
        """
        given = self._inputs.path_of(outcome.input)
        mark = None if given is None else self._mark(given)
        key = self._key(outcome, mark)
        if key is None:
            return Made()
        known = self._known(key, outcome)
        if known is None and is_late:
            self._late.append(key)
            return Made(has_input=mark is not None)
        if known is None:
            with self._turns.setdefault(key, Lock()):  # the second of two finds what the first has made
                known = self._known(key, outcome) or self._make(key, outcome, given if mark else None)
            self._turns.pop(key, None)
        return known

    def _known(self, key: str, outcome: Outcome) -> Made | None:
        """Return what was made before, None where it is not all there; an output may be there only now."""
        made = self._made.get(key)
        names = set() if made is None else {made.before, made.after} - {None}
        if made is None or not names or not names <= self._names:
            return None
        return made if made.has_after is bool(outcome.files) else None

    def _make(self, key: str, outcome: Outcome, given: Path | None) -> Made:
        with nullcontext() if not outcome.files else self._shelf.local(outcome.files[0]) as output:
            pair = make_pair(given, output, max_pixels=self._max_pixels)
        made = Made(
            key=key,
            has_before=pair.before is not None,
            has_after=pair.after is not None,
            gain=pair.gain,
            input_width=pair.input_width,
            input_height=pair.input_height,
            has_input=given is not None,
        )
        for name, data in ((made.before, pair.before), (made.after, pair.after)):
            if name is not None and data is not None:
                self._put(name, data)
        self._made[key] = made
        self._new_count += 1
        if self._new_count >= _SAVE_EVERY:
            self.save()
        return made

    @property
    def late_count(self) -> int:
        """How many items have no thumbnails because the time was up."""
        return len(self._late)

    def make_all(
        self, outcomes: Sequence[Outcome], on_each: Callable[[], None], patience_s: float = inf
    ) -> Iterator[Made]:
        """Make those of many items in threads, and yield them in order; `on_each` is called after each.

        After `patience_s` seconds none is begun any more, and one that takes much longer is left to itself.
        """
        make_folder(self.folder)
        late_at = time.monotonic() + patience_s
        helpers = Helpers(min(THREADS, os.cpu_count() or 1))

        def make(outcome: Outcome) -> Made:
            return self.make(outcome, is_late=time.monotonic() > late_at)

        is_stuck = False
        try:
            for future in [helpers.submit(partial(make, outcome)) for outcome in outcomes]:
                left_s = 0.0 if is_stuck else max(0.0, late_at - time.monotonic()) + GRACE_S
                wait([future], None if left_s == inf else left_s)
                is_stuck = not future.done()
                on_each()
                yield self._given_up() if is_stuck else future.result()
        finally:
            helpers.close(0.0 if is_stuck else GRACE_S)  # interrupted, there are some that were begun
            self.save()

    def _given_up(self) -> Made:
        self._late.append("")
        return Made()

    def save(self) -> None:
        """Write down what was made since the last time, beside what others have; or DiskProblem."""
        with self._saving:
            if self._new_count:
                self._new_count = 0
                for one in self._read():
                    self._made.setdefault(one.key, one)
                self._put(INDEX, msgspec.json.encode(Index([*self._made.values()])))

    def tidy(self, needed: Iterable[Made]) -> None:
        """Remove the thumbnails that no item needs any more; nothing else in the folder is touched."""
        kept = {one.key: one for one in needed if one.key}
        if kept.keys() != self._made.keys():
            self._made = kept
            self._put(INDEX, msgspec.json.encode(Index([*kept.values()])))
        names = {name for one in kept.values() for name in (one.before, one.after)}
        for path in list(self.folder.iterdir()):
            if _NAME.fullmatch(path.name) and path.name not in names:
                with suppress(OSError):
                    path.unlink()

    def _put(self, name: str, data: bytes) -> None:
        """Write a file as a whole; two threads, of a run and of a report, may be at the same one."""
        unfinished = self.folder / f"{name}.{get_native_id()}.tmp"
        with disk_problems(unfinished):
            make_folder(self.folder)
            unfinished.write_bytes(data)
            unfinished.replace(self.folder / name)
        self._names.add(name)

    def _key(self, outcome: Outcome, mark: tuple[str, int, int] | None) -> str | None:
        """Name what an item's thumbnails are made from, None where there is nothing."""
        output = outcome.files[0].sha256 if outcome.files else None
        if mark is None and output is None:
            return None
        words = msgspec.json.encode([mark, output, self._max_pixels])
        return hashlib.blake2b(words, digest_size=16).hexdigest()

    def _mark(self, given: Path) -> tuple[str, int, int] | None:
        """Return what tells one state of an input from the next, wherever the job's folder was moved to."""
        try:
            status = given.stat()
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        name = os.path.relpath(given, self._inputs.folder).encode("utf-8", "surrogateescape").hex()
        return name, status.st_size, status.st_mtime_ns

    def _read(self) -> list[Made]:
        try:
            index = msgspec.json.decode((self.folder / INDEX).read_bytes(), type=Index)
        except (OSError, ValueError):
            return []
        return index.made if index.make == _MAKE else []


_OPEN: Final[WeakValueDictionary[tuple[Path, Path, int], Gallery]] = WeakValueDictionary()
_OPENING: Final = Lock()


def shared_gallery(job: Job) -> Gallery:
    """Return the gallery of a job that all of this process share who have it at one time; reads its index."""
    inputs, max_pixels = Inputs(job), job.output.max_pixels
    key = job.output.dir, inputs.folder, max_pixels
    with _OPENING:
        gallery = _OPEN.get(key)
        if gallery is None:
            gallery = _OPEN[key] = Gallery(job.output.dir, inputs, max_pixels, shelf_of(job))
        return gallery
