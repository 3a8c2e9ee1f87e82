"""The pace of a run, measured: through waves, pauses and changes."""

import pytest

from batchup.core.pace_meter import MOST_MARKS, PaceMeter

MEAN_S, SLOTS = 50.0, 10


def drive(
    meter: PaceMeter,
    from_s: float,
    to_s: float,
    *,
    mean_s: float = MEAN_S,
    created: float = 0.0,
    held: bool = False,
) -> float:
    """Observe slots that are full all the time, and begin all at once; return the creates so far."""
    at = from_s
    while at < to_s:
        waves = int((at - from_s) / mean_s)
        creates = created + (0 if held else SLOTS * (waves + 1))
        rest_s = mean_s - (at - from_s) % mean_s
        meter.observe(
            at,
            creates=int(creates),
            running_count=SLOTS,
            rest_s=SLOTS * rest_s,
            slot_count=SLOTS,
            spread=0.1,
            is_held=held,
        )
        at += 1.0
    return creates


def test_nothing_is_measured_by_one_look() -> None:
    """A pace needs two looks and a create between them."""
    meter = PaceMeter()
    assert meter.creates_per_s() is None
    meter.observe(0.0, creates=0, running_count=0, rest_s=0.0, slot_count=10, spread=0.3, is_held=False)
    assert meter.creates_per_s() is None
    meter.observe(1.0, creates=10, running_count=0, rest_s=0.0, slot_count=10, spread=0.3, is_held=False)
    assert meter.creates_per_s() is None  # nothing has run as yet


@pytest.mark.parametrize("until_s", [101.0, 120.0, 149.0, 350.0, 2000.0])
def test_waves_do_not_matter(until_s: float) -> None:
    """Wherever in a wave it is asked for, the pace is that of slots by duration."""
    meter = PaceMeter()
    created = drive(meter, 0.0, until_s)
    per_s, count = meter.creates_per_s() or (0.0, 0)
    assert per_s == pytest.approx(SLOTS / MEAN_S, rel=0.03)
    assert count == created - SLOTS


def test_a_pause_takes_no_time() -> None:
    """While creates are held back no time passes for the pace."""
    meter = PaceMeter()
    created = drive(meter, 0.0, 500.0)
    for at in range(500, 5000, 10):
        meter.observe(
            float(at),
            creates=int(created),
            running_count=0,
            rest_s=0.0,
            slot_count=SLOTS,
            spread=0.1,
            is_held=True,
        )
    drive(meter, 5000.0, 5500.0, created=created)
    per_s, count = meter.creates_per_s() or (0.0, 0)
    assert per_s == pytest.approx(SLOTS / MEAN_S, rel=0.1)
    assert count >= 180


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_a_change_starts_it_afresh(factor: float) -> None:
    """When durations are others from some instant on, what was before is forgotten."""
    meter = PaceMeter()
    created = drive(meter, 0.0, 1000.0)
    drive(meter, 1000.0, 1000.0 + 600 * factor, mean_s=factor * MEAN_S, created=created)
    per_s, _ = meter.creates_per_s() or (0.0, 0)
    assert per_s == pytest.approx(SLOTS / MEAN_S / factor, rel=0.15)


def test_a_small_change_is_no_reason_to_forget() -> None:
    """What may be chance is averaged: the longer it is measured, the surer."""
    meter = PaceMeter()
    created = drive(meter, 0.0, 1000.0)
    drive(meter, 1000.0, 2000.0, mean_s=MEAN_S * 1.15, created=created)
    assert (meter.creates_per_s() or (0.0, 0))[1] > 330


def test_memory_does_not_grow_with_the_run() -> None:
    """The looks that are remembered are thinned, from the first one on."""
    meter = PaceMeter()
    drive(meter, 0.0, 20_000.0)
    assert MOST_MARKS / 2 <= len(meter.marks) <= MOST_MARKS
    assert meter.marks[0].creates == SLOTS
