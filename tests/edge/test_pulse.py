"""What counts as moving, and from when on a run hangs."""

import time
from contextlib import closing
from pathlib import Path
from threading import Thread

import anyio
import pytest
from core.world import item
from edge.test_pool import bench

from batchup.core.messages import Keep, ManifestEnded
from batchup.core.states import State
from batchup.core.stillness import MOVING_S, REST_S, Stillness
from batchup.edge.gate.ledger import Ledger
from batchup.edge.limits import Gate
from batchup.edge.pending import Pending
from batchup.edge.supervision.manager import Manager
from batchup.edge.supervision.pulse import USED_S, Pulse
from batchup.edge.supervision.supervisor import Supervisor
from batchup.settings.units import Rate

PATIENCE_S = 60.0


def running() -> tuple[Pulse, Stillness]:
    """Return a pulse of a run whose pool works, and who looks at it."""
    pulse, stillness = Pulse(is_looping=True, is_running=True), Stillness(PATIENCE_S, 30.0, pause_s=900.0)
    stillness.look(pulse.signs(), 0.0)
    return pulse, stillness


def passing(pulse: Pulse, stillness: Stillness, length_s: int, *beats: str) -> None:
    """Let seconds pass in which only these beat."""
    for _ in range(length_s):
        if "loop" in beats:
            pulse.turn()
        if "pool" in beats:
            pulse.look(Pending() if "writer" in beats else STUCK, "idle" in beats)
        stillness.look(pulse.signs(), 1.0)


def pending_change() -> Pending:
    """Return a change that nobody writes down."""
    return Pending([Keep(item("a"), State.READY, State.SUBMITTING, {})])


STUCK = pending_change()


def test_a_run_that_does_all_of_it_moves() -> None:
    """While the loop turns, the pool looks up and what happens is written, nothing hangs, however long."""
    pulse, stillness = running()
    passing(pulse, stillness, 1000, "loop", "pool", "writer")
    assert stillness.moves()
    assert stillness.hangs() is None


@pytest.mark.parametrize(
    ("beats", "words", "slack_s"),
    [
        (("pool", "writer"), "event loop does not turn", 0),
        (("loop", "writer"), "does not ask what to do next", 30),
        (("loop", "pool"), "is not written to the checkpoint", 30),
    ],
)
def test_whatever_stands_still_hangs_in_the_end(beats: tuple[str, ...], words: str, slack_s: int) -> None:
    """Each of the three is missed: soon by the watchdog, and after a while by who ends the run."""
    pulse, stillness = running()
    passing(pulse, stillness, int(MOVING_S) + slack_s, *beats)
    assert stillness.moves()
    passing(pulse, stillness, 2, *beats)
    assert not stillness.moves()
    passing(pulse, stillness, int(PATIENCE_S - MOVING_S) - 2, *beats)
    assert stillness.hangs() is None
    passing(pulse, stillness, 2, *beats)
    assert words in str(stillness.hangs())


def test_a_writer_under_load_is_at_work() -> None:
    """Something new waits to be written at each look, and each time it is another one: that is no stall."""
    pulse, stillness = running()
    for _ in range(1000):
        pulse.turn()
        pulse.look(pending_change())
        stillness.look(pulse.signs(), 1.0)
    assert stillness.moves()


def test_what_moves_again_has_never_hung() -> None:
    """A disk that was slow for a while costs nothing: the count begins anew."""
    pulse, stillness = running()
    for _ in range(20):
        passing(pulse, stillness, 50)
        passing(pulse, stillness, 1, "loop", "pool", "writer")
    assert stillness.hangs() is None


IDLE = ("loop", "pool", "writer", "idle")


def use_the_processor() -> None:
    """Have a thread work for a moment."""

    def work() -> None:
        while time.thread_time() < 2 * USED_S:
            pass

    thread = Thread(target=work)
    thread.start()
    thread.join()


def test_a_pool_that_waits_for_news_alone_is_given_up_in_the_end() -> None:
    """Where nothing is dated something has to come, within an hour and the longest pause there is."""
    pulse, stillness = running()
    passing(pulse, stillness, int(REST_S), *IDLE)
    pulse.hear()  # a transfer has ended
    passing(pulse, stillness, int(REST_S), *IDLE)
    passing(pulse, stillness, 1, "loop", "pool", "writer")  # there is a poll to wait for
    passing(pulse, stillness, int(REST_S), *IDLE)
    use_the_processor()  # whatever goes on beside: nothing comes of it
    passing(pulse, stillness, 900, *IDLE)
    assert stillness.moves()
    assert stillness.hangs() is None
    passing(pulse, stillness, 2, *IDLE)
    assert not stillness.moves()
    assert "nothing comes of what it waits for" in str(stillness.hangs())


def test_threads_that_work_are_waited_for_outside_the_pool() -> None:
    """An export or a slow copy takes as long as it takes, a thread on a dead disk is given up in the end."""
    pulse, stillness = Pulse(is_looping=True), Stillness(PATIENCE_S)
    passing(pulse, stillness, 1, "loop")
    for _ in range(3):
        passing(pulse, stillness, int(REST_S), "loop")
        assert stillness.moves()
        use_the_processor()
    passing(pulse, stillness, int(REST_S), "loop")
    assert stillness.hangs() is None
    passing(pulse, stillness, 2, "loop")
    assert "nothing comes of what it waits for" in str(stillness.hangs())


@pytest.mark.parametrize(
    ("is_looping", "turns", "words"),
    [(False, 0, "it does not begin"), (True, 1, "event loop"), (False, 1, "last words")],
)
def test_before_and_after_the_pool_there_is_an_hour(turns: int, words: str, *, is_looping: bool) -> None:
    """A first look, a large checkpoint opened in one turn of the loop, and a report may take a while."""
    pulse, stillness = Pulse(is_looping=is_looping), Stillness(PATIENCE_S)
    passing(pulse, stillness, turns, "loop")
    stillness.look(pulse.signs(), 0.0)
    passing(pulse, stillness, 3600)
    assert stillness.moves()
    assert stillness.hangs() is None
    passing(pulse, stillness, 2)
    assert not stillness.moves()
    assert words in str(stillness.hangs())


def test_what_was_before_the_loop_is_forgiven_when_it_turns() -> None:
    """A run that took long to begin has all its time again."""
    pulse, stillness = Pulse(), Stillness(PATIENCE_S)
    passing(pulse, stillness, 3600)
    pulse.is_looping = True
    passing(pulse, stillness, 3000, "loop")
    assert stillness.hangs() is None


@pytest.mark.anyio
@pytest.mark.parametrize("has_permit", [True, False])
async def test_a_pool_says_when_it_waits_for_news_alone(tmp_path: Path, *, has_permit: bool) -> None:
    """It does where it waits for the rows, and does not where it waits for a permit, which may take hours."""
    seen: list[bool] = []
    with closing(Ledger(Path(":memory:"), now=0.0, hold_s=0.0)) as ledger:
        async with bench(tmp_path) as it:
            clock, pool = it.pool.tools.clock, it.pool

            def look(_pending: Pending, is_idle: bool) -> None:  # noqa: FBT001 the pool's hook
                seen.append(is_idle)
                pool.stop("signal")

            gate = pool.tools.gate = Gate(Rate(1, 3600.0), ledger, 10.0)
            if not has_permit:
                await gate.take(clock.monotonic())
            pool.on_look = look
            await pool.run([], anyio.Event().wait)
    assert seen[0] is has_permit


@pytest.mark.anyio
async def test_each_event_is_news(tmp_path: Path) -> None:
    """Whoever watches hears of what comes to a pool, and so does who did before."""
    others: list[bool] = []
    supervisor = Supervisor(Manager({}), on_stall=print, end=print)
    async with bench(tmp_path) as it:
        it.pool.on_change = lambda: others.append(True)
        supervisor._hear(it.pool)
        it.pool.feed(ManifestEnded())
    assert supervisor.pulse.counts["news"] == len(others) == 1
