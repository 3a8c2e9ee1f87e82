"""Saved files and uploads in a checkpoint: each row sealed as it is written, and checked when it is read."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from batchup.core.items import SavedFile
from batchup.core.messages import KeepUpload
from batchup.edge.database.prefixes import Prefixes
from batchup.edge.database.schema import (
    SEAL_UPLOAD,
    SEALED_FILE,
    SEALED_UPLOAD,
    full_path,
    is_whole,
    kept_path,
    row_checksum,
)

UPLOADS: Final = (
    "SELECT sha256, url, expires_at FROM uploads"  # noqa: S608 names are ours
    f" WHERE {is_whole('uploads', SEALED_UPLOAD)} AND sha256 IN (%s)"
)
"""The uploads of some contents; one whose row is garbled is made again."""


REPLACED: Final = "replaced_upload:"
"""And the service's name for it, among the facts: an upload whose content was uploaded again, its address."""

_REPLACE: Final = (
    "INSERT OR REPLACE INTO facts SELECT ?1 || file_id, url FROM uploads"  # noqa: S608 names are ours
    " WHERE sha256 = ?2 AND file_id IS NOT NULL AND file_id IS NOT ?3"
    f" AND {is_whole('uploads', SEALED_UPLOAD)}"
)


def keep_files(
    db: sqlite3.Connection, prefixes: Prefixes, item: int, item_id: str, files: Sequence[SavedFile]
) -> None:
    """Write down the files of a saved item, in place of those that it had."""
    db.execute("DELETE FROM files WHERE item = ?", (item,))
    rows = [
        (
            *(item, k, kept_path(one.path, item_id), one.bytes, bytes.fromhex(one.sha256)),
            *(one.width, one.height, prefixes.pack(one.url, "url")),
        )
        for k, one in enumerate(files)
    ]
    sealed = [(*row, row_checksum(*row)) for row in rows]
    db.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", sealed)


def files(
    db: sqlite3.Connection, prefixes: Prefixes, item: int | None, item_id: str
) -> list[tuple[SavedFile, Any]]:
    """Return the files of an item in the order of its outputs, each with whether it is as it was written."""
    query = (
        f"SELECT {is_whole('files', SEALED_FILE)}, path, bytes, sha256, width, height, url FROM files"  # noqa: S608
        " WHERE item = ? ORDER BY position"
    )
    found = []
    for is_as_written, path, size, sha256, width, height, url in db.execute(query, (item,)):
        file = SavedFile(
            path=full_path(path, item_id),
            bytes=size,
            sha256=sha256.hex(),
            width=width,
            height=height,
            url=prefixes.whole(url),
        )
        found.append((file, is_as_written))
    return found


def keep_upload(db: sqlite3.Connection, keep: KeepUpload) -> None:
    """Write down where a content was uploaded; what it was before is to be deleted all the same."""
    sha256 = bytes.fromhex(keep.sha256)
    db.execute(_REPLACE, (REPLACED, sha256, keep.file_id))
    row = (sha256, keep.url, keep.expires_at, keep.file_id)
    db.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, NULL)", row)
    db.execute(f"{SEAL_UPLOAD} WHERE sha256 = ?", (sha256,))
