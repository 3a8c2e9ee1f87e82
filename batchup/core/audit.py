"""The service's list beside the checkpoint: which create a prediction is of, and what is left to be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from batchup.core.fingerprint import is_ours
from batchup.core.items import Json
from batchup.core.listing import Window
from batchup.core.redaction import plain_value

TICK_S = 0.001  # the finest difference between two instants of the list


@dataclass(frozen=True, slots=True)
class Sent:
    """A create of which the checkpoint has no id: `sent_at` in the service's time, hashes of what it sent."""

    item_id: str
    attempt: int
    sent_at: float
    hashes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Match:
    """The create that a prediction is of, if any; `is_unclear` where its input is not shown in full."""

    sent: Sent | None
    is_unclear: bool = False


def match(creates: Sequence[Sent], shown: Mapping[str, Json], created_at: float | None) -> Match:
    """Return the create that sent this input; of several the one sent nearest to `created_at`."""
    likeness = [(sent, is_ours(sent.hashes, shown)) for sent in creates if sent.hashes]
    ours = [sent for sent, is_its in likeness if is_its]
    if not ours:
        return Match(None, is_unclear=any(is_its is None for _, is_its in likeness))
    at = 0.0 if created_at is None else created_at
    return Match(min(ours, key=lambda sent: abs(sent.sent_at - at)))


def agree(given: Mapping[str, Json], shown: Mapping[str, Json]) -> bool:
    """Tell whether an item's input and a prediction's are the same in what both have, signatures apart.

    A local image cannot be compared with the address at which it was uploaded.
    """
    return all(
        plain_value(value) == plain_value(shown[name]) or (is_address(shown[name]) and not is_address(value))
        for name, value in given.items()
        if name in shown
    )


def is_address(value: Json) -> bool:
    """Tell whether a value of an input is an address and no path."""
    return isinstance(value, str) and "://" in value


def rest_of(window: Window, instants: Sequence[float | None]) -> list[Window]:
    """Return what is still to be read of a stretch that has more rows than can be asked for.

    `instants` are those of the rows that were read. Where they come newest first, what is older is left, the
    oldest instant included; else both halves, in which rows that were read are met again. Nothing is left of
    a stretch that cannot be divided any more.
    """
    dated = [at for at in instants if at is not None]
    is_ordered = len(dated) == len(instants) and all(one >= other for one, other in pairwise(dated))
    if is_ordered and dated and window.from_at <= dated[-1] < window.to_at - TICK_S:
        return [Window(window.from_at, dated[-1] + TICK_S)]
    return list(window.halves() or ())
