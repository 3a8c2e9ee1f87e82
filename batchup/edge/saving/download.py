"""One download, tried once: a URL that somebody else chose becomes a file of bounded size, or a failure."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import anyio
import anyio.to_thread
from yarl import URL

from batchup.core.items import Failure
from batchup.core.verdicts import Kind, Verdict, verdict
from batchup.edge.files import disk_problems, make_folder
from batchup.edge.proxy import proxy_for
from batchup.edge.saving.guard import PrivateAddress, may_be_public, public_socket

_T = TypeVar("_T")

_CHUNK = 1 << 18
_MAX_REDIRECTS = 5
_DISK_THREADS = 4
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ALLOW = "set [output] allow_private = true to allow it"


class DownloadProblem(Exception):
    """One try at a download failed; `is_gone` says that this URL will never work (403, 404 or 410)."""

    def __init__(self, failure: Failure, *, is_gone: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.is_gone = is_gone


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was received: its size in bytes and its hash in hex."""

    bytes: int
    sha256: str


class Downloader:
    """An HTTP client that takes no key anywhere, follows few redirects and connects to public addresses only.

    `timeout_s` bounds a whole download, `stall_s` the silence within one; both in real seconds.
    """

    def __init__(self, *, allow_private: bool, timeout_s: float, stall_s: float) -> None:
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._stall_s = stall_s

    async def __aenter__(self) -> Self:
        self._threads = anyio.CapacityLimiter(_DISK_THREADS)
        self._direct = self._session(guarded=not self._allow_private)
        # A proxy may well have a private address, and connects for us: it gets a session without the guard.
        self._proxied = self._session(guarded=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._direct.close()
        await self._proxied.close()

    def _session(self, *, guarded: bool) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=public_socket if guarded else None),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._stall_s, sock_read=self._stall_s),
            headers={"Accept-Encoding": "identity", "User-Agent": "batchup"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def fetch(self, url: str, target: Path, *, max_bytes: int) -> Fetched:
        """Write what a URL holds to `target`, its folder made if need be, and return its size and hash.

        Raises DownloadProblem, or DiskProblem when `target` cannot be written; `target` may then hold a part.
        """
        return await self.fetch_and(_as_it_is, url, target, max_bytes=max_bytes)

    async def fetch_and(
        self,
        then: Callable[[Fetched], _T],
        url: str,
        target: Path,
        *,
        max_bytes: int,
        limiter: anyio.CapacityLimiter | None = None,
    ) -> _T:
        """Fetch as `fetch` does, and return what `then` makes of it in the thread that wrote its last bytes.

        One thread is woken for it, within `limiter`, and is waited for. What `then` raises is raised. The
        download's time does not pass meanwhile.
        """
        with _network_problems():
            with anyio.fail_after(self._timeout_s):
                sink = await self._follow(parse_url(url), target, max_bytes)
        return await anyio.to_thread.run_sync(sink.end, then, limiter=limiter or self._threads)

    async def _follow(self, url: URL, target: Path, max_bytes: int) -> "_Sink":
        for _ in range(_MAX_REDIRECTS + 1):
            session, proxy = self._route(url)
            async with session.get(url, allow_redirects=False, proxy=proxy) as response:
                if response.status not in _REDIRECTS:
                    _check_answer(response, max_bytes)
                    return await self._receive(response, target, max_bytes)
                url = url.join(parse_url(response.headers.get("Location", ""), relative=True))
                parse_url(str(url))
        raise _problem("redirects", "senseless", f"more than {_MAX_REDIRECTS} redirects")

    def _route(self, url: URL) -> tuple[aiohttp.ClientSession, str | None]:
        host = url.host or ""
        proxy = proxy_for(url)
        if proxy is None:
            return self._direct, None
        if not self._allow_private and not may_be_public(host):
            raise _private(host)
        return self._proxied, proxy

    async def _receive(self, response: aiohttp.ClientResponse, target: Path, max_bytes: int) -> "_Sink":
        declared, sink = response.content_length, _Sink(target)
        with sink.closing_on_failure():
            async for chunk in response.content.iter_chunked(_CHUNK):
                sink.add(chunk)
                if sink.size > max_bytes:
                    raise _problem("too_large", "too_large", f"more than {max_bytes} bytes")
                if sink.is_full:
                    await anyio.to_thread.run_sync(sink.write, limiter=self._threads)
            if declared is not None and declared != sink.size:
                raise _problem("truncated", "short", f"{sink.size} bytes of {declared} came")
        return sink


class _Sink:
    """A file being written and hashed; up to `_CHUNK` bytes are gathered before a thread has to be woken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self._file: FileIO | None = None
        self._parts: list[bytes] = []
        self._waiting = 0
        self.size = 0

    @property
    def is_full(self) -> bool:
        """Whether it is time to write."""
        return self._waiting >= _CHUNK

    def add(self, data: bytes) -> None:
        """Take bytes in, to be written later."""
        self._parts.append(data)
        self._waiting += len(data)
        self.size += len(data)

    def write(self) -> None:
        """Write what was taken in. Blocking."""
        parts, self._parts, self._waiting = self._parts, [], 0
        with disk_problems(self._path):
            if self._file is None:
                make_folder(self._path.parent)
                self._path.unlink(missing_ok=True)  # what a killed run left may be a link to a finished file
                self._file = self._path.open("wb", buffering=0)
            for part in parts:
                rest = memoryview(part)
                while rest:
                    rest = rest[self._file.write(rest) :]
                self._hash.update(part)

    def end(self, then: Callable[[Fetched], _T]) -> _T:
        """Write the rest, close the file, and return what `then` makes of it. Blocking."""
        with self.closing_on_failure():
            self.write()
        self._close()
        return then(Fetched(self.size, self._hash.hexdigest()))

    @contextlib.contextmanager
    def closing_on_failure(self) -> Iterator[None]:
        """Close the file if the block fails."""
        try:
            yield
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        if self._file is not None:
            with disk_problems(self._path):
                self._file.close()


def _as_it_is(fetched: Fetched) -> Fetched:
    return fetched


def parse_url(text: str, *, relative: bool = False) -> URL:
    """Read an http or https URL as it stands, as quoting anew breaks signatures; else DownloadProblem."""
    try:
        is_plain = text.isascii() and text.isprintable() and " " not in text
        url = URL(text, encoded=is_plain)
        if url.host is None and relative and text and not url.scheme:
            return url
        if url.scheme in {"http", "https"} and url.host and url.port:
            return url
    except ValueError:
        pass
    raise _problem("bad_url", "senseless", f"not an address on the web: {bare_url(text)!r}")


def bare_url(text: str) -> str:
    """Return a URL without user, query and fragment, which may hold secrets; of a `data:` URL the start."""
    bare = text.split("#", 1)[0].split("?", 1)[0]
    scheme, slashes, rest = bare.partition("://")
    if not slashes:
        return bare[:80]
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _check_answer(response: aiohttp.ClientResponse, max_bytes: int) -> None:
    status = response.status
    if status != HTTPStatus.OK:
        raise _problem("http", str(status), f"answered {status}", code=str(status))
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise _problem("encoded", "encoded", f"sent compressed ({encoding[:20]!r}) though not asked to")
    if (response.content_length or 0) > max_bytes:
        size = f"{response.content_length} bytes, more than {max_bytes}"
        raise _problem("too_large", "too_large", size)


@contextlib.contextmanager
def _network_problems() -> Iterator[None]:
    """Turn what aiohttp raises into a DownloadProblem; its own words may hold headers and signed URLs."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, PrivateAddress):
            raise _private(error.host) from None
        words = error.os_error.strerror or type(error.os_error).__name__
        raise _problem("connect", "unsent", f"no connection to {error.host}: {words}") from None
    except TimeoutError:
        raise _problem("timeout", "lost", "took too long, or stalled") from None
    except aiohttp.ClientPayloadError:
        raise _problem("truncated", "short", "the answer was cut off") from None
    except ValueError:  # aiohttp's InvalidURL, and the UnicodeError of a name that no host can have
        raise _problem("bad_url", "senseless", "not an address on the web") from None
    except (aiohttp.ClientError, OSError) as error:
        raise _problem("connect", "lost", f"the connection failed: {type(error).__name__}") from None


def _private(host: str) -> DownloadProblem:
    return _problem("private_address", "not_allowed", f"{host} is a loopback or private address; {_ALLOW}")


def _problem(kind: str, condition: str, message: str, *, code: str | None = None) -> DownloadProblem:
    """Describe what went wrong; the table of errors says what it means."""
    found = verdict(Kind.DOWNLOAD, condition)
    failure = Failure(kind, f"download: {message}", code, retryable=found is Verdict.REPEAT)
    return DownloadProblem(failure, is_gone=found is Verdict.GONE)
