"""Objects in a bucket: S3, Google Cloud Storage and Azure behind one small class; needs obstore, an extra.

Credentials, region and endpoint come from the environment as the stores' own tools read it (AWS_...,
GOOGLE_..., AZURE_...). No message of this package holds a query, a key or a user.
"""

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from batchup.edge.stores.addresses import Place, is_store_address, object_address, split_address
from batchup.edge.stores.problems import StoreProblem
from batchup.edge.stores.values import Meta
from batchup.errors import ConfigProblem, install

if TYPE_CHECKING:
    from batchup.edge.stores.bucket import Store

__all__ = [
    "Meta",
    "Place",
    "StoreProblem",
    "is_store_address",
    "object_address",
    "open_store",
    "split_address",
]

_VARIABLES: Final = ("AWS_", "AZURE_", "GOOGLE_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def open_store(address: str) -> "Store":
    """Return the bucket that an address is in; nothing is asked of it yet.

    Raises ConfigProblem for an address that names no bucket, for settings in the environment that cannot be
    used, and where the extra is not installed.
    """
    settings = tuple(sorted(item for item in os.environ.items() if item[0].upper().startswith(_VARIABLES)))
    return _open(split_address(address).bucket, settings)


@lru_cache(maxsize=8)  # a bucket keeps its connections, for as long as the environment is the same
def _open(bucket: str, settings: tuple[tuple[str, str], ...]) -> "Store":
    try:
        from batchup.edge.stores.bucket import Store  # noqa: PLC0415 - an extra
    except ImportError as missing:
        remedy = install("cloud", missing)
        raise ConfigProblem(f"{bucket} needs obstore.", remedy=remedy) from None
    return Store.of(bucket, dict(settings))
