"""All peers, and what is made of their figures: a table in Markdown and JSON."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any

from bench.peers import ours, plain, published
from bench.peers.scene import DURATIONS, PER_MINUTE, SEED, SLOTS, Figures, Peer, measure

import batchup

ITEMS, FEWER_ITEMS = 240, 24  # those that make one a minute get fewer


def peers(items: int = ITEMS, fewer_items: int = FEWER_ITEMS) -> tuple[Peer, ...]:
    """Name the peers with their versions, each with so many items to do."""
    ours_, limiter = f"batchup {batchup.__version__}", f"aiolimiter {version('aiolimiter')}"
    replicate, aiometer = f"replicate {version('replicate')}", f"aiometer {version('aiometer')}"
    aiohttp = f"aiohttp {version('aiohttp')}"
    workers = [
        Peer(
            f"ten workers, `AsyncLimiter(60, 60)`, polls each {every} s",
            limiter,
            items,
            partial(plain.ten_workers, poll_every_s=float(every)),
        )
        for every in (1, 5, 10)
    ]
    return (
        Peer("naive loop: one at a time, polls each second", aiohttp, fewer_items, plain.naive),
        *workers,
        Peer("`client.async_run`, ten at once", replicate, items, published.run_model),
        Peer(
            "`predictions.async_create`, `async_wait`, ten at once",
            replicate,
            items,
            published.create_and_wait,
        ),
        Peer(
            "`aiometer.run_all`, ten at once, one a second, polls each 5 s",
            aiometer,
            items,
            partial(plain.by_aiometer, poll_every_s=5.0),
        ),
        Peer('batchup, `list = "off"`', ours_, items, partial(ours.run_job, list_="off"), is_ours=True),
        Peer("batchup", ours_, items, partial(ours.run_job, list_="auto"), is_ours=True),
    )


def run_all(chosen: Iterable[Peer]) -> list[Figures]:
    """Measure one after another, each on a service of its own."""
    memory = Path("/dev/shm")  # noqa: S108 in memory
    rows = []
    for peer in chosen:
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
            rows.append(measure(peer, Path(folder)))
    return rows


def as_markdown(rows: Sequence[Figures]) -> str:
    """Lay the figures out as a table, under a line that says how they came about."""
    heads = (
        "",
        "items a minute",
        "requests an item",
        "worst window",
        "most in flight",
        "429s",
        "bought twice",
    )
    lines = [
        _how(),
        "",
        f"| {' | '.join(heads)} | items |",
        f"|---|{'---:|' * len(heads)}",
        *(_line(row) for row in rows),
    ]
    return "\n".join(lines)


def _line(row: Figures) -> str:
    return (
        f"| {row.name} ({row.versions}) | {row.items_per_minute:.2f} | {row.requests_per_item:.1f} "
        f"| {row.worst_window} | {row.most_in_flight} | {row.throttled} | {row.duplicate_creates} "
        f"| {row.items} |"
    )


def as_json(rows: Sequence[Figures]) -> dict[str, Any]:
    """Return the figures as JSON can say them."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": python_version(),
        "durations": DURATIONS,
        "slots": SLOTS,
        "requests_per_minute": PER_MINUTE,
        "seed": SEED,
        "peers": [asdict(row) | {"keeps_the_limits": row.keeps_the_limits} for row in rows],
    }


def _how() -> str:
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with Python {python_version()}, in virtual time on the"
        f" simulator: predictions take 53 s on average (cv 0.3), {SLOTS} slots, {PER_MINUTE} requests in any"
        " minute, a round trip of 0.15 s."
    )
