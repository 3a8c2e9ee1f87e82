"""How a run ended: one frozen value, printed by the command and returned by the library."""

from dataclasses import dataclass

from batchup.core.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The end of a run.

    `items` to `manifest_complete` count the job after this run, with `items = saved + failed + held +
    in_doubt + outstanding + rejected`; from `requests` on it is this run. Money in USD, `wall_s` in real
    seconds, `worst_window` the most requests sent in any period of the rate.
    """

    job: str
    run: str
    reason: str
    exit_code: int
    items: int = 0
    saved: int = 0
    failed: int = 0
    held: int = 0
    in_doubt: int = 0
    outstanding: int = 0
    rejected: int = 0
    skipped: int = 0
    duplicates: int = 0
    manifest_complete: bool = False
    requests: int = 0
    creates: int = 0
    polls: int = 0
    throttled: int = 0
    worst_window: int = 0
    spend_usd: float = 0.0
    job_spend_usd: float = 0.0
    wall_s: float = 0.0


def finished_code(tally: Tally) -> int:
    """Return the exit code of a run that came to its own end: 4 wins over 75, that over 3, that over 0."""
    if tally.held or tally.in_doubt or tally.unclaimed or tally.overdue:
        return 4
    if tally.outstanding:
        return 75
    return 3 if tally.failed or tally.rejected else 0


def finished_reason(tally: Tally, *, is_past_deadline: bool, is_item_limited: bool, is_broke: bool) -> str:
    """Say in a word why a run that came to its own end did so."""
    if tally.outstanding:
        if is_past_deadline:
            return "deadline"
        if is_broke:
            return "spend_limit"
        if is_item_limited:
            return "item_limit"
    return "finished" if tally.requests or tally.saved_here else "nothing_to_do"
