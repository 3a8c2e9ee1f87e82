"""What to do next about a job, from how its last run ended: one reason, and one command to type."""

import re
from dataclasses import dataclass
from math import ceil
from typing import Final

from batchup.core.causes import AGAIN, NO_MORE, OUTSTANDING, RAISE
from batchup.core.summary import Summary

_WHY_LEFT: Final = {
    "signal": "stopped; the same command continues",
    "stopped": "stopped by its button; the same command continues",
    "deadline": "the time was up; the same command continues",
    "item_limit": "as many items as --limit allows; the same command continues",
    "key_refused": "when the key is right, the same command continues",
    "no_credit": "when the account is topped up, the same command continues",
    "unavailable": "when the service is back, the same command continues",
    "manifest_late": "when the manifest comes in time, the same command continues",
    "protocol": "when the service is well again, the same command continues",
    "disk": "when the disk is well, the same command continues",
    "data": "when manifest and checkpoint are well, the same command continues",
}
_LEFT: Final = "some are ready, running or not fetched yet; the same command continues"
_TOO_LARGE: Final = "paid, and larger than [output] max_pixels: raise that first, then this fetches them"
_NOTHING: Final = "nothing_to_do"  # the same command would do nothing again
_PRICELESS: Final = (
    "max_spend buys no more while no price is known; learn one with --limit 1 and without max_spend"
)
_USED_UP: Final = "the failed ones have had all their tries, no further run tries them; this does"
_MENDED: Final = "when the causes are mended, try the failed ones again"
_SPARE: Final = 1.1  # of what the outstanding items will probably cost


@dataclass(frozen=True, slots=True)
class Advice:
    """Why something is left to do, and the command that does it; None where nothing is left to type."""

    why: str
    command: str | None


def next_command(summary: Summary, job: str, *, has_report: bool = False) -> str | None:
    """Return the one command to type next; `job` is the job file as it was typed.

    None where all is done, and where `has_report` says that the report is written and shown already.
    """
    return advise(summary, job, has_report=has_report).command


def run_again(job: str) -> str:
    """Return the command that continues a job, whatever ended it; `job` as it was typed."""
    return _of("run", _quoted(job))


def advise(summary: Summary, job: str, *, has_report: bool = False) -> Advice:
    """Say what to do next: money in doubt first, then what goes by itself, then what a person decides."""
    path = _quoted(job)
    if summary.books is not None and not summary.books.is_balanced:
        return Advice(
            "the books do not balance; ask the service before anything is bought", _of("audit", path)
        )
    if summary.outstanding or summary.in_doubt or _was_cut_short(summary):
        return _of_what_is_left(summary, path)
    if summary.reason != _NOTHING and any(one.what_to_do == AGAIN for one in summary.causes):
        return Advice("each run gives what failed in passing one more try", _of("run", path))
    if summary.held:
        return Advice("decide whether the held ones were bought", _of("resolve", path))
    if summary.failed:
        failed = {one.what_to_do for one in summary.causes if one.state == "failed"}
        return Advice(_USED_UP if failed == {NO_MORE} else _MENDED, f"{_of('run', path)} --rerun-failed")
    if summary.rejected:
        return Advice("when the rejected rows are mended, the same command takes them up", _of("run", path))
    return Advice("all is saved", None if has_report else _of("report", path))


def _quoted(word: str) -> str:
    """Return a word as a shell takes it for one."""
    return (
        word if re.fullmatch(r"[\w@%+=:,./-]+", word, re.ASCII) else "'" + word.replace("'", "'\"'\"'") + "'"
    )


def _of(command: str, path: str) -> str:
    return f"batchup {command} {path}"


def _was_cut_short(summary: Summary) -> bool:
    return not summary.manifest_complete and summary.reason in _WHY_LEFT


def _of_what_is_left(summary: Summary, path: str) -> Advice:
    command = _of("run", path)
    if summary.reason == "item_limit" and summary.pilot is not None:
        return Advice("the pilot is over; this makes the rest", command)
    if summary.reason not in _WHY_LEFT and not summary.in_doubt and _is_all_too_large(summary):
        return Advice(_TOO_LARGE, command)
    if summary.reason != "spend_limit":
        return Advice(_WHY_LEFT.get(summary.reason, _LEFT), command)
    if summary.books is not None and summary.books.open_usd is None:
        return Advice(_PRICELESS, f"{command} --limit 1")
    enough_usd = _enough_usd(summary)
    more = "" if enough_usd is None else f" --max-spend {enough_usd}"
    return Advice("max_spend is reached; raise it to continue", f"{command}{more}")


def _is_all_too_large(summary: Summary) -> bool:
    """Tell whether all that is left are outputs that are refused until the job file allows them."""
    causes = (one for one in summary.causes if one.state == OUTSTANDING and one.what_to_do == RAISE)
    return 0 < summary.outstanding <= sum(one.count for one in causes)


def _enough_usd(summary: Summary) -> int | None:
    """Return whole USD that will probably pay for all that is outstanding, by what was saved so far."""
    if not summary.saved or summary.job_spend_usd <= 0:
        return None
    each_usd = summary.job_spend_usd / summary.saved
    return ceil(summary.job_spend_usd + _SPARE * each_usd * (summary.outstanding + summary.in_doubt))
