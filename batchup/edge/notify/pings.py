"""Pings in the manner of healthchecks.io: a watch hears that a run begins, ends well, or ends badly."""

from typing import Final
from urllib.parse import urlsplit

from batchup.core.notice import EndKind, Notice

START: Final = "/start"
_FAIL: Final = "/fail"


def ping_address(address: str, signal: str) -> str:
    """Return the address for a signal, which goes before the query; an empty one means that all is well."""
    parts = urlsplit(address)
    return parts._replace(path=parts.path.rstrip("/") + signal).geturl() if signal else address


def signal_of(notice: Notice) -> str:
    """Return the signal for a run's end: a watch is content only with one that was as it was meant to be."""
    return "" if notice.kind is EndKind.FINISHED else _FAIL
