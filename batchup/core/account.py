"""What the service says of a model and of the account: what a prediction costs, and the credit left.

Nothing here is to be relied on: both may be missing, and are spelled in more than one way. What cannot be
read is unknown, and never an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from batchup.core.items import Json
from batchup.core.values import SenselessError, json_object, number_in

CAP_BELOW_USD: Final = 10.0
"""At this balance and below, the service bounds what is in flight."""

_CAP_PRICED: Final = 10  # predictions in flight, where the service knows beforehand what one costs
_CAP_UNPRICED: Final = 2

_FIXED: Final = frozenset({"fixed", "flat", "per_prediction", "per_execution", "per_request", "per_run"})
_ONE: Final = frozenset({"", "prediction", "execution", "request", "run", "generation", "call"})
_BALANCES: Final = ("balance_usd", "balanceUsd", "usd", "balance", "available_balance", "available", "amount")
_WRAPPERS: Final = ("data", "model", "result", "billing", "account")

Source: TypeAlias = Literal["service", "cache", "bundled", "simulator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model as the service describes it.

    `price_usd` is the most that one prediction is said to cost, `low_usd` the least, both None where the
    price goes by something else than predictions. `is_fixed`: each costs the same. `fetched_at` in Unix
    seconds, 0 for what came with the program.
    """

    slug: str
    price_usd: float | None = None
    low_usd: float | None = None
    is_fixed: bool = False
    request_schema: Mapping[str, Json] | None = None
    source: Source = "service"
    fetched_at: float = 0.0
    note: str | None = None


def read_card(body: Json, slug: str) -> ModelCard:
    """Read a model's description; SenselessError where it is that of no model, or of another one."""
    record = _unwrapped(body)
    shown = record.get("slug", slug)
    if shown != slug or not ({"slug", "cost", "request_schema"} & record.keys()):
        raise SenselessError(f"asked for the model {slug}, something else came")
    schema, cost, note = (record.get(name) for name in ("request_schema", "cost", "note"))
    price, low, is_fixed = _price(cost if isinstance(cost, dict) else {})
    return ModelCard(
        slug=slug,
        price_usd=price,
        low_usd=low,
        is_fixed=is_fixed,
        request_schema=schema if isinstance(schema, dict) else None,
        note=note if isinstance(note, str) else None,
    )


def read_balance(body: Json) -> float:
    """Read the credit left in USD, below 0 for a debt; SenselessError where there is none to be found."""
    found = _amount(body)
    if found is None:
        raise SenselessError("no balance in it")
    return found


def cap_of(balance_usd: float | None, *, is_fixed: bool) -> int | None:
    """Return how many predictions in flight the service allows at this balance; None for no such bound."""
    if balance_usd is None or balance_usd > CAP_BELOW_USD:
        return None
    return _CAP_PRICED if is_fixed else _CAP_UNPRICED


def shortfall_usd(balance_usd: float | None, price_usd: float | None, outstanding: int) -> float | None:
    """Return how much the balance lacks for what the outstanding items will probably cost; None if nothing.

    `price_usd` is that of one prediction.
    """
    if balance_usd is None or price_usd is None:
        return None
    lacking = outstanding * price_usd - balance_usd
    return lacking if lacking > 1e-9 else None


def _price(cost: Mapping[str, Json]) -> tuple[float | None, float | None, bool]:
    """Return the most and the least that one prediction costs, and whether that is the same."""
    amount, least, most = (_positive(cost.get(name)) for name in ("amount", "min", "max"))
    is_fixed = amount is not None and _is_per_prediction(cost)
    named = [value for value in (amount if is_fixed else None, most) if value is not None]
    if not named:
        return None, None, False
    price = max(named)
    low = min([price, *([amount] if is_fixed and amount else []), *([least] if least else [])])
    return price, low, is_fixed and low == price


def _is_per_prediction(cost: Mapping[str, Json]) -> bool:
    """Tell whether the amount is that of a prediction, and not of a second, a megapixel or a token."""
    kind, unit = (
        str(cost.get(name) or "").strip().lower().replace("-", "_").replace(" ", "_")
        for name in ("type", "unit")
    )
    return unit.removeprefix("per_") in _ONE and (kind in _FIXED or (not kind and bool(unit)))


def _positive(value: Json) -> float | None:
    """Return a price; one of nothing says that it is not known."""
    return number_in(value) or None


def _unwrapped(body: Json) -> Mapping[str, Json]:
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    record = json_object(body)
    inner = next((record[name] for name in _WRAPPERS if isinstance(record.get(name), dict)), None)
    return record if inner is None or "slug" in record else inner


def _amount(value: Json, depth: int = 3) -> float | None:
    """Find an amount of money in whatever was answered."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e12 else None  # neither is what is no number, nor infinite
    if not isinstance(value, dict) or depth == 0:
        return None
    inside = (value[name] for name in (*_BALANCES, *_WRAPPERS) if name in value)
    return next((found for found in (_amount(part, depth - 1) for part in inside) if found is not None), None)
