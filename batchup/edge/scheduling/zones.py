"""Time zones by name, and the machine's own: timers and cron go by that one, whatever TZ says in a shell."""

import os
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from batchup.core.schedule.values import Starter
from batchup.errors import UsageProblem

LOCAL: Final = Path("/etc/localtime")
_FOLDER: Final = "/zoneinfo/"


def named_zone(name: str) -> tzinfo:
    """Return the time zone of this name; UsageProblem where there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        remedy = "Give one such as Europe/Berlin; `timedatectl list-timezones` has all."
        raise UsageProblem(f"There is no time zone {name}.", remedy=remedy) from None


def machine_zone(local: Path = LOCAL) -> tuple[str | None, tzinfo]:
    """Return the machine's zone and its name, as far as the link to it tells; UTC where nothing is set."""
    name = os.path.realpath(local).partition(_FOLDER)[2] or None
    try:
        with local.open("rb") as file:
            return name, ZoneInfo.from_file(file, key=name)
    except (ValueError, OSError):
        return "Etc/UTC", UTC


def zone_of(starter: Starter, given: str | None) -> tuple[str | None, tzinfo]:
    """Return the zone by which the starter goes, and its name where the starter has to be told."""
    if given is not None:
        return given, named_zone(given)
    name, zone = machine_zone()
    if starter is not Starter.KUBERNETES:
        return None, zone
    if name is None:
        raise UsageProblem("The name of this machine's time zone is not known.", remedy="Add --time-zone.")
    return name, zone
