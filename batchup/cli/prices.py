"""The words of what a job will cost, and of what there is to pay it with."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from batchup.core.account import ModelCard, cap_of, shortfall_usd
from batchup.core.money import dollars
from batchup.edge.planning.forecast import Outlook
from batchup.edge.telling.printable import printable
from batchup.job import Job

_EXACT_USD = 1e-6
_TOLD = 10  # names of what is left out


def money_lines(job: Job, outlook: Outlook, balance_usd: float | None) -> Iterator[str]:
    """Say what a prediction costs and who says so, what is left to spend, and what the rest will cost."""
    yield price_words(outlook.card)
    if balance_usd is not None:
        yield f"balance: {balance_usd:.2f} USD"
    yield _cost(outlook)
    cap, cost = job.limits.max_spend, outlook.cost
    if cap is not None and cost is not None and outlook.spent_usd + cost.likely_usd > cap + _EXACT_USD:
        yield f"max_spend: {cap:g} USD are reached before the end; {outlook.spent_usd:.2f} are spent"


def warnings(job: Job, outlook: Outlook, balance_usd: float | None) -> Iterator[str]:
    """Say what may stand in the way of a run: too little credit, too little room on the disk."""
    yield from doubts(outlook)
    cap = cap_of(balance_usd, is_fixed=outlook.card is not None and outlook.card.is_fixed)
    if cap is not None and cap < job.limits.concurrency:
        yield (
            f"the balance is {dollars(balance_usd)}: at $10 and below the service allows {cap} in flight,"
            f" this job is for {job.limits.concurrency}"
        )
    lacking = shortfall_usd(balance_usd, outlook.price_usd, outlook.to_buy)
    if lacking is not None:
        yield f"the balance will probably not do for all of them: {dollars(lacking)} are lacking"
    if outlook.shortage is not None:
        yield outlook.shortage
    if outlook.is_running:
        yield "the job is running: what it has done is not taken into account; see `batchup status`"


def doubts(outlook: Outlook) -> Iterator[str]:
    """Say which values break bounds that nobody has confirmed, and what of the manifest is left out."""
    for doubt in outlook.fitting.doubts.values():
        yield doubt.words if doubt.count == 1 else f"{doubt.words[:-1]}; so have {doubt.count - 1} more rows."
    left_out = outlook.fitting.left_out
    if left_out:
        told = ", ".join(list(left_out)[:_TOLD]) + (", ..." if len(left_out) > _TOLD else "")
        yield f'left out, as [run] on_unknown = "drop" says: {printable(told)}'
    if not outlook.fitting.is_known:
        yield "what the model takes is not known: parameters were not looked at, and are sent as they are"


def money_fields(outlook: Outlook, balance_usd: float | None) -> dict[str, Any]:
    """Return the same as fields of a JSON object; what is not known is null."""
    card, cost = outlook.card, outlook.cost
    return {
        "price_usd": None if card is None else card.price_usd,
        "price_source": None if card is None else card.source,
        "price_fetched_at": card.fetched_at if card is not None and card.fetched_at else None,
        "balance_usd": balance_usd,
        "spent_usd": round(outlook.spent_usd, 6),
        "cost": None if cost is None else asdict(cost),
    }


def price_words(card: ModelCard | None) -> str:
    """Say what a prediction costs, who says so, and how long ago."""
    if card is None or card.source == "bundled":
        return f"price: not known, as the service has not told it{_noted(card)}"
    if card.price_usd is None:
        return "price: the service names none that holds for each prediction"
    low = "" if card.low_usd in (None, card.price_usd) else f"{card.low_usd:.6g} to "
    return f"price: {low}{card.price_usd:.6g} USD a prediction, {_source(card)}"


def _source(card: ModelCard) -> str:
    match card.source:
        case "service":
            return "as the service says now"
        case "cache":
            return f"as the service said {age(time.time() - card.fetched_at)} ago"
        case _:
            return "as the simulator plays it"


def _noted(card: ModelCard | None) -> str:
    """Say what is to be known of a description that came with the program."""
    if card is None or card.note is None:
        return ""
    return f"; of its parameters there is what came with batchup: {card.note}"


def _cost(outlook: Outlook) -> str:
    cost = outlook.cost
    if cost is None:
        return "cost: not known before a prediction has settled; try a few with --limit"
    mean = f"the mean of {outlook.seen.count} settled" if outlook.seen.count else "the model's price"
    span = ""
    if cost.high_usd - cost.low_usd > _EXACT_USD:
        span = f" ({cost.low_usd:.2f} to {cost.high_usd:.2f})"
    each = f"{outlook.price_usd:.6g} USD each, {mean}"
    return f"cost: {cost.likely_usd:.2f} USD{span} for {_bought(outlook)}, {each}"


def _bought(outlook: Outlook) -> str:
    """Say how many predictions that is: of equal requests one is bought, what is in flight is paid."""
    outstanding, bought = outlook.outstanding, outlook.to_buy
    return f"{outstanding} outstanding" + ("" if bought == outstanding else f", {bought} to be bought")


def age(seconds: float) -> str:
    """Say how long ago something was, roughly."""
    minutes = max(0, round(seconds / 60))
    if minutes < 90:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"
