"""Other services of the same shape: their requests and answers, by profiles that are only data."""

import json
from pathlib import Path
from typing import Any

import pytest
from core.parts import EPOCH, Bench
from core.spoken import WIRE

from batchup.core.items import Failure
from batchup.core.messages import Tell
from batchup.core.profile import fill_json, number_after, put
from batchup.core.requests import (
    Accepted,
    AskBalance,
    AskModel,
    Create,
    Inspect,
    Listed,
    ListPage,
    Poll,
    Presign,
    Problem,
    Seen,
    Survey,
    Surveyed,
)
from batchup.core.spelling import UnspokenError, models_call, reserved_names
from batchup.core.verdicts import Verdict
from batchup.core.wire import Call, Hook, Response, Wire
from batchup.settings.profiles import read_profile, shipped
from batchup.settings.toml_source import TomlSource

REPLICATE = Wire(shipped("replicate"))
HASH = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
GIVEN = {"image": "https://x/a.jpg"}
CREATE = Create("sku", 1, GIVEN)
POLL = Poll("sku", "p1")
LIST = ListPage(0, EPOCH, EPOCH)
URL = "https://replicate.delivery/a.png"

NESTED = """
title = "Nested"
url = "https://api.nested.example/v3"
key = "env:NESTED_KEY"
[[create]]
model = "{owner}/{name}"
path = "{owner}/{name}"
[prediction]
path = "predictions/{id}/result"
id = ["data.id"]
status = "data.status"
ok = ["Completed"]
bad = ["failed", "timeout"]
running = ["created"]
output = ["data.outputs"]
error = ["data.error"]
cost = "data.price.usd"
[list]
path = "predictions"
query = { size = "100", offset = "{offset}", after = "{from}", before = "{to}" }
rows = ["items"]
id = "task.id"
status = "task.status"
created_at = "at"
output = "task.out"
[models]
path = "models"
query = { kind = "image" }
[webhook]
url = "extra.webhook.url"
secret = "extra.webhook.secret"
signature = "eachlabs"
"""


def wire_of(text: str) -> Wire:
    return Wire(read_profile(TomlSource.from_text(text, folder=Path()), "nested"))


def reply(body: Any, status: int = 200) -> Response:
    return Response(status, {}, json.dumps(body).encode())


def seen(wire: Wire = REPLICATE, **record: Any) -> Seen:
    answer = wire.read(POLL, reply({"id": "p1"} | record), EPOCH)
    assert isinstance(answer, Seen), answer
    return answer


# ---------------------------------------------------------------- Replicate


@pytest.mark.parametrize(
    ("model", "path", "more"),
    [
        ("a-b/c.d", "models/a-b/c.d/predictions", {}),
        (f"a/b:{HASH}", "predictions", {"version": HASH}),
        (HASH, "predictions", {"version": HASH}),
    ],
)
def test_a_replicate_model_is_bought_as_it_is_named(model: str, path: str, more: dict[str, str]) -> None:
    """A model by its owner and name has an address of its own, a version is named in the body."""
    assert REPLICATE.call_of(CREATE, model) == Call("POST", path, {}, {**more, "input": GIVEN})
    assert REPLICATE.profile.model_problem(model) is None


@pytest.mark.parametrize("model", ["upscaler", "a/b/c", "../b", "a/..", "./b", "a b/c", "a/b:c", ""])
def test_what_is_no_replicate_model_is_refused(model: str) -> None:
    """A name that fits no template is said to, and nothing that walks an address fits one."""
    words = REPLICATE.profile.model_problem(model)
    assert words is not None
    assert words.startswith("expected a model of Replicate, such as {owner}/{name}:{hash} or ")
    with pytest.raises(UnspokenError):
        REPLICATE.call_of(CREATE, model)


def test_replicate_is_told_of_ends_only_and_of_the_secret_in_the_address() -> None:
    """Its webhooks are signed by a secret of its own, so ours is a part of the address it calls."""
    body = REPLICATE.call_of(CREATE, "a/b", Hook("https://h/x", "s3")).body
    assert body == {
        "input": GIVEN,
        "webhook": "https://h/x?batchup-secret=s3",
        "webhook_events_filter": ["completed"],
    }


def test_replicate_is_polled_and_cancelled_by_id() -> None:
    """A prediction has one address, under which it is looked at and cancelled."""
    assert REPLICATE.call_of(POLL, "a/b") == Call("GET", "predictions/p1", {})
    assert REPLICATE.call_of(Inspect("p2"), "a/b") == Call("GET", "predictions/p2", {})
    assert REPLICATE.cancel_call("p1") == Call("POST", "predictions/p1/cancel", {})


def test_a_replicate_create_is_accepted_with_its_id() -> None:
    """The answer to a create is the prediction itself."""
    shown = {"id": "p9", "status": "starting", "input": GIVEN, "output": None}
    assert REPLICATE.read(CREATE, reply(shown, 201), EPOCH) == Accepted("p9")


@pytest.mark.parametrize("output", [URL, [URL]])
def test_a_replicate_success_has_output_and_time(output: Any) -> None:
    """A success settles with its addresses and its time, at a cost that nobody tells."""
    got = seen(status="succeeded", output=output, metrics={"predict_time": 5.5, "cost": 3}, input=GIVEN)
    assert got == Seen("p1", True, (URL,), None, None, 5.5, GIVEN)


@pytest.mark.parametrize("word", ["starting", "processing"])
def test_replicate_words_of_running_are_known(word: str) -> None:
    """Both of its words for what is not done are no news, and another service's are."""
    assert seen(status=word) == Seen("p1", False)
    assert seen(status="success").unknown_word == "success"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("no face found", Failure("prediction_failed", "no face found")),
        (
            "Prediction interrupted; please retry (code: PA)",
            Failure("prediction_failed", "Prediction interrupted; please retry (code: PA)", retryable=True),
        ),
        (
            {"error_message": "Please retry", "retryable": False},
            Failure("prediction_failed", "Please retry", retryable=True),
        ),
        (None, Failure("prediction_failed", "the prediction failed and the service does not say why")),
    ],
)
def test_a_replicate_failure_says_why_in_error(error: Any, failure: Failure) -> None:
    """The reason stands in `error`, and one that asks for another attempt is worth one."""
    assert seen(status="failed", error=error, output=None).failure == failure


def test_a_cancelled_one_is_cancelled() -> None:
    """Its word for a cancel is an end of its own."""
    failure = seen(status="canceled").failure
    assert failure is not None
    assert failure.kind == "cancelled"


def test_a_throttle_names_its_end_in_words() -> None:
    """Where no header says how long to wait, the words do, within bounds."""
    for words, wait_s in (("resets in ~30s.", 30.0), ("resets in ~0s", 1.0), ("later", None)):
        answer = REPLICATE.read(POLL, reply({"detail": f"Request was throttled. It {words}"}, 429), EPOCH)
        assert isinstance(answer, Problem)
        assert (answer.verdict, answer.retry_after_s) == (Verdict.THROTTLED, wait_s)


# ---------------------------------------------------------------- what a service lacks


def test_a_sign_of_life_stands_in_for_the_list() -> None:
    """A service without a list is asked for something else, and any good answer shows that it is there."""
    page = ListPage(0, EPOCH, EPOCH + 1)
    survey = Survey(EPOCH, EPOCH + 1)
    assert REPLICATE.call_of(page, "a/b") == Call("GET", "account", {})
    assert REPLICATE.read(page, reply({"username": "me"}), EPOCH) == Listed((), is_last=True)
    assert REPLICATE.read(survey, reply([]), EPOCH) == Surveyed(())


@pytest.mark.parametrize("request_", [Presign("ab", "image/png"), AskModel("m"), AskBalance()])
def test_what_has_no_route_is_never_sent(request_: Presign | AskModel | AskBalance) -> None:
    """A question that a profile has no way to ask is the asker's mistake."""
    with pytest.raises(UnspokenError):
        REPLICATE.call_of(request_, "a/b")
    with pytest.raises(UnspokenError):
        REPLICATE.delete_call("f1")


def test_an_answer_to_what_was_never_asked_makes_no_sense() -> None:
    """A presign of a service without uploads is nothing that can be used."""
    answer = REPLICATE.read(Presign("ab", "image/png"), reply({"presigned_url": "https://s3"}), EPOCH)
    assert isinstance(answer, Problem)
    assert answer.is_senseless


def test_without_a_list_a_doubt_is_held_with_that_reason() -> None:
    """A create that was not answered waits for a person where there is no list to look in."""
    bench = Bench(has_list=False, on_in_doubt="hold")
    commands = bench.fail_create(Verdict.IN_DOUBT)
    (outcome,) = (one.outcome for one in commands if isinstance(one, Tell))
    assert outcome.state == "held"
    assert outcome.failure == Failure("held", "the service has no list of predictions to look in")


# ---------------------------------------------------------------- any other


def test_parameters_may_be_the_body_and_answers_nested() -> None:
    """A service may take its input bare, and show everything inside of something else."""
    wire = wire_of(NESTED)
    assert wire.call_of(CREATE, "a/b") == Call("POST", "a/b", {}, GIVEN)
    hooked = {**GIVEN, "extra": {"webhook": {"url": "https://h", "secret": "s"}}}
    assert wire.call_of(CREATE, "a/b", Hook("https://h", "s")).body == hooked
    body = {"data": {"id": "p1", "status": "COMPLETED", "outputs": [URL], "price": {"usd": 0.5}}}
    assert wire.read(POLL, reply(body), EPOCH) == Seen("p1", True, (URL,), None, 0.5)
    wrong: list[Any] = [{"data": "p1"}, {"data": {"id": "p1"}}, []]
    for senseless in wrong:
        answer = wire.read(POLL, reply(senseless), EPOCH)
        assert isinstance(answer, Problem)
        assert answer.is_senseless
    assert models_call(wire.profile, {"limit": "5"}).query == {"kind": "image", "limit": "5"}


def test_the_query_of_a_create_is_sent() -> None:
    """What a profile writes into the address of a create goes with it."""
    wire = wire_of(NESTED.replace("[prediction]", 'query = { v = "{owner}" }\n[prediction]', 1))
    assert wire.call_of(CREATE, "a/b") == Call("POST", "a/b", {"v": "a"}, GIVEN)


def test_rows_of_a_list_may_be_nested_too() -> None:
    """A row is read where its profile says, and one that shows no status is nobody's."""
    wire = wire_of(NESTED)
    rows = [
        {"task": {"id": "a", "status": "completed", "out": URL}, "at": "2027-01-15T08:00:00Z"},
        {"task": {"id": "b", "status": "timeout"}},
        {"task": {"id": "c", "status": "created"}},
        {"task": {"id": "d"}},
        {"task": 7},
    ]
    told_ = wire.read(Survey(EPOCH, EPOCH), reply({"items": rows}), EPOCH)
    assert isinstance(told_, Surveyed)
    assert [(row.prediction_id, row.has_settled, row.urls) for row in told_.rows] == [
        ("a", True, (URL,)),
        ("b", True, ()),
        ("c", False, ()),
    ]
    page = wire.read(ListPage(0, EPOCH, EPOCH), reply({"items": rows[:1]}), EPOCH)
    assert page == Listed((("a", "", EPOCH),), is_last=False, step=1)
    assert wire.call_of(ListPage(7, EPOCH, EPOCH), "a/b").query["offset"] == "7"


def test_only_an_empty_page_is_known_to_be_the_last() -> None:
    """Of a service that nobody has measured it is not known how many rows its pages have at most."""
    wire = wire_of(NESTED)
    assert wire.read(LIST, reply({"items": []}), EPOCH) == Listed((), is_last=True, step=0)
    capped = [{"task": {"id": f"p{k}", "status": "created"}} for k in range(50)]
    page = wire.read(LIST, reply({"items": capped}), EPOCH)
    assert isinstance(page, Listed)
    assert (page.is_last, page.step) == (False, 50)


def test_no_parameter_stands_where_a_create_says_what_is_bought() -> None:
    """Where parameters lie beside the model's name, theirs is reserved, and the profile's is what is sent."""
    text = NESTED.replace("[prediction]", 'body = { model = "{owner}", v = 1 }\n[prediction]', 1)
    wire = wire_of(text)
    dearer = Create("sku", 1, {**GIVEN, "model": "dearer"})
    assert wire.call_of(dearer, "a/b").body == {**GIVEN, "model": "a", "v": 1}
    assert reserved_names(wire.profile, "a/b", has_hook=False) == {"model", "v"}
    assert reserved_names(wire.profile, "a/b", has_hook=True) == {"model", "v", "extra"}
    assert reserved_names(REPLICATE.profile, HASH, has_hook=True) == frozenset()
    unhooked = wire_of(text.partition("[webhook]")[0]).profile
    assert reserved_names(unhooked, "a/b", has_hook=True) == {"model", "v"}
    assert reserved_names(unhooked, "a", has_hook=True) == frozenset()


def test_a_template_is_filled_wherever_it_stands() -> None:
    """Names are filled in every text of a value, however deep, and nothing else is changed."""
    assert fill_json({"a": ["{x}", {"b": "{x}{y}"}], "c": 1}, {"x": "1"}) == {
        "a": ["1", {"b": "1{y}"}],
        "c": 1,
    }


def test_what_is_no_object_makes_way() -> None:
    """A value that stands in the way to a place is replaced by an object."""
    body: dict[str, Any] = {"a": 1}
    put(body, ("a", "b", "c"), 2)
    assert body == {"a": {"b": {"c": 2}}}


def test_a_number_is_found_in_words() -> None:
    """The number that a template names is found with any spaces around it, and none where none is."""
    assert number_after("in {n} s", "again in  12   s.") == 12.0
    assert number_after("in {n} s", "again") is None
    assert number_after(None, "in 12 s") is None


def test_the_first_profile_spells_what_it_always_did() -> None:
    """The service this began with has a profile with every route there is."""
    profile = WIRE.profile
    offered = (profile.cancel, profile.delete, profile.listing, profile.upload, profile.hook, profile.models)
    assert None not in offered
    assert profile.tells_cost
    assert not REPLICATE.profile.tells_cost
