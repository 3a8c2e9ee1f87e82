"""The service's key: read when a run starts, from where the job says it is, and never shown."""

import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import anyio

from batchup.edge.detached import detached
from batchup.errors import ConfigProblem
from batchup.job import Service
from batchup.settings.homes import from_home

_KEY = re.compile(r"[\x21-\x7e]+", re.ASCII)
_SIMULATOR_KEY = "simulator"
REREAD_S = 20.0  # real seconds for reading it once more; it may lie on a network folder that hangs


def read_key(service: Service, environ: Mapping[str, str] | None = None, *, is_again: bool = False) -> str:
    """Read the key of a service; the simulator takes any.

    `environ` is `os.environ` unless given. What is read again has to be a regular file: a pipe has given its
    key already. Raises ConfigProblem with one sentence that says what to do.
    """
    if service.is_simulated:
        return _SIMULATOR_KEY
    environ = os.environ if environ is None else environ
    kind, _, name = service.key.partition(":")
    if kind == "env":
        key = _from_variable(name, environ)
    elif kind == "file":
        key = _from_file(from_home(name), f"put the key into {name}", is_again=is_again)
    else:
        key = _from_credential(name, environ, is_again=is_again)
    if not _KEY.fullmatch(key):
        raise ConfigProblem(
            f"The key in {service.key} has spaces or characters that no key has; copy it again, on one line."
        )
    return key


def exposed_key(service: Service) -> str | None:
    """Say in a sentence that others on this machine can read the key's file; None where they cannot."""
    kind, _, name = service.key.partition(":")
    if service.is_simulated or kind != "file":
        return None
    try:
        mode = from_home(name).stat().st_mode
    except OSError:
        return None
    if not mode & (stat.S_IRGRP | stat.S_IROTH):
        return None
    return f"others on this machine can read the key in {name}: `chmod 600 {name}` keeps it yours"


async def reread(read: Callable[[], str] | None) -> str | None:
    """Read a key again by `read`; None where it cannot be read, or its place gives no answer."""
    if read is None:
        return None
    with anyio.move_on_after(REREAD_S), suppress(ConfigProblem):
        return await detached(read, "key")
    return None


def _from_variable(name: str, environ: Mapping[str, str]) -> str:
    key = environ.get(name, "").strip()
    if not key:
        raise ConfigProblem(
            f"The key is missing: set it with `export {name}=...`, then run the same command."
        )
    return key


def _from_credential(name: str, environ: Mapping[str, str], *, is_again: bool) -> str:
    remedy = f"add LoadCredential={name}:PATH to the systemd unit"
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise ConfigProblem(f"The key credential:{name} is missing, as systemd gives none here: {remedy}.")
    return _from_file(Path(folder) / name, remedy, is_again=is_again)


def _from_file(path: Path, remedy: str, *, is_again: bool) -> str:
    if is_again and path.exists() and not path.is_file():
        raise ConfigProblem(f"The key file {path} is no regular file, to be read a second time: {remedy}.")
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise ConfigProblem(f"The key file {path} cannot be read ({reason}): {remedy}.") from None
    if not key:
        raise ConfigProblem(f"The key file {path} is empty: {remedy}.")
    return key
