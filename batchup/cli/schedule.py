"""`batchup schedule JOB --at TIME --systemd|--cron|--kubernetes`: the same run every night, by itself."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from batchup.cli.failing import problems_end_the_command
from batchup.cli.options import DEBUG, JOB_FILE, Length
from batchup.core.schedule.values import Starter, TimeOfDay
from batchup.errors import ConfigProblem, UsageProblem
from batchup.job import Job

if TYPE_CHECKING:
    from batchup.core.schedule.values import Schedule

EPILOG = """\b
Environment:
  XDG_CONFIG_HOME          units, keys, addresses are below it  [~/.config]
  XDG_DATA_HOME            systemd's notes are below it  [~/.local/share]

\b
Examples:
  batchup schedule nightly.toml --at 01:00 --stop-at 06:00 --systemd
  batchup schedule nightly.toml --at 01:00 --stop-at 06:00 --systemd --install
  batchup schedule nightly.toml --at 01:00 --cron --install
  batchup schedule nightly.toml --at 01:00 --kubernetes --image shop/batchup:1
  batchup schedule nightly.toml
  batchup schedule nightly.toml --remove
  batchup schedule nightly.toml --remove --name noon
"""


class OfDay(click.ParamType[TimeOfDay]):
    """A time of day such as 01:00."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> TimeOfDay:
        """Read it, or say what was expected."""
        try:
            return value if isinstance(value, TimeOfDay) else TimeOfDay.parse(str(value))
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


class LengthAsWritten(Length):
    """A length of time that is handed on as it was written, once it is known to be one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it, and return the text."""
        super().convert(value, param, ctx)
        return str(value).replace(" ", "")


@click.command(name="schedule", epilog=EPILOG)
@JOB_FILE
@click.option("--at", type=OfDay(), metavar="01:00", help="When the run starts, every day.")
@click.option("--stop-at", type=OfDay(), metavar="06:00", help="Be done by this time of day, as of `run`.")
@click.option(
    "--max-duration",
    type=LengthAsWritten(),
    metavar="7h",
    help="Be done after so long, as of `run`."
    "  [default: with --stop-at what lies between, an hour more where clocks change]",
)
@click.option("--systemd", is_flag=True, help="As a timer and a service of your own systemd.")
@click.option("--cron", is_flag=True, help="As a line of your crontab; it cannot catch up.")
@click.option("--kubernetes", is_flag=True, help="As a CronJob, for `kubectl apply`.")
@click.option(
    "--install", is_flag=True, help="Install it for you, in place of printing it; again changes it."
)
@click.option(
    "--remove",
    is_flag=True,
    help="Take away what was installed for JOB, which need not be there; with --name only what is called so.",
)
@click.option(
    "--jitter",
    type=Length(),
    default="5min",
    show_default=True,
    help="Start up to so much later, at random, so that not all start at once.",
)
@click.option("--no-catch-up", is_flag=True, help="Leave out a missed night; else it is made up for.")
@click.option(
    "--on-change",
    type=click.Choice(["error", "keep", "redo"]),
    default="redo",
    show_default=True,
    help="What to do with a saved item whose request has changed, as of `run`.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the key is kept for it.  [default: in ~/.config/batchup, named as its variable is]",
)
@click.option(
    "--metrics-file",
    type=click.Path(path_type=Path),
    metavar="FILE.prom",
    help="Have the run keep figures there for Prometheus' node exporter, as of `run`.",
)
@click.option("--time-zone", metavar="ZONE", help="Of which zone the times are.  [default: this machine's]")
@click.option("--name", metavar="NAME", help="What units and lines are called.  [default: the job's name]")
@click.option("--image", metavar="IMAGE", help="For --kubernetes: an image in which `batchup` is found.")
@click.option(
    "--claim",
    metavar="NAME",
    help="For --kubernetes: the claim with the job's folder.  [default: batchup-NAME]",
)
@DEBUG
def command(job: Path, **flags: Any) -> None:
    """Have JOB run every night: what systemd, cron or Kubernetes needs is printed, or installed for you.

    The run continues what earlier ones left, redoes items whose request has changed, is silent where nobody
    needs to know, and is watched. The key, and whom to tell of its end where that is in a variable, come from
    files. Under systemd the key is a credential, a missed night is made up for, and after a crash, a hang, an
    outage or a lock the run is tried again as long as it is night, twelve times in six hours at most. Prints
    the next five starts too, as the clocks' changes have them. Without --systemd, --cron or --kubernetes it
    shows what is installed for JOB, with --name only what is called so, and when that starts next or how to
    start it where it is stopped; exits with 3 where there is nothing. --install tells what else is installed
    for JOB, as that starts it too, and exits with 78 where no systemd or cron of yours answers, or the key is
    not where the run looks for it.
    """
    with problems_end_the_command(debug=flags["debug"]):
        starter = _starter(flags, _given(click.get_current_context()))
        if starter is not None:
            _schedule(job, starter, flags)
            return
        from batchup.cli.installed import remove_installed, show_installed  # noqa: PLC0415 -h stays quick

        if flags["remove"]:
            remove_installed(job, flags["name"])
            return
        is_there = show_installed(job, flags["name"])
    if not is_there:
        sys.exit(3)


def _given(context: click.Context) -> list[str]:
    """Name the options on the command line that say how to schedule; --name says which one is meant."""
    return [
        option.opts[0]
        for option in context.command.params
        if option.name is not None
        and option.name not in {"job", "name", "debug"}
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]


def _starter(flags: Mapping[str, Any], given: Sequence[str]) -> Starter | None:
    """Return who is to start the run; UsageProblem where the options that are given do not go together."""
    if flags["remove"]:
        _refuse_beside_remove(given)
        return None
    found = [starter for starter in Starter if flags[starter.value]]
    if len(found) > 1:
        raise UsageProblem("--systemd, --cron and --kubernetes are three ways.", remedy="Give one of them.")
    if found:
        _refuse_unfit(found[0], flags)
        return found[0]
    if given:
        raise UsageProblem(
            f"It is not said who starts the run, so {_and(given)} would change nothing.",
            remedy="Add --systemd, --cron or --kubernetes.",
        )
    return None


def _refuse_beside_remove(given: Sequence[str]) -> None:
    others = [option for option in given if option != "--remove"]
    if others:
        raise UsageProblem(
            f"--remove does not go with {_and(others)}.",
            remedy="It takes away what is there for JOB, of every kind; with --name what is called so.",
        )


def _refuse_unfit(starter: Starter, flags: Mapping[str, Any]) -> None:
    """Refuse what a starter lacks, and what it cannot do."""
    if flags["at"] is None:
        raise UsageProblem("It is not said when the run starts.", remedy="Add --at, as in --at 01:00.")
    if flags["at"] == flags["stop_at"]:
        raise UsageProblem("--at and --stop-at are the same.", remedy="Give the night a length.")
    if starter is Starter.CRON and flags["time_zone"] is not None:
        raise UsageProblem(
            "Cron knows no zone but this machine's.", remedy="Leave --time-zone out, or use --systemd."
        )
    if starter is Starter.KUBERNETES:
        _refuse_unfit_for_a_cluster(flags)
    elif flags["image"] is not None or flags["claim"] is not None:
        raise UsageProblem("--image and --claim are for --kubernetes.", remedy="Leave them out.")


def _refuse_unfit_for_a_cluster(flags: Mapping[str, Any]) -> None:
    """Refuse what cannot be said to a cluster, or what it does not take for an image or a claim."""
    image, claim = flags["image"], flags["claim"]
    if image is None:
        raise UsageProblem("It is not said which image the cluster runs.", remedy="Add --image.")
    if re.fullmatch(r"[\w./:@-]+", image, re.ASCII) is None:
        raise UsageProblem(f"{image!r} is no image.", remedy="Name one, as in registry.example/batchup:1.")
    if claim is not None and re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", claim) is None:
        raise UsageProblem(
            f"{claim!r} is no name of a claim.", remedy="Small letters, digits, hyphens and dots."
        )
    if flags["metrics_file"] is not None:
        raise UsageProblem(
            "A cluster's node exporter has its own folders.", remedy="Leave --metrics-file out."
        )
    if flags["install"]:
        remedy = "Leave --install out and add `| kubectl apply -f -`."
        raise UsageProblem("A cluster is asked by kubectl, with your rights there.", remedy=remedy)


def _and(options: Sequence[str]) -> str:
    return " and ".join(options)


def _schedule(path: Path, starter: Starter, flags: Mapping[str, Any]) -> None:
    from batchup.cli import starting  # noqa: PLC0415 -h stays quick
    from batchup.core.schedule.upcoming import has_clock_changes  # noqa: PLC0415 -h stays quick
    from batchup.edge.scheduling.describing import describe, left_behind  # noqa: PLC0415 -h stays quick
    from batchup.edge.scheduling.secret_files import key_path  # noqa: PLC0415 -h stays quick
    from batchup.edge.scheduling.zones import zone_of  # noqa: PLC0415 -h stays quick
    from batchup.edge.secret import read_key  # noqa: PLC0415 -h stays quick

    name, zone = zone_of(starter, flags["time_zone"])
    job = Job.load(path)
    schedule = describe(
        job,
        path,
        starter,
        at=flags["at"],
        stop_at=flags["stop_at"],
        max_duration=flags["max_duration"],
        jitter_s=flags["jitter"],
        is_caught_up=not flags["no_catch_up"],
        on_change=flags["on_change"],
        zone=name,
        has_clock_changes=has_clock_changes(zone, datetime.now(UTC)),
        key_file=flags["key_file"],
        metrics_file=flags["metrics_file"],
        name=flags["name"],
    )
    key = key_path(job, schedule.key)
    key_words = starting.key_words(key)
    if flags["install"]:
        _refuse_without_key(key_words)
        if key is not None:
            read_key(replace(job.service, key=f"file:{key}"))  # or say what is wrong with it
        words = _install(schedule, path, starter)
    else:
        words = [*_print(schedule, starter, flags), *key_words]
    words += _exposed(job, key)
    words += starting.address_words(schedule.addresses)
    words += starting.left_behind_words(left_behind(job, schedule))
    words += starting.next_words(schedule.start, starter, zone, datetime.now(UTC))
    click.echo("\n".join(words), err=True)


def _exposed(job: Job, key: Path | None) -> list[str]:
    from batchup.edge.secret import exposed_key  # noqa: PLC0415 -h stays quick

    words = None if key is None else exposed_key(replace(job.service, key=f"file:{key}"))
    return [] if words is None else [words]


def _refuse_without_key(words: Sequence[str]) -> None:
    if words:
        remedy = "\n".join([*words, "then say the same command again"])
        raise ConfigProblem("Nothing was installed, as the run would find no key.", remedy=remedy)


def _print(schedule: "Schedule", starter: Starter, flags: Mapping[str, Any]) -> list[str]:
    """Print what would be installed, and return what is to be said of it."""
    from batchup.cli import starting  # noqa: PLC0415 -h stays quick
    from batchup.core.schedule import cron, kubernetes, systemd  # noqa: PLC0415 -h stays quick
    from batchup.edge.scheduling.crontab import refuse_long  # noqa: PLC0415 -h stays quick
    from batchup.edge.scheduling.units import unit_paths  # noqa: PLC0415 -h stays quick

    match starter:
        case Starter.SYSTEMD:
            service, timer = unit_paths(schedule.unit)
            click.echo(f"# {service}\n{systemd.service_unit(schedule)}")
            click.echo(f"# {timer}\n{systemd.timer_unit(schedule)}", nl=False)
            return ["nothing was installed; --install does it"]
        case Starter.CRON:
            refuse_long(schedule)
            click.echo(cron.crontab_block(schedule), nl=False)
            return ["nothing was installed; --install does it"]
        case Starter.KUBERNETES:
            cluster = kubernetes.Cluster(
                flags["image"], claim=flags["claim"] or schedule.unit, secret=f"{schedule.unit}-key"
            )
            click.echo(kubernetes.cron_job(schedule, cluster), nl=False)
            return starting.kubernetes_words(schedule, cluster.claim, cluster.secret)


def _install(schedule: "Schedule", path: Path, starter: Starter) -> list[str]:
    """Install it, print the files it is in, and return what is to be said of it."""
    from batchup.cli import starting  # noqa: PLC0415 -h stays quick
    from batchup.cli.installed import Installed, find_installed  # noqa: PLC0415 -h stays quick
    from batchup.edge.scheduling import crontab, units  # noqa: PLC0415 -h stays quick

    if starter is Starter.CRON:
        crontab.install_line(schedule)
        words = starting.cron_words(schedule, path)
    else:
        for file in units.install_units(schedule):
            click.echo(file)
        words = starting.systemd_words(schedule, path, units.user_name(), is_lingering=units.is_lingering())
    this = Installed(starter, schedule.name)
    for other in find_installed(path):
        if other != this:
            words += starting.beside_words(other.place, other.name, path, is_namesake=other.name == this.name)
    return words
