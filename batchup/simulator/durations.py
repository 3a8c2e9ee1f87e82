"""How long predictions take: a distribution, written as text and drawn from with a seeded generator."""

import math
import random
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

Shape: TypeAlias = Literal["fixed", "lognormal", "bimodal"]

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|h)")
_FORMS = "fixed:MEAN, lognormal:MEAN:CV or bimodal:MEAN:CV, such as fixed:53s or lognormal:53s:0.3"

_SLOW_SHARE = 0.1
"""The share of predictions in the slow one of two humps."""

_HUMP_CV = 0.1
"""How wide each of two humps is by itself."""


def parse_seconds(text: str) -> float:
    """Turn `53s`, `500ms`, `15min` or `7h` into seconds; ValueError where it is no positive length."""
    match = _LENGTH.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        raise ValueError(f'"{text}" is no length of time: write 53s, 500ms, 15min or 7h')
    return float(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True, slots=True)
class Durations:
    """A distribution of durations: `mean_s` in service seconds, `cv` the standard deviation over the mean."""

    shape: Shape
    mean_s: float
    cv: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Durations":
        """Read `fixed:53s`, `lognormal:53s:0.3` or `bimodal:53s:0.6`; ValueError says what is wrong."""
        shape, *rest = text.split(":")
        if shape == "fixed" and len(rest) == 1:
            return cls("fixed", parse_seconds(rest[0]))
        if shape == "lognormal" and len(rest) == 2:
            return cls("lognormal", parse_seconds(rest[0]), _parse_cv(rest[1], most=10))
        if shape == "bimodal" and len(rest) == 2:
            # From 3 on, the fast hump would have to lie before the start.
            return cls("bimodal", parse_seconds(rest[0]), _parse_cv(rest[1], most=2.5))
        raise ValueError(f'"{text}" is no distribution of durations: write {_FORMS}')

    def draw(self, rng: random.Random) -> float:
        """Draw one duration, in service seconds."""
        if self.cv == 0:
            return self.mean_s
        if self.shape == "bimodal":
            return self._draw_bimodal(rng)
        return _lognormal(rng, self.mean_s, self.cv)

    def _draw_bimodal(self, rng: random.Random) -> float:
        hump_cv = min(_HUMP_CV, self.cv / 2)
        # What the distance of the humps must add so that both together have this mean and this cv.
        between = self.mean_s**2 * (self.cv**2 - hump_cv**2) / (1 + hump_cv**2)
        distance = math.sqrt(between / (_SLOW_SHARE * (1 - _SLOW_SHARE)))
        fast = self.mean_s - _SLOW_SHARE * distance
        is_slow = rng.random() < _SLOW_SHARE
        return _lognormal(rng, fast + distance if is_slow else fast, hump_cv)


def _lognormal(rng: random.Random, mean: float, cv: float) -> float:
    variance = math.log1p(cv * cv)
    return rng.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance))


def _parse_cv(text: str, *, most: float) -> float:
    try:
        cv = float(text)
    except ValueError:
        cv = math.nan
    if not 0 <= cv <= most:
        raise ValueError(f'"{text}" is no coefficient of variation: write a number from 0 to {most:g}')
    return cv
