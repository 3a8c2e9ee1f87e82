"""The text that Prometheus reads, version 0.0.4: written by hand, as it is a few lines and no extra then.

The tests hold it against Prometheus' own tools and its client's parser.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf
from typing import Final, TypeAlias

from batchup.edge.metrics.catalogue import BY_NAME, JOB_LABEL, METRICS, Metric

STALE_S: Final = 60.0
"""A run that has not written for so long is no more."""

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SAMPLE: Final = re.compile(rf'([a-z_]+)\{{{JOB_LABEL}="((?:[^"\\]|\\.)*)".*\}} (\S+)')
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
_MEANT: Final = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


@dataclass(slots=True)
class Histogram:
    """Counts lengths by the buckets that they fall in; the last count is of those beyond all bounds."""

    bounds: Sequence[float]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a length in."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


Value: TypeAlias = float | Histogram
Samples: TypeAlias = Mapping[str, Mapping[tuple[str, ...], Value]]
"""Values by the metric's name and its labels' values."""


def plain(told: Mapping[str, float | None]) -> dict[str, Mapping[tuple[str, ...], Value]]:
    """Return the samples of metrics without labels of their own; of None there is none, and none is kept."""
    return {name: {} if value is None else {(): float(value)} for name, value in told.items()}


@dataclass(frozen=True, slots=True)
class Written:
    """What a metrics file says already: the job it is about, and the lines of what is kept, by metric."""

    job: str
    lines: Mapping[str, Sequence[str]]
    values: Mapping[str, float]

    def value(self, name: str) -> float | None:
        """Return the value of a metric without labels of its own, if it is there."""
        return self.values.get(name)

    def is_live(self, now: float) -> bool:
        """Tell whether a run keeps it fresh still, at `now` in Unix seconds."""
        updated_at = self.value("batchup_updated_timestamp_seconds") or 0.0
        return bool(self.value("batchup_run_active")) and now - updated_at < STALE_S


def exposition(job: str, samples: Samples, before: Written | None = None) -> str:
    """Write samples as text; what is kept and not among them is as it was `before`, if that is this job's."""
    kept = before.lines if before is not None and before.job == job else {}
    return "".join(f"{line}\n" for metric in METRICS for line in _family(metric, job, samples, kept))


def read_back(text: str) -> Written | None:
    """Read what was written so; None where it is not."""
    lines: dict[str, list[str]] = {}
    values: dict[str, float] = {}
    job: str | None = None
    for line in text.split("\n"):  # and not at what else may end a line: a job's name may hold it
        found = _SAMPLE.fullmatch(line)
        metric = None if found is None else BY_NAME.get(found[1])
        if found is None or metric is None:
            continue
        value = _number(found[3])
        if value is None:
            return None
        job = re.sub(r"\\.", lambda escape: _MEANT.get(escape[0], escape[0]), found[2])
        if not metric.labels:
            values[metric.name] = value
        if metric.is_kept:
            lines.setdefault(metric.name, []).append(line)
    return None if job is None else Written(job, lines, values)


def _family(metric: Metric, job: str, samples: Samples, kept: Mapping[str, Sequence[str]]) -> Iterator[str]:
    found = samples.get(metric.name)
    lines = kept.get(metric.name, ()) if found is None else tuple(_lines(metric, job, found))
    if lines:
        yield f"# HELP {metric.name} {metric.help}"
        yield f"# TYPE {metric.name} {metric.kind}"
        yield from lines


def _lines(metric: Metric, job: str, samples: Mapping[tuple[str, ...], Value]) -> Iterator[str]:
    for values, value in samples.items():
        labels = {JOB_LABEL: job, **dict(zip(metric.labels, values, strict=True))}
        if not isinstance(value, Histogram):
            yield f"{metric.name}{_labels(labels)} {_figure(value)}"
            continue
        counts = list(accumulate(value.counts))
        for bound, count in zip((*value.bounds, inf), counts, strict=True):
            yield f"{metric.name}_bucket{_labels({**labels, 'le': _figure(bound)})} {count}"
        yield f"{metric.name}_sum{_labels(labels)} {_figure(value.total)}"
        yield f"{metric.name}_count{_labels(labels)} {counts[-1]}"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    text = value.encode("utf-8", "replace").decode()  # a file's name may hold what is no character
    return "".join(_ESCAPES.get(one, one) for one in text)


def _figure(value: float) -> str:
    if value == inf:
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(float(value))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
