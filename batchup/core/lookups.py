"""What a run asks before it spends anything, and what it knows of price and credit meanwhile."""

from collections import deque
from dataclasses import dataclass, field

from batchup.core.account import ModelCard
from batchup.core.requests import AskBalance, AskModel, LookUp


@dataclass(slots=True)
class LookUps:
    """The look-ups of one run: `wanted` are not sent yet, `open_count` wait for their answer.

    `card` is the newest there is, from earlier runs or bundled until the service has answered.
    """

    wanted: deque[LookUp] = field(default_factory=deque)
    open_count: int = 0
    awaits_card: bool = False  # asked, and not answered yet
    is_wanted: bool = False  # before any item is at hand: the first one waits for the model's description
    is_counting: bool = False  # the rows, which the balance is compared with
    card: ModelCard | None = None
    balance_usd: float | None = None
    said: set[str] = field(default_factory=set)  # what a person has been told once

    @property
    def is_settled(self) -> bool:
        """Whether all there was to ask has been asked and answered, well or not at all."""
        return not self.wanted and not self.open_count

    @property
    def is_known(self) -> bool:
        """Whether something may be bought: all is settled, and what a person is to be warned of is said."""
        return self.is_settled and not self.is_counting

    @property
    def is_card_expected(self) -> bool:
        """Whether the model's description may still come."""
        return self.awaits_card or any(isinstance(request, AskModel) for request in self.wanted)

    @property
    def price_usd(self) -> float | None:
        """The price that is named for one prediction, in USD; None where none is."""
        return None if self.card is None else self.card.price_usd


def look_ups(slug: str, card: ModelCard | None, *, is_fresh: bool) -> LookUps:
    """Return what a run asks that has this `card` in hand: the balance, and the model unless it is fresh."""
    has_name = bool(slug.strip("."))  # dots alone would name another address
    wanted: list[LookUp] = [AskModel(slug), AskBalance()] if has_name and not is_fresh else [AskBalance()]
    return LookUps(deque(wanted), card=card)
