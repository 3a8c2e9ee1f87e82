"""Beginnings that many texts have in common, kept once: addresses and inputs differ in their ends alone."""

import re
import sqlite3
import zlib
from typing import Final

from batchup.errors import DataProblem

MOST: Final = 1000  # beginnings that are kept
_SHORTEST: Final = 12  # letters that are worth it
_LONGEST: Final = 2000  # letters of a text that is looked at: each slash in it is a place where it may begin
_PACKED: Final = re.compile(r"([0-9a-f]{1,3})~")  # neither an address nor JSON begins like that

TABLE: Final = "CREATE TABLE prefixes (n INTEGER PRIMARY KEY, text TEXT NOT NULL, checksum INTEGER NOT NULL)"


class Prefixes:
    """The beginnings in one checkpoint. New ones are written in the transaction that is open."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._numbers: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._last: dict[str, str] = {}  # the text before, of each kind
        self.reload()

    def reload(self) -> None:
        """Take what is on disk: a transaction was rolled back."""
        rows = self._db.execute("SELECT n, text, checksum FROM prefixes")
        self._texts = {n: text for n, text, checksum in rows if checksum == _checksum(n, text)}
        self._numbers = {text: n for n, text in self._texts.items()}

    def pack(self, text: str, kind: str) -> str:
        """Return a text as it is stored; `kind` names the texts that are like it."""
        if len(text) > _LONGEST:
            return text
        last, self._last[kind] = self._last.get(kind, ""), text
        known = self._longest(text)
        common = text[: text.rfind("/", 0, _common(text, last)) + 1]
        if len(common) >= len(known) + _SHORTEST and len(self._texts) < MOST:
            known = common
            self._add(common)
        return f"{self._numbers[known]:x}~{text[len(known) :]}" if known else text

    def whole(self, stored: str) -> str:
        """Return the text that is stored so; DataProblem where its beginning is lost."""
        found = _PACKED.match(stored)
        if found is None:
            return stored
        try:
            return self._texts[int(found[1], 16)] + stored[found.end() :]
        except KeyError:
            raise DataProblem("The checkpoint is damaged: the beginning of a text is garbled.") from None

    def _longest(self, text: str) -> str:
        end = text.rfind("/") + 1
        while end > 0:
            if text[:end] in self._numbers:
                return text[:end]
            end = text.rfind("/", 0, end - 1) + 1
        return ""

    def _add(self, text: str) -> None:
        n = len(self._texts) + 1
        while n in self._texts:
            n += 1
        self._db.execute("INSERT OR REPLACE INTO prefixes VALUES (?, ?, ?)", (n, text, _checksum(n, text)))
        self._texts[n], self._numbers[text] = text, n


def _common(one: str, other: str) -> int:
    """Count the letters that two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _checksum(n: int, text: str) -> int:
    return zlib.crc32(f"{n} {text}".encode())
