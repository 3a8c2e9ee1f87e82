"""Uploading a local file to the place the service named; no key goes there."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import anyio.to_thread
from yarl import URL

from batchup.core.items import Failure
from batchup.core.messages import Put, Uploaded, UploadFailed
from batchup.core.verdicts import Kind, Verdict, verdict
from batchup.edge.files import sha256_of
from batchup.edge.proxy import proxy_for

_FOR_GOOD = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
"""What trying to read a file once more does not mend; a network folder's other errors may pass."""

_WORDS = 4096  # bytes of a refusal that are read


class Uploader:
    """PUTs files. `timeout_s` bounds one upload, `stall_s` connecting, in real seconds.

    `on_changed` is called with the path of a file whose content is no longer the one that was looked at.
    """

    def __init__(
        self, *, timeout_s: float, stall_s: float, on_changed: Callable[[str], None] = lambda _: None
    ) -> None:
        self._on_changed = on_changed
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s, sock_connect=stall_s, sock_read=stall_s, ceil_threshold=float("inf")
        )

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def _send(self, path: Path, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        file = await anyio.to_thread.run_sync(path.open, "rb")
        with file:
            async with self._session.put(
                url, data=file, headers=headers, allow_redirects=False, proxy=proxy_for(URL(url))
            ) as response:
                words = b""
                if not response.ok:
                    with suppress(aiohttp.ClientError, TimeoutError):  # the status says enough
                        words = await response.content.read(_WORDS)
                return response.status, words

    async def put(self, command: Put) -> Uploaded | UploadFailed:
        """Upload once; the file must still be the one whose content was looked at."""
        sha256 = command.file.sha256
        path = Path(command.file.path)
        headers = {"Content-Type": command.file.content_type, **command.headers}
        try:
            if await anyio.to_thread.run_sync(sha256_of, path) != sha256:
                self._on_changed(command.file.path)
                return _failed(sha256, "changed", f"{path} changed while the run was going on")
            status, words = await self._send(path, command.put_url, headers)
        except aiohttp.ClientError as error:
            return _failed(sha256, "lost", f"the upload of {path} broke: {type(error).__name__}")
        except TimeoutError:
            return _failed(sha256, "lost", f"the upload of {path} took too long")
        except ValueError:
            return _failed(sha256, "senseless", f"the service named no usable address to put {path} at")
        except OSError as error:
            condition = "missing" if isinstance(error, _FOR_GOOD) else "unreadable"
            return _failed(sha256, condition, f"{path} cannot be read: {error.strerror}")
        if status // 100 == 2:
            return Uploaded(sha256, command.public_url, command.expires_at)
        return _failed(sha256, str(status), f"the upload of {path} got HTTP {status}{_said(words)}")


def _failed(sha256: str, condition: str, words: str) -> UploadFailed:
    """Describe what went wrong; the table of errors says whether another try may help."""
    is_free = verdict(Kind.UPLOAD, condition) is Verdict.REPEAT
    code = condition if condition.isdigit() else None
    return UploadFailed(sha256, Failure("upload", words, code, retryable=is_free))


def _said(words: bytes) -> str:
    """Return the store's own words, such as S3's code, to be put behind ours."""
    text = words.decode("utf-8", "replace")
    found = re.search(r"<Code>([A-Za-z0-9.]{1,60})</Code>", text)
    return f": {found[1]}" if found else ""
