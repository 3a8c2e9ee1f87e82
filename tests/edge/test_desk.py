"""Asking the service without a run: through the gate, again where that helps, and named where it does not."""

import socket
import time
from pathlib import Path

import anyio
import pytest
from edge.bench import real, rows, web
from edge.servers import Behaviour, answer, serving

from batchup.core.items import Item
from batchup.core.messages import Keep
from batchup.core.requests import Inspect, Problem, Seen
from batchup.core.states import State
from batchup.core.verdicts import Verdict
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.desk import TRIES, at_rest, open_desk, scratch
from batchup.edge.lock import RunLock
from batchup.edge.mending.resolving import abandon, found
from batchup.errors import BatchupError, ConfigProblem, DataProblem, KeyRefused, Locked, Unavailable
from batchup.job import Job

RUNNING = b'{"id": "p1", "status": "processing", "input": {"image": "https://example.com/a.jpg"}}'
FAST = "500s"  # of a clock that is sped up: enough for a machine that stalls
QUICK = '[limits]\nrate = "6/1s"'

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a key, and a state folder of the test's own."""
    monkeypatch.setenv("A_KEY", "a-secret-key")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def job_at(folder: Path, url: str, *, timeout: str = "5s") -> Job:
    """Make a job with one item in flight, as a run left it."""
    rows(folder / "rows.jsonl", *web("a"))
    path = real(folder, url, more=QUICK)
    path.write_text(path.read_text().replace('request_timeout = "5s"', f'request_timeout = "{timeout}"'))
    job = Job.load(path)
    job.output.dir.mkdir(exist_ok=True)
    return job


def left(
    checkpoint: Checkpoint, becomes: State = State.IN_FLIGHT, hashes: dict[str, str] | None = None
) -> None:
    item = Item("a", 1, {"image": "https://example.com/a.jpg"}, {}, "01" * 32)
    sent = {"attempt": 1, "hashes": hashes or {}, "sent_at": time.time()}
    changes = {"prediction_id": "p1"} if becomes is State.IN_FLIGHT else {}
    checkpoint.keep([Keep(item, State.READY, State.SUBMITTING, sent)])
    checkpoint.keep([Keep(item, State.SUBMITTING, becomes, changes)])


def then(*answers: Behaviour) -> Behaviour:
    """Answer the first request with the first of these, and each after the last with the last."""
    waiting = list(answers)

    def behave(connection: socket.socket, request: bytes) -> bool:
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0])(connection, request)

    return behave


async def test_what_is_free_to_repeat_is_repeated(tmp_path: Path) -> None:
    """A 500 and a 429 are tried again, and the good answer is returned with the service's clock."""
    throttle = answer("429 Too Many", b"{}", "Retry-After: 1")
    good = answer("200 OK", RUNNING, "Date: Fri, 01 Jan 2100 00:00:00 GMT")
    with serving(then(answer("500 Oh"), throttle, good)) as server:
        job = job_at(tmp_path, server.url)
        (job.output.dir / "checkpoint.db").touch()
        with at_rest(job, "test") as checkpoint:
            async with open_desk(job, checkpoint) as desk:
                seen = await desk.ask(Inspect("p1"))
                assert (desk.request_count, desk.offset_s > 1e9) == (3, True)
    assert isinstance(seen, Seen)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "headers", "problem"),
    [
        ("401 No", [], KeyRefused),
        ("302 There", ["Location: http://elsewhere.invalid/?k=v"], ConfigProblem),
        ("500 Oh", [], Unavailable),
    ],
)
async def test_what_no_repeating_helps_against_is_named(
    tmp_path: Path, status: str, headers: list[str], problem: type[BatchupError]
) -> None:
    """A refused key and a redirect end it at once, a service in trouble after some tries."""
    with serving(answer(status, b"{}", *headers)) as server:
        job = job_at(tmp_path, server.url, timeout=FAST)
        (job.output.dir / "checkpoint.db").touch()
        with at_rest(job, "test") as checkpoint:
            async with open_desk(job, checkpoint) as desk:
                desk.clock._speed = 50.0
                with pytest.raises(problem):
                    await desk.ask(Inspect("p1"))
    assert len(server.requests) == (TRIES if problem is Unavailable else 1)


async def test_the_service_waits_in_real_seconds(tmp_path: Path) -> None:
    """What the service asks for is waited as it is, however fast the job's own time runs."""
    with serving(then(answer("429 Too Many", b"{}", "Retry-After: 1"), answer("200 OK", RUNNING))) as server:
        job = job_at(tmp_path, server.url, timeout=FAST)
        (job.output.dir / "checkpoint.db").touch()
        with at_rest(job, "test") as checkpoint:
            async with open_desk(job, checkpoint) as desk:
                desk.clock._speed = 50.0
                began_at = time.monotonic()
                await desk.ask(Inspect("p1"))
                assert time.monotonic() - began_at >= 1.0


@pytest.mark.parametrize(("key", "count"), [("new", 2), ("wrong", 2), ("old", 1), ("", 1)])
async def test_a_refused_key_is_read_once_more(tmp_path: Path, key: str, count: int) -> None:
    """Another key at its source is tried once; the same one, or none, is refused for good."""

    def behave(connection: socket.socket, request: bytes) -> bool:
        (tmp_path / "key").write_text(key)
        status = "200 OK" if b"Bearer new" in request or b": new" in request else "401 No"
        return answer(status, RUNNING)(connection, request)

    with serving(behave) as server:
        path = job_at(tmp_path, server.url).path
        assert path is not None
        text = path.read_text().replace("env:A_KEY", f"file:{tmp_path / 'key'}").replace('"5s"', '"200ms"')
        path.write_text(text)
        (tmp_path / "key").write_text("old")
        job = Job.load(path)
        (job.output.dir / "checkpoint.db").touch()
        with at_rest(job, "test") as checkpoint:
            async with open_desk(job, checkpoint) as desk:
                if key == "new":
                    assert isinstance(await desk.ask(Inspect("p1")), Seen)
                else:
                    with pytest.raises(KeyRefused):
                        await desk.ask(Inspect("p1"))
    assert len(server.requests) == count
    assert len(list((tmp_path / "state" / "batchup").glob("ledger-*.db"))) == count


async def test_what_is_not_there_is_an_answer(tmp_path: Path) -> None:
    """A 404 is returned as what it is."""
    with serving(answer("404 No")) as server:
        job = job_at(tmp_path, server.url)
        (job.output.dir / "checkpoint.db").touch()
        with at_rest(job, "test") as checkpoint:
            async with open_desk(job, checkpoint) as desk:
                gone = await desk.ask(Inspect("p1"))
    assert isinstance(gone, Problem)
    assert gone.verdict is Verdict.GONE


async def test_requests_keep_to_the_rate(tmp_path: Path) -> None:
    """More requests than the limit allows at once wait for their permits."""
    with serving(answer("200 OK", RUNNING)) as server:
        job = job_at(tmp_path, server.url)
        (job.output.dir / "checkpoint.db").touch()
        with at_rest(job, "test") as checkpoint:
            async with open_desk(job, checkpoint) as desk:
                began_at = anyio.current_time()
                for _ in range(8):
                    await desk.ask(Inspect("p1"))
                assert anyio.current_time() - began_at >= 1.0
                assert desk.gate.worst_window <= 6


async def test_a_folder_from_another_host_waits(tmp_path: Path) -> None:
    """Right after a move all leases are held for a while, as the service counts what was sent over there."""
    with serving(answer("200 OK", RUNNING)) as server:
        job = job_at(tmp_path, server.url)
        (job.output.dir / "checkpoint.db").touch()
        with at_rest(job, "test") as checkpoint:
            async with open_desk(job, checkpoint) as desk:
                assert desk.gate.free(desk.clock.monotonic()) == 6
            facts = [("host", "elsewhere"), ("last_request_at", time.time())]
            checkpoint.db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)
            async with open_desk(job, checkpoint) as desk:
                assert desk.gate.free(desk.clock.monotonic()) == 0


async def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """While something holds the folder nothing is opened, and where no run ever was nothing is made."""
    job = job_at(tmp_path, "http://127.0.0.1:9/v1")
    with pytest.raises(DataProblem, match="has not run yet"), at_rest(job, "test"):
        pass
    assert list(job.output.dir.iterdir()) == []
    (job.output.dir / "checkpoint.db").touch()
    with RunLock(job.output.dir, "r1"), pytest.raises(Locked, match="r1"), at_rest(job, "test"):
        pass


async def test_scratch_tables_are_gone_afterwards(tmp_path: Path) -> None:
    """Temporary tables are made for a block, and dropped whatever ends it."""
    job = job_at(tmp_path, "http://127.0.0.1:9/v1")
    (job.output.dir / "checkpoint.db").touch()
    with at_rest(job, "test") as checkpoint:
        for _ in range(2):
            with scratch(checkpoint, "CREATE TEMP TABLE one (x); CREATE TEMP TABLE two (y);") as db:
                db.execute("INSERT INTO temp.one VALUES (1)")
        assert db.execute("SELECT count(*) FROM sqlite_temp_master").fetchone() == (0,)


@pytest.mark.parametrize(
    ("cancel", "words"),
    [
        (answer("200 OK"), "was asked to cancel"),
        (answer("500 Oh"), "could not be cancelled (HTTP 500)"),
        (lambda _c, _r: False, "could not be cancelled"),
    ],
)
async def test_a_prediction_that_may_run_on_keeps_its_slot(
    tmp_path: Path, cancel: Behaviour, words: str
) -> None:
    """Given up while it runs, whatever the cancel said, it is reckoned with until it must have ended."""
    with serving(then(cancel, answer("200 OK", RUNNING))) as server:
        job = job_at(tmp_path, server.url)
        (job.output.dir / "checkpoint.db").touch()
        with at_rest(job, "test") as checkpoint:
            left(checkpoint)
            why = await abandon(job, checkpoint, checkpoint.as_they_stand(["a"])["a"])
            assert words in why
            assert len(checkpoint.written_off()) == 1
            assert checkpoint.remembered(["a"])["a"].state is State.FAILED
    assert server.requests[0].startswith(b"POST /v1/prediction/p1/cancel ")


async def test_a_prediction_that_is_forgotten_can_be_given_up(tmp_path: Path) -> None:
    """What the service does not know any more does not run, and keeps no slot."""
    with serving(answer("404 No")) as server:
        job = job_at(tmp_path, server.url)
        (job.output.dir / "checkpoint.db").touch()
        with at_rest(job, "test") as checkpoint:
            left(checkpoint)
            assert "does not know" in await abandon(job, checkpoint, checkpoint.as_they_stand(["a"])["a"])
            assert checkpoint.written_off() == []


@pytest.mark.parametrize(
    ("hashes", "words"),
    [({"secret": "0"}, "does not show all"), ({}, "Nothing shows"), ({"image": "0"}, "image differ")],
)
async def test_a_prediction_that_cannot_be_told_is_refused(
    tmp_path: Path, hashes: dict[str, str], words: str
) -> None:
    """An input that is hidden in part, unknown, or another is no proof; nothing is changed."""
    with serving(answer("200 OK", RUNNING)) as server:
        job = job_at(tmp_path, server.url)
        (job.output.dir / "checkpoint.db").touch()
        with at_rest(job, "test") as checkpoint:
            left(checkpoint, State.IN_DOUBT, hashes)
            one = checkpoint.as_they_stand(["a"])["a"]
            with pytest.raises(DataProblem, match=words):
                await found(job, checkpoint, one, "p1", force=False)
            assert checkpoint.remembered(["a"])["a"].state is State.IN_DOUBT
