"""What a file is by its first bytes, where it should be text: so that it can be called by its name."""

from typing import Final

from batchup.errors import DataProblem

LONGEST: Final = 512
"""Bytes that are looked at."""
_DAMAGED: Final = 16  # zero bytes at the start, as a file has them that was never written to its end
_PICTURE: Final = "a {} picture"
_REMEDY: Final = "Name a manifest: JSON Lines, CSV or a list."
_KINDS: Final = (
    (b"PAR1", "a Parquet file: name it .parquet"),
    (b"\x1f\x8b", "packed by gzip: name it so, as in rows.csv.gz"),
    (b"\x28\xb5\x2f\xfd", "packed by Zstandard: name it so, as in rows.csv.zst"),
    (b"PK\x03\x04", "an archive or a workbook: save its table as CSV"),
    (b"\xd0\xcf\x11\xe0", "a workbook: save its table as CSV"),
    (b"%PDF-", "a PDF"),
    (b"SQLite format 3\x00", "a database"),
    (b"\xff\xd8\xff", _PICTURE.format("JPEG")),
    (b"\x89PNG", _PICTURE.format("PNG")),
    (b"GIF87a", _PICTURE.format("GIF")),
    (b"GIF89a", _PICTURE.format("GIF")),
    (b"BM", _PICTURE.format("BMP")),
    (b"II*\x00", _PICTURE.format("TIFF")),
    (b"MM\x00*", _PICTURE.format("TIFF")),
)
_INSIDE: Final = (
    (8, b"WEBP", _PICTURE.format("WebP")),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyphei", _PICTURE.format("HEIC")),
    (257, b"ustar", "a tar: name it .tar"),
)
_PLAIN: Final = frozenset({b"PAR1", b"GIF87a", b"GIF89a", b"BM"})
"""Those that a name in a list may begin with, too: they count where no text follows."""
_NO_TEXT: Final = bytes(range(9))


def refuse_no_text(name: str, head: bytes) -> None:
    """Raise DataProblem for a manifest that is no text, by its first bytes; `name` is what it is called."""
    found = _kind(head)
    if found is not None:
        kind, _, remedy = found.partition(": ")
        told = f"{remedy[:1].upper()}{remedy[1:]}." if remedy else _REMEDY
        raise DataProblem(f"The manifest {name} is {kind}, and no text.", remedy=told)
    if head[:_DAMAGED] == bytes(_DAMAGED):
        remedy = "It was probably damaged when a machine went down: write it again."
        raise DataProblem(f"The manifest {name} begins with zero bytes, and is no text.", remedy=remedy)


def is_binary(head: bytes) -> bool:
    """Tell of the first bytes of what should be a text whether they have some in them that no text has."""
    return any(byte in head for byte in _NO_TEXT)


def _kind(head: bytes) -> str | None:
    """Name what begins so, with what to do about it behind a colon; None for what may be a text."""
    for magic, words in _KINDS:
        if head.startswith(magic) and (magic not in _PLAIN or is_binary(head)):
            return words
    if not is_binary(head):
        return None
    return next((words for at, magic, words in _INSIDE if head.startswith(magic, at)), None)
