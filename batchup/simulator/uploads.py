"""Files that clients put here: a presigned address each, and who may still use it."""

import re
import sqlite3
import uuid
from dataclasses import dataclass

from batchup.simulator.clock import Clock
from batchup.simulator.store import Store

PUT_BEFORE_S = 15 * 60.0
"""How long a presigned address takes a PUT, in service seconds."""

KEEP_S = 180 * 86400
"""How long a file is kept where nothing else is asked for, in service seconds."""

FILE_ID_HEADER = "x-amz-meta-file-id"

_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
_PATH = re.compile(r"/uploads/([0-9a-f-]{36})\.[a-z]+\Z")


@dataclass(frozen=True, slots=True)
class Upload:
    """A place for one file; instants are wall seconds, `sha256` is None until the file has come."""

    id: str
    extension: str
    content_type: str
    token: str
    put_before_at: float
    expires_at: float
    sha256: str | None
    is_deleted: bool

    @property
    def path(self) -> str:
        """The path of its public address."""
        return f"/uploads/{self.id}.{self.extension}"


class Uploads:
    """All uploads, in the store."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self._clock = clock
        self._store = store

    def presign(self, content_type: str, keep_s: float) -> Upload:
        """Make a place for a file that is kept for `keep_s` service seconds."""
        now = self._clock.now()
        upload = Upload(
            id=str(uuid.uuid4()),
            extension=_EXTENSIONS.get(content_type, "bin"),
            content_type=content_type,
            token=uuid.uuid4().hex,
            put_before_at=now + self._clock.real(PUT_BEFORE_S),
            expires_at=now + self._clock.real(keep_s),
            sha256=None,
            is_deleted=False,
        )
        columns = (upload.id, upload.extension, content_type, upload.token)
        times = (upload.put_before_at, upload.expires_at)
        self._store.write("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, NULL, 0)", *columns, *times)
        return upload

    def get(self, upload_id: str) -> Upload | None:
        """Return the upload with this id, a deleted one too, or None."""
        row = self._store.row("SELECT * FROM uploads WHERE id = ?", upload_id)
        return _upload(row) if row else None

    def at_path(self, path: str) -> Upload | None:
        """Return the upload whose public path this is, or None."""
        match = _PATH.fullmatch(path)
        return self.get(match[1]) if match else None

    def put(self, upload: Upload, data: bytes) -> None:
        """Take the file's bytes; from now on its public address works."""
        self._store.write(
            "UPDATE uploads SET sha256 = ? WHERE id = ?", self._store.keep_image(data), upload.id
        )

    def delete(self, upload: Upload) -> None:
        """Let its public address stop working."""
        self._store.write("UPDATE uploads SET is_deleted = 1 WHERE id = ?", upload.id)

    def is_live(self, upload: Upload) -> bool:
        """Tell whether its public address works now."""
        return bool(upload.sha256) and not upload.is_deleted and self._clock.now() < upload.expires_at

    def content_of(self, address: str) -> str | None:
        """Return the sha256 of the file at an upload's address, whatever its host and port.

        It is empty where the address is an upload's and there is no file, None where it is no upload's.
        """
        # The end of the address decides: an old host or port in front of it does no harm.
        match = _PATH.search(address) if address.startswith("http") else None
        upload = self.get(match[1]) if match else None
        if upload is None:
            return None
        return upload.sha256 or "" if self.is_live(upload) else ""


def _upload(row: sqlite3.Row) -> Upload:
    values = dict(row)
    values["is_deleted"] = bool(values["is_deleted"])
    return Upload(**values)
