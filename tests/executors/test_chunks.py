"""Wishes that become chunks: small with little to do, bounded with much, and asked for again when lost."""

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from executors.helpers import Counting, Losing, double, unless_seven

from batchup.core.messages import Note
from batchup.edge.executors.chunks import AHEAD, MOST, RESUBMITS, Chunks, WorkerLost
from batchup.edge.executors.crew import GivenCrew
from batchup.errors import Unavailable

pytestmark = pytest.mark.anyio

Stage = Callable[[Any, Sequence[int]], list[int]]


@asynccontextmanager
async def carrying(
    executor: Executor, stage: Stage = double, *, size: int = 2
) -> AsyncIterator[tuple[Chunks[int, int], list[Note]]]:
    """Carry wishes to an executor while the block lasts."""
    notes: list[Note] = []
    with executor:
        chunks = Chunks[int, int](GivenCrew(executor, size), stage, 2, notes.append)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(chunks.run)
            yield chunks, notes
            tasks.cancel_scope.cancel()


async def wished(chunks: Chunks[int, int], refs: Sequence[int]) -> dict[int, int | Exception]:
    """Wish for all of them at one time, and return what came of each."""
    came: dict[int, int | Exception] = {}

    async def wish(ref: int) -> None:
        try:
            came[ref] = await chunks.do(ref)
        except Exception as problem:  # noqa: BLE001 it is what came
            came[ref] = problem

    async with anyio.create_task_group() as tasks:
        for ref in refs:
            tasks.start_soon(wish, ref)
    return came


async def test_little_to_do_is_spread_in_small_chunks() -> None:
    """Ten wishes do not wait for a hundred: they are spread over the workers at once."""
    executor = Counting(2)
    async with carrying(executor) as (chunks, _):
        assert await wished(chunks, range(10)) == {ref: 2 * ref for ref in range(10)}
    assert sum(executor.sizes) == 10
    assert max(executor.sizes) <= -(-10 // AHEAD)


async def test_much_to_do_makes_large_chunks_a_bounded_number_ahead() -> None:
    """A thousand wishes go in chunks of at most a hundred, and never more of them than the workers' room."""
    executor = Counting(2)
    async with carrying(executor) as (chunks, _):
        assert len(await wished(chunks, range(1000))) == 1000
        assert chunks.open_count == 0
    assert sum(executor.sizes) == 1000
    assert max(executor.sizes) == MOST
    assert executor.most_open <= AHEAD * 2


@pytest.mark.parametrize("losses", [1, RESUBMITS])
async def test_what_was_lost_is_asked_for_again(losses: int) -> None:
    """A worker that is lost costs nothing but time, as often as is borne; each loss is told."""
    async with carrying(Losing(losses), size=1) as (chunks, notes):
        assert await wished(chunks, [3]) == {3: 6}
    assert [note.event for note in notes] == ["chunk_lost"] * losses
    assert notes[0].fields == {"count": 1, "losses": 1, "why": "BrokenExecutor: nobody is there"}


async def test_not_for_ever() -> None:
    """After so many losses the wish is told that its workers were lost, which is no fault of the others."""
    async with carrying(Losing(RESUBMITS + 1), size=1) as (chunks, _):
        came = await wished(chunks, [3])
        assert isinstance(came[3], WorkerLost)
        assert await wished(chunks, [4]) == {4: 8}


async def test_nobody_left_is_the_runs_affair() -> None:
    """Where no worker gives a sign of life the run ends, with what to do."""
    async with carrying(Losing(1000, is_gone=True), size=1) as (chunks, _):
        came = await wished(chunks, [3])
    assert isinstance(came[3], Unavailable)
    assert "run the same command again" in came[3].remedy


async def test_one_wish_that_ends_its_workers_takes_no_other_with_it() -> None:
    """What was lost twice goes by itself, so that one image cannot spoil its chunk."""
    async with carrying(Counting(2), unless_seven) as (chunks, _):
        came = await wished(chunks, range(20))
    assert isinstance(came.pop(7), WorkerLost)
    assert came == {ref: 2 * ref for ref in range(20) if ref != 7}


async def test_a_wish_that_was_given_up_is_not_carried() -> None:
    """What nobody waits for any more before it was handed over is left out."""
    executor = Counting(2)
    async with carrying(executor) as (chunks, _):
        with anyio.move_on_after(0):
            await chunks.do(1)
        assert await wished(chunks, [2]) == {2: 4}
    assert executor.sizes == [1]
