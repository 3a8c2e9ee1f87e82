"""The values that travel through batchup: frozen, so that whoever gets one may keep it.

An `Item` is what is wanted, a `Failure` why something went wrong, an `Outcome` an item's end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A decoded JSON value: None, bool, int, float, str, list or dict of these."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """An image whose bytes can be had here: `path` as it can be opened, `size` in bytes, `sha256` in hex.

    `sha256` names what the service is given: the content, or the content and what is done to it first, or
    for an object in a bucket its address and etag. `content_type` is that of what the service is given.
    """

    path: str
    sha256: str
    size: int
    content_type: str
    offset: int | None = None  # where its bytes begin inside an archive; None: it is a file of its own
    is_stored: bool = False  # `path` is the address of an object in a bucket, or of an archive there
    can_sign: bool = False  # the service can fetch it from its bucket by an address that is signed
    content: str = ""  # the hash of its bytes, where `sha256` is not that; empty too where nobody read them
    etag: str = ""  # of the object in the bucket, as it was looked at


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be made: the logical request, which stays the same from night to night.

    `input` holds the job's parameters and the item's own, local files as written in the manifest;
    `files` says which parameters are local files; `fingerprint` is the hash of all of it.
    """

    id: str
    line: int
    input: Mapping[str, Json]
    files: Mapping[str, LocalFile]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something went wrong: our `kind`, the service's `code` and words, and whether again may help."""

    kind: str
    message: str
    code: str | None = None
    retryable: bool = False


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A finished output: `path` relative to the output folder, size in bytes and pixels, hash, origin.

    `url` has no query: a signature in it would be a secret.
    """

    path: str
    bytes: int
    sha256: str
    width: int
    height: int
    url: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """An item's end, or where it stands: one line of `results.jsonl`.

    `state` is one of saved, failed, held, in_doubt, outstanding; instants are Unix seconds; cost in USD.
    """

    id: str
    state: str
    prediction_id: str | None = None
    files: tuple[SavedFile, ...] = ()
    attempts: int = 0
    cost_usd: float | None = None
    predict_time_s: float | None = None
    created_at: float | None = None
    settled_at: float | None = None
    saved_at: float | None = None
    failure: Failure | None = None
    input: Mapping[str, Json] = field(default_factory=dict)
    shared_with: str | None = None  # the item whose prediction this one shares
