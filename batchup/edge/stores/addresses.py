"""Addresses of buckets and of what is in them: `s3://bucket/folder/name`, and the same for `gs` and `az`."""

import os
import re
from dataclasses import dataclass
from typing import Final

from batchup.core.redaction import plain_words
from batchup.errors import ConfigProblem

_SCHEMES: Final = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "az": "az",
    "azure": "az",
    "abfs": "az",
    "abfss": "az",
}
_ACCOUNT: Final = "AZURE_STORAGE_ACCOUNT_NAME"
_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)
_BUCKET: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._$@-]{0,221}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """An address taken apart: `bucket` as it can be opened, `key` of an object or a prefix, maybe empty."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}"


def is_store_address(text: str) -> bool:
    """Whether a text names a bucket, or something in one."""
    found = _ADDRESS.match(text)
    return found is not None and found[1].lower() in _SCHEMES


def split_address(address: str) -> Place:
    """Take an address apart, its scheme in its usual spelling; ConfigProblem for one that names no bucket.

    And for one in another storage account than the environment names: what is there would be read instead.
    """
    found = _ADDRESS.match(address)
    scheme = _SCHEMES.get(found[1].lower(), "") if found else ""
    bucket, _, key = address[found.end() if found else 0 :].partition("/")
    if not scheme or not _BUCKET.fullmatch(bucket):
        raise ConfigProblem(
            f"{plain_words(address)} names no bucket.", remedy="Write it as in s3://bucket/folder/name."
        )
    if scheme == "az" and "@" in bucket:  # abfss://container@account.dfs.core.windows.net/path
        bucket, _, host = bucket.partition("@")
        _check_account(address, host.partition(".")[0])
    return Place(f"{scheme}://{bucket}", key)


def account() -> str | None:
    """Return the storage account that the environment names, which is where all of Azure is read."""
    return os.environ.get(_ACCOUNT)


def _check_account(address: str, name: str) -> None:
    ours = account()
    if ours is None or ours.lower() != name.lower():
        is_ours = f"and {_ACCOUNT} is " + ("not set" if ours is None else plain_words(ours))
        words = f"{plain_words(address)} is in the storage account {plain_words(name)}, {is_ours}."
        remedy = "Set it to that account, with its key; each takes a run of its own."
        raise ConfigProblem(words, remedy=remedy)


def object_address(bucket: str, key: str) -> str:
    """Return the address of an object, as `split_address` takes it apart."""
    return f"{bucket}/{key}"
