"""`batchup results JOB`: what became of each item, for other programs; or what failed, as a manifest."""

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
import msgspec

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.errors import BatchupError, ConfigProblem, OutputProblem, UsageProblem, install
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.edge.exports.exporting import Results

STATES = ("saved", "failed", "held", "in_doubt", "outstanding")
FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}
_ILL = ("failed", "held", "in_doubt")

EPILOG = """\b
Formats:
  jsonl    the lines of results.jsonl as they are (`batchup fields results`)
  csv      one row an item: id, state, prediction_id; path, bytes, width,
           height, sha256, url and address (in a bucket) of its first file,
           file_count; attempts, cost_usd, predict_time_s; created_at,
           settled_at and saved_at in RFC 3339, UTC; failure_cause, _kind,
           _code, _message, _retryable and _what_to_do; input.NAME for each
           parameter. A text that a spreadsheet would take for a formula has
           an apostrophe before it.
  parquet  the same columns with their types; it needs
           pip install 'batchup-runner[parquet]'

\b
Examples:
  batchup results nightly.toml --format csv -o nightly.csv
  batchup results nightly.toml --state failed --state held
  batchup results nightly.toml --failed -o failed.jsonl
  batchup run nightly.toml --manifest failed.jsonl --rerun-failed
"""


@click.command(name="results", epilog=EPILOG)
@JOB_FILE
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    help="How they are written.  [default: as the name behind -o ends, else jsonl]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE, whole or not at all, instead of standard output.",
)
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES),
    multiple=True,
    help="Only items that stand so; may be repeated.",
)
@click.option(
    "--failed",
    "as_manifest",
    is_flag=True,
    help="A manifest (JSON Lines) of the failed items, or of those in --state, to be run again: their rows as"
    " they are now, local files by whole paths.",
)
@click.option(
    "--manifest",
    metavar="PATH",
    help="With --failed: where the rows are, if the items did not come from the job's.",
)
@DEBUG
def command(
    job: Path,
    *,
    form: str | None,
    output: Path | None,
    states: tuple[str, ...],
    as_manifest: bool,
    manifest: str | None,
    debug: bool,
) -> None:
    """Write out what became of JOB's items, as its last run left it: while JOB runs, that is the one before.

    Of a run that was cut off it is all that had been written down.
    A manifest made with --failed holds the same items, so nothing that is saved or under way is bought again;
    what failed for good is tried again after `batchup rerun`, or with `batchup run --rerun-failed`. Exits
    with 0 when all is well, with 3 when JOB has items that failed, are held or in doubt, or rejected rows.
    """
    with problems_end_the_command(debug=debug):
        chosen = _format(form, output, as_manifest=as_manifest)
        if manifest is not None and not as_manifest:
            raise UsageProblem("--manifest is only for --failed.", remedy="Leave it out, or add --failed.")
        overrides: dict[str, object] = {} if manifest is None else {"manifest": manifest}
        loaded = Job.load(job, overrides=overrides)
        if output is not None:
            _refuse(output, job, loaded)
        is_well = _results(loaded, chosen, output, states, as_manifest=as_manifest)
    sys.exit(0 if is_well else 3)


def _refuse(output: Path, typed: Path, job: Job) -> None:
    """Raise UsageProblem where writing there would replace what the job needs, with either manifest."""
    from batchup.edge.exports.targets import refuse_precious  # noqa: PLC0415 -h stays quick

    refuse_precious(output, job)
    refuse_precious(output, Job.load(typed))


def _format(form: str | None, output: Path | None, *, as_manifest: bool) -> str:
    """Return the format that is meant; UsageProblem where it cannot be."""
    if as_manifest:
        if form not in (None, "jsonl"):
            raise UsageProblem(f"A manifest is not written as {form}.", remedy="Leave --format out.")
        return "manifest"
    chosen = form or FORMATS.get("" if output is None else output.suffix.lower(), "jsonl")
    if chosen == "parquet" and output is None and sys.stdout.isatty():
        raise UsageProblem("Parquet is nothing to read on a terminal.", remedy="Add -o FILE.")
    return chosen


def _results(job: Job, form: str, output: Path | None, states: Collection[str], *, as_manifest: bool) -> bool:
    from batchup.edge.exports.exporting import open_results  # noqa: PLC0415 -h stays quick

    if _is_first_run(job):
        click.echo(
            f"nothing to show yet: the first run of {job.name} goes on: see `batchup status`", err=True
        )
        return True
    _catch_up(job)
    with open_results(job) as results:
        if results.has_torn_end:
            click.echo("the last line is not whole, as a run is writing it or was killed: left out", err=True)
        write = _writer(job, results, form, states or (("failed",) if as_manifest else ()))
        with _opened(output) as file:
            write(file)
        return not any(results.counts[state] for state in _ILL) and not _has_rejects(job)


def _is_first_run(job: Job) -> bool:
    """Tell whether a run goes on and there are no results of one before."""
    from batchup.edge.lock import is_held  # noqa: PLC0415 -h stays quick
    from batchup.edge.traces import RESULTS  # noqa: PLC0415 -h stays quick

    return not (job.output.dir / RESULTS).exists() and is_held(job.output.dir)


def _catch_up(job: Job) -> None:
    """Have what a run that was cut off did in the results, and say how old they are.

    Where they cannot be brought up to date they are shown as they are, as their folder may be read-only.
    """
    from batchup.edge.lock import is_held  # noqa: PLC0415 -h stays quick
    from batchup.edge.mending.recovery import catch_up  # noqa: PLC0415 -h stays quick

    continues, why = f"`batchup run {job.path or job.name}` continues", ""
    try:
        if catch_up(job):
            click.echo(
                f"the last run was cut off: these are the results of what it did; {continues}", err=True
            )
            return
    except BatchupError as problem:
        why = f" ({problem.message})"
    if is_held(job.output.dir):
        words = f"{job.name} is running: these are the results as of the end of the run before"
        click.echo(f"{words}; see `batchup status`", err=True)
    elif _was_cut_off(job):
        click.echo(
            f"the last run was cut off: what it did is not in these results{why}; {continues}", err=True
        )


def _was_cut_off(job: Job) -> bool:
    """Tell whether a run of this job that nobody can see said that it was going on."""
    from batchup.edge.telling.status import NAME  # noqa: PLC0415 -h stays quick

    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((job.output.dir / NAME).read_bytes(), type=_Standing).is_running
    return False


class _Standing(msgspec.Struct):
    """What is wanted of status.json."""

    is_running: bool


def _writer(job: Job, results: "Results", form: str, states: Collection[str]) -> "Callable[[BinaryIO], None]":
    """Return what writes the results in a format."""
    from batchup.edge.exports.exporting import csv_lines  # noqa: PLC0415 -h stays quick

    match form:
        case "parquet":
            try:
                from batchup.edge.exports.parquet import write_parquet  # noqa: PLC0415 an extra, and slow to import
            except ImportError as missing:
                words = "Parquet needs pyarrow."
                raise ConfigProblem(words, remedy=install("parquet", missing)) from None
            return lambda file: write_parquet(results, file, states)
        case "csv":
            return lambda file: _write_lines(file, csv_lines(results, states))
        case "manifest":
            return lambda file: _write_manifest(file, job, results, states)
        case _:
            return lambda file: _write_lines(file, (line for line, _ in results.lines(states)))


def _write_lines(file: BinaryIO, lines: Iterator[bytes]) -> None:
    file.writelines(line + b"\n" for line in lines)


def _write_manifest(file: BinaryIO, job: Job, results: "Results", states: Collection[str]) -> None:
    from batchup.edge.exports.failed_rows import FailedRows  # noqa: PLC0415 -h stays quick

    rows = FailedRows(job, results, states)
    _write_lines(file, rows.lines())
    click.echo(f"{rows.count} items written", err=True)
    if rows.missing:
        example = next(iter(rows.missing))
        click.echo(
            f"{len(rows.missing)} have no usable row in {job.manifest}, such as {example}; if they came from"
            " another manifest, name it with --manifest",
            err=True,
        )
    if _has_rejects(job):
        click.echo(f"rejected rows are no items and not in it: see {_rejects(job)}", err=True)


@contextmanager
def _opened(path: Path | None) -> "Iterator[BinaryIO]":
    """Give what is written to: standard output, or a file that gets its name when it is whole."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    from batchup.edge.exports.targets import writing  # noqa: PLC0415 -h stays quick

    try:
        with writing(path, durable=True) as file:
            yield file
    except OSError as error:
        remedy = "Name a file behind -o that can be written."
        raise OutputProblem(f"{path} cannot be written: {error.strerror}.", remedy=remedy) from error


def _rejects(job: Job) -> Path:
    from batchup.edge.exports.rejects import NAME  # noqa: PLC0415 -h stays quick

    return job.output.dir / NAME


def _has_rejects(job: Job) -> bool:
    path = _rejects(job)
    return path.is_file() and path.stat().st_size > 0
