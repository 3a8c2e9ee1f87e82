"""`batchup run JOB`."""

import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchup.cli.collector import seldom_collecting
from batchup.cli.ending import is_mailed, print_json, say_how_it_went, say_of_hung
from batchup.cli.failing import problems_end_the_command
from batchup.cli.interrupting import Interrupted, catch_signals, unwrapped
from batchup.cli.loading import load_or_tell
from batchup.cli.options import DEBUG, JOB_FILE, Instant, Length
from batchup.cli.serving import (
    SERVE_ANYWHERE,
    ServingCommand,
    refuse_idle_anywhere,
    say_address,
    serve_option,
)
from batchup.cli.turns import short_turns
from batchup.core.items import Outcome
from batchup.core.pilot import MOST
from batchup.core.summary import SIGNALLED, Summary
from batchup.errors import BatchupError, DiskProblem, InternalProblem, UsageProblem
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.edge.supervision.supervisor import Stall

EPILOG = """\b
Exit codes:
  0  all saved, or nothing to do       73  output folder cannot be written
  1  unexpected                        74  I/O error or disk full
  2  wrong usage                       75  stopped, work is left: run again
  3  finished, some failed, rejected   76  the service's answers make no sense
  4  finished, some held, or paid and  77  key refused
     not fetched (see results.jsonl)   78  configuration
 11  another run holds this job        79  out of credit
 65  manifest or checkpoint unusable  129  hung up: run again
 69  service unavailable              130  interrupted: run again
 70  a bug in batchup                 143  terminated: run again

\b
Environment:
  BATCHUP_<SECTION>_<KEY>  any setting of the job file but those in [input],
                           such as BATCHUP_LIMITS_RATE=30/min; BATCHUP_<KEY>
                           for those at its top (a flag wins, then this)
  EACHLABS_API_KEY         the key, unless [service] key names another place
  CREDENTIALS_DIRECTORY    where systemd puts keys named credential:NAME
  HTTPS_PROXY, NO_PROXY    the way out, as elsewhere
  SSL_CERT_FILE            authorities to trust in place of the system's
  XDG_STATE_HOME           what keeps the limits is below it  [~/.local/state]
  XDG_CACHE_HOME           known prices are below it  [~/.cache]
  AWS_..., GOOGLE_...,     credentials, region, endpoint of buckets, such as
  AZURE_...                AWS_ACCESS_KEY_ID; AWS_SKIP_SIGNATURE=true (and
                           the like) for those that are public,
                           AWS_ALLOW_HTTP=true for an endpoint at http://
  NO_COLOR                 no colour on the terminal
  NOTIFY_SOCKET            systemd's: where it is told how the run goes,
  WATCHDOG_USEC            after how long without a sign it ends the run,
  WATCHDOG_PID             whose sign that is,
  JOURNAL_STREAM           and which stream is its journal

`batchup fields run` explains what --json prints.

\b
Examples:
  batchup run jobs/demo.toml
  batchup run jobs/each-upscaler.toml --manifest products.csv --limit 20
  batchup run nightly.toml --sample 50
  batchup run nightly.toml --stop-at 06:00 --quiet --json
"""


class RunCommand(ServingCommand):
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
                print_json(_nothing(path, UsageProblem.reason, UsageProblem.exit_code))
            raise


@click.command(name="run", cls=RunCommand, epilog=EPILOG)
@JOB_FILE
@click.option(
    "--manifest",
    metavar="PATH",
    help="Use this manifest instead of the job's: a path, an address, or - for standard input, which is"
    " copied into the output folder and read from there; nothing on it means the copy of the last run.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N outstanding items.")
@click.option(
    "--sample",
    type=click.IntRange(min=1, max=MOST),
    metavar="N",
    help="A pilot: only N outstanding items, at random; then say what all of them will cost, take and fail."
    " One that was cut off is finished by the same command.",
)
@click.option("--max-duration", type=Length(), metavar="7h", help="Be done after so long.")
@click.option(
    "--stop-at", type=Instant(), metavar="06:00", help="Be done by this time of day: local, or 06:00+02:00."
)
@click.option(
    "--cutoff",
    type=click.Choice(["drain", "leave", "abort"]),
    help="With either of these: drain stops creating early enough that what is in flight lands; leave creates"
    " until then and leaves it to the next run, abort drops running downloads too.  [drain]",
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
@click.option(
    "--executor",
    metavar="WHERE",
    help="Where uploads and downloads are made: threads (of this process), processes[:N], ray://auto,"
    " ray://HOST:PORT or dask://HOST:PORT.",
)
@click.option("--strict", is_flag=True, help="One bad row in the manifest and nothing is created.")
@click.option("--no-progress", is_flag=True, help="No bar and no progress lines.")
@click.option(
    "-q", "--quiet", is_flag=True, help="Nothing on standard error where it ends with 0 or 75, else why."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON line at the end.")
@click.option("--no-report", is_flag=True, help="Write no report.html when the run ends.")
@click.option(
    "--metrics-file",
    type=click.Path(path_type=Path),
    metavar="FILE.prom",
    help="Keep figures there for Prometheus' node exporter (`batchup monitoring` lists them).",
)
@serve_option("Show the run live in a browser, with a button that stops it in order.")
@SERVE_ANYWHERE
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="How much run.log.jsonl in the output folder tells.",
)
@DEBUG
def command(job: Path, **flags: Any) -> None:
    """Run JOB, a job file: every item of its manifest is made, fetched, checked and saved.

    It may be stopped at any time (Ctrl-C once: finish what is open and leave; twice: drop downloads), killed
    or cut off. The same command continues: saved items are skipped, predictions under way are polled and not
    bought again, and a create that was never answered is looked up before it is repeated.
    """
    with problems_end_the_command(debug=flags["debug"]), seldom_collecting(), short_turns():
        summary = _run(job, flags)
    if summary.reason == "signal":
        from batchup.edge.signals import reraise  # noqa: PLC0415 -h stays quick

        reraise(signal.Signals(summary.exit_code - SIGNALLED))
    sys.exit(summary.exit_code)


def _run(path: Path, flags: Mapping[str, Any]) -> Summary:
    """Run the job; whatever ends it, the summary is printed if it was asked for."""
    summary = _nothing(path, InternalProblem.reason, InternalProblem.exit_code)
    is_told = True
    try:
        heed = catch_signals()
        with unwrapped(heed):
            summary = _run_job(path, flags, heed)
    except BatchupError as problem:
        summary = problem.summary or _nothing(path, problem.reason, problem.exit_code)
        if summary.items and not flags["quiet"]:  # it came as far as to have something to tell
            say_how_it_went(summary, Job.load(path, overrides=_overrides(flags)), path)
        raise
    except KeyboardInterrupt as interruption:
        number = interruption.number if isinstance(interruption, Interrupted) else signal.SIGINT
        summary = _nothing(path, "signal", SIGNALLED + number)
    finally:
        if flags["metrics_file"] is not None and not summary.run:  # else the run has told it
            _note_unbegun(path, flags, summary)
        if flags["as_json"]:
            is_told = print_json(summary)
    if not is_told and summary.exit_code == 0:  # what the run itself has to say goes before
        return replace(summary, exit_code=DiskProblem.exit_code)
    return summary


def _run_job(path: Path, flags: Mapping[str, Any], heed: Callable[[], None]) -> Summary:
    from batchup import api  # noqa: PLC0415 -h stays quick
    from batchup.cli.supervising import supervised  # noqa: PLC0415 -h stays quick
    from batchup.edge.handles import raise_handle_limit  # noqa: PLC0415 -h stays quick
    from batchup.edge.manifest.copies import STDIN  # noqa: PLC0415 -h stays quick
    from batchup.edge.notify.hung import tell_hung  # noqa: PLC0415 -h stays quick
    from batchup.edge.progress import make_printer  # noqa: PLC0415 -h stays quick
    from batchup.edge.signals import stand  # noqa: PLC0415 -h stays quick
    from batchup.edge.supervision.ending import put_down  # noqa: PLC0415 -h stays quick

    heed()
    if flags["sample"] is not None and flags["limit"] is not None:
        raise UsageProblem("--sample and --limit do not go together.", remedy="Give one of them.")
    refuse_idle_anywhere(flags["serve"], is_anywhere=flags["serve_anywhere"])
    job = load_or_tell(path, _overrides(flags), is_quiet=flags["quiet"])
    raise_handle_limit()
    printer = make_printer(quiet=flags["quiet"], progress=not flags["no_progress"])
    put_down_hung = partial(put_down, job, flags["metrics_file"])
    watched = supervised(
        partial(_print_hung, job, flags),
        put_down_hung,
        partial(tell_hung, job),
        is_piped=job.manifest == STDIN,
    )
    with watched as supervisor, _reporting(job, path, flags) as on_outcome:
        summary = api.run_sync(
            job,
            limit=flags["limit"],
            sample=flags["sample"],
            max_duration_s=flags["max_duration"],
            stop_at=_stop_at(flags["stop_at"]),
            rerun_failed=flags["rerun_failed"],
            strict=flags["strict"],
            handle_signals=True,
            on_ended=stand,
            log_level=flags["log_level"],
            serve=flags["serve"],
            serve_anywhere=flags["serve_anywhere"],
            on_serve=say_address if flags["quiet"] else None,
            metrics_file=flags["metrics_file"],
            printer=printer,
            on_outcome=on_outcome,
            supervisor=supervisor,
        )
    if not flags["quiet"] or is_mailed(summary):
        say_how_it_went(summary, job, path)
    return summary


def _reporting(
    job: Job, path: Path, flags: Mapping[str, Any]
) -> AbstractContextManager[Callable[[Outcome], None] | None]:
    """Write the report when the block ends, unless told otherwise; what it gives hears of each outcome."""
    if flags["no_report"]:
        return nullcontext()
    from batchup.cli.reporting import reporting  # noqa: PLC0415 -h stays quick

    return reporting(job, path, is_quiet=flags["quiet"], catch_signals=catch_signals)


def _overrides(flags: Mapping[str, Any]) -> dict[str, object]:
    """Return the settings that flags replace, by their place in the job file."""
    places = {
        "manifest": "manifest",
        "max_spend": "limits.max_spend",
        "concurrency": "limits.concurrency",
        "rate": "limits.rate",
        "on_in_doubt": "run.on_in_doubt",
        "on_change": "run.on_change",
        "executor": "run.executor",
        "cutoff": "run.cutoff",
    }
    return {place: flags[flag] for flag, place in places.items() if flags[flag] is not None}


def _stop_at(given: datetime | None) -> float | None:
    """Return it in Unix seconds."""
    if given is None:
        return None
    if given <= datetime.now().astimezone():
        raise UsageProblem(f"--stop-at {given:%Y-%m-%d %H:%M} is over.", remedy="Give a time to come.")
    return given.timestamp()


def _note_unbegun(path: Path, flags: Mapping[str, Any], summary: Summary) -> None:
    from batchup.edge.metrics.unbegun import note_unbegun  # noqa: PLC0415 -h stays quick

    job: Job | None = None
    with suppress(BatchupError):
        job = Job.load(path, overrides=_overrides(flags))
    note_unbegun(flags["metrics_file"], summary, job)


def _nothing(path: Path, reason: str, exit_code: int) -> Summary:
    return Summary(job=path.stem, run="", reason=reason, exit_code=exit_code)


def _print_hung(job: Job, flags: Mapping[str, Any], stall: "Stall") -> None:
    from batchup.edge.supervision.ending import summary_of  # noqa: PLC0415 -h stays quick

    summary = summary_of(job, stall)
    if stall.settled is not None and (not flags["quiet"] or is_mailed(summary)):
        say_of_hung(stall.why)
    if flags["as_json"]:
        print_json(summary)
