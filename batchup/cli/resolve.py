"""`batchup resolve JOB [ID ...]`: what is in doubt, and a person's decision about it."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from batchup.cli.failing import explain, problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.errors import BatchupError, DataProblem, Locked, UsageProblem
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.core.messages import ItemRestored
    from batchup.edge.checkpoint import Checkpoint

EPILOG = """\b
Decisions:
  found:ID  its create was accepted as prediction ID: the next run polls it
            and buys nothing; the service is asked if that shows what was sent
  absent    its create was never accepted: the next run sends it again
  abandon   nobody wants it any more: it fails, and only
            `batchup run --rerun-failed` buys it anew; an item in flight is
            cancelled at the service

`batchup fields resolve` explains what --json prints.

\b
Examples:
  batchup resolve nightly.toml
  batchup resolve nightly.toml sku-17 --as found:3c90c3cc-0d44-4b50
  batchup resolve nightly.toml sku-18 --as absent
"""


@click.command(name="resolve", epilog=EPILOG)
@JOB_FILE
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--as", "decision", metavar="DECISION", help="found:ID, absent or abandon; see below.")
@click.option("--all", "is_all", is_flag=True, help="The decision is for all that is in doubt or held.")
@click.option("--force", is_flag=True, help="Take a found prediction without asking the service about it.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object in place of the text; ask nothing."
)
@DEBUG
def command(
    job: Path,
    *,
    ids: tuple[str, ...],
    decision: str | None,
    is_all: bool,
    force: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """List what is in doubt or held in JOB with all that is known of it, and take a decision for each.

    On a terminal it asks for each; elsewhere it lists, or does what --as says. Exits with 3 when something is
    left to be decided, with 65 when a found prediction is not the item's, with 11 while the job runs.
    """
    with problems_end_the_command(debug=debug):
        word, prediction_id = _read(decision, ids, is_all=is_all)
        left_over = _resolve(Job.load(job), ids, word, prediction_id, force=force, as_json=as_json)
    sys.exit(3 if left_over else 0)


def _read(decision: str | None, ids: Sequence[str], *, is_all: bool) -> tuple[str | None, str]:
    """Take a decision apart; UsageProblem where it cannot be what is wanted."""
    if decision is None:
        if is_all:
            raise UsageProblem("--all needs a decision.", remedy="Add --as absent or --as abandon.")
        return None, ""
    word, _, prediction_id = decision.partition(":")
    if word not in ("found", "absent", "abandon") or (word == "found") != bool(prediction_id):
        remedy = "Write found:PREDICTION_ID, absent or abandon."
        raise UsageProblem(f'"{decision}" is no decision.', remedy=remedy)
    if is_all == bool(ids):
        raise UsageProblem("--as needs the items it is for.", remedy="Name their ids, or say --all.")
    if word == "found" and (is_all or len(ids) != 1):
        raise UsageProblem("One prediction is one item's: --as found takes exactly one id.")
    return word, prediction_id


def _resolve(
    job: Job, ids: Sequence[str], word: str | None, prediction_id: str, *, force: bool, as_json: bool
) -> bool:
    """Show or decide, and tell whether something is left to be decided."""
    from batchup.edge.desk import at_rest  # noqa: PLC0415 -h stays quick
    from batchup.edge.mending import resolving  # noqa: PLC0415 -h stays quick

    with at_rest(job, "resolve") as checkpoint:
        chosen = resolving.pick(job, checkpoint, ids, word) if ids else resolving.doubts(checkpoint)
        done: list[dict[str, str]] = []
        if word is not None:
            done = _carry_out(job, checkpoint, chosen, word, prediction_id, force=force, as_json=as_json)
        rest = [left for left in resolving.doubts(checkpoint) if not ids or left.item.id in ids]
    if as_json:
        told = {"job": job.name, "items": [resolving.picture(left) for left in rest], "resolved": done}
        click.echo(msgspec.json.encode(told).decode())
    elif word is None:
        _show(job, chosen)
        if chosen and _is_terminal():
            return _ask(job, chosen)
    return word is None and bool(rest)


def _carry_out(
    job: Job,
    checkpoint: "Checkpoint",
    chosen: "Sequence[ItemRestored]",
    word: str,
    prediction_id: str,
    *,
    force: bool = False,
    as_json: bool = False,
) -> list[dict[str, str]]:
    """Do to each item what was decided, up to the first it cannot be done to; results and status follow."""
    import anyio  # noqa: PLC0415 -h stays quick

    from batchup.edge.mending import renewal  # noqa: PLC0415 -h stays quick

    before = renewal.counts_of(checkpoint)
    done: list[dict[str, str]] = []
    try:
        for left in chosen:
            done.append(_decide(job, checkpoint, left, word, prediction_id, force=force))
            _say(done[-1], as_json=as_json)
    finally:
        if done:
            anyio.run(renewal.renew, checkpoint, job, before)
    return done


def _decide(
    job: Job, checkpoint: "Checkpoint", left: "ItemRestored", word: str, prediction_id: str, *, force: bool
) -> dict[str, str]:
    """Carry a decision out and return it as it is told."""
    from functools import partial  # noqa: PLC0415 beside what it is for

    import anyio  # noqa: PLC0415 -h stays quick

    from batchup.edge.mending import resolving  # noqa: PLC0415 -h stays quick

    done = {"id": left.item.id, "as": word}
    match word:
        case "found":
            anyio.run(partial(resolving.found, job, checkpoint, left, prediction_id, force=force))
            done["prediction_id"] = prediction_id
        case "absent":
            resolving.absent(checkpoint, left)
        case _:
            done["why"] = anyio.run(resolving.abandon, job, checkpoint, left)
    return done


_DONE = {
    "found": "the next run polls prediction {prediction_id}",
    "absent": "the next run sends it again",
    "abandon": "{why}; `batchup run --rerun-failed` would buy it anew",
}


def _say(done: dict[str, str], *, as_json: bool = False) -> None:
    if not as_json:
        click.echo(f"{done['id']}: {done['as']}; {_DONE[done['as']].format(**done)}", err=True)


def _ask(job: Job, chosen: "Sequence[ItemRestored]") -> bool:
    """Ask for a decision about each item, and tell whether something is left to be decided.

    A refused decision is told and leaves the item as it is. Nothing is held while a person thinks: a run may
    start meanwhile, and then the next decision ends with Locked.
    """
    is_left = False
    try:
        for left in chosen:
            is_left = not _ask_about(job, left) or is_left
    except click.Abort as leave:
        if isinstance(leave.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        click.echo(err=True)  # there is nobody to answer any more: the rest is skipped
        return True
    return is_left


def _ask_about(job: Job, left: "ItemRestored") -> bool:
    """Ask about one item, and tell whether it was decided."""
    question = f"{left.item.id}: [f]ound, [a]bsent, a[b]andon, [s]kip"
    word, prediction_id = click.prompt(question, default="s", value_proc=_understand, err=True)
    if word == "skip":
        return False
    if word == "found" and not prediction_id:
        prediction_id = click.prompt("id of its prediction", err=True).strip()
    try:
        _decide_if_as_shown(job, left, word, prediction_id)
    except Locked:
        raise
    except BatchupError as problem:
        explain(problem)
        return False
    return True


def _understand(answer: str) -> tuple[str, str]:
    """Read what was typed, a letter, a word or found:ID, as a decision and the id of a prediction."""
    short = {"f": "found", "a": "absent", "b": "abandon", "s": "skip"}
    word, colon, prediction_id = (part.strip() for part in answer.strip().partition(":"))
    word = short.get(word.lower(), word.lower())
    if word not in short.values() or (colon and (word != "found" or not prediction_id)):
        raise click.UsageError("write f, a, b or s, or found:ID, absent, abandon or skip")
    return word, prediction_id


def _decide_if_as_shown(job: Job, left: "ItemRestored", word: str, prediction_id: str) -> None:
    """Take the folder anew for one decision; DataProblem where the item is not as it was shown any more."""
    from batchup.edge.desk import at_rest  # noqa: PLC0415 -h stays quick

    id_ = left.item.id
    with at_rest(job, "resolve") as checkpoint:
        if checkpoint.as_they_stand([id_]).get(id_) != left:
            remedy = f"See how it stands with `batchup resolve {job.path or job.name}`."
            raise DataProblem(f"{id_} is not as it was shown any more: it was left alone.", remedy=remedy)
        _carry_out(job, checkpoint, [left], word, prediction_id)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _show(job: Job, chosen: "Sequence[ItemRestored]") -> None:
    from batchup.edge.mending.resolving import picture  # noqa: PLC0415 -h stays quick

    if not chosen:
        click.echo(f"{job.name}: nothing is in doubt or held")
        return
    for left in chosen:
        click.echo("\n".join(_lines(picture(left))))
    name = job.path or job.name
    click.echo(
        "\nfound:ID  the next run polls that prediction and buys nothing\n"
        "absent    it was never created; the next run sends it again\n"
        "abandon   it fails, and is bought again only by --rerun-failed\n"
        f"\nDecide with `batchup resolve {name} ID --as found:ID|absent|abandon`;"
        f"\n`batchup audit {name}` looks for predictions that were paid for and not claimed"
    )


def _lines(doubt: Any) -> list[str]:
    ours, theirs = _moment(doubt.sent_at), _moment(doubt.service_sent_at)
    lines = [
        f"{doubt.id}: {doubt.state.replace('_', ' ')}, attempt {doubt.attempt}",
        f"  sent at {ours} by this machine's clock, {theirs} by the service's",
        f"  {doubt.why}",
    ]
    sent = [f"    {key} = {msgspec.json.encode(value).decode()}" for key, value in doubt.sent.items()]
    return [*lines, "  sent was:", *sent] if sent else [*lines, "  what was sent is not known"]


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
