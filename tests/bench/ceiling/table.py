"""Both clients on the same load, one after the other, and what is made of their figures."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.ceiling import areas, scene
from bench.ceiling.scene import Load, Service, Spent

HERE: Final = Path(__file__).parent
LEAST_SHARE: Final = 0.5
"""Of the bare loop's predictions a second."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One client: predictions a second, milliseconds of processor each, and its requests each.

    `service_ms` is what the service took for each: it is one core, and may be what is at its end.
    """

    name: str
    per_s: float
    cpu_ms: float
    requests_each: float
    service_ms: float

    @property
    def service_share(self) -> float:
        """How much of its core the service needed."""
        return self.per_s * self.service_ms / 1000


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run of both; `profile` is seconds by area of a second, slower run, and `dearest` its functions."""

    ours: Row
    bare: Row
    loop_ms: float  # of the loop's own thread, each
    profile: dict[str, float]
    dearest: list[tuple[str, float, int]]

    @property
    def share(self) -> float:
        """The share that batchup makes: its predictions a second over the bare loop's."""
        return self.ours.per_s / self.bare.per_s


def measure(load: Load, *, has_profile: bool = True) -> Result:
    """Run batchup, then the bare loop with as many polls, each against a service of its own."""
    with tempfile.TemporaryDirectory(prefix="ceiling-") as name:
        folder = Path(name)
        scene.write_items(folder / "items.jsonl", load.items)
        ours, loop_s, polls = _ours(load, folder / "ours")
        bare = _bare(load, folder / "items.jsonl", polls)
        profile = folder / "profile"
        if has_profile:
            _ours(load, folder / "profiled", profile)
        return Result(
            ours=ours,
            bare=bare,
            loop_ms=1000 * loop_s / load.items,
            profile=areas.by_area(profile) if has_profile else {},
            dearest=areas.dearest(profile) if has_profile else [],
        )


def _ours(load: Load, folder: Path, profile: Path | None = None) -> tuple[Row, float, float]:
    """Return the row, the seconds of the loop's thread, and the polls of an item."""
    folder.mkdir()
    with scene.service(load) as service:
        job = folder / "job.toml"
        job.write_text(_job(load, service.origin))
        program = [str(HERE / "ours.py"), str(job), *([] if profile is None else [str(profile)])]
        spent = scene.spend(program, {"XDG_STATE_HOME": str(folder / "state"), "CEILING_KEY": "k"})
        counted = service.stats()
    said = spent.said
    if not said["saved"] == counted["creates"] == load.items or counted["duplicate_creates"]:
        raise RuntimeError(f"{said['saved']} saved, {counted['creates']} created of {load.items}")
    row = _row("batchup", load, spent, service, said["requests"] + load.items)
    return row, said["loop_s"], said["polls"] / load.items


def _bare(load: Load, manifest: Path, polls: float) -> Row:
    with scene.service(load) as service:
        asked = {**asdict(load), "origin": service.origin, "polls": polls, "manifest": str(manifest)}
        spent = scene.spend([str(HERE / "bare.py"), json.dumps(asked)])
    said = spent.said
    return _row("bare aiohttp loop", load, spent, service, said["creates"] + said["polls"] + said["saved"])


def _row(name: str, load: Load, spent: Spent, service: Service, request_count: int) -> Row:
    return Row(
        name=name,
        per_s=load.items / spent.said["wall_s"],
        cpu_ms=1000 * spent.cpu_s / load.items,
        requests_each=request_count / load.items,
        service_ms=1000 * service.cpu_s / load.items,
    )


def _job(load: Load, origin: str) -> str:
    return f"""
manifest = "../items.jsonl"
model = "{scene.MODEL}"
[input]
scale_factor = 2
[limits]
concurrency = {load.in_flight}
rate = "unlimited"
open_creates = {load.open_creates}
[polling]
expected = "{load.duration_s:g}s"
list = "off"
[service]
url = "{origin}/v1"
key = "env:CEILING_KEY"
"""


def as_text(load: Load, result: Result) -> str:
    """Lay it out as tables in Markdown."""
    asked = f"{load.items} items of {load.duration_s:g} s, {load.in_flight} in flight"
    lines = [
        f"{asked}, {load.open_creates} creates open",
        "",
        "| | predictions/s | CPU ms each | requests each | CPU ms of the service each | of its core |",
        "|---|---:|---:|---:|---:|---:|",
        *(_line(row) for row in (result.bare, result.ours)),
        "",
        f"batchup reaches {result.share:.2f} of the bare loop (at least {LEAST_SHARE})",
        f"{result.loop_ms:.2f} of its {result.ours.cpu_ms:.2f} ms are the loop's, the rest its threads'",
    ]
    if result.profile:
        total = sum(result.profile.values())
        lines += ["", "| of the loop, profiled | share | ms each |", "|---|---:|---:|"]
        lines += [
            f"| {name} | {100 * s / total:.0f} % | {1000 * s / load.items:.2f} |"
            for name, s in result.profile.items()
        ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    figures = f"{row.per_s:.0f} | {row.cpu_ms:.2f} | {row.requests_each:.2f} | {row.service_ms:.2f}"
    return f"| {row.name} | {figures} | {100 * row.service_share:.0f} % |"
