"""The service's JSON and our words, in every shape its pages and its users have shown."""

import json
from typing import Any

import pytest
from core.spoken import WIRE
from hypothesis import given
from hypothesis import strategies as st

from batchup.core import wire
from batchup.core.failures import ONE_MORE
from batchup.core.items import Failure
from batchup.core.requests import (
    Accepted,
    Create,
    Inspect,
    Listed,
    ListPage,
    Poll,
    Presign,
    Presigned,
    Problem,
    Request,
    Seen,
    Survey,
    Surveyed,
)
from batchup.core.verdicts import Verdict
from batchup.core.wire import PAGE, Call, Response, Silence, service_offset_s

read, call_of, cancel_call = WIRE.read, WIRE.call_of, WIRE.cancel_call
NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
CREATE = Create("sku", 1, {"image": "https://x/a.jpg", "scale_factor": 2})
POLL = Poll("sku", "p1")
PRESIGN = Presign("ab", "image/png")
LIST = ListPage(100, NOW, NOW + 1.5)
REQUESTS: tuple[Request, ...] = (CREATE, POLL, Inspect("p1"), PRESIGN, LIST)
URL = "https://cdn-us.eachlabs.ai/uploads/a.png"


def reply(body: Any, status: int = 200, **headers: str) -> Response:
    """Make a response; the names of headers have dashes where Python has none."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def refused(request: Request, body: Any, status: int, **headers: str) -> Problem:
    answer = read(request, reply(body, status, **headers), NOW)
    assert isinstance(answer, Problem)
    return answer


def seen(**record: Any) -> Seen:
    answer = read(POLL, reply({"status": "success"} | record), NOW)
    assert isinstance(answer, Seen)
    return answer


# ---------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("request_", "call"),
    [
        (
            CREATE,
            Call(
                "POST",
                "prediction",
                {},
                {"model": "m", "input": {"image": "https://x/a.jpg", "scale_factor": 2}},
            ),
        ),
        (POLL, Call("GET", "prediction/p1", {})),
        (Inspect("p2"), Call("GET", "prediction/p2", {})),
        (PRESIGN, Call("POST", "upload/presign", {}, {"content_type": "image/png", "file_type": "image"})),
        (
            LIST,
            Call(
                "GET",
                "executions",
                {
                    "limit": "100",
                    "offset": "100",
                    "model": "m",
                    "from": "2027-01-15T08:00:00.000Z",
                    "to": "2027-01-15T08:00:01.500Z",
                },
            ),
        ),
    ],
)
def test_a_request_is_spelled_as_the_service_wants_it(request_: Request, call: Call) -> None:
    """Each kind of request has its method, path, query and body, without a trailing slash."""
    assert call_of(request_, "m") == call


@given(st.floats(-1e15, 1e15), st.floats(-1e15, 1e15))
def test_a_wrong_clock_breaks_no_listing(since: float, until: float) -> None:
    """Whatever a Date header made of the window, the call can be spelled."""
    assert call_of(ListPage(0, since, until), "m").query["from"].endswith("Z")


# ---------------------------------------------------------------- creates


@pytest.mark.parametrize("key", ["predictionID", "prediction_id", "id"])
@pytest.mark.parametrize("status", [200, 201, 202])
def test_an_id_is_found_under_each_of_its_names(key: str, status: int) -> None:
    """Any 2xx with an id under one of its three names is an accepted create."""
    assert read(CREATE, reply({"status": "success", key: "p-1_2.x"}, status), NOW) == Accepted("p-1_2.x")


def test_the_documented_name_wins() -> None:
    """Where several names stand, predictionID is the prediction's."""
    assert read(CREATE, reply({"id": "request", "predictionID": "p1"}), NOW) == Accepted("p1")


UNSAFE = [
    "",
    ".",
    "..",
    "...",
    "a/b",
    "../x",
    "a b",
    "a%2fb",
    "é",
    "x" * 129,
    "a\n",
    7,
    None,
    ["p"],
    {},
    True,
]


@pytest.mark.parametrize("bad", UNSAFE)
def test_an_unsafe_id_leaves_doubt(bad: Any) -> None:
    """An id that could walk the address or is none leaves the create in doubt: it may be billed."""
    answer = read(CREATE, reply({"predictionID": bad}), NOW)
    assert isinstance(answer, Problem)
    assert answer.verdict is Verdict.IN_DOUBT
    assert answer.is_senseless


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"<html>", b'"p1"', b"{}", b"\xff\xfe", b"NaN"])
def test_a_good_status_without_sense_leaves_doubt(body: bytes) -> None:
    """A 2xx to a create whose body cannot be read may still have been billed."""
    assert refused(CREATE, body, 200).verdict is Verdict.IN_DOUBT


@pytest.mark.parametrize(
    ("request_", "was_sent", "verdict"),
    [
        (CREATE, False, Verdict.NOTHING_CREATED),
        (CREATE, True, Verdict.IN_DOUBT),
        (POLL, False, Verdict.REPEAT),
        (POLL, True, Verdict.REPEAT),
    ],
)
def test_silence_is_weighed_by_what_was_sent(request_: Request, was_sent: bool, verdict: Verdict) -> None:  # noqa: FBT001 a table of cases
    """What was surely not sent costs nothing; a create that may have arrived is in doubt."""
    answer = read(request_, Silence(was_sent, "words"), NOW)
    assert answer == Problem(verdict, Failure("no_answer", "words", retryable=True))


# ---------------------------------------------------------------- polls

GOOD = ["success", "succeeded", "completed"]
BAD = ["error", "failed"]
OFF = ["cancelled", "canceled"]
GOING = ["created", "starting", "processing", "pending", "queued", "running", "", None]


def spellings(words: list[Any]) -> list[Any]:
    return [
        spelled
        for word in words
        for spelled in ((word, word.upper(), f" {word.title()} ") if word else (word,))
    ]


@pytest.mark.parametrize("word", spellings(GOOD))
def test_success_has_several_words(word: str) -> None:
    """Every word of success, in any case, settles well."""
    assert seen(status=word, output=URL) == Seen("p1", True, (URL,))


@pytest.mark.parametrize("word", spellings(BAD))
def test_failure_has_several_words(word: str) -> None:
    """Every word of failure, in any case, settles badly."""
    failure = seen(status=word, output="broken").failure
    assert failure == Failure("prediction_failed", "broken")


@pytest.mark.parametrize("word", spellings(OFF))
def test_cancelled_is_an_end_of_its_own(word: str) -> None:
    """A cancelled prediction failed, and says so."""
    failure = seen(status=word).failure
    assert failure is not None
    assert (failure.kind, failure.retryable) == ("cancelled", False)


@pytest.mark.parametrize("word", spellings(GOING))
def test_words_of_running_are_known(word: str | None) -> None:
    """The words of a prediction that is not done are no news."""
    assert seen(status=word) == Seen("p1", False)


@pytest.mark.parametrize("word", ["thinking", "done?", 7, ["success"], {"a": 1}])
def test_an_unknown_word_means_still_running(word: Any) -> None:
    """A word nobody told of is taken as running, and reported."""
    got = seen(status=word)
    assert not got.has_settled
    assert got.unknown_word == str(word).lower()


@pytest.mark.parametrize("key", ["predictionID", "prediction_id", "id"])
def test_the_answer_of_another_prediction_makes_no_sense(key: str) -> None:
    """An answer that names another prediction is not taken for the one that was asked for."""
    body = {key: "p2", "status": "success", "output": URL}
    answer = read(POLL, reply(body), NOW)
    assert isinstance(answer, Problem)
    assert (answer.verdict, answer.is_senseless) == (Verdict.REPEAT, True)


@pytest.mark.parametrize("names", [{}, {"id": ""}, {"id": "p1"}, {"id": "request-9", "predictionID": "p1"}])
def test_an_answer_that_names_ours_or_none_is_ours(names: dict[str, str]) -> None:
    """An answer without an id, or with ours under one of its names, is that of the one asked for."""
    answer = read(POLL, reply({"status": "success", "output": URL, **names}), NOW)
    assert answer == Seen("p1", True, (URL,))


def test_a_prediction_without_a_status_makes_no_sense() -> None:
    """An answer that speaks of something else is repeated."""
    assert refused(POLL, {"id": "p1"}, 200).verdict is Verdict.REPEAT
    assert refused(POLL, {"id": "p1"}, 200).is_senseless


@pytest.mark.parametrize(
    "output",
    [
        URL,
        f"  {URL}\n",
        [URL],
        {"url": URL},
        {"images": [URL]},
        {"images": [{"url": URL}]},
        {"image_url": URL},
        {"output": {"outputs": [URL, URL]}},
        json.dumps(URL),
        json.dumps([URL]),
        json.dumps({"image": URL}),
        {"data": json.dumps({"urls": [URL]})},
    ],
)
def test_an_output_is_found_in_every_shape(output: Any) -> None:
    """A string, a list, an object, or JSON in a string: the address is found, once."""
    assert seen(output=output).urls == (URL,)


def test_several_outputs_keep_their_order() -> None:
    """Outputs are numbered as they stand."""
    assert seen(output=["http://b/1", "https://a/2", "http://b/1"]).urls == ("http://b/1", "https://a/2")


@pytest.mark.parametrize(
    "output",
    [None, "", "text", 7, True, [], {}, {"other": URL}, ["ftp://x"], "[", '"', "{" * 5000, "[" * 5000],
)
def test_no_address_is_no_address(output: Any) -> None:
    """Where no address is, none is made up."""
    assert seen(output=output).urls == ()


def test_an_output_too_deep_is_left_alone() -> None:
    """Nothing is searched beyond a few levels."""
    deep: Any = URL
    for _ in range(8):
        deep = [deep]
    assert seen(output=deep).urls == ()


@pytest.mark.parametrize(
    ("metrics", "cost", "took"),
    [
        ({"cost": 0.01, "predict_time": 53}, 0.01, 53.0),
        ({"cost": 0, "predict_time": 0}, 0.0, 0.0),
        ({"cost": "0.01", "predict_time": None}, None, None),
        ({"cost": -1, "predict_time": 1e12}, None, None),
        ({"cost": True}, None, None),
        (None, None, None),
        ([], None, None),
    ],
)
def test_metrics_are_taken_where_they_are_numbers(
    metrics: Any, cost: float | None, took: float | None
) -> None:
    """Cost and time are taken as told, and left unknown where they are not numbers that can be."""
    got = seen(metrics=metrics)
    assert (got.cost_usd, got.predict_time_s) == (cost, took)


def test_the_echoed_input_is_kept() -> None:
    """What the service shows of the input is there to compare, and nothing where it shows none."""
    assert seen(input={"a": 1}).input == {"a": 1}
    assert seen(status="processing", input={"a": 1}).input == {"a": 1}
    assert seen(input="hidden").input == {}


ENVELOPES = [
    ({"retryable": True}, True),
    ({"retryable": False}, False),
    ({"retryable": True, "classification": {"category": "VALIDATION"}}, False),
    ({"retryable": True, "error_code": "INPUT_VALIDATION_ERROR"}, False),
    ({"retryable": True, "classification": {"category": "auth"}}, True),
    ({"classification": {"category": "auth"}}, False),
    ({"retryable": True, "error_message": "blocked by Moderation"}, False),
    ({"retryable": True, "error": "content moderation"}, False),
    ({"retryable": True, "error_code": "CONTENT_MODERATION"}, False),
    ({"retryable": True, "classification": {"category": "CONTENT_MODERATION"}}, False),
    ({"retryable": False, "classification": {"category": "PROVIDER"}}, False),
    *(
        ({"classification": {"category": category}}, True)
        for category in ("PROVIDER", "RATE_LIMIT", "NETWORK", "TIMEOUT", "INTERNAL", "network")
    ),
    ({"classification": {"category": "UNKNOWN"}}, False),
    ({"classification": "NETWORK"}, False),
    ({"retryable": "true"}, False),
    ({"error": "Execution failed"}, False),
]


@pytest.mark.parametrize(("envelope", "retryable"), ENVELOPES)
def test_again_is_decided_by_the_envelope(envelope: dict[str, Any], *, retryable: bool) -> None:
    """The service's own word decides, then the category; moderation and validation never again."""
    failure = seen(status="error", output=envelope).failure
    assert failure is not None
    assert failure.retryable is retryable
    assert failure.kind == "prediction_failed"


@pytest.mark.parametrize(("said", "kind"), [(True, "prediction_failed"), (False, ONE_MORE), (None, ONE_MORE)])
def test_a_failed_provider_is_worth_one_more(said: bool | None, kind: str) -> None:  # noqa: FBT001 a table of cases
    """PROVIDER_FAILED may be tried once more although it says no, and as ever where it says yes."""
    failure = seen(status="error", output={"error_code": "PROVIDER_FAILED", "retryable": said}).failure
    assert failure is not None
    assert (failure.kind, failure.code, failure.retryable) == (kind, "PROVIDER_FAILED", True)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"output": {"error_message": "a", "error": "b"}}, "a"),
        ({"output": {"error": "b", "details": "c"}}, "b: c"),
        ({"output": {}}, "the prediction failed and the service does not say why"),
        ({"output": "plain"}, "plain"),
        ({"output": None, "message": "m"}, "m"),
        ({"output": None}, "the prediction failed and the service does not say why"),
    ],
)
def test_the_services_words_are_passed_on(record: dict[str, Any], words: str) -> None:
    """The message of a failed prediction is found wherever it stands."""
    failure = seen(status="error", **record).failure
    assert failure is not None
    assert failure.message == words


# ---------------------------------------------------------------- presigns and lists


def test_a_presign_names_a_place() -> None:
    """Where to PUT, with which headers, where it will be and until when."""
    body = {
        "presigned_url": "https://s3/x?sig",
        "public_url": "https://f/x",
        "expires_at": "2027-01-15T08:00:00Z",
    }
    headers = {"required_headers": {"Content-Type": "image/png", "x": 1}}
    assert read(PRESIGN, reply(body | headers), NOW) == Presigned(
        "https://s3/x?sig", {"Content-Type": "image/png", "x": "1"}, "https://f/x", NOW
    )


@pytest.mark.parametrize("expires", [None, 7, "", "soon", "2027-13-01T00:00:00Z"])
def test_an_end_that_cannot_be_read_is_unknown(expires: Any) -> None:
    """A presign without a readable end is still a presign."""
    body = {"presigned_url": "https://s3/x", "public_url": "https://f/x", "expires_at": expires}
    assert read(PRESIGN, reply(body), NOW) == Presigned("https://s3/x", {}, "https://f/x", None)


@pytest.mark.parametrize("body", [{}, {"presigned_url": "x"}, {"presigned_url": "", "public_url": "y"}, []])
def test_half_a_presign_is_none(body: Any) -> None:
    """Both addresses are needed."""
    assert refused(PRESIGN, body, 200).is_senseless


ROW = {"id": "p1", "model": "m", "created_at": "2027-01-15T08:00:00"}


@pytest.mark.parametrize("wrap", [None, "executions", "data", "items", "results"])
def test_a_list_comes_bare_or_wrapped(wrap: str | None) -> None:
    """Rows are found in an array or under one of the usual names; a time without a zone is UTC."""
    body = [ROW, {"id": "p2"}] if wrap is None else {wrap: [ROW, {"id": "p2"}], "total_count": 2}
    assert read(LIST, reply(body), NOW) == Listed((("p1", "m", NOW), ("p2", "", None)), is_last=True)


def test_a_full_page_has_a_next() -> None:
    """Only a page that is not full is the last."""
    full = read(LIST, reply([{"id": f"p{k}"} for k in range(PAGE)]), NOW)
    assert isinstance(full, Listed)
    assert not full.is_last


@pytest.mark.parametrize("body", [{}, {"data": "x"}, 7, [1], [{"id": "../x"}], [{}]])
def test_a_list_without_rows_makes_no_sense(body: Any) -> None:
    """A list that hides a row proves nothing, so it is none."""
    assert refused(LIST, body, 200).verdict is Verdict.REPEAT


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "Invalid input for model"}, "Invalid input for model"),
        ({"status": 400, "error": "a", "details": "b"}, "a: b"),
        ({"status": "error", "message": "a", "details": "a"}, "a"),
        ({"detail": "a"}, "a"),
        ({"error": {"deep": 1}, "message": 7}, "7"),
        ({"error": "x" * 9000}, "x" * 2000),
        ({}, "HTTP 400"),
        ([], "HTTP 400"),
        (b"", "HTTP 400"),
        (b"<html>", "HTTP 400"),
        (b"\xff", "HTTP 400"),
        (b'{"error": "\\ud800"}', "HTTP 400"),
        (b"[" * 100_000, "HTTP 400"),
    ],
)
def test_an_error_body_may_be_anything(body: Any, words: str) -> None:
    """The service's words are taken where there are any, bounded, and the status where there are none."""
    problem = refused(CREATE, body, 400)
    assert problem.failure == Failure("http_400", words, "400")
    assert problem.verdict is Verdict.PERMANENT


def test_a_redirect_tells_where_to_without_its_query() -> None:
    """The address is named for the person who mends the job, and no signature with it."""
    problem = refused(CREATE, b"", 308, location="https://other/v1?key=secret")
    assert problem.verdict is Verdict.ELSEWHERE
    assert problem.failure.message == "HTTP 308 to https://other/v1"
    assert refused(CREATE, b"", 302).failure.message == "HTTP 302 to nowhere"


@pytest.mark.parametrize(
    ("request_", "details", "cap"),
    [
        (CREATE, "limited to 10 concurrent executions", 10),
        (CREATE, "limited to 2 concurrent executions", 2),
        (CREATE, "limited to 0 concurrent executions", 1),
        (CREATE, "too many executions were started at once", None),
        (POLL, "limited to 10 concurrent executions", None),
    ],
)
def test_a_cap_is_told_from_a_rate(request_: Request, details: str, cap: int | None) -> None:
    """A 429 to a create that names a number of concurrent executions is a cap, any other a rate."""
    problem = refused(request_, {"status": 429, "error": "too many requests", "details": details}, 429)
    assert (problem.verdict, problem.cap) == (Verdict.THROTTLED, cap)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        (" 12 ", 12.0),
        ("0", 1.0),
        ("999999999", 900.0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 2027 08:01:00 -0000", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 1.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 900.0),
        ("soon", None),
        ("-5", None),
        ("1e3", None),
        ("٧", None),
        ("", None),
        ("Fri, 99 Jan 2027 08:01:00 GMT", None),
    ],
)
def test_retry_after_is_read_and_clamped(text: str, wait: float | None) -> None:
    """Seconds or a date, between one second and fifteen minutes; garbage is no wait at all."""
    assert refused(CREATE, {}, 429, retry_after=text).retry_after_s == wait


def test_a_date_is_counted_from_the_clock_that_named_it() -> None:
    """Where our clock is wrong, the wait is still the one the service meant."""
    headers = {"retry_after": "Fri, 15 Jan 2027 09:01:00 GMT", "date": "Fri, 15 Jan 2027 09:00:00 GMT"}
    assert refused(CREATE, {}, 429, **headers).retry_after_s == 60.0


def test_retry_after_may_stand_in_the_body() -> None:
    """Where the header is missing the body's figure counts."""
    assert refused(CREATE, {"retry_after": 30}, 429).retry_after_s == 30.0


def test_the_services_clock_is_read_from_its_date() -> None:
    """The offset is the service's clock minus ours, and unknown without a readable Date."""
    assert service_offset_s(reply({}, date="Fri, 15 Jan 2027 08:00:30 GMT"), NOW) == 30.0
    assert service_offset_s(reply({}, date="now"), NOW) is None
    assert service_offset_s(reply({}), NOW) is None
    assert service_offset_s(Silence(True, ""), NOW) is None


# ---------------------------------------------------------------- anything at all

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([URL, "success", "error"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text()
            | st.sampled_from(["status", "output", "metrics", "cost", "id", "input", "classification"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "date", "location", "x"]), st.text(max_size=40))


@given(st.sampled_from(REQUESTS), st.integers(0, 999) | st.just(200), HEADERS, BODIES)
def test_nothing_the_service_says_raises(
    request_: Request, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Any bytes with any status and any headers are an answer in our words."""
    raw = Response(status, headers, body)
    assert isinstance(read(request_, raw, NOW), Accepted | Seen | Presigned | Listed | Problem)
    service_offset_s(raw, NOW)


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b'{"status": NaN}',
        b'{"status": 1e999}',
        b'"\\ud800"',
        b"1" * 9999,
    ],
)
def test_monsters_are_answers_too(request_: Request, body: bytes) -> None:
    """Depth, NaN, infinities, surrogates and endless numbers are read as what makes no sense."""
    assert isinstance(read(request_, Response(200, {}, body), NOW), Problem | Seen)


def test_what_is_nested_without_end_makes_no_sense() -> None:
    """A walk down an answer never meets the end of the stack: what is that deep is no answer at all."""
    deep, well = (b'{"status": "", "input": {"image": %s}}' % (b"[" * n + b"]" * n) for n in (300, 40))
    answer = read(Inspect("p1"), Response(200, {}, deep), NOW)
    assert isinstance(answer, Problem)
    assert answer.is_senseless
    assert isinstance(read(Inspect("p1"), Response(200, {}, well), NOW), Seen)


def test_the_last_of_two_keys_counts() -> None:
    """A key that stands twice has its last value, as everywhere."""
    answer = read(POLL, reply(b'{"status": "error", "status": "processing"}'), NOW)
    assert answer == Seen("p1", False)
    assert wire.PAGE == 100


def test_a_survey_reads_what_it_can() -> None:
    """Rows tell whether a prediction runs, or how it ended; a row that makes no sense is nobody's."""
    good = {"id": "a", "status": "success", "output": URL, "run_time": 5.5, "execution_cost": 0.02}
    rows = [
        good,
        {"id": "b", "status": "error"},
        {"id": "c", "status": None},
        {"id": 5, "status": ""},
        "x",
        {},
    ]
    answer = read(Survey(NOW, NOW), reply({"executions": rows}), NOW)
    assert isinstance(answer, Surveyed)
    assert [(row.prediction_id, row.has_settled, row.failure is None) for row in answer.rows] == [
        ("a", True, True),
        ("b", True, False),
        ("c", False, True),
    ]
    assert (answer.rows[0].urls, answer.rows[0].cost_usd, answer.rows[0].predict_time_s) == (
        (URL,),
        0.02,
        5.5,
    )


def test_cancel() -> None:
    """The wish to end a prediction is a POST to its own address, without a body."""
    call = cancel_call("p1")
    assert (call.method, call.path, dict(call.query)) == ("POST", "prediction/p1/cancel", {})


@pytest.mark.parametrize(("id_", "kept"), [("f-1", "f-1"), ("../x", None), (7, None), (None, None)])
def test_an_uploads_id_is_kept_where_it_can_be_used(id_: object, kept: str | None) -> None:
    """The name by which an uploaded file is deleted is read with suspicion; without one it stays."""
    found = read(PRESIGN, reply({"presigned_url": "https://s3", "public_url": "https://f", "id": id_}), NOW)
    assert isinstance(found, Presigned)
    assert found.file_id == kept


@pytest.mark.parametrize(
    ("raw", "is_gone"),
    [
        (Response(204, {}, b""), True),
        (Response(404, {}, b"{}"), True),
        (Response(409, {}, b"{}"), False),
        (Response(500, {}, b""), False),
        (Silence(was_sent=True, message="cut"), False),
    ],
)
def test_a_file_is_deleted_when_it_is_gone(raw: Response | Silence, *, is_gone: bool) -> None:
    """A deletion has worked when the file is not there any more, whoever took it away."""
    assert WIRE.delete_call("f-1") == Call("DELETE", "files/f-1", {})
    assert wire.is_deleted(raw) is is_gone
