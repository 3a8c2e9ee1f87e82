"""Where a user's own settings and notes are, by the rules of XDG."""

import os
from pathlib import Path

from batchup.errors import ConfigProblem


def config_folder() -> Path:
    """Return where a user's settings are: units of systemd, and keys."""
    return _folder(os.environ.get("XDG_CONFIG_HOME"), "~/.config")


def data_folder() -> Path:
    """Return where programs keep notes for a user, systemd its own."""
    return _folder(os.environ.get("XDG_DATA_HOME"), "~/.local/share")


def _folder(given: str | None, usual: str) -> Path:
    if given and Path(given).is_absolute():
        return Path(given)
    try:
        return Path(usual).expanduser()
    except RuntimeError:
        raise ConfigProblem("Nobody knows your home folder.", remedy="Set HOME.") from None
