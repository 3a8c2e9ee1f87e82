"""Installs a job as a line of the user's crontab, and takes it away; all other lines stay as they are."""

from pathlib import Path
from typing import Final

from batchup.core.schedule.cron import (
    LONGEST_COMMAND,
    command,
    crontab_block,
    find_block,
    is_begun,
    names_of,
    start_of,
    with_block,
)
from batchup.core.schedule.values import DailyStart, Schedule
from batchup.edge.scheduling.programs import ask, order
from batchup.errors import ConfigProblem

_CRONTAB: Final = "crontab"
_NONE_YET: Final = "no crontab for"


def refuse_long(schedule: Schedule) -> None:
    """Raise ConfigProblem for a command that cron would cut off."""
    if len(command(schedule).encode()) > LONGEST_COMMAND:
        remedy = "Move the job to a shorter path, or use --systemd."
        raise ConfigProblem(
            f"The line would be longer than cron's {LONGEST_COMMAND} characters.", remedy=remedy
        )


def read_crontab() -> str:
    """Return the user's crontab, empty where there is none yet; else ConfigProblem."""
    done = ask([_CRONTAB, "-l"])
    if done.code == 0:
        return done.out
    if _NONE_YET in done.err:
        return ""
    remedy = "Try it by hand; /etc/cron.allow and /etc/cron.deny say who may have one."
    raise ConfigProblem(f"`crontab -l` fails: {done.first_words}", remedy=remedy)


def install_line(schedule: Schedule) -> None:
    """Put the job's lines into the crontab, in the place of those that were there.

    ConfigProblem where the name is another job's, or there is no cron; then nothing has been changed.
    """
    refuse_long(schedule)
    crontab = read_crontab()
    there = find_block(crontab, schedule.name)
    _refuse_cut(crontab, schedule.name)
    if there is not None and there[1] != schedule.job:
        words = f"The crontab has a batchup-{schedule.name} already, of {there[1]}."
        raise ConfigProblem(words, remedy="Give this one another --name.")
    block = crontab_block(schedule)
    if there is None or there[0] != block:
        order([_CRONTAB, "-"], with_block(crontab, schedule.name, block))


def installed_lines(job: Path) -> list[str]:
    """Name the lines that were made for this job file; none where there is no cron, or none for this user."""
    try:
        return names_of(read_crontab(), str(job))
    except ConfigProblem:
        return []


def installed_start(name: str) -> DailyStart | None:
    """Return when the lines of this name start their job; None where they were changed by hand."""
    there = find_block(read_crontab(), name)
    return None if there is None else start_of(there[0])


def remove_lines(name: str) -> None:
    """Take away the lines of this name; ConfigProblem where nobody can say where they end."""
    crontab = read_crontab()
    _refuse_cut(crontab, name)
    order([_CRONTAB, "-"], with_block(crontab, name, ""))


def _refuse_cut(crontab: str, name: str) -> None:
    """Refuse a block whose last line is gone: the line that starts the job might not be the one meant."""
    if is_begun(crontab, name) and find_block(crontab, name) is None:
        raise ConfigProblem(
            f"The crontab's lines of batchup-{name} have no end any more.",
            remedy="Take them away by hand, with `crontab -e`, and say the same command again.",
        )
