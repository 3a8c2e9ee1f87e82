"""Whether one more prediction can be paid for."""

from batchup.core.tally import Tally


def price_usd(tally: Tally) -> float | None:
    """Return what one prediction has to be reckoned at: the dearest seen; None before the first.

    What failed cost nothing, and says nothing of the price.
    """
    return tally.dearest_usd or None


def can_afford_one(tally: Tally, max_spend: float | None, running_count: int) -> bool:
    """Tell whether one more create keeps the job under `max_spend` USD.

    What is in flight, held or written off counts as bought. Before a price is known one prediction at a time
    finds it out.
    """
    if max_spend is None:
        return True
    price = price_usd(tally)
    if price is None:
        return running_count == 0 and tally.job_spend_usd < max_spend
    perhaps_bought = running_count + tally.held + tally.written_off
    return tally.job_spend_usd + (perhaps_bought + 1) * price <= max_spend + 1e-9
