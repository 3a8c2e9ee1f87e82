"""What the service says of price and credit, before the first create: it warns, and it stops nobody."""

from dataclasses import replace
from typing import Final

from batchup.core.account import ModelCard, cap_of
from batchup.core.board import Board
from batchup.core.messages import Command, Note
from batchup.core.money import dollars, reckon
from batchup.core.reactions.ending import end, weigh
from batchup.core.requests import AskModel, BalanceTold, LookUp, ModelTold, Problem
from batchup.errors import ConfigProblem

_SAYS: Final = {
    "service": "the service says",
    "cache": "the service last said",
    "bundled": "it is known of this model",
    "simulator": "the simulator says",
}


def on_sent(board: Board, request: LookUp) -> list[Command]:
    """A look-up is on its way."""
    asked = board.look_ups
    asked.wanted.remove(request)
    asked.open_count += 1
    asked.awaits_card = asked.awaits_card or isinstance(request, AskModel)
    return []


def on_answer(
    board: Board, request: LookUp, answer: ModelTold | BalanceTold | Problem, now: float
) -> list[Command]:
    """A look-up was answered, or was not: without an answer the run goes on with what is known."""
    asked = board.look_ups
    asked.open_count -= 1
    if isinstance(request, AskModel):
        asked.awaits_card = False
    commands: list[Command] = []
    match answer:
        case ModelTold(card=ModelCard() as card):
            known = None if asked.card is None else asked.card.request_schema
            asked.card = replace(card, request_schema=card.request_schema or known)
            commands.append(_told("model", usd=card.price_usd))
        case BalanceTold(usd=float() as usd):
            asked.balance_usd = usd
            commands.append(_told("balance", usd=usd))
        case Problem():
            commands += [*weigh(board, answer, now), _not_told(request, answer.failure.message)]
        case _:
            commands.append(_not_told(request, answer.why))
    return commands + say_price(board) + (_warn(board) if asked.is_settled else [])


def say_price(board: Board) -> list[Command]:
    """Say once, and when that changes, what a prediction is reckoned at under a cap on money, and why."""
    asked = board.look_ups
    if board.policy.max_spend is None or asked.is_card_expected:
        return []
    found = reckon(board.tally, asked.price_usd)
    if found.basis in asked.said:
        return []
    asked.said.add(found.basis)
    says = _SAYS["service" if asked.card is None else asked.card.source]
    nameless = f"the service names no price for {board.model or 'the model'}"
    words = {
        "named": f"max_spend: each prediction is reckoned at {dollars(found.usd)}, as {says}",
        "above": f"max_spend: each prediction is reckoned at {dollars(found.usd)}, the dearest so far;"
        f" {says} {dollars(asked.price_usd)}",
        "dearest": f"{nameless}: reckoned at the dearest so far, {dollars(found.usd)}",
        "unknown": f"{nameless}: one prediction at a time until one has settled",
    }[found.basis]
    return [Note("price", fields={"words": words, "usd": found.usd, "basis": found.basis})]


def without_cost(board: Board, prediction_id: str) -> list[Command]:
    """The service does not tell what a prediction cost: under a cap it is reckoned at the price there is.

    Where there is none, the cap cannot be kept, and the run ends.
    """
    board.tally.uncosted += 1
    if board.policy.max_spend is None:
        return []
    price = reckon(board.tally, board.look_ups.price_usd).usd
    if price is None:
        words = f"max_spend cannot be kept: the service does not tell what prediction {prediction_id} cost"
        remedy = "Take `max_spend` out of `[limits]`, and bound the run with --limit instead."
        return end(board, ConfigProblem(words, remedy=remedy))
    if "uncosted" in board.look_ups.said:
        return []
    board.look_ups.said.add("uncosted")
    words = f"the service does not tell what predictions cost: reckoned at {dollars(price)} each"
    return [Note("price", "warning", {"words": words, "usd": price, "basis": "uncosted"})]


def _warn(board: Board) -> list[Command]:
    """Say what the balance means for this run."""
    balance_usd, card = board.look_ups.balance_usd, board.look_ups.card
    cap = cap_of(balance_usd, is_fixed=card is not None and card.is_fixed)
    if cap is None or cap >= board.policy.concurrency:
        return []
    fields = {"balance": dollars(balance_usd), "cap": cap, "concurrency": board.policy.concurrency}
    return [Note("balance_low", "warning", fields)]


def _told(what: str, *, usd: float | None) -> Note:
    return Note("account_told", fields={"what": what, "usd": usd})


def _not_told(request: LookUp, why: str) -> Note:
    what = "model" if isinstance(request, AskModel) else "balance"
    return Note("account_not_told", fields={"what": what, "why": why})
