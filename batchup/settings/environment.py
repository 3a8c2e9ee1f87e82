"""Settings from environment variables: `BATCHUP_<SECTION>_<KEY>`, `BATCHUP_<KEY>` for the top of the file."""

import re
from collections.abc import Container, Iterator, Mapping
from typing import Final

from batchup.settings.known import SETTINGS
from batchup.settings.nearest import did_you_mean
from batchup.settings.origin import Entry, Problem

PREFIX: Final = "BATCHUP_"
VARIABLES: Final = {PREFIX + dotted.replace(".", "_").upper(): dotted for dotted in SETTINGS}
_FREE: Final = {
    f"{PREFIX}SIMULATOR_FAULTS_": ("simulator", "faults"),
    f"{PREFIX}COLUMNS_": ("columns",),
}
_NOT_OURS = re.compile(r"BATCHUP_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)", re.ASCII)
"""What Kubernetes puts into every container beside a service that is called batchup."""


def environment_entries(
    environ: Mapping[str, str], *, secrets: Container[str] = ()
) -> Iterator[Entry | Problem]:
    """Find the settings in an environment; an empty variable counts as not set.

    A variable of our prefix that is no setting is a problem, unless it is one of `secrets`: the key's, say.
    """
    for name in sorted(environ):
        if name.startswith(PREFIX) and environ[name] and name not in secrets:
            yield from _entry(name, environ[name])


def _entry(name: str, value: str) -> Iterator[Entry | Problem]:
    if dotted := VARIABLES.get(name):
        yield Entry(tuple(dotted.split(".")), value, name, "environment")
        return
    for prefix, table in _FREE.items():
        if name.startswith(prefix) and name != prefix:
            yield Entry((*table, name.removeprefix(prefix).lower()), value, name, "environment")
            return
    if name.startswith(f"{PREFIX}INPUT_"):
        yield Problem(name, "input", "model parameters cannot be set by the environment; use [input]")
    elif not _NOT_OURS.fullmatch(name):
        yield Problem(name, "environment", f"unknown setting{did_you_mean(name, VARIABLES)}")
