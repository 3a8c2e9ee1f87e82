"""The words of a pilot: what a few items drawn at random tell of the whole job."""

from collections.abc import Iterator

from batchup.core.money import dollars
from batchup.core.pilot import Pilot, Span
from batchup.core.space import in_words
from batchup.edge.telling.words import duration


def pilot_lines(pilot: Pilot, speed: float = 1.0) -> Iterator[str]:
    """Yield what came of the items that were drawn, then what the whole will come to, a line a subject.

    A simulator's time runs `speed` times as fast as that on the wall.
    """
    parts = [(pilot.saved, "saved"), (pilot.failed, "failed"), (pilot.outstanding, "outstanding")]
    ends = ", ".join(f"{count} {word}" for count, word in parts if count)
    yield f"{pilot.drawn} of {pilot.of} items at random: {ends or 'none'}"
    if pilot.failed_share is not None:
        yield f"{_percent(pilot.failed_share)} of all will fail"
    if pilot.cost is not None:
        cost = pilot.cost
        span = (
            "" if cost.high_usd == cost.low_usd else f" ({dollars(cost.low_usd)} to {dollars(cost.high_usd)})"
        )
        yield f"the whole job will cost about {dollars(cost.likely_usd)}{span}"
    if pilot.wall_s is not None and pilot.rest:
        nights = "" if pilot.night_s is None else f", {pilot.nights} runs of {duration(pilot.night_s)}"
        bought = "" if pilot.to_buy == pilot.rest else f", of which {pilot.to_buy} are to be bought,"
        simulated = "" if speed == 1 else f" ({duration(pilot.wall_s * speed)} of simulated time)"
        yield f"the other {pilot.rest}{bought} will take about {duration(pilot.wall_s)}{simulated}{nights}"
    if pilot.bytes is not None and pilot.rest:
        size = pilot.bytes
        span = "" if size.high == size.low else f" ({in_words(size.low)} to {in_words(size.high)})"
        yield f"their outputs will take about {in_words(size.likely)} of disk{span}"
    if pilot.unread:
        yield f"equal and broken ones among {pilot.unread} were not looked for: `batchup check` does"


def _percent(share: Span) -> str:
    return f"about {100 * share.likely:.3g} % ({100 * share.low:.2g} to {100 * share.high:.2g} %)"
