"""Saved files and uploads in a checkpoint: each row sealed as it is written, and checked when it is read."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from batchup.core.items import SavedFile
from batchup.core.messages import KeepUpload
from batchup.edge.database.schema import SEAL_FILE, SEAL_UPLOAD, SEALED_FILE, SEALED_UPLOAD, is_whole

UPLOADS: Final = (
    "SELECT sha256, url, expires_at FROM uploads"  # noqa: S608 names are ours
    f" WHERE {is_whole('uploads', SEALED_UPLOAD)} AND sha256 IN (%s)"
)
"""The uploads of some contents; one whose row is garbled is made again."""


def keep_files(db: sqlite3.Connection, item: int, files: Sequence[SavedFile]) -> None:
    """Write down the files of a saved item, in place of those that it had."""
    db.execute("DELETE FROM files WHERE item = ?", (item,))
    rows = [
        (item, k, file.path, file.bytes, bytes.fromhex(file.sha256), file.width, file.height, file.url)
        for k, file in enumerate(files)
    ]
    db.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", rows)
    db.execute(f"{SEAL_FILE} WHERE item = ?", (item,))


def files(db: sqlite3.Connection, item: int | None) -> list[tuple[SavedFile, Any]]:
    """Return the files of an item in the order of its outputs, each with whether it is as it was written."""
    query = (
        f"SELECT {is_whole('files', SEALED_FILE)}, path, bytes, sha256, width, height, url FROM files"  # noqa: S608
        " WHERE item = ? ORDER BY position"
    )
    return [
        (SavedFile(path, size, sha256.hex(), *rest), is_as_written)
        for is_as_written, path, size, sha256, *rest in db.execute(query, (item,))
    ]


def keep_upload(db: sqlite3.Connection, keep: KeepUpload) -> None:
    """Write down where a content was uploaded."""
    sha256 = bytes.fromhex(keep.sha256)
    row = (sha256, keep.url, keep.expires_at)
    db.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, NULL)", row)
    db.execute(f"{SEAL_UPLOAD} WHERE sha256 = ?", (sha256,))
