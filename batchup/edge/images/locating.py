"""From where an image lies to a `LocalFile`: it is there, it is a picture, and its content has a name.

Files and members of archives on this machine are named by the hash of their bytes, objects in a bucket by
their etag, with their address where that is no hash of the content: nothing is fetched to know them.
"""

import errno
import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Final

from batchup.core.items import LocalFile
from batchup.edge.images.contents import Contents, mark_of
from batchup.edge.images.preparing import Recipe
from batchup.edge.images.signing import can_be_fetched
from batchup.edge.images.sources import FULL, part_of
from batchup.edge.manifest.media import content_type
from batchup.edge.manifest.rows import Member, shown_path
from batchup.edge.service import may_be_private
from batchup.edge.stores import Meta, Place, StoreProblem, is_store_address, open_store, split_address
from batchup.errors import DiskProblem, Unavailable
from batchup.job import Job

MAX_FILE_BYTES: Final = 100_000_000
"""The service takes no larger upload."""

_OUR_OWN_TROUBLE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM}) | FULL
_HEAD: Final = 16
_WITH_MD5: Final = ("s3://", "gs://")
_MD5: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)  # of several parts it ends in their number, as in -2
_NO_MD5: Final = frozenset({"0" * 32, hashlib.md5(b"", usedforsecurity=False).hexdigest()})
"""What a store says that does not hash; an image is never empty."""

_UNKNOWN: Final = "application/octet-stream"


class Refusal(Exception):
    """Why a row cannot be sent: `kind` for programs, the message without its line."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Locator:
    """Looks at the images of one job; all its methods may raise Refusal. Blocking.

    Raises DiskProblem when files can no longer be opened, Unavailable when a bucket cannot be reached.
    """

    def __init__(self, job: Job, contents: Contents) -> None:
        self._contents = contents
        self._recipe = Recipe.of(job.prepare)
        self._is_near = may_be_private(job)
        self._can_sign: dict[str, bool] = {}  # of each bucket, by what its first object says
        self._archive: tuple[str, Meta] | None = None  # the one in a bucket that was asked after last

    def file(self, name: str, path: Path) -> LocalFile:
        """Look at a file of this machine."""
        return self._on_disk(name, path, None)

    def member(self, name: str, member: Member) -> LocalFile:
        """Look at a member of an archive, which is not unpacked."""
        if is_store_address(member.archive):
            return self._stored(name, member.archive, member)
        return self._on_disk(name, Path(member.archive), member)

    def object(self, name: str, address: str) -> LocalFile:
        """Look at an object in a bucket."""
        return self._stored(name, address, None)

    def _on_disk(self, name: str, path: Path, member: Member | None) -> LocalFile:
        if member is not None:
            check_size(name, member.name, member.size)
        called = str(path) if member is None else f"{path}#{member.offset}+{member.size}"
        try:
            with os.fdopen(_open_now(path), "rb") as file:
                status = os.fstat(file.fileno())
                start, size = (0, status.st_size) if member is None else (member.offset, member.size)
                if member is None:
                    check_file(name, path, status)
                file.seek(start)
                kind = content_type(path.name if member is None else member.name, file.read(min(_HEAD, size)))
                _check_kind(name, str(path) if member is None else member.name, kind)
                mark = mark_of(status)
                digest = self._contents.get(called, mark)
                if digest is None:
                    file.seek(start)
                    hasher = hashlib.sha256()
                    if member is None:
                        hasher = hashlib.file_digest(file, "sha256")
                    else:
                        for chunk in part_of(file, size):
                            hasher.update(chunk)
                    digest = hasher.digest()
                    if mark_of(os.fstat(file.fileno())) != mark:
                        raise _missing(name, path, "changed while it was read")
                    self._contents.put(called, mark, digest)
        except (OSError, ValueError) as problem:  # a NUL in a path is a ValueError
            raise unreadable(name, path, problem) from None
        content = digest.hex()
        named = self._recipe.name(content)
        return LocalFile(
            str(path),
            named,
            size,
            self._recipe.content_type(kind),
            offset=None if member is None else start,
            content="" if named == content else content,
        )

    def _stored(self, name: str, address: str, member: Member | None) -> LocalFile:
        place = split_address(address)
        called = place.key if member is None else member.name
        try:
            store = open_store(address)
            meta = self._meta(address) if member is not None else store.head(place.key)
            offset, size = (None, meta.size) if member is None else (member.offset, member.size)
            check_size(name, address if member is None else called, size)
            kind = content_type(called, b"")
            if kind == _UNKNOWN:
                head = store.read(place.key, offset or 0, min(_HEAD, size), etag=meta.etag)
                kind = content_type(called, head)
        except StoreProblem as problem:
            raise of_store(name, problem) from None
        _check_kind(name, address if member is None else called, kind)
        content = named_by_store(place, meta, offset, size)
        can_sign = member is None and self._recipe.is_empty and self._signs(place.bucket, address)
        return LocalFile(
            address,
            self._recipe.name(content),
            size,
            self._recipe.content_type(kind),
            offset=offset,
            is_stored=True,
            can_sign=can_sign,
            etag=meta.etag or "",
        )

    def _meta(self, address: str) -> Meta:
        """Ask after an archive once, as long as its members follow each other."""
        kept = self._archive  # read once: a check looks from several threads
        if kept is None or kept[0] != address:
            kept = self._archive = address, open_store(address).head(split_address(address).key)
        return kept[1]

    def _signs(self, bucket: str, address: str) -> bool:
        if bucket not in self._can_sign:
            self._can_sign[bucket] = can_be_fetched(address, is_near=self._is_near)
        return self._can_sign[bucket]


def named_by_store(place: Place, meta: Meta, offset: int | None, size: int) -> str:
    """Name a content by what its store says: equal objects have one name where the etag is their MD5."""
    etag = meta.etag or f"{meta.size} {meta.modified_at}"
    is_md5 = place.bucket.startswith(_WITH_MD5) and _MD5.fullmatch(etag) is not None and etag not in _NO_MD5
    return hashlib.sha256(f"{'md5' if is_md5 else place} {etag} {offset} {size}".encode()).hexdigest()


def check_file(name: str, path: Path, status: os.stat_result) -> None:
    """Check that it is a file, and one that the service takes; else Refusal."""
    if not stat.S_ISREG(status.st_mode):
        raise _missing(name, path, "is not a file")
    if not status.st_size:
        raise _missing(name, path, "is empty")
    check_size(name, path, status.st_size)


def check_size(name: str, place: str | Path, size: int) -> None:
    """Check that there is something, and not more than the service takes; else Refusal."""
    if not size:
        raise Refusal("missing_file", f'"{name}": {shown_path(place)} is empty')
    if size > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES // 1_000_000} MB"
        message = f'"{name}": {shown_path(place)} is larger than the {limit} the service takes'
        raise Refusal("too_large", message)


def unreadable(name: str, path: Path, problem: OSError | ValueError) -> Exception:
    """Turn what opening a file raised into a Refusal, or into a DiskProblem where it is our own trouble."""
    if not isinstance(problem, OSError):
        return _missing(name, path, "cannot be read: it is no path")
    if problem.errno in _OUR_OWN_TROUBLE:
        return DiskProblem(f"Images can no longer be read: {problem.strerror}.")
    return _missing(name, path, f"cannot be read: {problem.strerror}")


def _check_kind(name: str, place: str, kind: str) -> None:
    if not kind.startswith("image/"):
        raise Refusal("unsupported_image", f'"{name}": {shown_path(place)} is not a picture')


def _open_now(path: Path) -> int:
    """Open without waiting: a pipe with nobody at its other end would hold the run for ever."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _missing(name: str, path: Path, reason: str) -> Refusal:
    return Refusal("missing_file", f'"{name}": the file {shown_path(path)} {reason}')


def of_store(name: str, problem: StoreProblem) -> Exception:
    """Reject a row for what its object is to blame for; where the store is out of reach all rows would be."""
    if problem.is_lasting or problem.kind == "changed":
        message = problem.message[:1].lower() + problem.message[1:].rstrip(".")
        return Refusal("missing_file", f'"{name}": {message}')
    return Unavailable(problem.message, remedy=problem.remedy)
