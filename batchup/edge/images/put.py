"""Images on their way to the service: prepared, then PUT to the place the service named; no key goes there.

An `Uploader` can be made in any process, or on another machine, from its settings alone.
"""

import errno
import hashlib
import os
import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import aiohttp
import anyio
import anyio.to_thread
from yarl import URL

from batchup.core.items import Failure, LocalFile
from batchup.core.messages import Put, Uploaded, UploadFailed
from batchup.core.redaction import plain_words
from batchup.core.verdicts import Kind, Verdict, verdict
from batchup.edge.files import FULL_REMEDY, open_regular
from batchup.edge.images.pictures import BadPicture
from batchup.edge.images.preparing import Recipe, check_file, prepare
from batchup.edge.images.sources import FULL, path_of, unfinished
from batchup.edge.proxy import proxy_for
from batchup.edge.stores import StoreProblem
from batchup.errors import DiskProblem

_FOR_GOOD = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
"""What trying to read a file once more does not mend; a network folder's other errors may pass."""

_WORDS = 4096  # bytes of a refusal that are read
_CONDITIONS = {"missing": "missing", "no_bucket": "missing", "refused": "missing", "changed": "changed"}
MANY = 8  # files that are opened and hashed at one time
_AT_ONCE = 1  # images that are decoded at one time: each may be as large as `max_pixels` allows


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings:
    """What an uploader has to know: no key, no checkpoint, and fit to be sent to another process.

    `timeout_s` bounds one upload, `stall_s` connecting, in real seconds; temporary files lie in `folder`,
    in the system's own where it is None or not on this machine.
    """

    timeout_s: float
    stall_s: float
    recipe: Recipe = field(default_factory=Recipe)
    max_pixels: int = 128_000_000
    folder: str | None = None


class _ChangedError(Exception):
    """The bytes are not those that were looked at."""


class _Source:
    """The bytes to be sent: one open file that is hashed and sent, whatever its name may come to mean."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.opened = stack.enter_context(open_regular(path))
        self._handle = os.dup(self.opened.fileno())  # whoever sends the file closes it
        stack.callback(os.close, self._handle)
        self.state = _state_of(os.fstat(self._handle))

    def sha256(self) -> str:
        """Hash the bytes, and go back to their beginning."""
        found = hashlib.file_digest(self.opened, "sha256").hexdigest()
        self.opened.seek(0)
        return found

    def check(self) -> None:
        """Raise _ChangedError where the file was written to meanwhile; that it was renamed is nothing."""
        if _state_of(os.fstat(self._handle))[:4] != self.state[:4]:
            raise _ChangedError


def _state_of(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Uploader:
    """Prepares and PUTs images; use it as an async context manager.

    `on_changed` is called with the path of a file whose content is no longer the one that was looked at.
    """

    def __init__(
        self, settings: UploadSettings, *, on_changed: Callable[[str], None] = lambda _: None
    ) -> None:
        self.settings = settings
        self._on_changed = on_changed
        self._timeout = aiohttp.ClientTimeout(
            total=settings.timeout_s,
            sock_connect=settings.stall_s,
            sock_read=settings.stall_s,
            ceil_threshold=float("inf"),
        )

    async def __aenter__(self) -> Self:
        self._decoders = anyio.CapacityLimiter(_AT_ONCE)
        self._readers = anyio.CapacityLimiter(MANY)
        self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def put(self, command: Put) -> Uploaded | UploadFailed:
        """Prepare and upload once; the file must still be the one whose content was looked at."""
        sha256, name = command.file.sha256, plain_words(command.file.path)
        headers = {"Content-Type": command.file.content_type, **command.headers}
        with ExitStack() as stack:
            try:
                source = await self._ready(command.file, stack)
                status, words = await self._send(source.opened, command.put_url, headers)
                source.check()
            except aiohttp.ClientError as error:
                return failed(sha256, "lost", f"the upload of {name} broke: {type(error).__name__}")
            except TimeoutError:
                return failed(sha256, "lost", f"the upload of {name} took too long")
            except ValueError:
                return failed(sha256, "senseless", f"the service named no usable address to put {name} at")
            except (OSError, _ChangedError, BadPicture, StoreProblem, DiskProblem) as problem:
                return self._unusable(command.file, problem)
        if status // 100 == 2:
            return Uploaded(sha256, command.public_url, command.expires_at, command.file_id)
        return failed(sha256, str(status), f"the upload of {name} got HTTP {status}{_said(words)}")

    async def _ready(self, file: LocalFile, stack: ExitStack) -> "_Source":
        """Return the bytes to be sent; they and temporary files are there until `stack` is left."""
        is_heavy = file.is_stored or not self.settings.recipe.is_empty
        limiter = self._decoders if is_heavy else self._readers
        return await anyio.to_thread.run_sync(self._make_ready, file, stack, limiter=limiter)

    def _make_ready(self, file: LocalFile, stack: ExitStack) -> "_Source":
        settings = self.settings
        folder = None if settings.folder is None else Path(settings.folder)
        if folder is not None and not folder.is_dir():
            folder = None  # another machine's
        path = stack.enter_context(path_of(file, folder))
        source = _Source(path, stack)
        if file.is_stored:
            # nobody may have seen all of it before
            check_file(path, max_pixels=settings.max_pixels, is_converted=settings.recipe.converts)
        elif source.sha256() != (file.content or file.sha256):
            raise _ChangedError
        if settings.recipe.is_empty:
            return source
        into = stack.enter_context(unfinished(folder))
        made = prepare(path, settings.recipe, into, max_pixels=settings.max_pixels)
        if _state_of(path.stat()) != source.state:
            raise _ChangedError  # what was prepared may be other bytes than were hashed
        return source if made == path else _Source(made, stack)

    async def _send(self, file: BinaryIO, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        with file:
            async with self._session.put(
                url, data=file, headers=headers, allow_redirects=False, proxy=proxy_for(URL(url))
            ) as response:
                words = b""
                if not response.ok:
                    with suppress(aiohttp.ClientError, TimeoutError):  # the status says enough
                        words = await response.content.read(_WORDS)
                return response.status, words

    def _unusable(self, file: LocalFile, problem: Exception) -> UploadFailed:
        """Say why there was nothing to be sent, and let a file that has changed be looked at anew."""
        name = plain_words(file.path)
        match problem:
            case _ChangedError() | StoreProblem(kind="changed"):
                self._on_changed(file.path)
                words = f"{name} changed while the run was going on"
                return failed(file.sha256, "changed", words)
            case BadPicture():
                return UploadFailed(file.sha256, Failure("upload", f"{name} {problem}"))
            case StoreProblem():
                condition = _CONDITIONS.get(problem.kind, "unreadable")
                return failed(file.sha256, condition, problem.message)
            case OSError(errno=code) if code in FULL:
                raise DiskProblem(f"There is no room to prepare {name}.", remedy=FULL_REMEDY) from problem
            case DiskProblem():
                return failed(file.sha256, "unreadable", problem.message)
            case _:
                is_odd = isinstance(problem, OSError) and problem.errno == errno.EINVAL  # a pipe, or a folder
                condition = "missing" if is_odd or isinstance(problem, _FOR_GOOD) else "unreadable"
                words = getattr(problem, "strerror", None) or type(problem).__name__
                return failed(file.sha256, condition, f"{name} cannot be read: {words}")


def failed(sha256: str, condition: str, words: str) -> UploadFailed:
    """Describe what went wrong; the table of errors says whether another try may help."""
    is_free = verdict(Kind.UPLOAD, condition) is Verdict.REPEAT
    code = condition if condition.isdigit() else None
    return UploadFailed(sha256, Failure("upload", words, code, retryable=is_free))


def _said(words: bytes) -> str:
    """Return the store's own words, such as S3's code, to be put behind ours."""
    text = words.decode("utf-8", "replace")
    found = re.search(r"<Code>([A-Za-z0-9.]{1,60})</Code>", text)
    return f": {found[1]}" if found else ""
