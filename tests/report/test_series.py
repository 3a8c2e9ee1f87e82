"""A report's plots: bins, bars, and series that are thinned out without hiding where they touch a limit."""

from random import Random

import pytest

from batchup.report.document import Plots
from batchup.report.pace import Delays, Pace, Steps
from batchup.report.series import MOST_POINTS, against, histogram, nice, plots_of, throughput


def pace_of(window: Steps, slots: Steps) -> Pace:
    return Pace(
        title="night",
        end_s=600.0,
        period_s=60.0,
        window=window,
        rate=Steps([0.0], [60]),
        slots=slots,
        concurrency=Steps([0.0], [10]),
        delays=Delays(),
    )


def test_every_saved_item_is_in_a_bin() -> None:
    """The bins of the throughput together hold each item saved in this run once, and end with the run."""
    rng = Random(1)
    at = [rng.uniform(0, 28_000) for _ in range(5000)] + [-5.0]
    found = throughput(at, 28_800.0)
    assert found is not None
    assert found.period_s == 500
    assert list(found.at_s) == [500.0 * k for k in range(58)]
    assert sum(found.values) * 500 / 60 == pytest.approx(5000, abs=0.1)
    for k in (0, 20, 55):
        inside = sum(1 for instant in at if 500 * k <= instant < 500 * (k + 1))
        assert found.values[k] == pytest.approx(inside * 60 / 500, abs=0.001)


def test_a_few_items_are_counted_in_few_bins() -> None:
    """Where each bin would hold one item or none, the bins are longer."""
    few = throughput([10.0 * k for k in range(20)])
    assert few is not None
    assert (few.period_s, list(few.values)) == (20, [6.0] * 10)


def test_what_comes_after_the_end_is_in_the_last_bin() -> None:
    """An item at the very end, or later than the log tells, is counted."""
    found = throughput([0.0, 100.0], 50.0)
    assert found is not None
    assert sum(found.values) * (found.period_s or 0) / 60 == pytest.approx(2)


def test_nothing_is_no_plot() -> None:
    """Without an item, a length or a pace each plot is None."""
    assert plots_of(None, [], []) == Plots()
    assert throughput([-1.0]) is None
    assert histogram([float("nan"), -3.0]) is None
    assert against(Steps(), Steps()) is None
    assert against(Steps([1.0], [None]), Steps()) is None


def test_every_length_is_in_a_bar() -> None:
    """The bars have one width, hold each length once where it belongs, and say mean, median and 95 %."""
    rng = Random(2)
    lengths = [rng.lognormvariate(3.9, 0.3) for _ in range(2000)]
    found = histogram(lengths)
    assert found is not None
    assert sum(found.counts) == 2000
    assert 15 <= len(found.counts) <= 90
    assert len(found.edges_s) == len(found.counts) + 1
    assert found.edges_s[0] <= min(lengths)
    inside = sum(1 for one in lengths if found.edges_s[3] <= one < found.edges_s[4])
    assert found.counts[3] == inside
    ordered = sorted(lengths)
    assert found.p95_s == pytest.approx(ordered[1899], abs=0.001)
    assert found.median_s == pytest.approx((ordered[999] + ordered[1000]) / 2, abs=0.001)
    assert found.mean_s == pytest.approx(sum(lengths) / 2000, abs=0.001)


def test_a_few_lengths_have_few_bars() -> None:
    """A handful of predictions is no comb of bars with one each."""
    found = histogram([36.0, 37.0, 38.0, 44.0, 54.0])
    assert found is not None
    assert 4 <= len(found.counts) <= 12


def test_one_straggler_does_not_flatten_the_others() -> None:
    """A length far beyond all others is counted in the last bar, and the bars end before it."""
    found = histogram([*(50.0 + k / 10 for k in range(99)), 9000.0])
    assert found is not None
    assert found.edges_s[-1] < 300
    assert (sum(found.counts), found.counts[-1]) == (100, 1)


@pytest.mark.parametrize("lengths", [[53.0], [53.0] * 20, [0.0], [0.0, 0.0, 7.0]])
def test_equal_lengths_have_a_bar(lengths: list[float]) -> None:
    """Predictions that all took as long are drawn too."""
    found = histogram(lengths)
    assert found is not None
    assert sum(found.counts) == len(lengths)
    assert found.edges_s[-1] > found.edges_s[0]


def test_a_limit_that_is_touched_is_seen() -> None:
    """Of thousands of points a few hundred are left, and with them each that comes nearest to its limit."""
    rng = Random(3)
    values: list[float] = [rng.randrange(30, 44) for _ in range(2880)]
    values[1711] = 60
    at_s = [10.0 * k for k in range(2880)]
    limits = Steps([0.0, 9_000.0, 9_100.0], [60, 45, 60])
    values[905] = 45
    found = against(Steps(at_s, values), limits, 60.0)
    assert found is not None
    assert len(found.at_s) <= MOST_POINTS
    points = list(zip(found.at_s, found.values, found.limit, strict=True))
    assert (17_110.0, 60, 60) in points
    assert (9_050.0, 45, 45) in points
    assert found.period_s == 60


def test_a_short_series_is_kept_whole() -> None:
    """Few points are drawn as they are, each beside the limit that held then, None where none did."""
    found = against(Steps([0, 5, 10], [1, 2, 3]), Steps([4.0, 9.0], [7, None]))
    assert found is not None
    assert (list(found.values), list(found.limit)) == ([1, 2, 3], [None, 7, None])


def test_a_pace_becomes_two_plots() -> None:
    """The window is drawn against the rate, over its period, and the slots against the concurrency."""
    found = plots_of(pace_of(Steps([0.0], [33]), Steps([0.0], [9])), [3.0], [53.0])
    assert found.requests is not None
    assert found.slots is not None
    assert (list(found.requests.values), list(found.requests.limit)) == ([33], [60])
    assert (list(found.slots.values), list(found.slots.limit)) == ([9], [10])
    assert (found.requests.period_s, found.slots.period_s) == (60, None)
    assert found.throughput is not None
    assert found.durations is not None


@pytest.mark.parametrize(("length", "step"), [(1.0, 1), (1.01, 2), (2.0, 2), (3, 5), (7, 10), (0.03, 0.05)])
def test_steps_are_round(length: float, step: float) -> None:
    """A bin is 1, 2 or 5 times a power of ten long, and never shorter than asked for."""
    assert nice(length) == pytest.approx(step)
