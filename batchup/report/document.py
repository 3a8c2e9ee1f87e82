"""The report's document: all that the page draws, as frozen values that become its JSON.

Instants are seconds since 1970, lengths seconds, money USD. In a plot instants are seconds of the service's
time since the run began. Addresses are relative to the page and percent-encoded, or `data:`, or an input's on
the web.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from batchup.core.causes import Cause
from batchup.core.items import Json

Mode: TypeAlias = Literal["file", "single", "live"]
"""Where the page is: on a disk beside its pictures, alone with them inside it, or served by a program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The newest run that did anything; None where a figure is not known, as `reason` while it goes on."""

    id: str
    reason: str | None = None
    exit_code: int | None = None
    is_running: bool = False
    can_stop: bool = False  # from this page
    is_cut_off: bool = False
    is_newest: bool = True  # False: those after it sent nothing, and so have nothing to show
    began_at: float | None = None
    wall_s: float | None = None
    requests: int | None = None
    creates: int | None = None
    polls: int | None = None
    throttled: int | None = None
    worst_window: int | None = None
    spend_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The whole job: items by their state, what they cost, the outputs' bytes; None where nothing tells."""

    items: int = 0
    saved: int = 0
    failed: int = 0
    held: int = 0
    in_doubt: int = 0
    outstanding: int = 0
    rejected: int = 0
    spend_usd: float | None = None
    predict_s_mean: float | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A figure over time: `values[k]` holds from `at_s[k]` on, or for `period_s` where it is counted in bins.

    `limit[k]` is what the value may not exceed, None where nothing bounds it. `period_s` is the length of the
    window or of the bin that a value is counted over, None where it is of an instant.
    """

    at_s: Sequence[float]
    values: Sequence[float]
    limit: Sequence[float | None]
    period_s: float | None = None


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many lie between each two neighbours of `edges_s`, which are one more than `counts`; seconds."""

    edges_s: Sequence[float]
    counts: Sequence[int]
    mean_s: float
    median_s: float
    p95_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plots:
    """What is drawn of the newest run; each is None where nothing is known.

    `throughput` counts items saved a minute, `requests` those in the trailing window of the rate, `slots` the
    predictions in flight, `durations` how long predictions took.
    """

    throughput: Series | None = None
    durations: Histogram | None = None
    requests: Series | None = None
    slots: Series | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of several outputs of an item: its address, a name to keep it under, bytes and pixels."""

    href: str
    name: str
    bytes: int
    width: int | None = None
    height: int | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an item failed: the cause in stable words, the service's own, its code, and what to do."""

    cause: str
    message: str
    code: str | None = None
    what_to_do: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item; what is not known of it is left out of the JSON.

    `before` and `after` are thumbnails of one shape, at most 320 px; `input` and `output` the whole pictures.
    `gain` is the detail in the output against that of the input enlarged to its size, 1.0 where it has no
    more. `parameters` are those that differ from the job's, without the image.
    """

    id: str
    state: str
    before: str | None = None
    after: str | None = None
    input: str | None = None
    output: str | None = None
    name: str | None = None
    files: Sequence[Output] = ()
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    input_width: int | None = None
    input_height: int | None = None
    cost_usd: float | None = None
    time_s: float | None = None
    gain: float | None = None
    attempts: int | None = None
    prediction_id: str | None = None
    created_at: float | None = None
    saved_at: float | None = None
    failure: Fault | None = None
    parameters: dict[str, Json] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Everything one page shows. `settings` are words beside their label; `zip` is an archive's address.

    `more_count` items are in the job and not in `items`. No key and no signed address is anywhere in it.
    """

    version: int = 1
    job: str
    model: str
    made_at: float
    mode: Mode
    program: str
    parameters: dict[str, Json] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    run: Run
    totals: Totals
    causes: Sequence[Cause] = ()
    next_command: str | None = None
    plots: Plots = Plots()
    items: Sequence[Row] = ()
    more_count: int = 0
    zip: str | None = None
