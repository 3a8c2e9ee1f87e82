"""The files from which a scheduled run reads its secrets: the service's key, and whom to tell of its end.

What the job finds in a variable of a shell is in a file of the user's own, as the run has no shell.
"""

from pathlib import Path
from typing import Final

from batchup.core.schedule.values import SecretFile, Starter
from batchup.edge.scheduling.folders import config_folder
from batchup.errors import UsageProblem
from batchup.job import Job
from batchup.settings.environment import PREFIX
from batchup.settings.hooks import is_place

KEY: Final = f"{PREFIX}SERVICE_KEY"


def key_of(job: Job, starter: Starter, given: Path | None) -> SecretFile | None:
    """Return the key's file, one that is given or the usual one.

    None where none is wanted, or the job reads it from a file by itself: a key that is read from its own
    file, and not a copy of it, may be changed in the night.
    """
    return None if job.service.is_simulated else _secret(KEY, job.service.key, starter, given)


def key_path(job: Job, key: SecretFile | None) -> Path | None:
    """Return where the run reads the service's key; None where it wants none."""
    if key is not None:
        return Path(key.path)
    return None if job.service.is_simulated else Path(job.service.key.removeprefix("file:"))


def addresses_of(job: Job, starter: Starter) -> list[SecretFile]:
    """Return the files of the addresses that the job does not read from a file by itself, nor has in it."""
    places = {} if job.notify is None else job.notify.addresses
    found = (
        _secret(f"{PREFIX}NOTIFY_{way.upper()}", place, starter)
        for way, place in places.items()
        if is_place(place)
    )
    return [secret for secret in found if secret is not None]


def _secret(variable: str, place: str, starter: Starter, given: Path | None = None) -> SecretFile | None:
    """Return the file of a secret that a job looks for in a place; None where the run reads it there."""
    kind, _, name = place.partition(":")
    usual = variable.rpartition("_")[2].lower()
    if kind == "file" and given is None:
        if starter is not Starter.KUBERNETES:
            return None
        return SecretFile(variable, usual, name)
    credential = {"file": usual, "credential": name}.get(kind, name.lower())
    path = config_folder() / "batchup" / credential if given is None else _expanded(given)
    return SecretFile(variable, credential, str(path.absolute()), is_named=kind == "credential")


def _expanded(given: Path) -> Path:
    try:
        return given.expanduser()
    except RuntimeError:
        raise UsageProblem(
            f"--key-file {given}: nobody knows that home folder.", remedy="Write out the whole path."
        ) from None
