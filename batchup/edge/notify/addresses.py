"""The addresses at which somebody is told: read from where the job says they are, and never shown."""

import os
from pathlib import Path
from typing import Final

from batchup.edge.notify.services import require_apprise
from batchup.errors import ConfigProblem
from batchup.job import Notify
from batchup.settings.homes import from_home
from batchup.settings.hooks import address_problem, is_place, split_services

NAMES: Final = {"webhook": "the webhook", "apprise": "apprise", "ping": "the ping"}
"""The ways to tell somebody, and what a person calls each."""


def find_addresses(notify: Notify) -> tuple[dict[str, str], dict[str, str]]:
    """Return the addresses by their ways, and in words why others cannot be used."""
    found, problems = {}, {}
    for way, place in notify.addresses.items():
        try:
            if way == "apprise":
                require_apprise()
            found[way] = read_address(way, place)
        except ConfigProblem as problem:
            problems[way] = " ".join(str(problem).split())
    return found, problems


def read_address(way: str, place: str) -> str:
    """Read the address of a way of `NAMES`; `place` is the address, or says where it is.

    Raises ConfigProblem, which never shows the address.
    """
    if not is_place(place):
        return place
    address = _read(place)
    if way == "apprise":
        problem = None if split_services(address) else "it holds no addresses as apprise spells them"
    else:
        problem = address_problem(address)
    if problem is not None:
        raise ConfigProblem(f"The address of {NAMES[way]} in {place} cannot be used: {problem}.")
    return address


def _read(place: str) -> str:
    kind, _, name = place.partition(":")
    if kind == "env":
        remedy = f"set it with `export {name}=...`"
        text = os.environ.get(name, "")
    elif kind == "file":
        remedy = f"put the address into {name}"
        text = _from_file(Path(name), place)
    else:
        remedy = f"add LoadCredential={name}:PATH to the systemd unit"
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        text = _from_file(Path(folder) / name, place) if folder else ""
    if not text.strip():
        raise ConfigProblem(f"There is no address in {place}.", remedy=f"To be told, {remedy}.")
    return text.strip()


def _from_file(path: Path, place: str) -> str:
    try:
        return from_home(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise ConfigProblem(f"The address in {place} cannot be read: {reason}.") from None
