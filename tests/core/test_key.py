"""A key the service refuses: read again once, tried if it is another one, and the run's end if not."""

from collections.abc import Callable
from typing import Any

import pytest
from core.parts import Bench, Lister, ended, events, moves, problem
from core.world import item

from batchup.core.messages import Command, KeyRead, RereadKey, Stop
from batchup.core.reactions.doubts import LIST_TRIES
from batchup.core.requests import Accepted, Create, Done, Inspect, Listed, ListPage, Poll, Presign, Wait
from batchup.core.states import State
from batchup.core.verdicts import Verdict
from batchup.errors import KeyRefused

REFUSED = problem(Verdict.KEY_REFUSED, "no such key")
AGAIN = RereadKey()


def by_create() -> tuple[Bench, list[Command]]:
    bench = Bench(3)
    return bench, bench.answer(bench.send(Create, 0.0), REFUSED, 0.0)


def by_poll() -> tuple[Bench, list[Command]]:
    bench = Bench(3)
    bench.create(0.0)
    return bench, bench.poll(REFUSED)


def by_presign() -> tuple[Bench, list[Command]]:
    bench = Bench(0)
    bench.read(item("a", is_local=True))
    return bench, bench.answer(bench.send(Presign, 0.0), REFUSED, 0.0)


def by_list() -> tuple[Bench, list[Command]]:
    bench = Bench(1)
    bench.fail_create(Verdict.IN_DOUBT)
    return bench, bench.answer(bench.send(ListPage, 2.0), REFUSED, 2.0)


def by_inspection() -> tuple[Bench, list[Command]]:
    bench = Bench(1)
    bench.fail_create(Verdict.IN_DOUBT)
    bench.answer(bench.send(ListPage, 2.0), Listed((("x", "m", None),), is_last=True), 2.0)
    return bench, bench.answer(bench.send(Inspect, 2.0), REFUSED, 2.0)


def by_survey() -> tuple[Bench, list[Command]]:
    bench = Lister()
    bench.prove()
    return bench, bench.survey(REFUSED, 75.0)


WAYS = [by_create, by_poll, by_presign, by_list, by_inspection, by_survey]


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_key_is_read_again_first(way: Callable[[], tuple[Bench, list[Command]]]) -> None:
    """Whatever it was refused for, the key is read again and nothing is sent until it was."""
    bench, commands = way()
    assert AGAIN in commands
    assert ended(commands) is None
    assert bench.choose(1000.0) == Wait(None)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_key_ends_the_run(way: Callable[[], tuple[Bench, list[Command]]]) -> None:
    """A key that is still the same is refused for good: exit 77 with the service's words, no item touched."""
    bench, _ = way()
    states = {key: work.state for key, work in bench.board.works.items()}
    commands = bench.batch.handle(KeyRead(changed=False), 100.0)
    assert ended(commands) is KeyRefused
    assert "no such key" in str(bench.board.error)
    assert moves(commands) == []
    assert {key: work.state for key, work in bench.board.works.items()} == states
    assert bench.choose(100.0) == (Wait(None) if bench.board.saving else Done())
    assert bench.board.tally.failed == bench.board.tally.held == 0


@pytest.mark.parametrize("way", WAYS)
def test_another_key_is_tried(way: Callable[[], tuple[Bench, list[Command]]]) -> None:
    """A key that was changed at its source keeps the run going."""
    bench, _ = way()
    assert events(bench.batch.handle(KeyRead(changed=True), 100.0)) == ["key_changed"]
    assert isinstance(bench.choose(2000.0), Create | Poll | Presign | ListPage | Inspect)


def test_another_key_that_is_refused_too_ends_the_run() -> None:
    """The key is read again once: when the new one is refused as well, the run ends."""
    bench, _ = by_create()
    bench.batch.handle(KeyRead(changed=True), 1.0)
    assert ended(bench.answer(bench.send(Create, 2.0), REFUSED, 2.0)) is KeyRefused


def test_a_key_that_has_worked_may_be_rotated_again() -> None:
    """Each rotation of a long night is followed: what counts is that the key worked in between."""
    bench, _ = by_create()
    bench.batch.handle(KeyRead(changed=True), 1.0)
    bench.create(2.0)
    commands = bench.answer(bench.send(Create, 3.0), REFUSED, 3.0)
    assert (AGAIN in commands, ended(commands)) == (True, None)


@pytest.mark.parametrize("reads_first", [True, False])
def test_answers_to_the_old_key_say_nothing_of_the_new(*, reads_first: bool) -> None:
    """A refusal of what went out with the old key, however late it comes, is no refusal of the new one."""
    bench = Bench(4, open_creates=3)
    first, second, third = (bench.send(Create, 0.0) for _ in range(3))
    assert AGAIN in bench.answer(first, REFUSED, 1.0)
    late: list[Callable[[], Any]] = [
        lambda: bench.answer(second, REFUSED, 2.0),
        lambda: bench.batch.handle(KeyRead(changed=True), 2.0),
    ]
    commands = [command for act in (late[::-1] if reads_first else late) for command in act()]
    assert (AGAIN in commands, ended(commands)) == (False, None)
    assert bench.choose(100.0) == Wait(None)  # one answer is still awaited
    bench.answer(third, Accepted("p3"), 3.0)
    assert ended(bench.answer(bench.send(Create, 100.0), REFUSED, 100.0)) is KeyRefused


def test_a_stop_does_not_wait_for_the_key() -> None:
    """A run that leaves while the key is being read again leaves."""
    bench, _ = by_poll()
    bench.batch.handle(Stop("signal"), 1.0)
    assert bench.choose(1.0) == Done()


def test_a_refused_key_is_no_failure_of_the_list() -> None:
    """However often the key changes, no doubt is given up for it."""
    bench = Bench(1)
    bench.fail_create(Verdict.IN_DOUBT)
    bench.answer(bench.send(ListPage, 2.0), Listed((("x", "m", None),), is_last=True), 2.0)
    for _ in range(LIST_TRIES + 1):
        bench.answer(bench.send(Inspect, 2.0), REFUSED, 2.0)
        bench.batch.handle(KeyRead(changed=True), 2.0)
        bench.board.key.is_unproved = False
    assert bench.state() is State.IN_DOUBT


def test_the_list_that_alone_is_refused_is_named() -> None:
    """When the key may do all but list, the words say so, and how to do without."""
    bench, _ = by_survey()
    bench.batch.handle(KeyRead(changed=False), 76.0)
    assert 'list = "off"' in str(bench.board.error)
    assert not bench.board.survey.is_open
