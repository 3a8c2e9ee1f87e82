"""When a daily run starts, in the nights in which the clocks change above all."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from batchup.core.schedule.upcoming import has_clock_changes, next_runs, odd_nights
from batchup.core.schedule.values import Starter, TimeOfDay

SYSTEMD, CRON, KUBERNETES = Starter


def starts(starter: Starter, at: str, zone: str, now: str, count: int = 3) -> list[str]:
    found = next_runs(starter, TimeOfDay.parse(at), ZoneInfo(zone), datetime.fromisoformat(now), count)
    return [start.isoformat(timespec="minutes") for start in found]


@pytest.mark.parametrize("starter", Starter)
def test_a_usual_week_has_a_start_a_day(starter: Starter) -> None:
    """Where no clock changes there is one start a day at the time of day, the first one after now."""
    assert starts(starter, "01:00", "Europe/Berlin", "2026-11-23T14:00:00+00:00", 5) == [
        f"2026-11-{day}T01:00+01:00" for day in (24, 25, 26, 27, 28)
    ]
    before, at = "2026-11-24T00:59:59+01:00", "2026-11-24T01:00:00+01:00"
    assert starts(starter, "01:00", "Europe/Berlin", before, 1) == ["2026-11-24T01:00+01:00"]
    assert starts(starter, "01:00", "Europe/Berlin", at, 1) == ["2026-11-25T01:00+01:00"]


@pytest.mark.parametrize(
    ("starter", "expected"),
    [
        (SYSTEMD, ["2027-03-27T02:30+01:00", "2027-03-29T02:30+02:00"]),
        (CRON, ["2027-03-27T02:30+01:00", "2027-03-28T03:00+02:00", "2027-03-29T02:30+02:00"]),
        (KUBERNETES, ["2027-03-27T02:30+01:00", "2027-03-29T02:30+02:00"]),
    ],
)
def test_a_time_that_is_jumped_over(starter: Starter, expected: list[str]) -> None:
    """When the clocks go forward, cron alone starts what lies in the missing hour: right after it."""
    found = starts(starter, "02:30", "Europe/Berlin", "2027-03-26T12:00:00+00:00")
    assert found[: len(expected)] == expected


@pytest.mark.parametrize(
    ("starter", "expected"),
    [
        (SYSTEMD, ["2027-10-31T02:30+02:00", "2027-11-01T02:30+01:00"]),
        (CRON, ["2027-10-31T02:30+02:00", "2027-11-01T02:30+01:00"]),
        (KUBERNETES, ["2027-10-31T02:30+02:00", "2027-10-31T02:30+01:00", "2027-11-01T02:30+01:00"]),
    ],
)
def test_a_time_that_comes_twice(starter: Starter, expected: list[str]) -> None:
    """When the clocks go back, systemd and cron start at the first of two equal times, Kubernetes at both."""
    found = starts(starter, "02:30", "Europe/Berlin", "2027-10-30T12:00:00+00:00")
    assert found[: len(expected)] == expected


@pytest.mark.parametrize(
    ("now", "systemd", "cron", "kubernetes"),
    [
        ("00:20", "2027-10-31T02:30+02:00", "2027-10-31T02:30+02:00", "2027-10-31T02:30+02:00"),
        ("00:40", "2027-11-01T02:30+01:00", "2027-11-01T02:30+01:00", "2027-10-31T02:30+01:00"),
        ("01:10", "2027-10-31T02:30+01:00", "2027-11-01T02:30+01:00", "2027-10-31T02:30+01:00"),
        ("01:40", "2027-11-01T02:30+01:00", "2027-11-01T02:30+01:00", "2027-11-01T02:30+01:00"),
    ],
)
def test_within_the_doubled_hour(now: str, systemd: str, cron: str, kubernetes: str) -> None:
    """Who asks between the two equal times is told what each of the three does then."""
    at = f"2027-10-31T{now}:00+00:00"
    found = [starts(starter, "02:30", "Europe/Berlin", at, 1)[0] for starter in Starter]
    assert found == [systemd, cron, kubernetes]


@pytest.mark.parametrize(
    ("zone", "at", "now", "expected"),
    [
        ("Africa/Cairo", "00:30", "2027-04-29T20:00:00", [1809120600, 1809207000]),
        ("Antarctica/Troll", "01:30", "2027-10-30T12:00:00", [1824939000, 1824946200, 1825032600]),
    ],
)
def test_kubernetes_in_odd_zones(zone: str, at: str, now: str, expected: list[int]) -> None:
    """Where clocks change at midnight or by two hours, it starts whenever the clock on the wall shows it."""
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = next_runs(KUBERNETES, TimeOfDay.parse(at), ZoneInfo(zone), moment, len(expected))
    assert [int(start.timestamp()) for start in found] == expected


def test_odd_nights_are_told_ahead() -> None:
    """The next year's dates without one start at the time of day are named, each with its starts."""
    now, zone = datetime(2026, 11, 23, 14, tzinfo=UTC), ZoneInfo("Europe/Berlin")
    told = {
        starter: [
            (night.date, [f"{start:%H:%M %z}" for start in night.starts])
            for night in odd_nights(starter, TimeOfDay(2, 30), zone, now)
        ]
        for starter in Starter
    }
    assert told == {
        SYSTEMD: [("2027-03-28", [])],
        CRON: [("2027-03-28", ["03:00 +0200"])],
        KUBERNETES: [("2027-03-28", []), ("2027-10-31", ["02:30 +0200", "02:30 +0100"])],
    }
    assert [odd_nights(starter, TimeOfDay(1, 0), zone, now) for starter in Starter] == [[], [], []]


@pytest.mark.parametrize("day", ["2029-03-26", "2029-03-30", "2029-04-02"])
def test_the_next_change_is_told_whenever_one_asks(day: str) -> None:
    """From one year's change to the next it may be more than a year, and is one still ahead."""
    now = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    told = odd_nights(Starter.SYSTEMD, TimeOfDay(2, 30), ZoneInfo("Europe/Berlin"), now)
    assert [night.starts for night in told] == [()]


def test_some_clocks_never_change() -> None:
    """Whether a zone has a longer night is looked up for the year to come."""
    now = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
    changes = [has_clock_changes(ZoneInfo(name), now) for name in ("Europe/Berlin", "Asia/Tokyo", "Etc/UTC")]
    assert changes == [True, False, False]
