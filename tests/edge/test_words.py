"""A run in words: all of it, or what fits."""

from dataclasses import replace

import pytest
from edge.snapshots import STANDING

from batchup.core.snapshot import Snapshot
from batchup.edge.telling.words import describe, duration, fitting

SNAPSHOT = replace(STANDING, next_poll_s=1.3)
LONG = replace(SNAPSHOT, total=1000, saved=409, in_flight=10, failed=2, eta_s=3130.0, spend_usd=4.12)


def test_the_line_says_how_the_run_stands() -> None:
    """All figures that matter are there, in the service's time, and rare ones unless they are nought."""
    assert describe(SNAPSHOT) == (
        "12/24, 7 in flight, 1 failed, 10.5/min, ETA 1:15, 58/60 req/min, $0.10, 2 saving, 1 rejected,"
        " next poll 1.3 s"
    )
    bare = replace(
        SNAPSHOT,
        total=None,
        saving=0,
        rejected=0,
        held=1,
        in_doubt=3,
        eta_s=None,
        rate_limit=None,
        next_poll_s=None,
        note="no credit",
    )
    assert describe(bare) == (
        "12/?, 7 in flight, 1 failed, 10.5/min, ETA ?, 58 req/min, $0.10, 3 in doubt, 1 held, no credit"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3600, "1:00:00"), (90_061, "25:01:01")],
)
def test_lengths_are_readable(seconds: float | None, text: str) -> None:
    """A length is minutes and seconds, with hours as soon as there are some."""
    assert duration(seconds) == text


def text(snapshot: Snapshot, width: int) -> str:
    """Return what fits."""
    return ", ".join(part.text for part in fitting(snapshot, width))


def test_what_matters_least_is_left_out_first() -> None:
    """With each column less the words are shorter, and how far, when and what failed stay to the end."""
    shown = [text(LONG, width) for width in range(130, 5, -1)]
    assert shown[0] == describe(LONG)
    assert all(len(words) <= 130 - k for k, words in enumerate(shown) if words != "412/1000")
    assert text(LONG, 66) == "412/1000, 10 in flight, 2 failed, 10.5/min, ETA 52:10, $4.12"
    assert text(LONG, 40) == "412/1000, 2 failed, 10.5/min, ETA 52:10"
    assert text(LONG, 30) == "412/1000, 2 failed, ETA 52:10"
    assert text(LONG, 20) == "412/1000, ETA 52:10"
    assert text(LONG, 1) == "412/1000"


def test_failures_are_an_alarm_and_none_are_not() -> None:
    """What has failed is marked to be seen; that nothing has is the first to go."""
    assert [part.text for part in fitting(LONG, 130) if part.is_alarm] == ["2 failed"]
    well = replace(LONG, failed=0)
    assert [part.text for part in fitting(well, 130) if part.is_alarm] == []
    assert text(well, 48) == "410/1000, 10 in flight, 10.5/min, ETA 52:10"


def test_a_reason_is_cut_before_it_is_left_out() -> None:
    """Why nothing is created is told as far as it fits, and not at all where it would say nothing."""
    held = replace(LONG, failed=0, note="asked to wait: too many requests\x1b[2J, come again later")
    assert text(held, 60) == "410/1000, 10.5/min, ETA 52:10, asked to wait: too many requ…"
    assert "asked" not in text(held, 44)
    assert "\x1b" not in text(held, 300)


@pytest.mark.parametrize(
    ("end_s", "eta_s", "words"),
    [
        (2400.0, 3000.0, "creates end in 40:00"),
        (0.0, 60.0, "no more creates"),
        (2400.0, 600.0, ""),
        (None, 9.0, ""),
    ],
)
def test_a_deadline_says_when_creates_end(end_s: float | None, eta_s: float, words: str) -> None:
    """Where the time is up before the work is, it is told when nothing is created any more."""
    said = describe(replace(LONG, creates_end_s=end_s, eta_s=eta_s))
    assert (words in said, "create" in said) == (True, bool(words))
