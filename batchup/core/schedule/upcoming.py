"""When a daily run really starts, as systemd 252, Debian's cron and Kubernetes have it when clocks change.

In the night in which the clocks go forward, an hour has no 02:30: systemd and Kubernetes start nothing then,
cron starts it as soon as the hour is jumped over. In the one in which they go back there are two: systemd and
cron start it at the first, Kubernetes at both.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice, takewhile
from typing import Final

from batchup.core.schedule.values import Starter, TimeOfDay

_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
_AHEAD: Final = timedelta(days=374)  # from one year's change of the clocks to the next it may be 371


@dataclass(frozen=True, slots=True)
class OddNight:
    """A date on which a daily run does not start once at its time of day, and when it does, if at all."""

    date: str
    starts: tuple[datetime, ...]


def next_runs(starter: Starter, at: TimeOfDay, zone: tzinfo, now: datetime, count: int = 5) -> list[datetime]:
    """Return when it starts next, in that zone; each start may come later by the jitter."""
    return list(islice(_starts(starter, at, zone, now), count))


def odd_nights(starter: Starter, at: TimeOfDay, zone: tzinfo, now: datetime) -> list[OddNight]:
    """Return the dates of the next year on which the clocks' change moves, doubles or drops a start."""
    begun = now.astimezone(zone) + _DAY  # today's may be over
    ahead = takewhile(lambda start: start - now < _AHEAD, _starts(starter, at, zone, now))
    by_date: dict[str, list[datetime]] = {}
    for start in ahead:
        by_date.setdefault(f"{start:%Y-%m-%d}", []).append(start)
    found = []
    for days in range(_AHEAD.days - 2):
        date = f"{begun + days * _DAY:%Y-%m-%d}"
        starts = by_date.get(date, [])
        if [f"{start:%H:%M}" for start in starts] != [str(at)]:
            found.append(OddNight(date, tuple(starts)))
    return found


def has_clock_changes(zone: tzinfo, now: datetime) -> bool:
    """Tell whether the clocks of a zone are put forward or back in the time to come."""
    return len({(now + days * _DAY).astimezone(zone).utcoffset() for days in range(_AHEAD.days)}) > 1


def _starts(starter: Starter, at: TimeOfDay, zone: tzinfo, now: datetime) -> Iterator[datetime]:
    start = now.astimezone(UTC)
    while True:
        start = _AFTER[starter](at, zone, start)
        yield start.astimezone(zone)


def _after_by_systemd(at: TimeOfDay, zone: tzinfo, last: datetime) -> datetime:
    """Go by the clock on the wall: later today, else on the next day that has this time.

    Of a time that comes twice the first is meant, unless the clock has been put back already.
    """
    here = last.astimezone(zone)
    day = here.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    if _wall(day) <= _wall(here):
        day = _tomorrow(day)
    while not _is_there(day):
        day = _tomorrow(day)
    return day.astimezone(UTC)


def _after_by_cron(at: TimeOfDay, zone: tzinfo, last: datetime) -> datetime:
    """Go by the clock on the wall; what it jumps over is started when it has jumped, and nothing twice."""
    here = last.astimezone(zone)
    day = here.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0, fold=0)
    while (start := _past_the_gap(day)) <= last:
        day = _tomorrow(day)
    return start


def _past_the_gap(wall: datetime) -> datetime:
    """Return the instant of a time of day, or that of the jump over it."""
    is_jumped = not _is_there(wall)
    while not _is_there(wall):
        wall -= _MINUTE
    return wall.astimezone(UTC) + (_MINUTE if is_jumped else timedelta())


def _after_by_kubernetes(at: TimeOfDay, zone: tzinfo, last: datetime) -> datetime:
    """Start whenever the clock on the wall shows it: twice in one night of the year, in another not at all.

    Its library goes in steps of hours instead, and misses or moves a start of the nights in which the clocks
    change on Lord Howe, by half an hour, and on the Chathams, a quarter to the hour; those are not followed.
    """
    day = last.astimezone(zone).replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    while True:
        for wall in (day.replace(fold=0), day.replace(fold=1)):
            if _is_there(wall) and (start := wall.astimezone(UTC)) > last:
                return start
        day = _tomorrow(day)


_AFTER: Final[Mapping[Starter, Callable[[TimeOfDay, tzinfo, datetime], datetime]]] = {
    Starter.SYSTEMD: _after_by_systemd,
    Starter.CRON: _after_by_cron,
    Starter.KUBERNETES: _after_by_kubernetes,
}


def _tomorrow(day: datetime) -> datetime:
    return day.replace(fold=0) + _DAY


def _wall(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None, fold=0)


def _is_there(day: datetime) -> bool:
    """Tell whether the clock on the wall ever shows this."""
    return _wall(day.astimezone(UTC).astimezone(day.tzinfo)) == _wall(day)
