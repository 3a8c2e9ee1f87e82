"""`batchup run JOB`."""

import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE, Instant, Length
from batchup.core.summary import Summary
from batchup.errors import BatchupError, InternalProblem, UsageProblem
from batchup.job import Job

EPILOG = """\b
Exit codes:
  0  all saved, or nothing to do          73  output folder cannot be written
  1  unexpected                           74  I/O error or disk full
  2  wrong usage                          75  stopped on purpose, work left: run again
  3  finished, some failed or rejected    76  the service's answers make no sense
  4  finished, some held, or paid and     77  key refused
     unclaimed (see results.jsonl)        78  configuration
 11  another run holds this job           79  out of credit
 65  manifest or checkpoint not usable   129  hung up (the terminal is gone); run again
 69  service unavailable                 130  interrupted; run again
 70  a bug in batchup                    143  terminated; run again

\b
Examples:
  batchup run jobs/demo.toml
  batchup run jobs/each-upscaler.toml --manifest products.csv --limit 20
  batchup run nightly.toml --stop-at 06:00 --quiet --json
"""


class RunCommand(click.Command):
    """Prints the summary too when the command line itself is wrong."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the command line."""
        given = list(args)  # click empties it
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError:
            if "--json" in given:
                path = next((Path(word) for word in given if word.endswith(".toml")), Path())
                _print_json(_nothing(path, UsageProblem.reason, UsageProblem.exit_code))
            raise


@click.command(name="run", cls=RunCommand, epilog=EPILOG)
@JOB_FILE
@click.option("--manifest", metavar="PATH", help="Use this manifest instead of the job's.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N outstanding items.")
@click.option("--max-duration", type=Length(), metavar="7h", help="Stop early enough to be done by then.")
@click.option(
    "--stop-at", type=Instant(), metavar="06:00", help="The same for a time of day (local, or +02:00)."
)
@click.option("--max-spend", type=float, metavar="USD", help="Never let the whole job cost more than this.")
@click.option("--concurrency", type=int, metavar="N", help="Predictions in flight at one time.")
@click.option("--rate", metavar="60/min", help="Requests of every kind; N/s, N/min, N/h, N/3s or unlimited.")
@click.option("--rerun-failed", is_flag=True, help="Try items again that failed for good before.")
@click.option(
    "--on-in-doubt",
    type=click.Choice(["reconcile", "hold", "resubmit"]),
    help="What to do when nobody knows whether a create was accepted; resubmit is for all that is in doubt or"
    " held, whatever --limit says.",
)
@click.option(
    "--on-change",
    type=click.Choice(["error", "keep", "redo"]),
    help="What to do with a saved item whose request has changed.",
)
@click.option("--strict", is_flag=True, help="One bad row in the manifest and nothing is created.")
@click.option("--no-progress", is_flag=True, help="No bar and no progress lines.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing on standard error but problems that end the run.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON line at the end.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="For run.log.jsonl in the output folder.",
)
@DEBUG
def command(job: Path, **flags: Any) -> None:
    """Run JOB, a job file: every item of its manifest is made, fetched, checked and saved.

    It may be stopped at any time (Ctrl-C once: finish what is open and leave; twice: drop downloads), killed
    or cut off. The same command continues: saved items are skipped, predictions under way are polled and not
    bought again, and a create that was never answered is looked up before it is repeated.
    """
    with problems_end_the_command(debug=flags["debug"]):
        summary = _run(job, flags)
    if summary.reason == "signal":
        from batchup.edge.signals import reraise  # noqa: PLC0415 -h stays quick

        reraise(signal.Signals(summary.exit_code - 128))
    sys.exit(summary.exit_code)


def _run(path: Path, flags: Mapping[str, Any]) -> Summary:
    """Run the job; whatever ends it, the summary is printed if it was asked for."""
    summary = _nothing(path, InternalProblem.reason, InternalProblem.exit_code)
    try:
        _catch_signals()
        summary = _run_job(path, flags)
    except BatchupError as problem:
        summary = problem.summary or _nothing(path, problem.reason, problem.exit_code)
        raise
    except KeyboardInterrupt as interruption:
        number = interruption.number if isinstance(interruption, Interrupted) else signal.SIGINT
        summary = _nothing(path, "signal", 128 + number)
    finally:
        if flags["as_json"]:
            _print_json(summary)
    return summary


def _run_job(path: Path, flags: Mapping[str, Any]) -> Summary:
    from batchup import api  # noqa: PLC0415 -h stays quick
    from batchup.edge.handles import raise_handle_limit  # noqa: PLC0415 -h stays quick
    from batchup.edge.progress import make_printer  # noqa: PLC0415 -h stays quick

    job = Job.load(path, overrides=_overrides(flags))
    raise_handle_limit()
    printer = make_printer(quiet=flags["quiet"], progress=not flags["no_progress"])
    summary = api.run_sync(
        job,
        limit=flags["limit"],
        max_duration_s=_max_duration_s(flags),
        rerun_failed=flags["rerun_failed"],
        strict=flags["strict"],
        handle_signals=True,
        log_level=flags["log_level"],
        printer=printer,
    )
    if not flags["quiet"]:
        _say(_closing_words(summary, job, path))
    return summary


class Interrupted(KeyboardInterrupt):
    """A signal came before the run listened to signals itself."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _catch_signals() -> None:
    """Make a signal an exception until the run has its own way with it; an ignored one stays ignored."""

    def interrupt(number: int, _frame: object) -> NoReturn:
        raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def _overrides(flags: Mapping[str, Any]) -> dict[str, object]:
    """Return the settings that flags replace, by their place in the job file."""
    places = {
        "manifest": "manifest",
        "max_spend": "limits.max_spend",
        "concurrency": "limits.concurrency",
        "rate": "limits.rate",
        "on_in_doubt": "run.on_in_doubt",
        "on_change": "run.on_change",
    }
    return {place: flags[flag] for flag, place in places.items() if flags[flag] is not None}


def _max_duration_s(flags: Mapping[str, Any]) -> float | None:
    lengths = [] if flags["max_duration"] is None else [float(flags["max_duration"])]
    stop_at: datetime | None = flags["stop_at"]
    if stop_at is not None:
        length = (stop_at - datetime.now().astimezone()).total_seconds()
        if length <= 0:
            raise UsageProblem(f"--stop-at {stop_at:%Y-%m-%d %H:%M} is over.", remedy="Give a time to come.")
        lengths.append(length)
    return min(lengths, default=None)


def _nothing(path: Path, reason: str, exit_code: int) -> Summary:
    return Summary(job=path.stem, run="", reason=reason, exit_code=exit_code)


def _print_json(summary: Summary) -> None:
    import msgspec  # noqa: PLC0415 -h stays quick

    with suppress(OSError, ValueError, AttributeError):  # closed before it began, it is None
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
        sys.stdout.flush()


def _say(lines: list[str]) -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        sys.stderr.flush()


def _closing_words(summary: Summary, job: Job, path: Path) -> list[str]:
    """Say how it went, where things are, and what to type next."""
    from batchup.cli.closing import closing_words  # noqa: PLC0415 -h stays quick

    return closing_words(summary, job, path)
