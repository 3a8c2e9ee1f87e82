"""How late the end of a prediction was found: the seconds for which its slot was kept and nothing ran."""

from batchup.core.items import Item
from batchup.core.messages import Note
from batchup.core.sightings import is_plausible

SETTLED = "settled"
"""The event of the note."""


def found_late(lo_s: float, hi_s: float, predict_time_s: float | None) -> tuple[float | None, bool]:
    """Return how late an end was found, in seconds, and whether the service's own figure says so.

    The prediction was seen running at age `lo_s` and found settled at age `hi_s`. Without a figure that can
    be true it is half of the time between the two; None where it was never seen running.
    """
    if predict_time_s is not None and is_plausible(lo_s, hi_s, predict_time_s):
        return max(0.0, hi_s - predict_time_s), True
    return ((hi_s - lo_s) / 2 if 0 < lo_s <= hi_s else None), False


def note(
    item: Item,
    attempt: int,
    prediction_id: str | None,
    *,
    poll_count: int,
    born_at: float,
    running_at: float,
    now: float,
    predict_time_s: float | None,
) -> Note:
    """Describe a prediction that was just found settled; instants of the run's clock, polls of this run."""
    lo_s, hi_s = running_at - born_at, now - born_at
    late_s, is_told = found_late(lo_s, hi_s, predict_time_s)
    fields: dict[str, object] = {
        "item": item.id,
        "attempt": attempt,
        "prediction_id": prediction_id,
        "t_s": round(now, 3),
        "took_s": round(hi_s, 3),
        "found_late_s": None if late_s is None else round(late_s, 3),
        "is_told": is_told,
        "polls": poll_count,
    }
    return Note(SETTLED, "info", fields)
