"""Messages by apprise: mail, Slack, Teams, ntfy and whatever else it knows (extra `notify`)."""

import importlib.util
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from typing import Final

import anyio

from batchup.core.notice import EndKind
from batchup.edge.detached import detached
from batchup.errors import ConfigProblem, install

_COLOURS: Final = {EndKind.FINISHED: "success", EndKind.FAILED: "warning", EndKind.PERSON: "failure"}


def require_apprise() -> None:
    """Raise ConfigProblem, which says how to install it, where apprise is not there."""
    if importlib.util.find_spec("apprise") is None:
        raise ConfigProblem("Messages by apprise need its library.", remedy=install("notify"))


async def send(
    addresses: Sequence[str], *, title: str, body: str, kind: EndKind, within_s: float
) -> str | None:
    """Send a message to all of apprise's `addresses`; return None, or in words whom it did not reach.

    These libraries cannot be told to stop: what is late is left to itself.
    """
    with anyio.move_on_after(within_s):
        try:
            return await detached(partial(_send, addresses, title, body, _COLOURS[kind]), "notify")
        except Exception as problem:  # noqa: BLE001 a library's error, whose words may hold the address
            return f"apprise failed with {type(problem).__name__}"
    return f"not done within {within_s:g} s"


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep what apprise says in this thread out of every log: it may hold an address."""
    own, said = get_ident(), logging.getLogger("apprise")

    def is_another_s(record: logging.LogRecord) -> bool:
        return record.thread != own

    said.addFilter(is_another_s)
    try:
        yield
    finally:
        said.removeFilter(is_another_s)


@_unlogged()
def _send(addresses: Sequence[str], title: str, body: str, kind: str) -> str | None:
    import apprise  # noqa: PLC0415 takes half a second, and is an extra

    # With a timeout of its own it sends in threads that the end of the process waits for.
    asset = apprise.AppriseAsset(app_id="batchup", app_desc="batchup", async_mode=False, service_timeout=0)
    lost: list[str] = []
    for address in addresses:
        service = apprise.Apprise(asset=asset)
        if not service.add(address):
            lost.append("an address that apprise does not understand")
        elif not service.notify(body, title, apprise.NotifyType(kind), body_format=apprise.NotifyFormat.TEXT):
            lost.append(str(service[0].service_name))
    if not lost:
        return None
    return f"{len(lost)} of {len(addresses)} did not take it: {', '.join(lost)}"
