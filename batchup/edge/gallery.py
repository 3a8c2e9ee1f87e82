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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import inf
from pathlib import Path
from threading import Lock, get_ident
from typing import Final

import msgspec

from batchup.core.items import Outcome
from batchup.edge.files import disk_problems, make_folder
from batchup.edge.inputs import Inputs
from batchup.edge.thumbnails import make_pair

FOLDER: Final = "report"
INDEX: Final = "index.json"
THREADS: Final = 4
"""Pictures that are decoded at one time, at most; each may take 4 bytes a pixel."""

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
    """The thumbnails of one job. `make` may be called from several threads."""

    def __init__(self, output: Path, inputs: Inputs, max_pixels: int) -> None:
        self.folder = output / FOLDER
        self._output, self._inputs, self._max_pixels = output, inputs, max_pixels
        self._made = {one.key: one for one in self._read()}
        self._names: set[str | None] = set()
        with suppress(OSError):
            self._names.update(path.name for path in self.folder.iterdir())
        self._new_count = 0
        self._saving = Lock()
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
        known = self._made.get(key)
        if known is not None and self._is_there(known, outcome):
            return known
        if is_late:
            self._late.append(key)
            return Made(has_input=mark is not None)
        output = self._output / outcome.files[0].path if outcome.files else None
        pair = make_pair(given, output, max_pixels=self._max_pixels)
        made = Made(
            key=key,
            has_before=pair.before is not None,
            has_after=pair.after is not None,
            gain=pair.gain,
            input_width=pair.input_width,
            input_height=pair.input_height,
            has_input=mark is not None,
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

        After `patience_s` seconds none is begun any more.
        """
        make_folder(self.folder)
        late_at = time.monotonic() + patience_s
        threads = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))
        try:
            for made in threads.map(lambda one: self.make(one, is_late=time.monotonic() > late_at), outcomes):
                on_each()
                yield made
        finally:
            threads.shutdown(cancel_futures=True)
            self.save()

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
        """Write a file as a whole; two threads may be at the same one."""
        unfinished = self.folder / f"{name}.{get_ident()}.tmp"
        with disk_problems(unfinished):
            make_folder(self.folder)
            unfinished.write_bytes(data)
            unfinished.replace(self.folder / name)
        self._names.add(name)

    def _is_there(self, made: Made, outcome: Outcome) -> bool:
        """Tell whether all is there; what had no output when it was made may have one now."""
        names = {made.before, made.after} - {None}
        return bool(names) and names <= self._names and made.has_after is bool(outcome.files)

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
