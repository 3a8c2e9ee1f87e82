"""The members of a tar, one after the other: names, where their bytes begin and how many there are.

Nothing is unpacked. What a header may make us hold is bounded, unlike in the standard library's reader.
"""

import re
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, Final

_BLOCK: Final = tarfile.BLOCKSIZE
_LONGEST_HEADER: Final = 1 << 16
_LONGEST_NUMBER: Final = 20  # digits: more bytes than any archive has
_PAX: Final = re.compile(rb"(\d{1,9}) ([^=\n]{1,100})=")
_LONG_NAMES: Final = {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
_PAX_TYPES: Final = {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}
_REFUSED: Final = {
    tarfile.LNKTYPE: "a link",
    tarfile.SYMTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a file with holes",
}


class TarProblem(Exception):
    """A tar that cannot be read on; `words` end a sentence about it, `is_none` says that it is no tar."""

    def __init__(self, words: str, *, is_none: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.is_none = is_none


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file in a tar; `refused` says what it is where it is not a plain one, such as "a link"."""

    name: str
    offset: int
    size: int
    refused: str = ""


@dataclass(slots=True)
class _Ahead:
    """What extended headers have said of the member that follows them."""

    name: str | None = None
    size: int | None = None
    is_sparse: bool = False


@dataclass(slots=True)
class TarReader:
    """Reads the headers of a tar of `size` bytes; the file is left where nobody may rely on."""

    file: BinaryIO
    size: int
    _ahead: _Ahead = field(default_factory=_Ahead)

    def members(self) -> Iterator[TarMember]:
        """Yield each member that is no folder; TarProblem where the archive is cut short or damaged."""
        offset = 0
        while True:
            header = self._header(offset)
            if header is None:
                return
            data = offset + _BLOCK
            size = header.size if self._ahead.size is None or header.type in _PAX_TYPES else self._ahead.size
            length = 0 if header.type in _REFUSED and header.type != tarfile.GNUTYPE_SPARSE else size
            if data + length > self.size:
                raise TarProblem(f"is cut short: {header.name!r} would end behind its last byte")
            if header.type in _LONG_NAMES | _PAX_TYPES:
                self._look_ahead(header.type, data, size)
            elif header.type != tarfile.XGLTYPE:
                found = self._member(header, data, size)
                self._ahead = _Ahead()
                if found is not None:
                    yield found
            offset = data + -(-length // _BLOCK) * _BLOCK

    def read(self, member: TarMember) -> bytes:
        """Read a member's bytes; the caller has looked at its size."""
        self.file.seek(member.offset)
        return self.file.read(member.size)

    def _header(self, offset: int) -> tarfile.TarInfo | None:
        self.file.seek(offset)
        raw = self.file.read(_BLOCK)
        if offset and len(raw) < _BLOCK:
            raise TarProblem("is cut short: its end mark is missing")
        if raw and not raw.strip(b"\0"):
            return None  # the end mark
        header = None
        with suppress(tarfile.HeaderError):
            header = tarfile.TarInfo.frombuf(raw, "utf-8", "surrogateescape")
        if header is None or header.size < 0:
            words = "is damaged: what should be a header is none" if offset else "is no tar"
            raise TarProblem(words, is_none=not offset)
        return header

    def _look_ahead(self, kind: bytes, offset: int, size: int) -> None:
        if size > _LONGEST_HEADER:
            raise TarProblem(f"has a header of {size} bytes, which no tool writes")
        self.file.seek(offset)
        raw = self.file.read(size)
        if kind == tarfile.GNUTYPE_LONGNAME:
            self._ahead.name = raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        elif kind in _PAX_TYPES:
            self._read_pax(raw)

    def _read_pax(self, raw: bytes) -> None:
        position = 0
        while found := _PAX.match(raw, position):
            end = position + int(found[1])
            value = raw[found.end() : end - 1]
            if found[2] == b"path":
                self._ahead.name = value.decode("utf-8", "surrogateescape")
            elif found[2] == b"size" and value.isdigit():
                self._ahead.size = int(value[:_LONGEST_NUMBER])
            elif found[2].startswith(b"GNU.sparse"):
                self._ahead.is_sparse = True
            if end <= found.end():
                return
            position = end

    def _member(self, header: tarfile.TarInfo, offset: int, size: int) -> TarMember | None:
        name = header.name if self._ahead.name is None else self._ahead.name
        if header.type == tarfile.DIRTYPE or name.endswith("/"):
            return None
        refused = "a file with holes" if self._ahead.is_sparse else _REFUSED.get(header.type, "")
        return TarMember(name.removeprefix("./"), offset, size, refused)
