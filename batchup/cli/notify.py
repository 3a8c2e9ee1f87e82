"""`batchup notify JOB`: who is told how a run ended, and a trial of it."""

from collections.abc import Mapping
from pathlib import Path

import click

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE
from batchup.errors import BatchupError, ConfigProblem, Unavailable
from batchup.job import Job, Notify

EPILOG = """\b
When somebody is told ([notify] on):
  finish    each end of a run
  failure   not all went well, or the run was stopped by a signal
  person    nothing goes on before a person has done something: key, credit,
            disk, settings, held items, max_spend, a bug
Another run that holds the job is told to nobody.

`batchup fields notify` explains what a webhook gets.

\b
Examples:
  batchup notify nightly.toml
  batchup notify nightly.toml --test
"""
_TABLE = """[notify] needs a line or two, such as
[notify]
on = "failure"
webhook = "env:HOOK_URL\""""
_SENT = {"webhook": "a message by the webhook", "apprise": "a message by apprise", "ping": "the ping"}


@click.command(name="notify", epilog=EPILOG)
@JOB_FILE
@click.option("--test", "is_trial", is_flag=True, help="Send a message now, and the ping that all is well.")
@DEBUG
def command(job: Path, *, is_trial: bool, debug: bool) -> None:
    """Say who is told how a run of JOB ended, and when; with --test tell them now.

    The addresses themselves are secrets and are not shown. Exits with 78 where nobody is told or an address
    is missing, and with 69 where a message of --test is not taken.
    """
    with problems_end_the_command(debug=debug):
        loaded = Job.load(job)
        if loaded.notify is None:
            raise ConfigProblem(f"{job} has no [notify], so nobody is told.", remedy=_TABLE)
        if is_trial:
            _try(loaded)
        else:
            _show(loaded.notify)


def _show(notify: Notify) -> None:
    """Print the settings; ConfigProblem where an address is not where it is said to be."""
    from batchup.edge.notify.addresses import find_addresses  # noqa: PLC0415 -h stays quick
    from batchup.settings.hooks import is_place  # noqa: PLC0415 -h stays quick

    click.echo(f"{'on':<9}{', '.join(notify.on)}")
    for way, place in notify.addresses.items():
        click.echo(f"{way:<9}{place if is_place(place) else 'an address in the job file'}")
    _refuse(find_addresses(notify)[1], ConfigProblem)


def _try(job: Job) -> None:
    """Send to all; raise what is wrong with those that it did not reach, when all were tried."""
    import anyio  # noqa: PLC0415 -h stays quick

    from batchup.edge.notify.teller import Teller  # noqa: PLC0415 -h stays quick
    from batchup.edge.progress import SilentPrinter  # noqa: PLC0415 -h stays quick

    teller = Teller(job, "", SilentPrinter())
    problem = ConfigProblem if teller.problems else Unavailable
    anyio.run(teller.trial)
    for way in teller.told:
        click.echo(f"sent: {_SENT[way]}")
    _refuse(teller.problems, problem)


def _refuse(problems: Mapping[str, str], kind: type[BatchupError]) -> None:
    if problems:
        raise kind("\n".join(f"{way}: {why}" for way, why in problems.items()))
