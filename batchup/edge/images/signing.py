"""Addresses at which the service can fetch an object from its bucket: signed here, known to nobody else."""

import time
from typing import Final
from urllib.parse import urlsplit

from batchup.core.items import Failure
from batchup.core.messages import SignAddress, Uploaded, UploadFailed
from batchup.edge.saving.guard import may_be_public
from batchup.edge.stores import StoreProblem, open_store, split_address
from batchup.errors import BatchupError

LONGEST_S = 7 * 86_400.0
"""No store signs an address for longer."""

_MARGIN_S = 3600.0  # an address is not used again this close to its end
_SIGNED: Final[set[str]] = set()  # the buckets for which this process has signed an address


def sign(command: SignAddress) -> Uploaded | UploadFailed:
    """Sign an address for an object; it is in no message, and kept nowhere.

    Where its bucket has signed before, credentials may be there again in a while: it is worth another try.
    """
    address, lasts_s = command.file.path, min(command.lasts_s, LONGEST_S)
    has_signed = False
    try:
        place = split_address(address)
        has_signed = place.bucket in _SIGNED
        url = _signed(address, lasts_s)
        has_signed = has_signed and open_store(address).can_sign(place.key)
    except (StoreProblem, BatchupError) as problem:
        url, words = None, problem.message
    else:
        why = "its credentials cannot be had just now" if has_signed else "its credentials cannot sign"
        words = f"no address can be signed for {address}: {why}"
    if url is None:
        return UploadFailed(command.file.sha256, Failure("upload", words, retryable=has_signed))
    return Uploaded(command.file.sha256, url, time.time() + lasts_s - min(_MARGIN_S, lasts_s / 2))


def can_be_fetched(address: str, *, is_near: bool) -> bool:
    """Tell whether the service can fetch an object by a signed address; `is_near`: from this machine, too.

    Not without credentials that sign, and not from a store in a private network, or in plain http.
    """
    url = _signed(address, 60.0)
    if url is None:
        return False
    parts = urlsplit(url)
    return is_near or (parts.scheme == "https" and may_be_public(parts.hostname or ""))


def _signed(address: str, lasts_s: float) -> str | None:
    """Sign an address, and remember that its bucket can; None where nothing can be signed."""
    store, place = open_store(address), split_address(address)
    url = store.sign(place.key, lasts_s)
    if url is not None:
        _SIGNED.add(place.bucket)
    return url
