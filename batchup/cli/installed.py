"""What is installed for a job: shown, named beside another schedule of it, and taken away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from batchup.cli import starting
from batchup.core.schedule.values import PREFIX, DailyStart, Starter, plain_name, unit_of
from batchup.edge.scheduling import crontab, units
from batchup.edge.scheduling.describing import whole_path
from batchup.edge.scheduling.zones import zone_of
from batchup.job import Job


@dataclass(frozen=True, slots=True)
class Installed:
    """A schedule that is there: who starts the job, and the name that was given to it."""

    starter: Starter
    name: str

    @property
    def unit(self) -> str:
        """What its units or its lines are called."""
        return unit_of(self.name)

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"{self.unit}.timer" if self.starter is Starter.SYSTEMD else f"{self.unit} of your crontab"


def find_installed(typed: Path, called: str | None = None) -> list[Installed]:
    """Return what is installed for a job, or only what is called so."""
    job = whole_path(typed)
    found = [Installed(Starter.SYSTEMD, unit.removeprefix(PREFIX)) for unit in units.installed_units(job)]
    found += [Installed(Starter.CRON, name) for name in crontab.installed_lines(job)]
    return [one for one in found if called is None or one.name == plain_name(called)]


def remove_installed(typed: Path, called: str | None) -> None:
    """Take away what is installed for a job, or only what is called so, and print each place."""
    found = find_installed(typed, called)
    for one in found:
        if one.starter is Starter.SYSTEMD:
            for file in units.remove_units(one.unit):
                click.echo(file)
        else:
            crontab.remove_lines(one.name)
            click.echo(one.place)
    words = "taken away; a run under way goes on to its end"
    click.echo(f"{typed}: {words if found else _nothing('was', called)}", err=True)


def show_installed(typed: Path, called: str | None) -> bool:
    """Say what is installed for a job, or what is called so, and when it starts; False where nothing is."""
    found = find_installed(typed, called)
    for one in found:
        if one.starter is Starter.SYSTEMD:
            _show_timer(one)
        else:
            click.echo(one.place)
            _say(_start_words(crontab.installed_start(one.name), Starter.CRON))
    if any(one.starter is Starter.SYSTEMD for one in found) and not units.is_lingering():
        _say(starting.lingering_words(units.user_name()))
    if not found:
        Job.load(typed)  # which names a mistake in it first
        click.echo(f"{typed}: {_nothing('is', called)}; `batchup schedule -h` says how", err=True)
    return bool(found)


def _show_timer(one: Installed) -> None:
    """Print a timer's files, and say when it starts the run, as far as systemd has it going."""
    gone = None
    for file in units.unit_paths(one.unit):
        if file.exists():
            click.echo(file)
        else:
            gone = file
    state = units.timer_state(one.unit)
    if gone is not None:
        _say(starting.half_words(gone))
    elif state is None:
        _say(starting.no_systemd_words())
    elif not state.is_active:
        _say(starting.stopped_words(one.unit))
    else:
        _say(_start_words(units.installed_start(one.unit), Starter.SYSTEMD))
        _say([] if state.is_enabled else starting.disabled_words(one.unit))


def _start_words(start: DailyStart | None, starter: Starter) -> list[str]:
    if start is None:
        return ["it was changed by hand, so it is not known here when it starts"]
    _, zone = zone_of(starter, start.zone)
    return starting.next_words(start, starter, zone, datetime.now(UTC))


def _nothing(verb: str, called: str | None) -> str:
    return f"nothing {verb} installed for it" + ("" if called is None else f" that is called {called}")


def _say(words: Sequence[str]) -> None:
    for line in words:
        click.echo(line, err=True)
