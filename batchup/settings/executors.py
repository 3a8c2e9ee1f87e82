"""How one names where uploads and downloads are made: in this process, in others, or on a cluster."""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["threads", "processes", "ray", "dask"]

HERE: Final = "threads"
AUTO: Final = "auto"
"""Where a cluster of Ray is that this machine is part of."""

_MOST_PROCESSES: Final = 512
_RAY_CLIENT_PORT: Final = 10001
_EXPECTED: Final = (
    'expected "threads", "processes", "processes:4", "ray://auto", "ray://HOST:PORT" or "dask://HOST:PORT"'
)
_PLACE: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ExecutorAddress:
    """What runs the stages: its kind, `where` a cluster is (HOST:PORT or auto), how many processes.

    `count` is None for as many processes as this process may use processors.
    """

    kind: Kind
    where: str = ""
    count: int | None = None


def parse_executor(text: str) -> ExecutorAddress:
    """Read `threads`, `processes[:N]`, `ray://ADDRESS`, `ray:auto` or `dask://ADDRESS`; else ValueError."""
    kind, _, rest = text.partition(":")
    if text in {"threads", "processes"}:
        return ExecutorAddress("threads" if text == HERE else "processes")
    if kind == "processes" and rest.isascii() and rest.isdecimal() and 0 < int(rest[:9]) <= _MOST_PROCESSES:
        return ExecutorAddress("processes", count=int(rest))
    where = rest.removeprefix("//")
    if kind == "ray" and where == AUTO:
        return ExecutorAddress("ray", where)
    found = _PLACE.fullmatch(where) if rest.startswith("//") else None
    if found is None or not 0 < int(found[1]) < 1 << 16:
        raise ValueError(_EXPECTED)
    if kind == "ray":
        _refuse_ray_client(int(found[1]))
        return ExecutorAddress("ray", where)
    if kind == "dask":
        return ExecutorAddress("dask", where)
    raise ValueError(_EXPECTED)


def check_executor(text: str) -> None:
    """Check that it names what can run the stages."""
    parse_executor(text)


def _refuse_ray_client(port: int) -> None:
    if port == _RAY_CLIENT_PORT:
        raise ValueError(
            f"{port} is the port of Ray Client, which is not used; run batchup on a machine of the cluster"
            ' and name the port that `ray start` prints, usually 6379, or write "ray://auto"'
        )
