"""Whatever the service answers: nothing raises, and no prediction is wrongly believed there, or not."""

import json
import re
from random import Random
from typing import Any

import pytest
from core.parts import EPOCH, Bench, Lister
from core.spoken import WIRE
from hypothesis import given, settings
from hypothesis import strategies as st
from reliability.conftest import Column, Record
from reliability.garbage import depth_of, spoilt, strictly

from batchup.core.calendar import Calendar
from batchup.core.fingerprint import value_hash
from batchup.core.requests import (
    AskBalance,
    AskModel,
    BalanceTold,
    Create,
    Inspect,
    ListPage,
    ModelTold,
    Poll,
    Presign,
    Problem,
    Request,
    Survey,
)
from batchup.core.states import State
from batchup.core.wire import Response, Silence, service_offset_s

FAMILY = "fuzz: the service's answers"
PASS = "nothing raises, no create believed absent or present wrongly"
SECONDS = 40
pytestmark = pytest.mark.reliability

read = WIRE.read
COUNT = {"ci": 1, "long": 25}
SAFE = re.compile(r"[A-Za-z0-9._-]{1,128}")
SETTLED = {"success", "succeeded", "completed", "error", "failed", "cancelled", "canceled"}
STATUSES = (200, 200, 200, 201, 202, 204, 299)
BAD_STATUSES = (0, 99, 100, 199, 301, 307, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 503, 599, 600)
OURS = {"image": "https://images.example/i0.jpg", "key": "i0"}
GOOD: dict[type[Request], list[Any]] = {
    Create: [
        {"status": "success", "message": "created", "predictionID": "pred-7"},
        {"id": "pred-7", "status": "starting", "input": OURS, "urls": {"get": "https://x/y"}},
        {"prediction_id": "pred-7"},
    ],
    Poll: [
        {"id": "p0", "status": "processing", "input": OURS, "output": None, "metrics": {"cost": 0}},
        {"id": "p0", "status": "success", "output": ["https://cdn/x.png"], "metrics": {"cost": 0.01}},
        {"id": "p0", "status": "success", "output": '{"images": [{"url": "https://cdn/x.png"}]}'},
        {"predictionID": "p0", "status": "error", "output": {"error_code": "X", "retryable": True}},
        {"id": "p0", "status": "cancelled"},
    ],
    Presign: [
        {
            "id": "f1",
            "presigned_url": "https://bucket.example/put?X-Amz-Signature=1",
            "public_url": "https://cdn.example/a.png",
            "expires_at": "2027-01-15T08:00:00Z",
            "required_headers": {"Content-Type": "image/png", "x-amz-acl": "private"},
        }
    ],
    AskModel: [
        {"slug": "m", "cost": {"type": "fixed", "unit": "execution", "amount": 0.05}, "request_schema": {}},
        [{"slug": "m", "cost": {"type": "usage_based", "unit": "second", "amount": 0.0002, "max": 0.3}}],
    ],
    AskBalance: [{"balance_usd": 25.5}, {"data": {"balance": {"amount": "3.20"}}}, {"balance": -1}],
}
HUGE = ("1" + "0" * 400, "-1" + "0" * 4200, '"1e999"', "NaN", "1e400", "12345678901234567890")


def page(*ids: str) -> dict[str, Any]:
    """Make a page of the list that shows these predictions."""
    rows = [
        {
            "id": id_,
            "model": "each-upscaler",
            "status": "starting",
            "execution_cost": 0.01,
            "run_time": 3.5,
            "created_at": "2027-01-15T08:00:01.000Z",
            "output": None,
        }
        for id_ in ids
    ]
    return {"executions": rows, "total_count": len(rows)}


def shown(prediction_id: str, **changed: Any) -> dict[str, Any]:
    """Show a prediction with the input of our item, changed here and there."""
    return {"id": prediction_id, "status": "processing", "input": OURS | {"scale_factor": 2} | changed}


def answer_of(body: bytes, status: int = 200, **headers: str) -> Response:
    return Response(status, {"content-type": "application/json"} | headers, body)


def spell(value: Any) -> bytes:
    return json.dumps(value).encode()


def read_safely(body: bytes) -> Any:
    """Decode a body as strictly as can be; None for what is no JSON."""
    try:
        return strictly(body)
    except ValueError:
        return None


def named_id(body: bytes) -> str | None:
    """Return the id that a create's answer names, by rules written down a second time."""
    record = read_safely(body)
    if not isinstance(record, dict):
        return None
    named = [record[key] for key in ("predictionID", "prediction_id", "id") if record.get(key)]
    if not named or not isinstance(named[0], str) or not SAFE.fullmatch(named[0]) or not named[0].strip("."):
        return None
    return named[0]


# ---------------------------------------------------------------- one answer


def test_answers_to_creates(column: Column, record: Record) -> None:
    """A create is in flight under the one id its answer names, undone by a definite no, else in doubt."""
    rng, count = Random("creates"), 5000 * COUNT[column]
    states = dict.fromkeys(State, 0)
    for _ in range(count):
        body = spoilt(rng, spell(rng.choice(GOOD[Create])))
        status = rng.choice(STATUSES if rng.random() < 0.8 else BAD_STATUSES)
        bench = Bench()
        request = bench.send(Create, 0.0)
        bench.answer(request, read(request, answer_of(body, status), EPOCH), 1.0)
        work = bench.board.works.get("i0")
        state = State.FAILED if work is None else work.state
        states[state] += 1
        expected = named_id(body) if 200 <= status < 300 else None
        if expected is not None and depth_of(read_safely(body)) < 50:
            assert (state, work and work.prediction_id) == (State.IN_FLIGHT, expected), body[:300]
        elif state is State.IN_FLIGHT:
            assert work is not None
            assert work.prediction_id == expected, body[:300]
        elif state is not State.IN_DOUBT:
            assert 300 <= status < 500, (status, body[:300])
            assert status != 408
    record(answers=count, creates_in_doubt=states[State.IN_DOUBT], creates_accepted=states[State.IN_FLIGHT])
    assert min(states[state] for state in (State.IN_DOUBT, State.IN_FLIGHT, State.READY, State.FAILED)) > 50


def test_answers_to_polls(column: Column, record: Record) -> None:
    """A prediction has ended when its own record says one of the words for it, and in no other case."""
    rng, count = Random("polls"), 4000 * COUNT[column]
    ended = 0
    for _ in range(count):
        body = spoilt(rng, spell(rng.choice(GOOD[Poll])))
        status = rng.choice(STATUSES if rng.random() < 0.9 else BAD_STATUSES)
        bench = Bench()
        bench.create(0.0, "p0")
        request = Poll("i0", "p0")
        bench.poll(read(request, answer_of(body, status), EPOCH), 60.0)
        work = bench.board.works.get("i0")
        if work is not None and work.state is State.IN_FLIGHT:
            continue
        ended += 1
        found = read_safely(body)
        assert 200 <= status < 300, status
        assert isinstance(found, dict), body[:300]
        assert str(found["status"]).strip().lower() in SETTLED, body[:300]
        names = {str(found[key]) for key in ("id", "predictionID", "prediction_id") if found.get(key)}
        assert not names or "p0" in names, body[:300]
        assert work is None or work.state in {State.SUCCEEDED, State.BACKING_OFF}, body[:300]
    record(answers=count, polls_settled=ended)
    assert count * 0.1 < ended < count * 0.8


def test_answers_to_presigns(column: Column, record: Record) -> None:
    """A place to upload to has two addresses that are texts, and nothing else is one."""
    rng, count = Random("presigns"), 1500 * COUNT[column]
    request = Presign("ab", "image/png")
    for _ in range(count):
        body = spoilt(rng, spell(rng.choice(GOOD[Presign])))
        answer = read(request, answer_of(body), EPOCH)
        if not isinstance(answer, Problem):
            found = read_safely(body)
            assert isinstance(found, dict)
            assert found["presigned_url"], body[:300]
            assert found["public_url"], body[:300]
    record(answers=count)


def test_answers_to_look_ups(column: Column, record: Record) -> None:
    """A price is above nothing and a balance is an amount that can be reckoned with, or neither is told."""
    rng, count = Random("look-ups"), 1500 * COUNT[column]
    told = 0
    for _ in range(count):
        request = rng.choice((AskModel("m"), AskBalance()))
        body = spell(rng.choice(GOOD[type(request)]))
        if rng.random() < 0.5:
            body = re.sub(rb"-?[0-9][0-9.]*", rng.choice(HUGE).encode(), body, count=1)
        answer = read(request, answer_of(spoilt(rng, body)), EPOCH)
        assert isinstance(answer, ModelTold | BalanceTold), body[:300]
        if isinstance(answer, BalanceTold):
            told += answer.usd is not None
            assert answer.usd is None or abs(answer.usd) < 1e12, body[:300]
        elif answer.card is not None:
            told += 1
            assert answer.card.price_usd is None or 0 < answer.card.price_usd < 1e9, body[:300]
    record(answers=count, look_ups_told=told)
    assert count * 0.1 < told < count * 0.9


def test_surveys(column: Column, record: Record) -> None:
    """A list in place of polls ends a prediction only where its row says a word for an end."""
    rng, count = Random("surveys"), 2500 * COUNT[column]
    for _ in range(count):
        rows = page("p0", "p1", "p2")
        rows["executions"][0]["status"] = rng.choice(["starting", "success", "error"])
        body = spoilt(rng, spell(rows))
        bench = Lister(3)
        request = Survey(EPOCH, EPOCH + 60)
        bench.board.open[request.kind] += 1
        bench.answer(request, read(request, answer_of(body), EPOCH + 60), 60.0)
        for work in bench.board.works.values():  # a row alone moves nobody: a poll confirms it
            assert work.state is State.IN_FLIGHT, body[:300]
    record(answers=count)


# ---------------------------------------------------------------- whole reconciliations


class Doubt:
    """One create that was never answered, looked for in a list whose answers go wrong."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.bench = Bench(concurrency=1)
        self.calendar: Calendar = self.bench.board.calendar
        request = self.bench.send(Create, 0.0)
        silence = read(request, Silence(was_sent=True, message="cut"), EPOCH)
        self.bench.answer(request, silence, 30.0)
        self.answers = 0

    @property
    def state(self) -> State | None:
        """Where the item stands."""
        work = self.bench.board.works.get("i0")
        return None if work is None else work.state

    def look(self, bodies: "dict[type[Request], list[bytes]]", until_s: float = 900.0) -> None:
        """Answer what is asked with these bodies until nobody is in doubt, or for so long."""
        now = 30.0
        while self.state is State.IN_DOUBT and now < until_s:
            now += 5.0
            request = self.bench.choose(now)
            if not isinstance(request, ListPage | Inspect):
                continue
            given = bodies[type(request)]
            raw = answer_of(self.rng.choice(given), self.rng.choice((200, 200, 200, 200, 500)))
            self.bench.send(type(request), now)
            self.bench.answer(request, read(request, raw, EPOCH + now), now)
            self.answers += 1


def is_a_lie(body: bytes) -> bool:
    """Tell whether a page is a good one that does not show our prediction: nobody could tell."""
    found = read_safely(body)
    if isinstance(found, dict):
        wraps = ("executions", "data", "items", "results")
        found = next((found[key] for key in wraps if key in found), None)
    if not isinstance(found, list):
        return False
    ids = [row.get("id") for row in found if isinstance(row, dict)]
    if len(ids) < len(found) or not all(isinstance(id_, str) and SAFE.fullmatch(id_) for id_ in ids):
        return False
    dates = [row.get("created_at") for row in found if row["id"] == "pred-7"]
    return not any(date == "2027-01-15T08:00:01.000Z" for date in dates)


def is_somebody_elses(body: bytes) -> bool:
    """Tell whether an answer shows a prediction with another input than ours: nobody could tell."""
    found = read_safely(body)
    given = found.get("input") if isinstance(found, dict) else None
    if not isinstance(given, dict):
        return False
    return any(key in given and not _is_same(given[key], value) for key, value in OURS.items())


def _is_same(one: Any, other: Any) -> bool:
    try:
        return value_hash(one) == value_hash(other)
    except (RecursionError, ValueError):
        return False


def test_a_create_that_happened_is_never_believed_absent(column: Column, record: Record) -> None:
    """However list and inspections are garbled, what was bought is found, or held, or still sought."""
    rng, count = Random("absent"), 500 * COUNT[column]
    ends = dict[State | None, int]()
    answers = 0
    for _ in range(count):
        pages = [body for _ in range(4) if not is_a_lie(body := spoilt(rng, spell(page("a", "pred-7"))))]
        looks = [body for _ in range(4) if not is_somebody_elses(body := spoilt(rng, spell(shown("pred-7"))))]
        good = rng.random() < 0.5
        doubt = Doubt(rng)
        doubt.look(
            {
                ListPage: [*pages, spell(page("pred-7"))] if good or not pages else pages,
                Inspect: [*looks, spell(shown("pred-7"))] if good or not looks else looks,
            }
        )
        answers += doubt.answers
        ends[doubt.state] = ends.get(doubt.state, 0) + 1
        assert doubt.state in {State.IN_DOUBT, State.IN_FLIGHT, State.HELD, None}, (pages, looks)
        if doubt.state is None:  # it was found and had ended, or was held
            tally = doubt.bench.board.tally
            assert tally.held + tally.failed + tally.saved >= 1
    record(answers=answers, doubts=count, found=ends.get(State.IN_FLIGHT, 0))
    assert ends[State.IN_FLIGHT] > count * 0.2


def test_a_stranger_is_never_believed_ours(column: Column, record: Record) -> None:
    """However it is garbled, a prediction with another input is not taken for the one that is sought."""
    rng, count = Random("present"), 400 * COUNT[column]
    answers = 0
    for _ in range(count):
        changed = rng.choice(({"key": "i1"}, {"image": "https://images.example/i1.jpg"}, {"key": None}))
        bodies = [spoilt(rng, spell(shown("pred-9", **changed))) for _ in range(4)]
        doubt = Doubt(rng)
        doubt.look({ListPage: [spell(page("pred-9")), spoilt(rng, spell(page("pred-9")))], Inspect: bodies})
        answers += doubt.answers
        assert doubt.state is not State.IN_FLIGHT, bodies
    record(answers=answers, strangers=count)


# ---------------------------------------------------------------- anything at all

TEXT = st.text() | st.sampled_from(["success", "error", "https://x/y.png", "p0", "..", "", "429"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=3)
            | st.sampled_from(["status", "output", "metrics", "cost", "id", "input", "balance"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "location", "x"]), st.text(max_size=40), max_size=3
)
REQUESTS = (
    Create("i0", 1, OURS),
    Poll("i0", "p0"),
    Inspect("p0"),
    Presign("ab", "image/png"),
    ListPage(0, EPOCH, EPOCH + 1),
    Survey(EPOCH, EPOCH + 1),
    AskModel("m"),
    AskBalance(),
)


def test_any_bytes(column: Column, record: Record) -> None:
    """Any bytes with any status and any headers are read, for each kind of request, without a word."""
    count = 3000 * COUNT[column]

    @settings(max_examples=count, deadline=None, database=None, derandomize=True)
    @given(st.sampled_from(REQUESTS), st.integers(0, 999) | st.just(200), HEADERS, BODIES)
    def check(request: Request, status: int, headers: dict[str, str], body: bytes) -> None:
        raw = Response(status, headers, body)
        answer = read(request, raw, EPOCH)
        if isinstance(answer, Problem) and answer.retry_after_s is not None:
            assert 1.0 <= answer.retry_after_s <= 900.0
        service_offset_s(raw, EPOCH)

    check()
    record(answers=count)
