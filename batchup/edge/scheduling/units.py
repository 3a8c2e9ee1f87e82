"""Installs a job as a timer of the user's own systemd, and takes it away; said twice, both change nothing."""

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batchup.core.schedule.systemd import job_of, service_unit, start_of, timer_unit
from batchup.core.schedule.values import PREFIX, DailyStart, Schedule
from batchup.edge.files import disk_problems, make_folder, write_atomic
from batchup.edge.scheduling.folders import config_folder, data_folder
from batchup.edge.scheduling.programs import ask, order
from batchup.errors import ConfigProblem

_SYSTEMCTL: Final = ("systemctl", "--user")
_LINGERING: Final = Path("/var/lib/systemd/linger")
_REMEDY: Final = (
    "Log in on this machine as the user whose timer it is to be (by ssh or `machinectl shell NAME@`, not by"
    " sudo or su), or use --cron."
)


@dataclass(frozen=True, slots=True)
class TimerState:
    """What systemd says of a timer: whether it is going, and whether it comes back by itself."""

    is_active: bool
    is_enabled: bool


def unit_paths(unit: str) -> tuple[Path, Path]:
    """Return the files of the service and of the timer."""
    folder = _unit_folder()
    return folder / f"{unit}.service", folder / f"{unit}.timer"


def installed_units(job: Path) -> list[str]:
    """Name the units that were made for this job file, whatever they are called."""
    found = {
        path.stem
        for path in _unit_folder().glob(f"{PREFIX}*")
        if path.suffix in {".service", ".timer"} and job_of(_read(path)) == str(job)
    }
    return sorted(found)


def installed_start(unit: str) -> DailyStart | None:
    """Return when a unit is started; None where its timer is gone, or was changed by hand."""
    return start_of(_read(unit_paths(unit)[1]))


def timer_state(unit: str) -> TimerState | None:
    """Return how a unit's timer stands; None where no systemd of the user's answers."""
    try:
        asked = ask([*_SYSTEMCTL, "show", f"{unit}.timer", "--property=ActiveState,UnitFileState"])
    except ConfigProblem:
        return None
    if asked.code != 0:
        return None
    lines = asked.out.splitlines()
    return TimerState("ActiveState=active" in lines, "UnitFileState=enabled" in lines)


def install_units(schedule: Schedule) -> list[Path]:
    """Write both units where they differ, and have the timer started anew; return the files.

    ConfigProblem where no systemd of the user's answers, and where the name is another job's; then nothing
    has been changed.
    """
    asked = ask([*_SYSTEMCTL, "show-environment"])
    if asked.code != 0:
        raise ConfigProblem(f"No systemd of yours answers: {asked.first_words}", remedy=_REMEDY)
    service, timer = unit_paths(schedule.unit)
    for path in (service, timer):
        _refuse_anothers(path, schedule)
    make_folder(service.parent)
    for path, text in ((service, service_unit(schedule)), (timer, timer_unit(schedule))):
        if _read(path) != text:
            write_atomic(path, os.fsencode(text))
            _forget_missed(timer)
    order([*_SYSTEMCTL, "daemon-reload"])
    order([*_SYSTEMCTL, "enable", timer.name])
    order([*_SYSTEMCTL, "restart", timer.name])
    return [service, timer]


def remove_units(unit: str) -> list[Path]:
    """Stop the timer and take both units and systemd's note of its last start away; return the files.

    A run that is under way goes on to its end. Where no systemd answers, the files go all the same.
    """
    service, timer = unit_paths(unit)
    wanted = timer.parent / "timers.target.wants" / timer.name
    found = [path for path in (service, timer) if path.exists()]
    is_there = _answers()
    if is_there and timer in found:
        order([*_SYSTEMCTL, "disable", "--now", timer.name])
    for path in (wanted, _stamp(timer), service, timer):
        with disk_problems(path):
            path.unlink(missing_ok=True)
    if is_there:
        order([*_SYSTEMCTL, "daemon-reload"])
        ask([*_SYSTEMCTL, "reset-failed", service.name])  # it may never have failed
    return found


def _answers() -> bool:
    """Tell whether there is a systemd of the user's."""
    try:
        return ask([*_SYSTEMCTL, "show-environment"]).code == 0
    except ConfigProblem:
        return False


def is_lingering(folder: Path = _LINGERING) -> bool:
    """Tell whether the user's systemd lives on when the user is not logged in."""
    return (folder / user_name()).exists()


def user_name(number: int | None = None) -> str:
    """Return a user's name, whoever runs this unless given; the number of one without a name."""
    number = os.getuid() if number is None else number
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _unit_folder() -> Path:
    """Return where a user's own units are."""
    return config_folder() / "systemd/user"


def _stamp(timer: Path) -> Path:
    """Return where systemd notes a timer's last start; by it a timer that comes back would start at once."""
    return data_folder() / "systemd/timers" / f"stamp-{timer.name}"


def _forget_missed(timer: Path) -> None:
    """Have a timer that is set anew count from now: by its last start the new time may be a missed one."""
    with suppress(OSError):  # it has never started anything
        os.utime(_stamp(timer))


def _refuse_anothers(path: Path, schedule: Schedule) -> None:
    if not path.exists():
        return
    owner = job_of(_read(path))
    if owner != schedule.job:
        whose = "somebody else" if owner is None else owner
        raise ConfigProblem(f"{path} is there already, of {whose}.", remedy="Give this one another --name.")


def _read(path: Path) -> str:
    """Return what a unit holds, empty where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
