"""Uploads are deleted when nothing needs them, one request each; what goes wrong with it does no harm."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from edge.bench import simulated
from edge.servers import Behaviour, answer, serving
from edge.test_pool import Bench, bench, item

from batchup.core.fingerprint import value_hash
from batchup.core.messages import Keep, KeepUpload
from batchup.core.states import State
from batchup.core.summary import Summary
from batchup.edge.clock import Clock
from batchup.edge.erasing import _SENT, Erased, after_run, erase_uploads
from batchup.edge.pool import Pool
from batchup.edge.stopper import Stopper
from batchup.edge.supervision.pulse import Pulse
from batchup.errors import DiskProblem
from batchup.job import Job

pytestmark = pytest.mark.anyio
URL = "https://cdn.example/{}.jpg"


def uploaded(it: Bench, *names: str) -> None:
    """Let the checkpoint remember uploads, in the order of their names."""
    it.checkpoint.keep([KeepUpload(f"{k:064x}", URL.format(n), 9e9, f"f-{n}") for k, n in enumerate(names)])


def left(it: Bench) -> list[tuple[str, float]]:
    """Return which uploads the checkpoint still has, and until when they may be used."""
    rows = it.checkpoint.db.execute("SELECT file_id, expires_at FROM uploads ORDER BY sha256")
    return [(str(row[0]), float(row[1])) for row in rows]


async def erased(pool: Pool, is_over: Callable[[], bool] = lambda: False) -> Erased:
    return await erase_uploads(pool.tools, pool.batch.board.tally, is_over)


async def test_each_is_deleted_by_its_id(tmp_path: Path) -> None:
    """One DELETE a file, each counted, and the checkpoint forgets it; one without an id stays."""
    with serving(answer("204 No Content", b"", keep=True)) as server:
        async with bench(tmp_path, server.url) as it:
            uploaded(it, "a", "b")
            it.checkpoint.keep([KeepUpload("ff" * 32, "https://cdn.example/old.jpg", 9e9)])
            found = await erased(it.pool)
            assert left(it) == [("None", 9e9)]
        assert it.pool.batch.board.tally.requests == 2
    assert [request.split(b" ")[:2] for request in server.requests] == [
        [b"DELETE", b"/v1/files/f-a"],
        [b"DELETE", b"/v1/files/f-b"],
    ]
    assert [(note.event, note.fields) for note in found.notes] == [("uploads_deleted", {"count": 2})]


async def test_a_run_that_deletes_moves(tmp_path: Path) -> None:
    """Whoever watches hears of each deletion: many of them take hours under a low limit."""
    pulse, job = Pulse(), Job.load(simulated(tmp_path, more="[prepare]\ndelete_uploads = true\n"))
    with serving(answer("204 No Content", b"", keep=True)) as server:
        async with bench(tmp_path, server.url) as it:
            uploaded(it, "a", "b")
            it.pool.on_look = pulse.look
            summary = Summary(job="job", run="r1", reason="finished", exit_code=0)
            summary = await after_run(job, it.pool, summary, Stopper())
    assert summary.requests == 2
    assert pulse.counts["news"] >= summary.requests


async def test_the_saved_ones_are_not_looked_through(tmp_path: Path) -> None:
    """What may still be fetched is found by the index of the few that are not saved, of millions."""
    async with bench(tmp_path, "http://127.0.0.1:9") as it:
        (row,) = it.checkpoint.db.execute(f"EXPLAIN QUERY PLAN {_SENT}")
    assert "items_unsaved" in row[-1]


async def test_what_a_prediction_may_still_fetch_stays(tmp_path: Path) -> None:
    """The image of an item in flight or in doubt is not taken away from under its prediction."""
    with serving(answer("204 No Content", b"", keep=True)) as server:
        async with bench(tmp_path, server.url) as it:
            uploaded(it, "a", "b", "c")
            for name in ("a", "b"):
                sent = {"attempt": 1, "hashes": {"image": value_hash(URL.format(name))}, "sent_at": 1.0}
                it.checkpoint.keep([Keep(item(name), State.READY, State.SUBMITTING, sent)])
            accepted = {"prediction_id": "p-b", "created_at": 2.0}
            it.checkpoint.keep([Keep(item("b"), State.SUBMITTING, State.IN_FLIGHT, accepted)])
            assert (await erased(it.pool)).count == 1
            assert left(it) == [("f-a", 9e9), ("f-b", 9e9)]


async def test_what_was_sent_signed_stays_while_anything_may_run(tmp_path: Path) -> None:
    """Of a signed address too little is kept to tell whose it is: its file waits until nothing runs."""
    with serving(answer("204 No Content", b"", keep=True)) as server:
        async with bench(tmp_path, server.url) as it:
            it.checkpoint.keep([KeepUpload("aa" * 32, URL.format("a"), 0.0, "f-a")])
            hashes = {"image": value_hash(URL.format("a") + "?signature=s")}
            sent = {"attempt": 1, "hashes": hashes, "sent_at": 1.0}
            it.checkpoint.keep([Keep(item("a"), State.READY, State.SUBMITTING, sent)])
            assert (await erased(it.pool)).count == 0
            it.checkpoint.keep([Keep(item("a"), State.SUBMITTING, State.READY, {"attempt": 0})])
            assert (await erased(it.pool)).count == 1


async def test_what_was_uploaded_again_is_deleted_as_well(tmp_path: Path) -> None:
    """A file that could not be deleted, and whose content was put there anew, is not left lying for that."""
    with serving(answer("204 No Content", b"", keep=True)) as server:
        async with bench(tmp_path, server.url) as it:
            uploaded(it, "a")
            uploaded(it, "b")  # the same content
            assert (await erased(it.pool)).count == 2
            assert (left(it), (await erased(it.pool)).count) == ([], 0)
    assert [request.split(b" ")[1] for request in server.requests] == [b"/v1/files/f-b", b"/v1/files/f-a"]


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
async def test_what_is_gone_already_is_forgotten(tmp_path: Path, status: str) -> None:
    """A file that somebody else took away is deleted, too."""
    with serving(answer(status)) as server:
        async with bench(tmp_path, server.url) as it:
            uploaded(it, "a")
            assert ((await erased(it.pool)).count, left(it)) == (1, [])


async def test_refusals_leave_the_rest_to_the_next_run(tmp_path: Path) -> None:
    """After three in a row no more is asked; an address that was tried is never used again."""
    with serving(answer("500 Oops", keep=True)) as server:
        async with bench(tmp_path, server.url) as it:
            uploaded(it, "a", "b", "c", "d")
            found = await erased(it.pool)
            assert left(it) == [("f-a", 0.0), ("f-b", 0.0), ("f-c", 0.0), ("f-d", 9e9)]
    assert len(server.requests) == 3
    (note,) = found.notes
    assert note.fields == {"count": 4, "why": "the service answered HTTP 500"}


async def test_a_service_that_is_gone_is_no_problem_of_the_run(tmp_path: Path) -> None:
    """Deletions that get no answer are left, with the reason."""
    async with bench(tmp_path) as it:
        uploaded(it, "a")
        found = await erased(it.pool)
    assert (found.count, found.left) == (0, 1)
    assert found.why.startswith("the service did not answer")


def busy_once() -> Behaviour:
    """Refuse the first request as one too many."""
    asked: list[bytes] = []

    def behave(connection: socket.socket, request: bytes) -> bool:
        asked.append(request)
        status = b"429 Too Many" if len(asked) == 1 else b"204 No Content"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        return False

    return behave


async def test_a_throttle_is_waited_out(tmp_path: Path) -> None:
    """A deletion that came too soon is sent once more, and counted as throttled."""
    with serving(busy_once()) as server:
        async with bench(tmp_path, server.url) as it:
            it.pool.tools.clock = Clock(1000.0)  # so that the wait is short
            uploaded(it, "a")
            assert (await erased(it.pool)).count == 1
            tally = it.pool.batch.board.tally
            assert (tally.requests, tally.throttled) == (2, 1)


async def test_a_stop_leaves_the_rest(tmp_path: Path) -> None:
    """Whoever wants the run to end does not wait for deletions; the checkpoint keeps what they need."""
    answers = iter([False, False, True, True, True])
    with serving(answer("204 No Content", b"", keep=True)) as server:
        async with bench(tmp_path, server.url) as it:
            uploaded(it, "a", "b")
            found = await erased(it.pool, lambda: next(answers))
            assert (found.count, found.left, found.why) == (1, 1, "the run was stopped")
            assert left(it) == [("f-b", 9e9)]


async def test_a_stop_while_a_permit_is_waited_for(tmp_path: Path) -> None:
    """The deletion that was about to be sent is left as well."""
    answers = iter([False, True])
    async with bench(tmp_path) as it:
        uploaded(it, "a")
        found = await erased(it.pool, lambda: next(answers))
    assert (found.count, found.left, found.why) == (0, 1, "the run was stopped")


async def test_a_disk_that_takes_nothing_ends_the_deletions(tmp_path: Path) -> None:
    """A checkpoint that cannot be written to is told, and raises nothing."""
    async with bench(tmp_path) as it:
        uploaded(it, "a")
        it.checkpoint.db.execute(
            "CREATE TEMP TRIGGER no BEFORE INSERT ON main.uploads BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        found = await erased(it.pool)
    assert (found.count, found.left) == (0, 1)
    assert "full" in found.why
    assert DiskProblem.exit_code == 74
