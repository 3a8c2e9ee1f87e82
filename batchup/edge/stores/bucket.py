"""One bucket, by obstore; the only module that imports it."""

import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import anyio.to_thread
import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from batchup.edge.stores.problems import StoreProblem, put_into_words
from batchup.edge.stores.values import Meta
from batchup.errors import ConfigProblem

CHUNK: Final = 8 << 20
"""How many bytes of an object are held at one time while it is read."""

LONGEST_SIGNED_S: Final = 7 * 86_400.0
"""No store signs an address for longer."""

_Inner: TypeAlias = S3Store | GCSStore | AzureStore
_KINDS: Final[dict[str, type[_Inner]]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9._~/-]+", re.ASCII)
_PREFIXES: Final = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}
_ENDPOINTS: Final = {
    "AWS": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "GOOGLE": ("GOOGLE_BASE_URL",),
    "AZURE": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_CLIENT: Final = {"connect_timeout": timedelta(seconds=10), "timeout": timedelta(seconds=120)}
_RETRIES: Final = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(seconds=0.1),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}


class Store:
    """One bucket. A method whose name ends in `_async` is the same, awaited; all raise StoreProblem.

    Keys are whole, from the bucket's root. What is free to repeat is repeated, for up to a minute.
    """

    def __init__(self, bucket: str, inner: _Inner, *, is_anonymous: bool) -> None:
        self.bucket = bucket
        self._inner = inner
        self._is_anonymous = is_anonymous
        self._is_there = False

    @classmethod
    def of(cls, bucket: str, environ: Mapping[str, str]) -> Self:
        """Make the bucket of an address without a key; ConfigProblem where the environment forbids it."""
        scheme = bucket.partition(":")[0]
        is_anonymous = _is_on(environ, f"{_PREFIXES[scheme]}_SKIP_SIGNATURE")
        allow_http = _is_on(environ, f"{_PREFIXES[scheme]}_ALLOW_HTTP")
        _refuse_plain_http(bucket, environ, is_allowed=allow_http)
        client = {**_CLIENT, "allow_http": allow_http}
        options: dict[str, Any] = {"client_options": client, "retry_config": _RETRIES}
        if is_anonymous:
            options["skip_signature"] = True
        try:
            inner = _KINDS[scheme](bucket.partition("://")[2], **options)
        except (BaseError, ValueError, OSError) as problem:
            told = put_into_words(problem, bucket, "")
            raise ConfigProblem(told.message, remedy=told.remedy) from None
        return cls(bucket, inner, is_anonymous=is_anonymous)

    def head(self, key: str) -> Meta:
        """Ask for an object's size and etag."""
        try:
            with self._problems(key):
                return _meta(obstore.head(self._inner, key))
        except StoreProblem as problem:
            if problem.kind == "missing" and not self._is_there:
                next(self.list_under(), None)  # says so where it is the bucket that is missing
                self._is_there = True
            raise

    async def head_async(self, key: str) -> Meta:
        """Ask for an object's size and etag."""
        try:
            with self._problems(key):
                return _meta(await obstore.head_async(self._inner, key))
        except StoreProblem as problem:
            if problem.kind == "missing" and not self._is_there:
                await anyio.to_thread.run_sync(next, self.list_under(), None)
                self._is_there = True
            raise

    def list_under(self, prefix: str = "") -> Iterator[Meta]:
        """Yield the objects whose keys begin with `prefix`, as the store orders them, a page at a time."""
        folder = prefix.rpartition("/")[0]  # to the library a prefix is whole folders
        with self._problems(prefix):
            for page in obstore.list(self._inner, prefix=folder or None, chunk_size=1000):
                for found in page:
                    if found["path"].startswith(prefix):
                        yield _meta(found)

    def read(self, key: str, start: int, length: int, *, etag: str | None = None) -> bytes:
        """Read a part of an object, shorter at its end; with an `etag`, only of that state of it."""
        if not length:
            return b""
        with self._problems(key):
            return bytes(obstore.get(self._inner, key, options=_part(start, length, etag)).bytes())

    async def read_async(self, key: str, start: int, length: int, *, etag: str | None = None) -> bytes:
        """Read a part of an object, shorter at its end; with an `etag`, only of that state of it."""
        if not length:
            return b""
        with self._problems(key):
            found = await obstore.get_async(self._inner, key, options=_part(start, length, etag))
            return bytes(await found.bytes_async())

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield an object's bytes; a change in the middle is a StoreProblem, never half of each."""
        meta = self.head(key)
        for start in range(0, meta.size, CHUNK):
            yield self.read(key, start, min(CHUNK, meta.size - start), etag=meta.etag)

    async def chunks_async(self, key: str) -> AsyncIterator[bytes]:
        """Yield an object's bytes; a change in the middle is a StoreProblem, never half of each."""
        meta = await self.head_async(key)
        for start in range(0, meta.size, CHUNK):
            yield await self.read_async(key, start, min(CHUNK, meta.size - start), etag=meta.etag)

    async def put_file_async(self, key: str, path: Path, content_type: str) -> str | None:
        """Store a file, whole or not at all, and return its etag."""
        with self._problems(key):
            kept = await obstore.put_async(self._inner, key, path, attributes=_typed(content_type))
            return _bare(kept["e_tag"])

    def put_bytes(self, key: str, content: bytes, content_type: str) -> str | None:
        """Store some bytes, whole or not at all, and return their etag."""
        with self._problems(key):
            return _bare(obstore.put(self._inner, key, content, attributes=_typed(content_type))["e_tag"])

    async def put_bytes_async(self, key: str, content: bytes, content_type: str) -> str | None:
        """Store some bytes, whole or not at all, and return their etag."""
        with self._problems(key):
            kept = await obstore.put_async(self._inner, key, content, attributes=_typed(content_type))
            return _bare(kept["e_tag"])

    def delete(self, key: str) -> None:
        """Take an object away; one that is gone already is no problem."""
        with self._problems(key), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._inner, key)

    def copy(self, key: str, to_key: str) -> None:
        """Copy an object to another key, inside the store, over what is there."""
        with self._problems(key):
            obstore.copy(self._inner, key, to_key)

    def sign(self, key: str, expires_s: float) -> str | None:
        """Return an address that opens the object to anybody for a while, at most LONGEST_SIGNED_S.

        None where nothing can be signed: without credentials, or with such that cannot sign.
        """
        if not self.can_sign(key):
            return None
        with contextlib.suppress(BaseError, ValueError, OSError):
            return obstore.sign(self._inner, "GET", key, _length(expires_s))
        return None

    def can_sign(self, key: str) -> bool:
        """Tell whether this name could be signed, with credentials that can."""
        # Of a name with other letters the library signs the escaped form, which Azure refuses.
        is_odd = isinstance(self._inner, AzureStore) and not _PLAIN_KEY.fullmatch(key)
        return not self._is_anonymous and not is_odd

    @contextlib.contextmanager
    def _problems(self, key: str) -> Iterator[None]:
        """Say in our words what went wrong at the store."""
        try:
            yield
        except (BaseError, ValueError, OSError) as problem:
            raise put_into_words(problem, self.bucket, key) from None


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in {"1", "true", "yes", "on"}


def _refuse_plain_http(bucket: str, environ: Mapping[str, str], *, is_allowed: bool) -> None:
    """Raise ConfigProblem for an endpoint without encryption that is not allowed: nothing would go out."""
    prefix = _PREFIXES[bucket.partition(":")[0]]
    set_to = [name for name in _ENDPOINTS[prefix] if environ.get(name, "").lower().startswith("http://")]
    if set_to and not is_allowed:
        words = f"The endpoint of {bucket} is plain http, by {set_to[0]}, and that is not allowed."
        remedy = f"Use https, or set {prefix}_ALLOW_HTTP=true if images may travel without encryption."
        raise ConfigProblem(words, remedy=remedy)


def _part(start: int, length: int, etag: str | None) -> Any:
    part = {"range": (start, start + length)}
    return part if etag is None else {**part, "if_match": f'"{etag}"'}


def _typed(content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type}


def _length(expires_s: float) -> timedelta:
    return timedelta(seconds=min(expires_s, LONGEST_SIGNED_S))


def _meta(found: Any) -> Meta:
    return Meta(found["path"], found["size"], _bare(found["e_tag"]), found["last_modified"])


def _bare(etag: str | None) -> str | None:
    """Return an etag without its quotes: in a listing Azure leaves them out."""
    return etag and etag.strip('"')
