"""The words of a forecast."""

from collections.abc import Iterator
from typing import Any

import msgspec

from batchup.cli.planning import plan_fields
from batchup.cli.prices import money_fields
from batchup.core.forecast import Forecast
from batchup.edge.planning.forecast import Outlook
from batchup.job import Job


def lines(job: Job, outlook: Outlook, night_s: float) -> Iterator[str]:
    """Say what is to be expected, a line a subject."""
    seen = outlook.forecast
    if seen is None or seen.items == 0:
        yield "forecast: nothing is outstanding"
        return
    speed = job.speed
    nights = seen.nights(night_s * speed)
    clock = "" if speed == 1 else f" of simulated time, {speed:g} times as fast"
    yield (
        f"forecast: {seen.items} outstanding, {_length(seen.wall_s / speed)}"
        f" at {seen.per_minute:.1f} a minute{clock}; {nights} {'run' if nights == 1 else 'runs'}"
        f" of {_length(night_s)}"
    )
    yield (
        f"requests: {seen.requests}: {seen.creates} creates, {seen.presigns} presigns, {seen.polls} polls,"
        f" {seen.surveys} lists{f', {seen.deletes} deletions' if seen.deletes else ''}"
    )
    yield _durations(job, seen)
    if job.webhook is not None:
        yield "webhooks: not counted on; with them it takes about one poll an item"


def as_json_line(job: Job, outlook: Outlook, balance_usd: float | None, night_s: float) -> str:
    """Return the same as one JSON object, with what is known of the money and the disk."""
    found: dict[str, Any] = {
        "job": job.name,
        **plan_fields(outlook, night_s, job.speed),
        **money_fields(outlook, balance_usd),
        "disk": outlook.shortage,
    }
    seen = outlook.forecast
    if seen is not None:
        speed = job.speed
        cost = None if outlook.cost is None else outlook.cost.likely_usd
        fields = {**seen.as_dict(), "wall_s": round(seen.wall_s / speed, 1), "cost_usd": cost}
        found["forecast"] = {**fields, "nights": seen.nights(night_s * speed)}
    return msgspec.json.encode(found).decode()


def _durations(job: Job, seen: Forecast) -> str:
    if job.simulator is not None:
        return f"durations: as simulated, {seen.mean_duration_s:.3g} s on average"
    if seen.learned_from:
        mean = f"{seen.mean_duration_s:.3g} s on average"
        return f"durations: learned from {seen.learned_from} predictions, {mean}"
    return f"durations: guessed, {job.polling.expected_s:g} s on average ([polling] expected)"


def _length(seconds: float) -> str:
    """Write a length of time as a person would say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
