"""Each row of the contract's errors played through: what came back, what it means, and what follows."""

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
import pytest
from core.parts import EPOCH, Bench, done, ended, running, told
from core.spoken import WIRE
from core.world import item

from batchup.core.brakes import BREAKER_COUNT, SENSELESS_COUNT
from batchup.core.items import Failure
from batchup.core.messages import Command, Download, DownloadFailed, Keep, RereadKey, UploadFailed
from batchup.core.requests import (
    Create,
    ListPage,
    Poll,
    Presign,
    Presigned,
    Problem,
    Request,
    Wait,
)
from batchup.core.states import State
from batchup.core.verdicts import Kind, Verdict, verdict
from batchup.core.wire import Raw, Response, Silence
from batchup.errors import BatchupError, ConfigProblem, NoCredit, ProtocolProblem

V, S = Verdict, State
Ended: TypeAlias = type[BatchupError] | None
UNSENT, LOST = Silence(False, "refused"), Silence(True, "timed out")
BROKEN = Response(200, {}, b'{"id": "p')
EMPTY = Response(200, {}, b"{}")
PLACE = Presigned("https://s3/x", {}, "https://f/x", EPOCH + 86_400)


def http(status: int, body: Any = None, **headers: str) -> Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, given, msgspec.json.encode({"error": "no"} if body is None else body))


def tell(bench: Bench, request: Request, raw: Raw, now: float, means: Verdict) -> list[Command]:
    """Let an answer be read and taken in, which has to mean this."""
    answer = WIRE.read(request, raw, EPOCH)
    assert isinstance(answer, Problem)
    assert answer.verdict is means
    return bench.answer(request, answer, now)


CAP = http(429, {"details": "limited to 4 concurrent executions"})
RATE = http(429, {}, retry_after="30")

CREATES: list[tuple[Raw, Verdict, State | None, int, Ended]] = [
    (UNSENT, V.NOTHING_CREATED, S.READY, 0, None),
    *((raw, V.IN_DOUBT, S.IN_DOUBT, 1, None) for raw in (LOST, BROKEN, EMPTY, http(408))),
    *((http(status), V.IN_DOUBT, S.IN_DOUBT, 1, None) for status in (500, 502, 503, 504)),
    *((http(status), V.PERMANENT, None, 1, None) for status in (400, 413, 422)),
    (http(404), V.NO_SUCH_MODEL, S.READY, 0, ConfigProblem),
    *((http(status, location="https://b/"), V.ELSEWHERE, S.READY, 0, ConfigProblem) for status in (301, 308)),
    *((http(status), V.KEY_REFUSED, S.READY, 0, None) for status in (401, 403)),
    (http(402), V.NO_CREDIT, S.READY, 0, NoCredit),
    (CAP, V.THROTTLED, S.READY, 0, None),
    (RATE, V.THROTTLED, S.READY, 0, None),
]


@pytest.mark.parametrize(("raw", "means", "state", "attempt", "error"), CREATES)
def test_creates(raw: Raw, means: Verdict, state: State | None, attempt: int, error: Ended) -> None:
    """An answer to a create leaves its item where the contract says, and ends the run or does not."""
    bench = Bench(3)
    work = bench.board.works["i0"]
    commands = tell(bench, bench.send(Create, 0.0), raw, 0.0, means)
    work = bench.board.works.get("i0", work)
    assert (work.state if state else told(commands)) == (state or ["failed"])
    keep = next(command for command in commands if isinstance(command, Keep))
    assert keep.changes.get("attempt", 1) == attempt
    assert ended(commands) is error
    assert (RereadKey() in commands) is (means is V.KEY_REFUSED)
    assert bench.board.tally.failed == (0 if state else 1)


def test_what_ends_a_run_is_named() -> None:
    """An unknown model is named, and so is the address that a redirect points to, without its query."""
    for raw, words in (
        (http(404), 'the model "each-upscaler": no'),
        (http(307, location="https://b/v1?key=x"), "https://b/v1"),
    ):
        bench = Bench(1)
        bench.board.model = "each-upscaler"
        bench.answer(request := bench.send(Create, 0.0), WIRE.read(request, raw, EPOCH), 0.0)
        assert words in str(bench.board.error)
        assert "key=x" not in str(bench.board.error)


def test_a_cap_and_a_rate() -> None:
    """A named cap is taken over and 90 s of silence kept, a rate holds everybody for what it asks."""
    bench = Bench(3)
    tell(bench, bench.send(Create, 0.0), CAP, 0.0, V.THROTTLED)
    assert (bench.board.brakes.cap, bench.choose(0.0)) == (4, Wait(90.0))
    bench = Bench(3)
    tell(bench, bench.send(Create, 0.0), RATE, 0.0, V.THROTTLED)
    assert bench.choose(0.0) == Wait(30.0)


FREE: list[Raw] = [UNSENT, LOST, BROKEN, *(http(status) for status in (408, 500, 502, 503, 504))]


@pytest.mark.parametrize("raw", [*FREE, EMPTY, http(400), http(402)])
def test_polls_are_free_to_repeat(raw: Raw) -> None:
    """A poll that failed leaves its item in flight and is repeated within a minute."""
    bench = Bench(1)
    bench.create(0.0)
    for _ in range(9):
        at = bench.next_look_at()
        tell(bench, poll_of(bench, at), raw, at, V.REPEAT)
        assert at < bench.next_look_at() <= at + 60.0
    assert bench.state() is S.IN_FLIGHT


def poll_of(bench: Bench, now: float) -> Poll:
    return bench.send(Poll, now)


@pytest.mark.parametrize(
    ("raw", "means"),
    [
        (http(404), V.GONE),
        (http(410), V.GONE),
        (http(401), V.KEY_REFUSED),
        (http(403), V.KEY_REFUSED),
        (RATE, V.THROTTLED),
    ],
)
def test_polls_that_say_more(raw: Raw, means: Verdict) -> None:
    """A poll that is refused leaves its item in flight, as long as it may still be there."""
    bench = Bench(1)
    bench.create(0.0)
    at = bench.next_look_at()
    commands = tell(bench, poll_of(bench, at), raw, at, means)
    assert (bench.state(), ended(commands)) == (S.IN_FLIGHT, None)


@pytest.mark.parametrize("raw", [*FREE, EMPTY, http(402), http(403)])
def test_presigns_are_free_to_repeat(raw: Raw) -> None:
    """One that fails while all else works has five tries an attempt, and its item more in the next run."""
    bench, now, commands = Bench(0, max_attempts=2), 0.0, list[Command]()
    bench.read(item("i0", is_local=True))
    for _ in range(2 * 5):
        while isinstance(choice := bench.choose(now), Wait):
            assert choice.until is not None
            now = choice.until
        bench.board.brakes.worked()
        assert commands == []
        commands = tell(bench, bench.send(Presign, now), raw, now, V.REPEAT)
    assert told(commands) == ["failed"]
    keep = next(command for command in commands if isinstance(command, Keep))
    assert keep.changes["failure"].retryable
    assert bench.board.tally.creates == 0


@pytest.mark.parametrize("condition", ["unsent", "lost", "403", "500"])
def test_uploads_are_free_to_repeat(condition: str) -> None:
    """A PUT that failed is repeated with a fresh presign."""
    bench = Bench(0)
    bench.read(item("i0", is_local=True))
    bench.answer(bench.send(Presign, 0.0), PLACE, 0.0)
    failure = Failure("upload", "no", retryable=verdict(Kind.UPLOAD, condition) is V.REPEAT)
    assert bench.batch.handle(UploadFailed("sha-i0", failure), 1.0) == []
    wait = bench.choose(1.0)
    assert isinstance(wait, Wait)
    assert wait.until is not None
    assert isinstance(bench.choose(wait.until), Presign)
    assert bench.state() is S.READY


@pytest.mark.parametrize("raw", FREE)
def test_lists_are_free_to_repeat(raw: Raw) -> None:
    """A page of the list that did not come is asked for again, and the item stays in doubt."""
    bench = Bench(1)
    bench.fail_create(V.IN_DOUBT)
    commands = tell(bench, bench.send(ListPage, 2.0), raw, 2.0, V.REPEAT)
    assert (commands, bench.state()) == ([], S.IN_DOUBT)
    wait = bench.choose(2.0)
    assert isinstance(wait, Wait)
    assert wait.until is not None
    assert isinstance(bench.choose(wait.until), ListPage)


def test_a_list_that_is_not_there_holds() -> None:
    """Where the service has no list, nobody can tell: the item is held."""
    bench = Bench(1)
    bench.fail_create(V.IN_DOUBT)
    assert told(tell(bench, bench.send(ListPage, 2.0), http(404), 2.0, V.GONE)) == ["held"]


def error(**envelope: Any) -> dict[str, Any]:
    return {"id": "p0", "status": "error", "output": {"error_code": "X", "error_message": "no", **envelope}}


def of(category: str, **more: Any) -> dict[str, Any]:
    return error(classification={"category": category}, **more)


AGAIN: list[dict[str, Any]] = [
    error(retryable=True),
    *(of(word) for word in ("PROVIDER", "RATE_LIMIT", "NETWORK", "TIMEOUT", "INTERNAL")),
    error(error_code="PROVIDER_FAILED", retryable=False),
]
NEVER: list[dict[str, Any]] = [
    error(retryable=False),
    error(),
    of("UNKNOWN"),
    of("VALIDATION", retryable=True),
    error(error_code="CONTENT_MODERATION", retryable=True),
    {"id": "p0", "status": "cancelled"},
    {"id": "p0", "status": "failed", "output": "words"},
]


def settle(record: dict[str, Any], attempts: int) -> tuple[Bench, list[Command]]:
    """Let an item's predictions settle like this, one after the other, and return the last answer's."""
    bench, now, commands = Bench(1, max_attempts=3), 0.0, list[Command]()
    for k in range(attempts):
        bench.create(now, "p0")
        at = max(bench.next_look_at(), now + 50.0)
        request = bench.send(Poll, at)
        answer = WIRE.read(request, http(200, record), EPOCH)
        commands = bench.answer(request, answer, at)
        if k < attempts - 1:
            assert bench.state() is S.BACKING_OFF
            now = bench.board.backing_off["i0"]
    return bench, commands


@pytest.mark.parametrize("record", AGAIN)
def test_what_may_be_better_the_next_time_is_bought_again(record: dict[str, Any]) -> None:
    """A failure that says it may be retried gets another attempt, up to its limit."""
    last = 2 if record["output"]["error_code"] == "PROVIDER_FAILED" else 3
    bench, commands = settle(record, last)
    assert told(commands) == ["failed"]
    assert bench.board.tally.creates == last


@pytest.mark.parametrize("record", NEVER)
def test_what_is_final_is_bought_once(record: dict[str, Any]) -> None:
    """A failure that is final fails its item at once."""
    assert told(settle(record, 1)[1]) == ["failed"]


def test_a_success_without_output_keeps_what_came() -> None:
    """What is paid and shows no address is never bought again; what it shows is kept, without secrets."""
    output = {"note": "see https://x/y?token=secret", "odd": [1, 2]}
    _, commands = settle({"id": "p0", "status": "success", "output": output}, 1)
    keep = next(command for command in commands if isinstance(command, Keep))
    failure = keep.changes["failure"]
    assert (failure.kind, failure.retryable) == ("no_output", False)
    assert '{"note":"see https://x/y","odd":[1,2]}' in failure.message


def paid() -> Bench:
    bench = Bench(1)
    bench.create(0.0)
    bench.poll(done(), 50.0)
    return bench


def drop(bench: Bench, condition: str) -> list[Command]:
    """Let a download fail for this, as the table says."""
    means = verdict(Kind.DOWNLOAD, condition)
    failure = Failure("http", "no", retryable=means is V.REPEAT)
    return bench.batch.handle(DownloadFailed("i0", failure, is_gone=means is V.GONE), 60.0)


@pytest.mark.parametrize("condition", ["unsent", "lost", "short", "damaged", "500", "503", "429"])
def test_downloads_are_free_to_repeat(condition: str) -> None:
    """A download is tried five times a run, and the paid item is left to the next one."""
    bench = paid()
    for _ in range(4):
        _, command = drop(bench, condition)
        assert isinstance(command, Download)
        assert 60.0 < command.not_before <= 120.0
    assert told(drop(bench, condition)) == ["outstanding"]


@pytest.mark.parametrize("condition", ["403", "404", "410"])
def test_an_address_that_is_gone_is_asked_for_once_more(condition: str) -> None:
    """A fresh address is polled for; if that is gone as well, the output has expired."""
    bench = paid()
    assert drop(bench, condition) == []
    assert bench.choose(60.0) == Poll("i0", "p0")
    bench.poll(done(), 60.0)
    assert told(drop(bench, condition)) == ["failed"]


@pytest.mark.parametrize("condition", ["too_large", "not_allowed", "401", "senseless"])
def test_what_needs_a_change_waits_for_the_next_run(condition: str) -> None:
    """An output that cannot be taken as things are is left to the next run, and its reason written down."""
    commands = drop(paid(), condition)
    assert told(commands) == ["outstanding"]
    assert any(isinstance(command, Keep) and "failure" in command.changes for command in commands)


def test_the_breaker_opens_at_the_third_doubt() -> None:
    """Two creates in doubt stop nothing; after the third the list is asked for, and nothing is created."""
    bench = Bench(5, requests_per_s=None)
    for k in range(BREAKER_COUNT):
        assert isinstance(bench.choose(float(k) / 10), Create)
        bench.fail_create(V.IN_DOUBT, float(k) / 10)
    for now in (0.3, 2.0, 5.0, 60.0):
        assert not isinstance(bench.choose(now), Create)
    assert isinstance(bench.choose(5.0), ListPage)


def test_polls_probe_an_open_breaker() -> None:
    """While something is in flight a poll is the probe, and a good one lets creates go on."""
    bench = Bench(6, requests_per_s=None)
    bench.create(0.0)
    for _ in range(BREAKER_COUNT):
        bench.fail_create(V.IN_DOUBT, 0.1)
    assert not isinstance(bench.choose(0.2), Create)
    bench.poll(running())
    assert isinstance(bench.choose(200.0), Create)


@pytest.mark.parametrize("kind", ["poll", "mixed"])
def test_nonsense_in_a_row(kind: str) -> None:
    """Ten answers in a row without sense end the run, of whatever kinds, and nine with a good one do not."""
    bench = Bench(3)
    bench.create(0.0)
    bench.create(0.0, "p1")
    ends: list[Ended] = []
    for k in range(SENSELESS_COUNT):
        if kind == "mixed" and k == 0:
            request = bench.send(Create, 0.0)
            ends.append(ended(tell(bench, request, EMPTY, 0.0, V.IN_DOUBT)))
            continue
        ends.append(ended(bench.poll(Problem(V.REPEAT, Failure("senseless", "?"), is_senseless=True))))
    assert ends == [None] * (SENSELESS_COUNT - 1) + [ProtocolProblem]


def test_a_good_answer_ends_the_row_of_nonsense() -> None:
    """Nine without sense, a good one and nine more are borne."""
    bench = Bench(1)
    bench.create(0.0)
    nonsense = Problem(V.REPEAT, Failure("senseless", "?"), is_senseless=True)
    plays: list[Callable[[], list[Command]]] = [
        *[lambda: bench.poll(nonsense)] * 9,
        lambda: bench.poll(running()),
        *[lambda: bench.poll(nonsense)] * 9,
    ]
    assert {ended(play()) for play in plays} == {None}
