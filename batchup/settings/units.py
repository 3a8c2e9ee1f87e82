"""Lengths of time and rates as people write them: `53s`, `15min`, `60/min`, `60/3s`."""

import re
from dataclasses import dataclass
from typing import Final, Self

_SECONDS_IN: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII)
_RATE = re.compile(r"(\d+)\s*/\s*(\S.*)", re.ASCII)
UNLIMITED: Final = "unlimited"


def parse_duration(text: str) -> float:
    """Read a length in seconds from `53s`, `500ms`, `15min` or `7h`; ValueError says what is missing."""
    found = _LENGTH.fullmatch(text.strip())
    if not found:
        raise ValueError(f'expected a length such as "53s", "500ms", "15min" or "7h", got "{text}"')
    number, unit = found.groups()
    if not unit:
        raise ValueError(f'add a unit: "{number}s", "{number}min", "{number}h" or "{number}ms"')
    if unit not in _SECONDS_IN:
        raise ValueError(f'unknown unit "{unit}"; use ms, s, min or h')
    return float(number) * _SECONDS_IN[unit]


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` requests in any `period_s` seconds."""

    count: int
    period_s: float

    def __post_init__(self) -> None:
        if self.count < 1 or not self.period_s > 0:
            raise ValueError("a rate is at least 1 request in a length above 0s")

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a rate from `60/min`, `1/s`, `500/h` or `60/3s`; None for `unlimited`; else ValueError."""
        if text.strip() == UNLIMITED:
            return None
        found = _RATE.fullmatch(text.strip())
        if not found or not (found[2] in _SECONDS_IN or found[2][0].isdigit()):
            raise ValueError(f'expected a rate such as "60/min", "1/s", "60/3s" or "unlimited", got "{text}"')
        count, per = found.groups()
        return cls(int(count), _SECONDS_IN[per] if per in _SECONDS_IN else parse_duration(per))

    @property
    def per_minute(self) -> float:
        """Requests a minute this rate comes to."""
        return self.count * 60.0 / self.period_s
