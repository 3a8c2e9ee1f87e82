"""How a run ended: one frozen value, printed by the command and returned by the library."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from batchup.core.books import Books
from batchup.core.causes import Cause
from batchup.core.pilot import Pilot
from batchup.core.tally import Tally

OWN_ENDS: Final = (0, 3, 4, 75)
"""The exit codes of runs that came to an end of their own."""

ENDED_WELL: Final = (0, 3, 75)
"""Those of them after which nothing is open that is paid for, or may be."""

SIGNALLED: Final = 128
"""And the signal's number: the exit code of a run that one has ended."""

_ENDS: Final = ("saved", "failed", "held", "in_doubt")
_KNOWN: Final = (*_ENDS, "outstanding")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The end of a run.

    `items` to `manifest_complete` count the job after this run, with `items = saved + failed + held +
    in_doubt + outstanding + rejected`; from `requests` on it is this run. Money in USD, `wall_s` in real
    seconds, `worst_window` the most requests sent in any period of the rate, `shared` how many of the saved
    got their output from one that is alike. `passed_over` counts files of the manifest's folder that are no
    pictures, by kind. `books` and `causes`, the whole job's, are None and empty where the checkpoint was not
    read.
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
    shared: int = 0
    renamed: int = 0  # items this run saved whose outputs are told by a hash and not by the id alone
    spend_usd: float = 0.0
    job_spend_usd: float = 0.0
    wall_s: float = 0.0
    optimum_share: float | None = None  # of X*, see `share_of_optimum`
    pilot: Pilot | None = None  # what `--sample` has shown
    books: Books | None = None
    passed_over: Mapping[str, int] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()  # of all that failed, was held or rejected in the job, the largest first


def ended(
    tally: Tally,
    *,
    is_complete: bool,
    is_item_limited: bool,
    is_past_deadline: bool,
    is_broke: bool,
    is_stopped: bool = False,
) -> tuple[str, int]:
    """Return the reason and the exit code of a run that came to its own end.

    4 wins over 75, that over 3, that over 0. A manifest that was not read to its end has work left.
    """
    has_work_left = tally.outstanding > 0 or not is_complete
    if tally.held or tally.in_doubt or tally.unclaimed or tally.overdue:
        code = 4
    elif has_work_left:
        code = 75
    else:
        code = 3 if tally.failed or tally.rejected else 0
    if has_work_left and is_stopped:
        return "stopped", code
    if has_work_left and is_past_deadline:
        return "deadline", code
    if has_work_left and is_broke:
        return "spend_limit", code
    if has_work_left and is_item_limited:
        return "item_limit", code
    return "finished" if tally.requests or tally.saved_here else "nothing_to_do", code


def summarise(
    tally: Tally,
    *,
    job: str,
    run: str,
    reason: str,
    exit_code: int,
    manifest_complete: bool,
    worst_window: int,
    wall_s: float,
) -> Summary:
    """Put what was counted into the summary's shape."""
    return Summary(
        job=job,
        run=run,
        reason=reason,
        exit_code=exit_code,
        items=tally.items,
        saved=tally.saved,
        failed=tally.failed,
        held=tally.held,
        in_doubt=tally.in_doubt,
        outstanding=tally.outstanding,
        rejected=tally.rejected,
        skipped=tally.skipped,
        duplicates=tally.duplicates,
        manifest_complete=manifest_complete,
        requests=tally.requests,
        creates=tally.creates,
        polls=tally.polls,
        throttled=tally.throttled,
        worst_window=worst_window,
        shared=tally.shared,
        spend_usd=round(tally.spend_usd, 6),
        job_spend_usd=round(tally.job_spend_usd, 6),
        wall_s=round(wall_s, 3),
    )


def whole(
    summary: Summary, total: int | None, known: Mapping[str, int] | None = None, items_before: int = 0
) -> Summary:
    """Return the summary of the whole manifest where the run has not read it to its end.

    `total` is how many items it has. Where they were not counted, they are those that are known, and no fewer
    than the `items_before` of the last run. `known` counts all that the job knows of now by what people are
    told of them: as far as the run has not met them, those that were not read have come to the same end; the
    rest is outstanding. Where nothing is known and nothing was read, the summary stays as it is.
    """
    known = known or {}
    if summary.manifest_complete or not (summary.items or any(known.values())):
        return summary
    unmet = {state: max(0, known.get(state, 0) - getattr(summary, state)) for state in _KNOWN}
    if total is None:
        unread = max(sum(unmet.values()), items_before - summary.items)
    else:
        unread = max(0, total - summary.items)
    counts, left = {"items": summary.items + unread}, unread
    for state in _ENDS:
        met = min(left, unmet[state])
        counts[state], left = getattr(summary, state) + met, left - met
    skipped = summary.skipped + counts["saved"] - summary.saved
    return replace(summary, **counts, skipped=skipped, outstanding=summary.outstanding + left)


def closed(summary: Summary, books: Books) -> Summary:
    """Return the summary with the books in it; books that do not balance are a bug, and no good end."""
    if books.is_balanced or summary.exit_code not in OWN_ENDS:
        return replace(summary, books=books)
    return replace(summary, books=books, reason="bug", exit_code=70)
