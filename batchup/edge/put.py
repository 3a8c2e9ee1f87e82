"""Uploading a local file to the place the service named; no key goes there."""

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import anyio.to_thread
from yarl import URL

from batchup.core.items import Failure
from batchup.core.messages import Put, Uploaded, UploadFailed
from batchup.edge.proxy import proxy_for

_BLOCK = 1 << 20


class Uploader:
    """PUTs files. `timeout_s` bounds one upload, `stall_s` connecting, in real seconds."""

    def __init__(self, *, timeout_s: float, stall_s: float) -> None:
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

    async def _send(self, path: Path, url: str, headers: dict[str, str]) -> int:
        file = await anyio.to_thread.run_sync(path.open, "rb")
        with file:
            async with self._session.put(
                url, data=file, headers=headers, allow_redirects=False, proxy=proxy_for(URL(url))
            ) as response:
                return response.status

    async def put(self, command: Put) -> Uploaded | UploadFailed:
        """Upload once; the file must still be the one whose content was looked at."""
        sha256 = command.file.sha256
        path = Path(command.file.path)
        headers = {"Content-Type": command.file.content_type, **command.headers}
        try:
            if await anyio.to_thread.run_sync(_hash, path) != sha256:
                return _failed(sha256, f"{path} changed while the run was going on", again=False)
            status = await self._send(path, command.put_url, headers)
        except aiohttp.ClientError as error:
            return _failed(sha256, f"the upload of {path} broke: {type(error).__name__}", again=True)
        except TimeoutError:
            return _failed(sha256, f"the upload of {path} took too long", again=True)
        except OSError as error:
            return _failed(sha256, f"{path} cannot be read: {error.strerror}", again=False)
        if status // 100 == 2:
            return Uploaded(sha256, command.public_url, command.expires_at)
        again = status >= 500 or status in (403, 408, 429)
        return _failed(sha256, f"the upload of {path} got HTTP {status}", again=again)


def _failed(sha256: str, words: str, *, again: bool) -> UploadFailed:
    return UploadFailed(sha256, Failure("upload", words, retryable=again))


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
