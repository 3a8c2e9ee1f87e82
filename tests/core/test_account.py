"""Prices, balances and what they mean, in whatever shape the service tells them."""

from typing import Any

import pytest
from core.parts import Bench, done, events, problem
from core.spoken import WIRE
from core.world import item
from hypothesis import given
from hypothesis import strategies as st

from batchup.core import wire
from batchup.core.account import ModelCard, cap_of, read_balance, read_card, shortfall_usd
from batchup.core.lookups import look_ups
from batchup.core.messages import CardWanted, Command, Note, RowsCounted, Sent, Stop
from batchup.core.money import dollars
from batchup.core.requests import (
    AskBalance,
    AskModel,
    BalanceTold,
    Create,
    Done,
    ModelTold,
    Poll,
    Presign,
    Problem,
    Wait,
)
from batchup.core.states import State
from batchup.core.values import SenselessError
from batchup.core.verdicts import Verdict
from batchup.errors import ConfigProblem

FIXED = {"type": "fixed", "unit": "execution", "amount": 0.05}
CARD = ModelCard(slug="m", price_usd=0.05, low_usd=0.05, is_fixed=True)


@pytest.mark.parametrize(
    ("cost", "price"),
    [
        (FIXED, (0.05, 0.05, True)),
        ({"unit": "per prediction", "amount": 0.05}, (0.05, 0.05, True)),
        ({"type": "Per-Run", "amount": 2}, (2.0, 2.0, True)),
        (FIXED | {"min": 0.02, "max": 0.4}, (0.4, 0.02, False)),
        ({"type": "usage_based", "unit": "second", "amount": 0.0002}, (None, None, False)),
        ({"type": "fixed", "unit": "second", "amount": 0.0002}, (None, None, False)),
        ({"type": "usage_based", "unit": "second", "amount": 0.0002, "max": 0.3}, (0.3, 0.3, False)),
        ({"type": "usage_based", "unit": "megapixel", "min": 0.1, "max": 0.3}, (0.3, 0.1, False)),
        ({"amount": 0.05}, (None, None, False)),
        (FIXED | {"amount": 0}, (None, None, False)),
        (FIXED | {"amount": "0.05"}, (None, None, False)),
        (None, (None, None, False)),
    ],
)
def test_only_a_price_of_predictions_is_one(
    cost: Any, price: tuple[float | None, float | None, bool]
) -> None:
    """A price by the second or the pixel says nothing of a prediction, unless a most is named with it."""
    card = read_card({"slug": "m", "cost": cost}, "m")
    assert (card.price_usd, card.low_usd, card.is_fixed) == price


@pytest.mark.parametrize(
    "body",
    [
        {"slug": "m", "cost": FIXED, "request_schema": {"type": "object"}, "note": "n"},
        [{"slug": "m", "cost": FIXED, "request_schema": {"type": "object"}, "note": "n"}],
        {"data": {"slug": "m", "cost": FIXED, "request_schema": {"type": "object"}, "note": "n"}},
    ],
)
def test_a_model_is_read_in_any_wrapping(body: Any) -> None:
    """Price, schema and note of a model are found bare, in a list of one, and in an object around it."""
    card = read_card(body, "m")
    assert (card.price_usd, card.request_schema, card.note) == (0.05, {"type": "object"}, "n")


@pytest.mark.parametrize("body", [None, 3, [], [1, 2], {}, {"slug": "other", "cost": FIXED}, {"ok": True}])
def test_what_is_no_model_is_none(body: Any) -> None:
    """Another model's description, and anything that is none, is refused."""
    with pytest.raises(SenselessError):
        read_card(body, "m")


@pytest.mark.parametrize(
    ("body", "usd"),
    [
        ({"balance_usd": 25.5}, 25.5),
        ({"balance": "3.20"}, 3.2),
        ({"data": {"balance": {"amount": 7}}}, 7.0),
        ({"balance": None, "available": 4}, 4.0),
        (12, 12.0),
        ({"balance_usd": -1.5}, -1.5),
        ({"balance": 10**400, "available": 4}, 4.0),
    ],
)
def test_a_balance_is_found_in_any_shape(body: Any, usd: float) -> None:
    """The credit may be bare, in words, nested, and below zero."""
    assert read_balance(body) == usd


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], None, True, {"balance": True}, {"balance": "much"}, {"credits": 9}, {"balance": "nan"}),
        *({"balance": value} for value in (float("nan"), float("inf"), 10**400, -(10**400), "1e999", 1e12)),
    ],
)
def test_what_is_no_balance_is_none(body: Any) -> None:
    """Words, booleans and credits of another kind are no money."""
    with pytest.raises(SenselessError):
        read_balance(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda t: (
            st.lists(t) | st.dictionaries(st.sampled_from(["balance", "data", "slug", "cost", "max"]), t)
        ),
    )
)
def test_any_answer_is_read_or_refused(body: Any) -> None:
    """Whatever JSON comes is a description, a balance, or no answer, and never an accident."""
    for read in (lambda: read_balance(body), lambda: read_card(body, "m")):
        try:
            read()
        except SenselessError:
            continue


def test_the_cap_applies_at_ten_dollars_and_below() -> None:
    """At $10 the service allows 10 in flight at a fixed price and 2 otherwise; above, any number."""
    assert [cap_of(usd, is_fixed=True) for usd in (None, 10.01, 10.0, 0.0)] == [None, None, 10, 10]
    assert cap_of(10.0, is_fixed=False) == 2


def test_a_shortfall_needs_both_figures() -> None:
    """What is lacking is told where price and balance are known, and nothing where it suffices."""
    assert shortfall_usd(1.0, 0.5, 2) is None
    assert shortfall_usd(1.0, 0.5, 3) == pytest.approx(0.5)
    assert (shortfall_usd(None, 0.5, 3), shortfall_usd(1.0, None, 3)) == (None, None)


def test_amounts_are_written_as_people_do() -> None:
    """Cents are always there, a small price has all its digits, and a debt its sign."""
    assert [dollars(usd) for usd in (None, 12, 0.05, 0.00025, 1.239, -0.5, 0)] == [
        "?",
        "$12.00",
        "$0.05",
        "$0.00025",
        "$1.24",
        "-$0.50",
        "$0.00",
    ]


# ---------------------------------------------------------------- on the wire


def test_look_ups_are_spelled_and_hurried() -> None:
    """Both are asked for under the service's URL, no slug leaves its place, and neither may take long."""
    calls = [WIRE.call_of(request, "m") for request in (AskModel("a/../b"), AskBalance())]
    assert [(call.method, call.path, call.is_hurried) for call in calls] == [
        ("GET", "models/a%2F..%2Fb", True),
        ("GET", "billing/balance", True),
    ]


def response(status: int, body: bytes, **headers: str) -> wire.Response:
    return wire.Response(status, headers, body)


def test_look_ups_are_read_and_never_a_problem_of_the_run() -> None:
    """Good answers tell, any other says why not, and only too many requests concern the run."""
    told = WIRE.read(AskModel("m"), response(200, b'{"slug": "m", "cost": null}'), 7.0)
    assert told == ModelTold(ModelCard(slug="m", fetched_at=7.0))
    assert WIRE.read(AskBalance(), response(200, b'{"balance_usd": 2}'), 7.0) == BalanceTold(2.0)
    assert WIRE.read(AskBalance(), response(200, b"{"), 7.0) == BalanceTold(
        None, "the answer makes no sense: not JSON"
    )
    for status in (302, 401, 404, 500):
        assert WIRE.read(AskModel("m"), response(status, b"{}"), 7.0) == ModelTold(None, f"HTTP {status}")
    silent = WIRE.read(AskBalance(), wire.Silence(was_sent=True, message="reset"), 7.0)
    assert silent == BalanceTold(None, "reset")
    assert isinstance(WIRE.read(AskBalance(), response(429, b"{}"), 7.0), Problem)


# ---------------------------------------------------------------- in a run


def asking(
    count: int = 2, card: ModelCard | None = None, *, is_fresh: bool = False, **settings: Any
) -> Bench:
    """Return a bench that looks price and balance up before it spends."""
    bench = Bench(count, **settings)
    bench.board.model = "m"
    bench.board.look_ups = look_ups("m", card, is_fresh=is_fresh)
    return bench


def tell(bench: Bench, *answers: ModelTold | BalanceTold | Problem, now: float = 0.0) -> list[Command]:
    """Send all look-ups there are, and answer them in order."""
    requests: list[AskModel | AskBalance] = []
    for _ in answers:
        request = bench.choose(now)
        assert isinstance(request, AskModel | AskBalance)
        bench.batch.handle(Sent(request), now)
        requests.append(request)
    answered = zip(requests, answers, strict=True)
    return [command for request, answer in answered for command in bench.answer(request, answer, now)]


def said(commands: list[Command]) -> list[str]:
    return [note.fields["words"] for note in commands if isinstance(note, Note) and note.event == "price"]


@pytest.mark.parametrize("max_spend", [None, 9.0])
def test_nothing_is_bought_before_price_and_balance_are_answered(max_spend: float | None) -> None:
    """Both go out first and at once, and the first create waits for both answers, good ones or not."""
    bench = asking(max_spend=max_spend)
    model, balance = bench.send(AskModel, 0.0), bench.send(AskBalance, 0.0)
    assert bench.choose(0.0) == Wait(None)
    bench.answer(balance, BalanceTold(None, "HTTP 404"), 0.1)
    assert bench.choose(0.1) == Wait(None)
    bench.answer(model, problem(Verdict.REPEAT), 0.2)
    bench.send(Create, 0.2)
    assert bench.board.tally.requests == 3


def test_what_an_item_waits_for_is_asked_before_there_is_one() -> None:
    """A manifest whose first item waits for the description of the model has it asked for."""
    bench = asking(0)
    assert bench.choose(0.0) == Wait(None)
    bench.batch.handle(CardWanted(), 0.0)
    bench.send(AskModel, 0.0)
    stopped = asking(0)
    stopped.batch.handle(CardWanted(), 0.0)
    stopped.batch.handle(Stop("deadline", drain=True), 0.0)
    assert not isinstance(stopped.choose(0.0), AskModel)


def test_uploads_are_not_put_off_by_look_ups() -> None:
    """While the answers are awaited the files of the first items are sent."""
    bench = asking(0)
    bench.read(item("i0", is_local=True))
    bench.send(AskModel, 0.0)
    bench.send(AskBalance, 0.0)
    bench.send(Presign, 0.0)


def test_nothing_is_bought_before_the_rows_are_compared_with_the_balance() -> None:
    """What is to be bought is counted first, where somebody counts it."""
    bench = asking()
    bench.board.look_ups.is_counting = True
    tell(bench, ModelTold(CARD), BalanceTold(100.0))
    assert bench.choose(0.1) == Wait(None)
    assert bench.batch.handle(RowsCounted(), 0.2) == []
    bench.send(Create, 0.2)


def test_slots_that_are_full_do_not_put_off_the_look_ups() -> None:
    """What is to be bought when a slot is free is asked about while none is."""
    bench = asking(1, concurrency=1)
    bench.restore(State.IN_FLIGHT, prediction_id="p9")
    bench.send(AskModel, 0.0)


def test_who_has_nothing_to_buy_asks_nothing() -> None:
    """With nothing to create there is no look-up, and the run ends."""
    bench = asking(0)
    bench.end_manifest()
    assert bench.choose(0.0) == Done()
    spent = asking(2, max_spend=1.0)
    spent.board.tally.job_spend_usd = 1.0
    assert spent.choose(0.0) == Done()


def test_look_ups_have_the_first_permit() -> None:
    """Even the last permit goes to a look-up, as nothing can be bought before."""
    assert isinstance(asking(2).choose(0.0, permits=1), AskModel)


def test_who_stops_asks_nothing_more() -> None:
    """A run that drains, or is too near its deadline to create anything, has no use for a price."""
    bench = asking(2)
    bench.batch.handle(Stop("signal", drain=True), 0.0)
    assert bench.choose(0.0) == Done()
    late = asking(2, deadline_at=10.0)
    late.restore(State.IN_FLIGHT, prediction_id="p9")
    assert isinstance(late.choose(0.0), Wait | Poll)


def test_what_an_earlier_run_left_does_not_put_off_the_price() -> None:
    """With predictions in flight and no price known yet, it is asked for before they have settled."""
    bench = asking(2, max_spend=1.0)
    bench.restore(State.IN_FLIGHT, prediction_id="p9")
    bench.send(AskModel, 0.0)


def test_dots_are_no_model() -> None:
    """A name that would lead to another address is not asked for."""
    assert list(look_ups("..", None, is_fresh=False).wanted) == [AskBalance()]


def test_a_fresh_description_is_not_asked_for() -> None:
    """With a description of today only the balance is looked up, and its price counts from the start."""
    bench = asking(3, CARD, is_fresh=True, max_spend=0.1)
    tell(bench, BalanceTold(5.0))
    bench.create(0.0, "p0")
    bench.create(0.0, "p1")
    assert isinstance(bench.choose(0.0), Wait)


def test_under_a_cap_nothing_is_bought_before_the_price_is_told() -> None:
    """What may be spent depends on the price, so the first create waits for it, and no longer than for it."""
    bench = asking(3, max_spend=0.12)
    model, balance = bench.send(AskModel, 0.0), bench.send(AskBalance, 0.0)
    bench.answer(balance, BalanceTold(5.0), 0.0)
    assert bench.choose(0.0) == Wait(None)
    assert said(bench.answer(model, ModelTold(CARD), 0.1)) == [
        "max_spend: each prediction is reckoned at $0.05, as the service says"
    ]
    bench.create(0.1, "p0")
    bench.create(0.1, "p1")
    assert isinstance(bench.choose(0.1), Wait)


def test_a_price_above_the_cap_buys_nothing() -> None:
    """A first prediction that would pass the cap is not bought, where the price is known beforehand."""
    bench = asking(3, max_spend=0.04)
    tell(bench, ModelTold(CARD), BalanceTold(5.0))
    bench.end_manifest()
    assert bench.choose(0.0) == Done()


def test_without_a_price_the_dearest_is_found_out_and_said() -> None:
    """Where none is named it is said, and said again when the first that settled has told one."""
    bench = asking(3, max_spend=9.0)
    assert said(tell(bench, ModelTold(None, "HTTP 404"), BalanceTold(None))) == [
        "the service names no price for m: one prediction at a time until one has settled"
    ]
    bench.create(0.0, "p0")
    assert isinstance(bench.choose(0.0), Wait)
    assert said(bench.poll(done(cost_usd=0.07))) == [
        "the service names no price for m: reckoned at the dearest so far, $0.07"
    ]
    bench.create(60.0, "p1")
    assert said(bench.poll(done("p1", cost_usd=0.08), 120.0)) == []


def test_what_costs_more_than_is_named_counts_as_it_costs() -> None:
    """When a prediction costs more than the service names the dearest counts, and that is said."""
    bench = asking(3, CARD, is_fresh=True, max_spend=0.2)
    tell(bench, BalanceTold(100.0))
    bench.create(0.0, "p0")
    assert said(bench.poll(done(cost_usd=0.1))) == [
        "max_spend: each prediction is reckoned at $0.10, the dearest so far; the service says $0.05"
    ]
    bench.create(60.0, "p1")
    assert isinstance(bench.choose(60.0), Wait)


def test_nobody_is_told_of_prices_who_set_no_cap() -> None:
    """Without `max_spend` what was told goes to the log alone."""
    assert said(tell(asking(), ModelTold(CARD), BalanceTold(100.0))) == []


def test_a_low_balance_is_a_warning_and_no_more() -> None:
    """At $10 and below the cap that then applies is named if it is below the job's, and creates go on."""
    bench = asking(concurrency=12)
    low = [note for note in tell(bench, ModelTold(CARD), BalanceTold(10.0)) if isinstance(note, Note)]
    assert dict(low[-1].fields) == {"balance": "$10.00", "cap": 10, "concurrency": 12}
    assert isinstance(bench.choose(0.0), Create)
    unpriced = tell(asking(concurrency=3), ModelTold(None, "404"), BalanceTold(10.0))
    assert events(unpriced)[-1] == "balance_low"
    assert "balance_low" not in events(tell(asking(concurrency=10), ModelTold(CARD), BalanceTold(9.0)))
    assert "balance_low" not in events(tell(asking(concurrency=99), ModelTold(CARD), BalanceTold(10.01)))


def test_too_many_requests_concern_everybody() -> None:
    """A 429 to a look-up is counted and slows the run down like any other."""
    bench = asking()
    found = tell(bench, problem(Verdict.THROTTLED, retry_after_s=30.0), BalanceTold(None))
    assert bench.board.tally.throttled == 1
    assert "account_not_told" in events(found)
    assert bench.choose(0.0) == Wait(30.0)


def test_a_description_without_parameters_keeps_those_that_are_known() -> None:
    """The service's price goes with the bundled parameters, where it does not describe any."""
    card = ModelCard(slug="m", request_schema={"type": "object"}, source="bundled")
    bench = asking(1, card)
    tell(bench, ModelTold(CARD), BalanceTold(None))
    now = bench.board.look_ups.card
    assert now is not None
    assert (now.price_usd, now.request_schema) == (0.05, {"type": "object"})


def test_an_unanswered_look_up_does_not_keep_a_run() -> None:
    """When nothing will be bought any more the run ends, whether a look-up is still open or not."""
    bench = asking(1)
    bench.send(AskModel, 0.0)
    bench.send(AskBalance, 0.0)
    bench.batch.handle(Stop("signal", drain=True), 0.5)
    assert bench.choose(1.0) == Done()


def test_a_price_that_is_still_to_be_told_may_leave_room() -> None:
    """A run whose last known price passes the cap waits for today's, which may be lower, before it ends."""
    bench = asking(2, CARD, max_spend=0.04)
    bench.end_manifest()
    model, balance = bench.send(AskModel, 0.0), bench.send(AskBalance, 0.0)
    bench.answer(balance, BalanceTold(None), 0.0)
    assert bench.choose(0.0) == Wait(None)
    bench.answer(model, ModelTold(ModelCard(slug="m", price_usd=0.03)), 0.1)
    bench.create(0.1)
    untold = asking(2, CARD, max_spend=0.04)
    tell(untold, ModelTold(None, "HTTP 500"), BalanceTold(None))
    assert untold.choose(0.1) == Done()


@pytest.mark.parametrize("answer", [ModelTold(None, "HTTP 401"), BalanceTold(None, "HTTP 401")])
def test_an_answer_that_tells_nothing_is_not_a_good_one(answer: ModelTold | BalanceTold) -> None:
    """A look-up that was refused proves no key, and refills no budget; one that was answered does both."""
    for told, is_good in ((answer, False), (ModelTold(CARD), True), (BalanceTold(1.0), True)):
        bench = asking()
        bench.board.key.is_unproved = True
        bench.board.budget.take(50.0, 0.0)
        bench.answer(bench.send(AskModel, 0.0), told, 0.0)
        assert (bench.board.key.is_unproved, bench.board.budget.level) == (not is_good, 50.0 + is_good)


# ---------------------------------------------------------------- what is not told


@pytest.mark.parametrize("how", ["hold", "resubmit"])
def test_without_a_price_what_may_have_been_bought_is_the_last(how: str) -> None:
    """While no price is known, a create that nobody heard of keeps the next one from being sent."""
    bench = Bench(3, max_spend=1.0, on_in_doubt=how)
    bench.fail_create(Verdict.IN_DOUBT)
    bench.end_manifest()
    assert (bench.board.tally.held, bench.board.tally.written_off) == ((1, 0) if how == "hold" else (0, 1))
    assert bench.choose(5000.0) == Done()


def test_a_cost_that_is_not_told_is_reckoned_at_the_price() -> None:
    """Under a cap a prediction without a cost counts at the price that is known, which is said once."""
    bench = asking(4, CARD, is_fresh=True, max_spend=0.15)
    tell(bench, BalanceTold(None))
    bench.create(0.0, "p0")
    assert said(bench.poll(done("p0"))) == [
        "the service does not tell what predictions cost: reckoned at $0.05 each"
    ]
    bench.create(60.0, "p1")
    assert said(bench.poll(done("p1"), 120.0)) == []
    bench.create(120.0, "p2")
    assert isinstance(bench.choose(120.0), Wait)


def test_a_cap_that_cannot_be_kept_ends_the_run() -> None:
    """Without any price, and without being told what is spent, a cap means nothing, so the run ends."""
    bench = Bench(2, max_spend=1.0)
    bench.create(0.0)
    bench.poll(done())
    assert isinstance(bench.board.error, ConfigProblem)
    free = Bench(2)
    free.create(0.0)
    free.poll(done())
    assert (free.board.error, free.board.tally.uncosted) == (None, 1)


def test_what_the_service_forgot_may_have_been_paid() -> None:
    """A prediction that is gone counts at its price for ever, as nobody will know."""
    bench = asking(3, CARD, is_fresh=True, max_spend=0.1)
    tell(bench, BalanceTold(None))
    bench.create(0.0, "p0")
    for k in range(4):
        bench.poll(problem(Verdict.GONE), 200.0 + 300.0 * k)
    assert bench.board.tally.written_off == 1
    bench.create(2000.0, "p1")
    assert isinstance(bench.choose(2000.0), Wait)
