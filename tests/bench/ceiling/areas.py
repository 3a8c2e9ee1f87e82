"""Where the time goes: a profile of cProfile's, summed by what the code is there for."""

import pstats
from collections import defaultdict
from pathlib import Path
from typing import Final, TypeAlias

_Place: TypeAlias = tuple[str, int, str]

AREAS: Final = (
    ("deciding", ("batchup/core/choice", "core/pace.", "core/watch", "core/planner", "core/polling")),
    ("deciding", ("core/durations", "core/sightings", "core/survey", "core/next_look", "core/eta")),
    ("deciding", ("core/snapshot", "core/pace_meter", "core/drain", "core/in_flight", "/bisect", "/heapq")),
    ("wire", ("core/wire", "core/values", "core/addresses", "core/verdicts", "core/failures")),
    ("wire", ("edge/client", "edge/proxy")),
    ("reacting", ("batchup/core/",)),
    (
        "checkpoint",
        (
            "edge/checkpoint",
            "edge/database/sealed",
            "edge/database/attempts",
            "edge/database/opening",
            "edge/database/schema",
        ),
    ),
    (
        "checkpoint",
        (
            "edge/database/changes",
            "edge/database/columns",
            "edge/database/totals",
            "edge/database/prefixes",
            "edge/pending",
        ),
    ),
    (
        "slots and limits",
        ("edge/gate/slots", "edge/gate/sharing", "edge/gate/ledger", "edge/limits", "edge/space"),
    ),
    (
        "log and progress",
        (
            "edge/telling/runlog",
            "edge/telling/reporter",
            "edge/telling/redact",
            "edge/telling/notes",
            "/logging/",
        ),
    ),
    ("log and progress", ("edge/progress", "edge/telling/pace_log", "/datetime", "edge/telling/status")),
    (
        "manifest",
        (
            "edge/feeding/feeder",
            "edge/feeding/items",
            "edge/manifest",
            "edge/feeding/seen",
            "edge/exports/rejects",
        ),
    ),
    (
        "outputs",
        ("edge/outputs", "edge/saving/download", "edge/transfers", "edge/images/pictures", "edge/files"),
    ),
    ("the loop of requests", ("edge/pool", "edge/clock")),
    ("batchup, the rest", ("batchup/",)),
    ("aiohttp", ("aiohttp", "yarl", "multidict", "aiohappyeyeballs", "/http/", "/email/", "/ssl")),
    ("anyio", ("anyio", "sniffio")),
    ("asyncio", ("asyncio", "selectors", "/socket", "concurrent/futures", "contextlib", "threading")),
)
"""In this order: the first that a file's path holds part of."""

OTHER: Final = "Python, the rest"
WAITING: Final = "select"
"""What the loop waits with; not counted."""


def by_area(profile: Path) -> dict[str, float]:
    """Return the seconds by area, the most first; what is built in counts for who called it."""
    totals: dict[str, float] = defaultdict(float)
    for place, (_, _, own_s, _, callers) in pstats.Stats(str(profile)).stats.items():  # type: ignore[attr-defined]
        if WAITING in place[2] and place[0] == "~":
            continue
        if place[0] != "~":
            totals[area_of(place)] += own_s
            continue
        for caller, (_, _, part_s, _) in callers.items():
            totals[area_of(caller)] += part_s
    return dict(sorted(totals.items(), key=lambda entry: -entry[1]))


def area_of(place: _Place) -> str:
    """Name the area of a function by the file it is in."""
    path = place[0].replace("\\", "/")
    return next((name for name, parts in AREAS if any(part in path for part in parts)), OTHER)


def dearest(profile: Path, count: int = 25) -> list[tuple[str, float, int]]:
    """Return the functions that took most by themselves: where, seconds, calls."""
    stats = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]
    rows = [
        (f"{'/'.join(Path(file).parts[-2:])}:{line}({name})", own_s, calls)
        for (file, line, name), (_, calls, own_s, _, _) in stats.items()
        if not (file == "~" and WAITING in name)
    ]
    return sorted(rows, key=lambda row: -row[1])[:count]
