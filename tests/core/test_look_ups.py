"""Look-ups of doubts among many of other people's predictions: no poll waits for them, no row is missed."""

from typing import Any

from core.fake_service import FakeService
from core.parts import Bench, moves, problem, running
from core.world import World, item, items, judge

from batchup.core.listing import SHORTEST_S, Window
from batchup.core.messages import Note, Sent
from batchup.core.reactions.doubts import LIST_TRIES
from batchup.core.requests import Create, Inspect, Listed, ListPage, Poll
from batchup.core.states import State
from batchup.core.verdicts import Verdict
from batchup.core.wire import MOST_ROWS, PAGE


def in_doubt(count: int = 1, **settings: Any) -> Bench:
    """Make a bench whose first create was sent at 0 s and never answered."""
    bench = Bench(count, **settings)
    bench.fail_create(Verdict.IN_DOUBT, 0.0)
    return bench


def page(*ids: str, is_last: bool = False) -> Listed:
    return Listed(tuple((id_, "m", None) for id_ in ids), is_last)


def overflow(bench: Bench, now: float) -> ListPage:
    """Read as many pages of a stretch as there can be, all of them full, and return the last."""
    for offset in range(0, MOST_ROWS, PAGE):
        request = bench.send(ListPage, now)
        assert request.offset == offset
        bench.answer(request, page(), now)
    return request


def window(request: ListPage) -> Window:
    return Window(request.created_from, request.created_to)


def test_polls_that_are_due_have_every_second_permit() -> None:
    """With one permit at a time, and candidates without end, what is in flight is polled all the same."""
    bench = in_doubt(3)
    bench.create(1.0, "p1")
    bench.create(1.0, "p2")
    bench.answer(bench.send(ListPage, 2.0), page(*(f"x{k}" for k in range(50)), is_last=True), 2.0)
    kinds = []
    for _ in range(4):
        request = bench.choose(200.0, permits=1)
        assert isinstance(request, Poll | Inspect)
        kinds.append(type(request))
        bench.batch.handle(Sent(request), 200.0)
    assert kinds == [Poll, Inspect, Poll, Inspect]


def test_without_a_poll_that_is_due_look_ups_have_all_permits() -> None:
    """A look-up waits for no poll that is not due."""
    bench = in_doubt(2)
    bench.create(1.0, "p1")
    bench.answer(bench.send(ListPage, 2.0), page("x1", "x2", "x3", is_last=True), 2.0)
    assert [bench.send(Inspect, 2.0).prediction_id for _ in range(3)] == ["x1", "x2", "x3"]


def test_a_create_takes_no_turn_from_a_poll() -> None:
    """After a look-up and a create it is still the poll's turn."""
    bench = in_doubt(2)
    bench.create(1.0, "p1")
    request = bench.send(ListPage, 2.0)
    bench.answer(request, page("x1", "x2", is_last=True), 2.0)
    bench.send(Inspect, 2.0)
    bench.read(item("late"))
    bench.create(2.0, "p2")
    assert isinstance(bench.choose(200.0, permits=1), Poll)


def test_a_stretch_with_too_many_rows_is_read_in_halves() -> None:
    """Where the list shows no more, its halves are asked for from their beginning, each to its end."""
    bench = in_doubt()
    whole = window(overflow(bench, 2.0))
    first = bench.send(ListPage, 2.0)
    halves = whole.halves()
    assert halves is not None
    assert (window(first), first.offset) == (halves[0], 0)
    bench.answer(first, page(), 2.0)
    more = bench.send(ListPage, 2.0)
    assert (window(more), more.offset) == (halves[0], PAGE)
    bench.answer(more, page(is_last=True), 2.0)
    second = bench.send(ListPage, 2.0)
    assert (window(second), second.offset) == (halves[1], 0)
    bench.answer(second, page("p7", is_last=True), 2.0)
    assert bench.send(Inspect, 2.0) == Inspect("p7")


def test_pages_are_as_long_as_the_service_makes_them() -> None:
    """Where it shows fewer rows than it is asked for, the next page begins where this one has ended."""
    bench = in_doubt()
    for offset in (0, 50):
        request = bench.send(ListPage, 2.0)
        assert request.offset == offset
        rows = tuple((f"p{offset + k}", "m", None) for k in range(50))
        bench.answer(request, Listed(rows, is_last=False, step=50), 2.0, known=frozenset(r[0] for r in rows))
    assert bench.send(ListPage, 2.0).offset == 100


def test_a_page_that_comes_again_shows_that_nothing_is_absent() -> None:
    """It may be chance, so there is another walk; a list that has but one page is not counted on."""
    bench, now = in_doubt(), 500.0
    for walk in range(LIST_TRIES):
        for again in range(2):
            commands = bench.answer(bench.send(ListPage, now), page("p7"), now, known=frozenset({"p7"}))
            assert moves(commands) == ([(State.IN_DOUBT, State.HELD)] if walk == 4 and again else [])
        now += bench.policy.settle_s


def test_a_half_may_be_divided_again() -> None:
    """As long as a part has too many rows it is divided, and before all is read nothing is said."""
    bench = in_doubt()
    overflow(bench, 2.0)
    quarter = window(overflow(bench, 2.0)).halves()
    assert quarter is not None
    for _ in range(3):
        request = bench.send(ListPage, 2.0)
        assert bench.board.listing.started_at == 2.0
        bench.answer(request, page(is_last=True), 2.0)
    assert bench.board.listing.started_at is None
    assert bench.state() is State.IN_DOUBT


def test_a_half_that_cannot_be_read_is_asked_for_again() -> None:
    """A page that fails in the middle of a divided stretch is repeated; what was read stays read."""
    bench = in_doubt()
    overflow(bench, 2.0)
    first = bench.send(ListPage, 2.0)
    bench.answer(first, problem(Verdict.REPEAT), 2.0)
    assert bench.send(ListPage, 60.0) == first


def test_an_instant_with_too_many_rows_holds() -> None:
    """Where even the shortest stretch has more rows than are shown, nobody can tell."""
    bench = in_doubt()
    for _ in range(30):
        overflow(bench, 2.0)
        if "i0" not in bench.board.works:
            break
    assert bench.board.tally.held == 1
    assert bench.board.listing.started_at is None
    assert Window(0.0, SHORTEST_S / 2).halves() is None


def test_an_empty_board_reads_no_further_halves() -> None:
    """Where the doubt is cleared up in the first half, a page that comes after it ends the walk."""
    bench = in_doubt()
    overflow(bench, 2.0)
    first = bench.send(ListPage, 2.0)
    bench.answer(first, page("p7"), 2.0)
    inspect, more = bench.send(Inspect, 2.0), bench.send(ListPage, 2.0)
    shown = running("p7", input=bench.board.works["i0"].item.input)
    commands = bench.answer(inspect, shown, 2.0)
    assert any(isinstance(command, Note) and command.event == "found" for command in commands)
    bench.answer(more, page(), 2.0)
    assert bench.board.listing.started_at is None


def test_a_doubt_among_thousands_is_cleared_up_and_nothing_waits() -> None:
    """Among 1,500 strangers in its window a create is proved lost, and all others are saved meanwhile."""
    scripted = ["ok", "ok", "lost_refused"]
    service = FakeService(scripted=scripted, stranger_count=1500, stranger_every_s=0.06)
    world = World(service, items(30), t=100.0, is_checked=False).run()
    judge(world, count=30)
    assert world.board.tally.saved == 30
    looked_at = [at for at, request in world.requests if isinstance(request, Inspect | ListPage)]
    assert len(looked_at) > 1500
    created_at = [at for at, request in world.requests if isinstance(request, Create)]
    assert created_at[-2] - looked_at[0] < 300, "the others were bought while the list was read"
    assert created_at[-1] > looked_at[-1], "and the lost one when it was proved lost"
