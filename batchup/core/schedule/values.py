"""What is to be scheduled, as frozen values; the modules beside this one tell it to what starts runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self

PREFIX: Final = "batchup-"
"""How the names of units and objects begin."""

_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_LONGEST_NAME: Final = 40  # with `batchup-` before it a CronJob's may have 52
_DAY_MIN: Final = 24 * 60


class Starter(Enum):
    """Who starts the run."""

    SYSTEMD = "systemd"
    CRON = "cron"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True, order=True)
class TimeOfDay:
    """A time on a clock on the wall, such as 01:00."""

    hour: int
    minute: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `01:00` or `1:00`; ValueError says what was expected."""
        found = _TIME.fullmatch(text.strip())
        if found is None:
            raise ValueError(f'expected a time of day such as 01:00, got "{text}"')
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.hour:02}:{self.minute:02}"

    def minutes_to(self, end: "TimeOfDay") -> int:
        """Return how many minutes of a usual day it is to the next `end`; a whole day if equal."""
        return (end.hour * 60 + end.minute - self.hour * 60 - self.minute) % _DAY_MIN or _DAY_MIN


@dataclass(frozen=True, slots=True)
class DailyStart:
    """When something is started, every day: up to `jitter_s` seconds later; `zone` as of `Schedule`."""

    at: TimeOfDay
    jitter_s: int
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class SecretFile:
    """The file at `path` holds a secret that the run wants: the service's key, or whom to tell of its end.

    `variable` is how the run is told where it is, `credential` what systemd and a cluster call it. With
    `is_named` the job itself asks for that credential.
    """

    variable: str
    credential: str
    path: str
    is_named: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A job and when it is started; all paths are absolute.

    `name` is what units, lines and objects are called after. `has_clock_changes` says whether the clocks of
    its zone are put forward and back. `leave_s` is the longest that a run takes to end
    in order once it is told to. `zone` names the time zone of `at` and `stop_at` where it is not the
    machine's own. `key` is the service's, `addresses` are those of whoever is told; `environment` is what the
    run must find set besides, none of it secret. `metrics_file` is what the run keeps for Prometheus.
    """

    name: str
    job: str
    folder: str
    python: str
    at: TimeOfDay
    stop_at: TimeOfDay | None = None
    max_duration: str | None = None
    jitter_s: int = 300
    is_caught_up: bool = True
    on_change: str = "redo"
    leave_s: float = 35.0
    zone: str | None = None
    key: SecretFile | None = None
    addresses: tuple[SecretFile, ...] = ()
    metrics_file: str | None = None
    has_clock_changes: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def start(self) -> DailyStart:
        """When it is started."""
        return DailyStart(self.at, self.jitter_s, self.zone)

    @property
    def secrets(self) -> tuple[SecretFile, ...]:
        """The key, if one is wanted, and the addresses."""
        return self.addresses if self.key is None else (self.key, *self.addresses)

    @property
    def unit(self) -> str:
        """What units and objects are called."""
        return unit_of(self.name)

    @property
    def stop_s(self) -> int:
        """Seconds that a run is given to end in order before it is killed: twice what it takes at most."""
        return max(120, int(2 * self.leave_s))

    @property
    def latest_s(self) -> int:
        """Seconds that a start may be put off at the most: there is to be something of the night left."""
        return 60 * (_DAY_MIN if self.stop_at is None else self.at.minutes_to(self.stop_at))

    @property
    def longest_min(self) -> int | None:
        """Minutes of the longest night: where clocks are put back, an hour more than of a usual one."""
        if self.stop_at is None:
            return None
        return self.at.minutes_to(self.stop_at) + (60 if self.has_clock_changes else 0)

    def run_words(self) -> list[str]:
        """Return what stands behind `batchup`: the run, its deadline, and silence where all is well.

        A night that is made up for by day has its time of day behind it: such a run lasts as long as the
        longest night.
        """
        words = ["run", self.job]
        if self.stop_at is not None:
            words += ["--stop-at", str(self.stop_at)]
        if self.max_duration is not None:
            words += ["--max-duration", self.max_duration]
        elif self.longest_min is not None:
            words += ["--max-duration", f"{self.longest_min}min"]
        if self.metrics_file is not None:
            words += ["--metrics-file", self.metrics_file]
        return [*words, "--on-change", self.on_change, "--quiet"]


def unit_of(name: str) -> str:
    """Return what the units and objects of a schedule of this name are called."""
    return f"{PREFIX}{name}"


def plain_name(text: str) -> str:
    """Return a name that units, markers and objects of a cluster can have: small letters, digits, hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return name[:_LONGEST_NAME].rstrip("-") or "job"
