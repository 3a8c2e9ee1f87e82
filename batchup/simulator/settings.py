"""The simulator's settings: frozen, checked as they are made, free of heavy imports."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from batchup.simulator.durations import Durations, parse_seconds
from batchup.simulator.faults import check_faults

Engine: TypeAlias = Literal["lanczos", "neural"]
OutputShape: TypeAlias = Literal["model", "string", "list", "object", "json"]
WebhookScheme: TypeAlias = Literal["verbatim", "hmac", "timestamped"]
WebhookBody: TypeAlias = Literal["new", "old"]

_PERIODS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_CHOICES = {
    "engine": get_args(Engine),
    "output_shape": get_args(OutputShape),
    "webhook_scheme": get_args(WebhookScheme),
    "webhook_body": get_args(WebhookBody),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatorSettings:
    """What the simulated service is like; lengths are service seconds, `speed` of which pass in a real one.

    A wrong value raises ValueError with one sentence.
    """

    durations: str = "lognormal:53s:0.3"
    speed: float = 1.0
    seed: int = 1
    concurrency: int = 10
    rate_count: int | None = 60
    """Requests in any `rate_period_s`; None is unlimited."""
    rate_period_s: float = 60.0
    faults: Mapping[str, float] = field(default_factory=dict)
    slow_s: float = 20.0
    """How late an answer struck by the fault `slow` is."""
    listing_lag_s: float = 0.0
    """How far the list of executions is behind: it shows all as it was so long ago."""
    list_output: bool = True
    """Whether the list's rows have outputs; without, they are null."""
    list_strangers: int = 0
    """Other people's rows in the list: so many that are younger than two mean durations."""
    hold_s: float = 0.0
    """How long a poll of a running prediction is held open, unless it ends before."""
    webhook_scheme: WebhookScheme = "verbatim"
    """How a callback shows that it knows the secret: it says it, or signs its body, or time and body."""
    webhook_body: WebhookBody = "new"
    """The callbacks' fields: today's, or those the service once had."""
    key: str | None = None
    """The only key that is accepted; None accepts any that is not empty."""
    balance: float | None = None
    """The account's credit in USD; None never answers 402."""
    cost: float | None = None
    """USD for each prediction; None takes the model's own price."""
    output_shape: OutputShape = "model"
    output_count: int = 1
    engine: Engine = "lanczos"
    """What makes images larger: Pillow's Lanczos, or the small network of the extra `neural`."""
    max_pixels: int = 128_000_000
    """A prediction whose output would be larger fails."""
    use_threads: bool = True
    """Images are worked on in threads; False keeps everything on the loop, for a virtual clock."""

    def __post_init__(self) -> None:
        Durations.parse(self.durations)
        check_faults(self.faults)
        _check_positive("speed", self.speed)
        _check_positive("rate_period_s", self.rate_period_s)
        _check_at_least("concurrency", self.concurrency, 1)
        _check_at_least("rate_count", 1 if self.rate_count is None else self.rate_count, 1)
        _check_at_least("output_count", self.output_count, 1)
        _check_at_least("slow_s", self.slow_s, 0)
        _check_at_least("listing_lag_s", self.listing_lag_s, 0)
        _check_at_least("list_strangers", self.list_strangers, 0)
        _check_at_least("hold_s", self.hold_s, 0)
        _check_at_least("balance", 0 if self.balance is None else self.balance, 0)
        _check_at_least("cost", 0 if self.cost is None else self.cost, 0)
        for name, choices in _CHOICES.items():
            _check_choice(name, getattr(self, name), choices)


def parse_rate(text: str) -> tuple[int | None, float]:
    """Turn `60/min`, `1/s`, `500/h` or `60/3s` into (count, seconds), `unlimited` into (None, 60).

    ValueError has one sentence that names the forms.
    """
    if text == "unlimited":
        return None, 60.0
    match = re.fullmatch(r"([1-9]\d*)/(\S+)", text)
    if match is None:
        raise ValueError(f'"{text}" is no rate: write 60/min, 1/s, 500/h, 60/3s or unlimited')
    unit = match[2]
    return int(match[1]), _PERIODS[unit] if unit in _PERIODS else parse_seconds(unit)


def parse_length(text: str) -> float:
    """Turn a length of time such as `20s`, or `0s`, into seconds; ValueError has one sentence."""
    return 0.0 if text == "0s" else parse_seconds(text)


def parse_fault(text: str) -> tuple[str, float]:
    """Turn `NAME=SHARE` into the pair; ValueError has one sentence."""
    name, sign, share = text.partition("=")
    try:
        value = float(share) if sign else math.nan
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ValueError(f'"{text}" is no fault: write NAME=SHARE, such as create_lost=0.02')
    check_faults({name: value})
    return name, value


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {value:g}: it must be more than 0")


def _check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    if value not in choices:
        raise ValueError(f'{name} is "{value}": choose one of {", ".join(choices)}')


def _check_at_least(name: str, value: float, least: int) -> None:
    if not value >= least:
        raise ValueError(f"{name} is {value:g}: it must be at least {least}")
