"""A job as a line of a user's crontab, between two lines by which it is found again."""

import re
from typing import Final

from batchup.core.schedule.quoting import for_crontab, shell_command, shell_wait
from batchup.core.schedule.values import DailyStart, Schedule, TimeOfDay

LONGEST_COMMAND: Final = 998
"""Debian's cron takes no longer one, in characters."""

_BEGIN: Final = "# batchup schedule "
_END: Final = "# batchup schedule's end: "
_START: Final = re.compile(r'^(\d+) (\d+) \* \* \* (?:sleep "\$\(shuf -i 0-(\d+) )?', re.MULTILINE)


def crontab_block(schedule: Schedule) -> str:
    """Return the lines: where they are from, what cron cannot do, and when what is started."""
    lines = [
        f"{_BEGIN}{schedule.name}: {schedule.job}",
        "# cron does not catch up: a night in which this machine is off is left out.",
        f"{schedule.at.minute} {schedule.at.hour} * * * {command(schedule)}",
        f"{_END}{schedule.name}",
    ]
    return "\n".join(lines) + "\n"


def command(schedule: Schedule) -> str:
    """Return what cron starts, by its shell: wait a little, go to the job, run it."""
    secrets = {secret.variable: f"file:{secret.path}" for secret in schedule.secrets}
    given = {**schedule.environment, **secrets}
    words = [schedule.python, "-P", "-m", "batchup", *schedule.run_words()]
    waits = shell_wait(schedule.jitter_s)
    sets = f"env {shell_command(f'{name}={value}' for name, value in given.items())} " if given else ""
    return for_crontab(f"{waits}cd {shell_command([schedule.folder])} && exec {sets}{shell_command(words)}")


def find_block(crontab: str, name: str) -> tuple[str, str] | None:
    """Return the block of this name, and the job file it was made for; None where there is none."""
    _, block, _ = _split(crontab, name)
    if not block:
        return None
    return block, block.partition("\n")[0].removeprefix(f"{_BEGIN}{name}: ")


def start_of(block: str) -> DailyStart | None:
    """Return when a block of ours starts its command; None of one that was written otherwise."""
    found = _START.search(block)
    if found is None:
        return None
    return DailyStart(TimeOfDay.parse(f"{found[2]}:{found[1]:>02}"), int(found[3] or 0))


def is_begun(crontab: str, name: str) -> bool:
    """Tell whether a block of this name begins somewhere, whether or not it has an end."""
    return any(line.startswith(f"{_BEGIN}{name}: ") for line in crontab.split("\n"))


def names_of(crontab: str, job: str) -> list[str]:
    """Name the blocks that were made for this job file."""
    begins = (line.removeprefix(_BEGIN) for line in crontab.split("\n") if line.startswith(_BEGIN))
    named = (line.partition(": ") for line in begins)
    return list(dict.fromkeys(name for name, _, path in named if path == job))


def with_block(crontab: str, name: str, block: str) -> str:
    """Return a crontab in which this block stands in the place of the one of this name, or at its end.

    All other lines stay as they are; an empty `block` takes it away.
    """
    before, _, after = _split(crontab, name)
    if before and not before.endswith("\n"):
        before += "\n"
    return before + block + after


def _split(crontab: str, name: str) -> tuple[str, str, str]:
    """Return what stands before the block, the block, and what stands behind it.

    A block goes from the last line that begins one to the line that ends it: what stands behind a beginning
    whose end was taken away is not ours.
    """
    lines = re.findall(r"[^\n]*\n|[^\n]+", crontab)  # as cron has them: there is no other end of a line
    first: int | None = None
    for at, line in enumerate(lines):
        if line.startswith(f"{_BEGIN}{name}: "):
            first = at
        elif first is not None and line.rstrip("\n") == f"{_END}{name}":
            return "".join(lines[:first]), "".join(lines[first : at + 1]), "".join(lines[at + 1 :])
    return crontab, "", ""
