"""A job as two units of systemd: a service that runs it once, and a timer that starts the service."""

import re
from typing import Final

from batchup.core.schedule.exits import AGAIN_S, MOST_STARTS, NIGHT_OVER, NOT_AGAIN, STARTS_WITHIN_H, WELL
from batchup.core.schedule.quoting import for_unit, unit_command, unit_word
from batchup.core.schedule.values import DailyStart, Schedule, TimeOfDay

OURS: Final = "# Made by `batchup schedule` for "
"""How the first line of each unit begins; the job file's path is its rest."""

START_S: Final = 900
"""Seconds that a run has until it says it is ready; while a manifest is fetched it asks for more."""

WATCHDOG_S: Final = 400
"""Seconds without a sign of life: a run that hangs ends by itself after 300, and says where it stood."""

_START: Final = re.compile(
    r"^OnCalendar=\*-\*-\* (\d+:\d+):00(?: (\S+))?\nRandomizedDelaySec=(\d+)$", re.MULTILINE
)


def service_unit(schedule: Schedule) -> str:
    """Return the service: one run, watched, ended in order, and started again where that helps."""
    lines = [
        f"{OURS}{schedule.job}",
        "[Unit]",
        f"Description=batchup: {for_unit(schedule.job)}",
        f"StartLimitIntervalSec={STARTS_WITHIN_H}h",
        f"StartLimitBurst={MOST_STARTS}",
        "",
        "[Service]",
        "Type=notify",
        *_condition(schedule),
        f"ExecStart={unit_command(_command(schedule))}",
        *_folder(schedule),
        *_environment(schedule),
        *_credential(schedule),
        f"TimeoutStartSec={START_S}",
        f"WatchdogSec={WATCHDOG_S}",
        "# SIGTERM has it end in order, and keeps what is in flight for the next run.",
        f"TimeoutStopSec={schedule.stop_s}",
        "KillMode=mixed",
        f"# {WELL}: stopped on purpose with work left. A crash, lock, hang or outage is tried again.",
        f"SuccessExitStatus={WELL}",
        "Restart=on-failure",
        f"RestartSec={AGAIN_S}",
        f"RestartPreventExitStatus={' '.join(map(str, (*NOT_AGAIN, NIGHT_OVER)))}",
        "NoNewPrivileges=yes",
    ]
    return "\n".join(lines) + "\n"


def timer_unit(schedule: Schedule) -> str:
    """Return the timer: every day, a little later by the jitter, and at once where a night was missed."""
    zone = "" if schedule.zone is None else f" {schedule.zone}"
    lines = [
        f"{OURS}{schedule.job}",
        "[Unit]",
        f"Description=batchup, every day at {schedule.at}: {for_unit(schedule.job)}",
        "",
        "[Timer]",
        f"OnCalendar=*-*-* {schedule.at}:00{zone}",
        f"RandomizedDelaySec={schedule.jitter_s}",
        "AccuracySec=1s",
        f"Persistent={'true' if schedule.is_caught_up else 'false'}",
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return "\n".join(lines) + "\n"


def job_of(unit: str) -> str | None:
    """Return the job file that a unit was made for; None of one that was made by somebody else."""
    first = unit.partition("\n")[0]
    return first.removeprefix(OURS) if first.startswith(OURS) else None


def start_of(timer: str) -> DailyStart | None:
    """Return when a timer of ours starts its service; None of one that was written otherwise."""
    found = _START.search(timer)
    return None if found is None else DailyStart(TimeOfDay.parse(found[1]), int(found[3]), found[2])


def _command(schedule: Schedule) -> list[str]:
    """Return the run's words, behind a shell's that see to the night's end.

    A start again past that fails: the next `--stop-at` would be tomorrow's, and to leave it out, as a
    condition does, would make nothing of the failure before it.
    """
    words = [schedule.python, "-P", "-m", "batchup", *schedule.run_words()]
    if schedule.stop_at is not None:
        too_late = f'echo "the night is over, and its last run has failed" >&2; exit {NIGHT_OVER}'
        is_time = f"{_is_night(schedule, schedule.stop_at)} || ! {_is_again(schedule)}"
        return ["/bin/sh", "-c", f'{is_time} || {{ {too_late}; }}; exec "$@"', "batchup", *words]
    # Systemd starts no program whose path has a quote.
    return ["/usr/bin/env", *words] if any(letter in schedule.python for letter in "\"'") else words


def _condition(schedule: Schedule) -> list[str]:
    """Leave out a first start that comes past the night, where no night is made up for."""
    if schedule.stop_at is None or schedule.is_caught_up:
        return []
    test = f"{_is_night(schedule, schedule.stop_at)} || {_is_again(schedule)}"
    return [f"ExecCondition={unit_command(['/bin/sh', '-c', test])}"]


def _is_night(schedule: Schedule, stop_at: TimeOfDay) -> str:
    """Return a shell's test whether it is night by the clock."""
    begin, end = (f"{time.hour:02}{time.minute:02}" for time in (schedule.at, stop_at))
    joint = "-a" if begin < end else "-o"
    return f't=$(date +%H%M); [ "$t" -ge {begin} {joint} "$t" -lt {end} ]'


def _is_again(schedule: Schedule) -> str:
    """Return a shell's test whether this is a start after a failure; no where systemd does not say."""
    return f'[ "$(systemctl --user show -P NRestarts {schedule.unit}.service)" -gt 0 ]'


def _folder(schedule: Schedule) -> list[str]:
    """Name the job's folder. Where it is not there, as of a disk that is not mounted, no start succeeds.

    But a condition that cannot be looked at counts as one that does not hold, and the night would be left out
    as if all were well: then the run itself has to find that there is no job.
    """
    dash = "-" if _condition(schedule) else ""
    return [f"WorkingDirectory={dash}{for_unit(schedule.folder)}"]


def _environment(schedule: Schedule) -> list[str]:
    given = dict(schedule.environment)
    if schedule.zone is not None:
        given["TZ"] = schedule.zone
    if (key := schedule.key) is not None and not key.is_named:
        given[key.variable] = f"credential:{key.credential}"
    # No credentials: a run starts without a file of these, and only tells nobody.
    given |= {address.variable: f"file:{address.path}" for address in schedule.addresses}
    return [f"Environment={unit_word(f'{name}={value}')}" for name, value in given.items()]


def _credential(schedule: Schedule) -> list[str]:
    key = schedule.key
    return [] if key is None else [f"LoadCredential={key.credential}:{for_unit(key.path)}"]
