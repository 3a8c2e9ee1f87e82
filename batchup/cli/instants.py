"""Instants as a person names them: a time of day is the next one of its kind, whatever the clocks do."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_SPELLED: Final = re.compile(
    r"""(?P<day>[0-9W-]{7,10}[T ])?  # which datetime reads, as it does the rest
    (?P<hour>[0-9]{1,2}):(?P<rest>[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?
    (?:Z|[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?)?)""",
    re.VERBOSE,
)
"""By itself datetime takes 06.30 and 06,30 for 06:00 and a fraction of a second."""

_ANY_DAY: Final = "2000-01-01T"
_DAYS: Final = (-1, 0, 1, 2)  # from today on: an offset's day may be another one than the local


def next_instant(text: str, now: datetime) -> datetime:
    """Read `06:00` or `6:00` (local), `06:00+02:00` or a full ISO date and time; `now` is aware.

    A local time that the clocks leave out is as far after midnight as on any other night; one that they show
    twice is the next of the two. ValueError where it is no time. Only a full date may lie in the past.
    """
    spelled = _SPELLED.fullmatch(text)
    if spelled is None:
        raise ValueError(f"no time such as 06:00 or 2026-01-31T06:00: {text}")
    given_at = datetime.fromisoformat(f"{spelled['day'] or _ANY_DAY}{spelled['hour']:0>2}:{spelled['rest']}")
    if spelled["day"]:
        return _aware(given_at)
    given = given_at.timetz()
    today = now.date() if given.tzinfo is None else now.astimezone(given.tzinfo).date()
    days = (datetime.combine(today + timedelta(days=k), given) for k in _DAYS)
    return min(instant for day in days for instant in _readings(day) if instant > now)


def _aware(instant: datetime) -> datetime:
    """Return it with its offset; by its Unix seconds, as `astimezone` errs in the hour that is left out."""
    return instant if instant.tzinfo else datetime.fromtimestamp(instant.timestamp(), UTC).astimezone()


def _readings(day: datetime) -> list[datetime]:
    """Return the instants at which a clock on the wall shows this: two where it is set back over it."""
    first = _aware(day)
    if day.tzinfo is not None:
        return [first]
    second = _aware(day.replace(fold=1))
    return [first, second] if second > first else [first]
