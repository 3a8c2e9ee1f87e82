"""A run's deadline on its own clock, and what happens when it has come."""

import time
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Final

import anyio

from batchup.edge.clock import Clock
from batchup.edge.pool import Pool

_LOOK_EVERY_S: Final = 10.0  # real seconds between two looks at the wall clock


def deadline_of(clock: Clock, max_duration_s: float | None, started_at: float) -> float | None:
    """Return the instant of the run's clock by which it is to be done; None where it may take its time.

    `max_duration_s` real seconds count from `started_at`, of the machine's monotonic clock: what was spent on
    fetching the manifest and on opening things is part of them.
    """
    length_s = inf if max_duration_s is None else max_duration_s
    deadline_at = _instant_in(clock, length_s - (time.monotonic() - started_at))
    return deadline_at if deadline_at < inf else None


async def stop_in_time(pool: Pool, stop_at: float | None, wall: Callable[[], float] | None = None) -> None:
    """Stop the run when its deadline has come: ids are left to the next run; aborted, downloads too.

    The run's clock stands still while the machine sleeps. So the deadline comes nearer where the wall clock
    leaves less time until `stop_at`, in Unix seconds; a wall clock that was set back moves it no farther than
    it was at first. `wall` is the system's clock unless given.
    """
    wall = wall or time.time
    board, clock = pool.batch.board, pool.tools.clock
    latest_at = board.policy.deadline_at
    if latest_at is None:
        return
    while True:
        left_s = inf if stop_at is None else stop_at - wall()
        deadline_at = min(latest_at, _instant_in(clock, left_s))
        board.policy = replace(board.policy, deadline_at=deadline_at)
        rest_s = clock.real_s(deadline_at - clock.now())
        if rest_s <= 0:
            break
        await anyio.sleep(min(rest_s, _LOOK_EVERY_S))
    pool.stop("deadline")
    if board.policy.cutoff == "abort":
        pool.abort()


def _instant_in(clock: Clock, length_s: float) -> float:
    """Return the instant of the run's clock that comes in so many real seconds."""
    return clock.now() + length_s / clock.real_s(1.0)
