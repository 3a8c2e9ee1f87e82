"""What somebody who is elsewhere is told of a run's end: what happened, what is left, what to do.

Of which kind a message is decides whether somebody wants it, and whether a watch that waits for pings is
content. Nothing here is sent, and nothing that is secret is left out: whoever sends it sees to that.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from batchup.core.advice import advise, run_again
from batchup.core.causes import OUTSTANDING, RAISE, Cause
from batchup.core.failures import LONGEST
from batchup.core.items import Json
from batchup.core.money import dollars
from batchup.core.reasons import reason_in_words
from batchup.core.summary import ENDED_WELL, SIGNALLED, Summary


class EndKind(Enum):
    """How a run ended, to somebody who was not there; the later, the graver."""

    FINISHED = "finished"  # as it was meant to: all is done, or it was told to stop here
    FAILED = "failed"  # not all went well just now, and the next run does what can be done by itself
    PERSON = "person"  # nothing goes on before somebody has mended or decided something


LEVELS: Final[dict[str, EndKind]] = {
    "finish": EndKind.FINISHED,
    "failure": EndKind.FAILED,
    "person": EndKind.PERSON,
}
"""When to tell, and the least grave kind of end that is told then: each word includes those after it."""

_SHOWN: Final = 3  # causes
_GRAVITY: Final = tuple(EndKind)
_SOME_FAILED: Final = 3
_SOME_OPEN: Final = 4  # held, in doubt, overdue, or paid and not fetched
_BY_ITSELF: Final = (_SOME_OPEN, 69, 76)  # and whatever a signal ended
_UNFETCHED: Final = "paid and not fetched"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What ended a run: what is wrong, and what to do about it, if that is known."""

    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message about one run. `title` is one line; the others are lines, none of them empty.

    `summary` is the run's, None where there was none: a message that is only a trial.
    """

    job: str
    run: str
    host: str
    kind: EndKind
    title: str
    happened: tuple[str, ...]
    left: tuple[str, ...]
    to_do: tuple[str, ...]
    summary: Summary | None = None

    @property
    def body(self) -> str:
        """All but the title, as plain text."""
        parts = (("What happened", self.happened), ("What is left", self.left), ("What to do", self.to_do))
        return "\n\n".join("\n".join([f"{head}:", *(f"- {line}" for line in lines)]) for head, lines in parts)


def notice_of(
    summary: Summary,
    *,
    job: str,
    host: str,
    took: str,
    trouble: Trouble | None = None,
    has_new_failures: bool = True,
) -> Notice:
    """Say how a run ended. `job` is the job file as a command takes it, `took` how long it was in words.

    `trouble` is what ended it, None where it came to an end of its own; `has_new_failures` as of `kind_of`.
    """
    kind = kind_of(summary, has_new_failures=has_new_failures)
    return Notice(
        job=summary.job,
        run=summary.run,
        host=host,
        kind=kind,
        title=_title(summary, kind),
        happened=tuple(_happened(summary, host, took, trouble)),
        left=tuple(_left(summary)) or ("Nothing.",),
        to_do=tuple(_to_do(summary, kind, job, trouble)),
        summary=summary,
    )


def trial(job: str, host: str) -> Notice:
    """Return a message that only shows that messages arrive."""
    return Notice(
        job=job,
        run="",
        host=host,
        kind=EndKind.FINISHED,
        title=f"{job}: a test, nothing happened",
        happened=(f"Somebody on {host} tries whether messages about this job arrive.",),
        left=("Nothing.",),
        to_do=("Nothing: this one did.",),
    )


def kind_of(summary: Summary, *, has_new_failures: bool = True) -> EndKind:
    """Say of which kind a run's end is.

    Without `has_new_failures` what has failed or is rejected was so before this run: it is not told every
    night anew.
    """
    if summary.held or summary.reason == "spend_limit":
        return EndKind.PERSON
    if summary.exit_code in ENDED_WELL:
        has_failures = bool(summary.failed or summary.rejected)
        return EndKind.FAILED if has_failures and has_new_failures else EndKind.FINISHED
    is_passing = summary.exit_code in _BY_ITSELF or summary.exit_code > SIGNALLED
    return EndKind.FAILED if is_passing else EndKind.PERSON


def is_told(kind: EndKind, on: Collection[str]) -> bool:
    """Tell whether somebody who wants to hear `on` these of `LEVELS` is told of such an end."""
    return any(_GRAVITY.index(kind) >= _GRAVITY.index(LEVELS[word]) for word in on)


def as_json(notice: Notice) -> dict[str, object]:
    """Return the message for a program; whoever takes Slack's messages can show its `text`."""
    return {
        "text": f"{notice.title}\n\n{notice.body}",
        "title": notice.title,
        "kind": notice.kind.value,
        "job": notice.job,
        "run": notice.run,
        "host": notice.host,
        "happened": notice.happened,
        "left": notice.left,
        "to_do": notice.to_do,
        "summary": notice.summary,
    }


def as_slack(notice: Notice) -> dict[str, Json]:
    """Return the message for an incoming webhook of Slack, and of those that speak as it does."""
    title, body = (_escaped(text) for text in (notice.title, notice.body))
    return {"text": f"*{title}*\n{body}"}


def _escaped(text: str) -> str:
    """Return text in which nothing means a link or a mention to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _title(summary: Summary, kind: EndKind) -> str:
    ended = reason_in_words(summary.reason)
    short = [f"{count:,} {word}" for count, word in _bad_ends(summary) if count]
    if kind is EndKind.FINISHED and summary.items:
        short = [f"{summary.saved:,} of {summary.items:,} saved"]
    words = ", ".join([ended, *short])
    return f"{summary.job}: needs a person: {words}" if kind is EndKind.PERSON else f"{summary.job}: {words}"


def _bad_ends(summary: Summary) -> tuple[tuple[int, str], ...]:
    return (
        (summary.held, "held"),
        (summary.in_doubt, "in doubt"),
        (_unfetched(summary), _UNFETCHED),
        (_overdue(summary), "overdue"),
        (summary.failed, "failed"),
        (summary.rejected, "rejected"),
    )


def _unfetched(summary: Summary) -> int:
    """Return how many items are paid, and their outputs could not be fetched."""
    return sum(one.count for one in summary.causes if one.state == OUTSTANDING)


def _overdue(summary: Summary) -> int:
    """Return how many items were left in flight by a run that nothing but their timeout made leave them."""
    was_cut_short = summary.exit_code != _SOME_OPEN or summary.reason != "finished"
    return 0 if was_cut_short else _in_flight(summary)


def _in_flight(summary: Summary) -> int:
    return 0 if summary.books is None else summary.books.in_flight


def _happened(summary: Summary, host: str, took: str, trouble: Trouble | None) -> Iterator[str]:
    ended = reason_in_words(summary.reason)
    yield f"The run on {host} ended after {took}: {ended} (exit code {summary.exit_code})."
    if trouble is not None:
        yield _one_line(trouble.message)
    if not summary.items:
        return
    here = summary.saved - summary.skipped
    yield f"{here:,} {_items(here)} saved by this run, {summary.saved:,} of {summary.items:,} in all."
    here_usd, job_usd = dollars(summary.spend_usd), dollars(summary.job_spend_usd)
    yield f"{here_usd} spent in this run, {job_usd} in the whole job."
    for one in summary.causes[:_SHOWN]:
        state = _UNFETCHED if one.state == OUTSTANDING else one.state
        yield f"{one.count:,} {state}: {one.cause}{_example(one)}"
    if len(summary.causes) > _SHOWN:
        yield f"... and {len(summary.causes) - _SHOWN} more causes"


def _items(count: int) -> str:
    return "item" if count == 1 else "items"


def _example(cause: Cause) -> str:
    return "" if cause.example_item is None else f", such as {cause.example_item}"


def _left(summary: Summary) -> Iterator[str]:
    if not summary.manifest_complete and not summary.items:
        yield "Not known: the run ended before it had counted it."
        return
    if summary.outstanding:
        yield f"{summary.outstanding:,} {_items(summary.outstanding)} outstanding{_of_these(summary)}."
    for count, words in (
        (summary.in_doubt, "in doubt: the next run looks whether they were bought"),
        (summary.held, "held: nobody but a person can tell whether they were bought"),
        (summary.failed, "failed"),
        (summary.rejected, "rejected: they could not be sent"),
    ):
        if count:
            yield f"{count:,} {_items(count)} {words}."


def _of_these(summary: Summary) -> str:
    """Say of what is outstanding how much is bought already."""
    parts = (
        (_in_flight(summary), "in flight: looked at, not bought again"),
        (_unfetched(summary), f"{_UNFETCHED}: not bought again"),
    )
    told = [f"{count:,} of them {words}" for count, words in parts if count]
    return f", {'; '.join(told)}" if told else ""


def _to_do(summary: Summary, kind: EndKind, job: str, trouble: Trouble | None) -> Iterator[str]:
    advice = advise(summary, job, has_report=True)
    if trouble is not None and kind is EndKind.PERSON:
        command = (advice.command if summary.items else None) or run_again(job)
        if trouble.remedy:
            yield _one_line(trouble.remedy)
        yield f"{'Then' if trouble.remedy else 'When that is mended'}: {command}"
    elif advice.command is None:
        yield "Nothing."
    elif kind is EndKind.PERSON or _wants_mending(summary, kind) or summary.reason == "item_limit":
        yield f"{advice.why}: {advice.command}"
        yield from dict.fromkeys(one.what_to_do for one in summary.causes[:_SHOWN])
    else:
        yield f"Nothing, where it runs every night. By hand: {advice.command}"


def _wants_mending(summary: Summary, kind: EndKind) -> bool:
    """Tell whether there is something to mend that no further run mends by itself."""
    is_new = kind is EndKind.FAILED and summary.exit_code in ENDED_WELL
    is_too_large = any(one.what_to_do == RAISE for one in summary.causes)
    return is_new or is_too_large or summary.exit_code == _SOME_FAILED


def _one_line(words: str) -> str:
    """Return somebody's words as one line of bounded length."""
    text = " ".join(words.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
