"""`batchup history JOB`: the last runs side by side, from `history.jsonl`, without touching a run."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Final

import click

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.core.money import dollars
from batchup.edge.files import disk_problems
from batchup.edge.telling.printable import printable
from batchup.edge.telling.terminal import columns
from batchup.errors import DataProblem
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.core.history import PastRun

USUAL: Final = 10  # runs
WIDTH: Final = 80  # at least
_DAY_COLUMNS: Final = 7
_CAUSE_COLUMNS: Final = 37  # at least
_NONE: Final = "-"
_HEAD: Final = ("began", "saved", "failed", "left", "spend", "/min", "X*", "window", "ended")
_LEFT_ALIGNED: Final = frozenset({"began", "ended"})
_ENDS: Final = {
    "running": "running",
    "cut_off": "cut off",
    "nothing_to_do": "nothing to do",
    "signal": "stopped",
    "deadline": "time was up",
}
EPILOG: Final = """\b
Columns:
  began    by this machine's clock
  saved    items that the run saved
  failed   items that failed in it, are held, or are paid and not fetched
  left     items that were still to be done after it
  spend    what its predictions cost
  /min     items saved a minute, of the service's time
  X*       creates a minute, in percent of the most that polls of single
           predictions allow; not of runs too short to tell
  window   the most requests in any period of the rate, of those allowed
  ended    why it ended, and its exit code; cut off: it was killed, and what
           it saved and spent is as of the last few seconds before, until
           the next run begins and knows it exactly, but not how fast it was

`batchup fields history` explains what --json prints.

\b
Examples:
  batchup history nightly.toml
  batchup history nightly.toml --last 30
  batchup history nightly.toml --json
"""


@click.command(name="history", epilog=EPILOG)
@JOB_FILE
@click.option(
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    default=USUAL,
    show_default=True,
    help="Only the last N runs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print them as one JSON object.")
@DEBUG
def command(job: Path, *, last: int, as_json: bool, debug: bool) -> None:
    """Show the last runs of JOB side by side, the oldest first, and why items failed in them.

    The thousand newest runs are kept, killed ones too. One that was refused before it began (no key, a bad
    manifest) is there if the job had run before; one whose job file or command line cannot be understood, or
    that found another run, is not. May be asked while JOB runs.
    """
    with problems_end_the_command(debug=debug):
        loaded = Job.load(job)
        runs = _read(loaded, job)[-last:]
        if as_json:
            import msgspec  # noqa: PLC0415 -h stays quick

            click.echo(msgspec.json.encode({"job": loaded.name, "runs": runs}))
        else:
            click.echo("\n".join(lines_of(loaded.name, runs, max(WIDTH, columns(sys.stdout) + 1))))


def _read(job: Job, path: Path) -> "list[PastRun]":
    from batchup.edge.history import NAME, read_history  # noqa: PLC0415 -h stays quick

    where = job.output.dir / NAME
    runs: list[PastRun] = []  # and none where a file is in the place of the folder
    with disk_problems(where, is_reading=True), suppress(NotADirectoryError):
        runs = read_history(job)
    if not runs:
        raise DataProblem(
            f"{path} has no history yet: there is no run in {where}.",
            remedy=f"Start it with `batchup run {path}`.",
        )
    return runs


def lines_of(job: str, runs: "Sequence[PastRun]", width: int = WIDTH) -> list[str]:
    """Return the runs as a table for a person, what they came to, and their failures by cause.

    `width` is for the failures: in how many columns the newest are side by side.
    """
    table = [_HEAD, *(_cells(run) for run in runs)]
    widths = [max(len(row[k]) for row in table) for k in range(len(_HEAD))]
    gap = " " if sum(widths) + 2 * len(widths[1:]) > WIDTH else "  "
    lines = [_line(row, widths, gap) for row in table]
    return [*lines, "", *wrap(_in_all(job, runs), WIDTH), *_failures(runs, width)]


def _line(row: Sequence[str], widths: Sequence[int], gap: str) -> str:
    cells = (
        cell.ljust(width) if name in _LEFT_ALIGNED else cell.rjust(width)
        for name, cell, width in zip(_HEAD, row, widths, strict=True)
    )
    line = gap.join(cells).rstrip()
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _cells(run: "PastRun") -> tuple[str, ...]:
    share = _NONE if run.optimum_share is None else f"{100 * run.optimum_share:.0f}%"
    allowed = "" if run.rate_count is None else f"/{run.rate_count}"
    code = "" if run.exit_code is None else f", {run.exit_code}"
    return (
        f"{datetime.fromtimestamp(run.began_at).astimezone():%m-%d %H:%M}",
        str(run.saved_here),
        str(sum(run.failures.values())),
        str(run.outstanding),
        dollars(run.spend_usd),
        f"{run.per_minute:.1f}" if run.saved_here and run.per_minute else _NONE,
        share,
        f"{run.worst_window}{allowed}" if run.requests else _NONE,
        printable(_ENDS.get(run.reason, run.reason.replace("_", " "))) + code,
    )


def _in_all(job: str, runs: "Sequence[PastRun]") -> str:
    """Say what these runs came to, and how the job stands after the last of them."""
    saved, spend_usd, last = sum(run.saved_here for run in runs), sum(run.spend_usd for run in runs), runs[-1]
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    stands = f"{last.saved} of {last.items} items saved, {dollars(last.job_spend_usd)} in all"
    return f"{count}: {saved} saved for {dollars(spend_usd)}; {printable(job)} has {stands}"


def _failures(runs: "Sequence[PastRun]", width: int) -> Iterator[str]:
    """Yield what failed in the newest of the runs that it did in, by cause, one column a run."""
    failing = [run for run in runs if run.has_end and run.failures]
    if not failing:
        return
    shown = failing[-((width - 1 - _CAUSE_COLUMNS) // _DAY_COLUMNS) :]
    head = "failed, by cause"
    if len(shown) < len(failing):
        head += f": newest {len(shown)} of {len(failing)}"
    total = Counter[str]()
    for run in shown:
        total.update(run.failures)
    label = max(_CAUSE_COLUMNS, WIDTH - 1 - _DAY_COLUMNS * len(shown))
    days = (f"{datetime.fromtimestamp(run.began_at).astimezone():%m-%d}" for run in shown)
    yield ""
    yield _row(head, label, days)
    for cause, _ in total.most_common():
        yield _row(cause, label, (str(run.failures.get(cause, _NONE)) for run in shown))


def _row(label: str, columns: int, cells: Iterator[str]) -> str:
    text = printable(label)
    text = text if len(text) <= columns else f"{text[: columns - 1]}…"
    return f"{text:<{columns}}" + "".join(f"{cell:>{_DAY_COLUMNS}}" for cell in cells)
