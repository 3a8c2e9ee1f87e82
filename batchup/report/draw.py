"""Draws a run's pace: three panels over one axis of time, as a PNG. It needs matplotlib."""

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from batchup.report.pace import MEDIAN_OF, Pace, Steps, running_median, spans_of

WIDTH_PX, HEIGHT_PX = 1600, 1000
DPI = 100
INK, SOFT, GRID, LIMIT = "#1f3b57", "#9db4c8", "#e4e4e4", "#b5403a"
MOST_STEPS, SPANS = 1500, 400  # a series of more steps is drawn as so many spans
MOST_POINTS = 5000  # delays that are drawn; of more of them every n-th
SMOOTH = 150  # the running median is of this part of all points, if that is more than a few
MARGINS = {"left": 0.04, "right": 0.975, "top": 0.91, "bottom": 0.065, "hspace": 0.2}
_UNITS = (
    (3 * 3600.0, 3600.0, "h"),
    (600.0, 60.0, "min"),
    (0.0, 1.0, "s"),
)  # from which length on, seconds, name


def png(pace: Pace) -> bytes:
    """Return the picture, 1600 by 1000 pixels."""
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    unit_s, unit = next((seconds, name) for least, seconds, name in _UNITS if pace.end_s >= least)
    window, slots, delays = figure.subplots(3, 1, sharex=True, gridspec_kw=MARGINS)
    figure.suptitle(pace.title, x=MARGINS["left"], y=0.975, ha="left", fontsize=15)
    _draw_window(window, pace, unit_s)
    _draw_slots(slots, pace, unit_s)
    _draw_delays(delays, pace, unit_s)
    for axes in (window, slots, delays):
        _soften(axes)
    delays.set_xlim(0, max(pace.end_s, 1.0) / unit_s)
    delays.set_xlabel(f"time of the service since the run began ({unit})", fontsize=11)
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()


def _draw_window(axes: Axes, pace: Pace, unit_s: float) -> None:
    _name(axes, f"requests in the last {pace.period_s:g} s")
    _draw_series(axes, pace.window, pace.end_s, unit_s)
    _draw_limit(axes, pace.rate, pace.end_s, unit_s)
    axes.set_ylim(0, 1.12 * max(pace.window.most, pace.rate.most, 1.0))
    _explain(axes)


def _draw_slots(axes: Axes, pace: Pace, unit_s: float) -> None:
    _name(axes, "slots in use")
    if pace.running is not None and len(pace.running.at_s) <= MOST_STEPS:
        at, values = _steps(pace.running, pace.end_s, unit_s)
        axes.fill_between(at, values, step="post", color=SOFT, alpha=0.55, linewidth=0, label="running")
    words = "" if pace.running is None else "until the end was found"
    _draw_series(axes, pace.slots, pace.end_s, unit_s, words)
    _draw_limit(axes, pace.concurrency, pace.end_s, unit_s)
    axes.set_ylim(0, 1.12 * max(pace.slots.most, pace.concurrency.most, 1.0))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    _explain(axes)


def _draw_delays(axes: Axes, pace: Pace, unit_s: float) -> None:
    delays = pace.delays
    nth = len(delays.at_s) // MOST_POINTS + 1
    some = "" if nth == 1 else f", one in {nth} of them"
    _name(axes, f"from a prediction's end until it was found (s){some}")
    at, late = [at / unit_s for at in delays.at_s[::nth]], delays.late_s[::nth]
    _draw_points(axes, at, late, delays.is_told[::nth])
    axes.plot(
        at,
        running_median(late, max(MEDIAN_OF, len(late) // SMOOTH)),
        color=INK,
        linewidth=1.4,
        label="running median",
    )
    axes.set_ylim(0, max(1.0, 1.3 * max(late, default=0.0)))
    if at:
        axes.legend(loc="upper right", frameon=False, fontsize=10, ncols=3)


def _draw_points(axes: Axes, at: Sequence[float], late: Sequence[float], is_told: Sequence[bool]) -> None:
    for told, marker, words in (
        (True, "o", "as the service tells it"),
        (False, "x", "guessed between two looks"),
    ):
        chosen = [k for k, one in enumerate(is_told) if one is told]
        if chosen:
            points = [at[k] for k in chosen], [late[k] for k in chosen]
            axes.plot(
                *points, marker, color=SOFT, markersize=4, markeredgewidth=0.9, label=words, clip_on=False
            )


def _explain(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", frameon=False, fontsize=10, ncols=3)


def _draw_series(axes: Axes, steps: Steps, end_s: float, unit_s: float, label: str = "") -> None:
    """Draw each step, or where they are too many to be told apart, the mean and the reach of spans."""
    if len(steps.at_s) <= MOST_STEPS or end_s <= 0:
        _draw_steps(axes, steps, end_s, unit_s, color=INK, linewidth=1.2, label=label)
        return
    spans = spans_of(steps, end_s, SPANS)
    at = [k * spans.length_s / unit_s for k in range(SPANS + 1)]
    least, mean, most = ([*values, values[-1]] for values in (spans.least, spans.mean, spans.most))
    reach = f"least and most in {spans.length_s:.0f} s"
    axes.fill_between(at, least, most, step="post", color=SOFT, alpha=0.55, linewidth=0, label=reach)
    axes.step(at, mean, where="post", color=INK, linewidth=1.2, label="mean")


def _draw_limit(axes: Axes, limit: Steps, end_s: float, unit_s: float) -> None:
    _draw_steps(axes, limit, end_s, unit_s, color=LIMIT, linewidth=1.0, linestyle=(0, (6, 3)))
    last = limit.values[-1] if limit.values else None
    if last is not None:
        axes.annotate(
            f"limit {last:g}",
            (1.0, last),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 3),
            textcoords="offset points",
            ha="right",
            color=LIMIT,
            fontsize=10,
        )


def _draw_steps(axes: Axes, steps: Steps, end_s: float, unit_s: float, **style: Any) -> None:
    at, values = _steps(steps, end_s, unit_s)
    axes.step(at, values, where="post", **style)


def _steps(steps: Steps, end_s: float, unit_s: float) -> tuple[list[float], list[float]]:
    """Return a series as matplotlib has it: carried on to the run's end, nan where there is no value."""
    pairs = [(at, value) for at, value in zip(steps.at_s, steps.values, strict=True) if at <= end_s]
    values = [float("nan") if value is None else float(value) for _, value in pairs]
    at = [at / unit_s for at, _ in pairs]
    return ([*at, end_s / unit_s], [*values, values[-1]]) if at else ([], [])


def _name(axes: Axes, words: str) -> None:
    axes.set_title(words, loc="left", fontsize=11)


def _soften(axes: Axes) -> None:
    """Take away what says nothing."""
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(SOFT)
    axes.tick_params(color=SOFT, labelsize=10)
