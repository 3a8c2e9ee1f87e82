"""`batchup resolve`: what is in doubt is listed, and each decision of a person does what it says."""

import contextlib
import json
import os
import pty
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from edge.bench import (
    Ended,
    batchup,
    command,
    environment,
    judged,
    refused_while_running,
    results,
    rows,
    run,
    running,
    simulated,
    web,
)

from batchup.edge.lock import RunLock

HOLD = '[run]\non_in_doubt = "hold"'
LOST = {"create_lost": 1}

Leave = Callable[["subprocess.Popen[bytes]", int], None]


def resolve(job: Path, *words: str, **environ: str) -> Ended:
    """Run the command in the job's folder, without a terminal."""
    return batchup(job.parent, "resolve", job, *words, **environ)


def listed(job: Path) -> list[dict[str, Any]]:
    """Return what is in doubt, as JSON."""
    done = resolve(job, "--json")
    assert done.code == (3 if json.loads(done.out)["items"] else 0), done
    return list(json.loads(done.out)["items"])


def held(folder: Path, *ids: str, more: str = HOLD) -> Path:
    """Make a job whose creates were all accepted, and no answer to any of them came."""
    rows(folder / "rows.jsonl", *web(*ids, prompt="a?b"))
    job = simulated(folder, "rows.jsonl", more=more, faults=LOST)
    run(job)
    assert len(listed(job)) == len(ids)
    return simulated(folder, "rows.jsonl", more=more)


def bought(job: Path) -> dict[str, str]:
    """Return the service's predictions by the item whose image they show."""
    path = job.with_suffix(".out") / "simulator" / "simulator.db"
    with closing(sqlite3.connect(path)) as db:
        found = [
            (json.loads(given)["image"], id_)
            for given, id_ in db.execute("SELECT input, id FROM predictions")
        ]
    return {image.rsplit("/", 1)[1].removesuffix(".jpg"): id_ for image, id_ in found}


def on_terminal(
    job: Path,
    *answers: str,
    meanwhile: Callable[[], object] = lambda: None,
    leave: Leave = lambda _process, _terminal: None,
) -> tuple[int, str]:
    """Run the command on a terminal, type these lines, and return its code and what the terminal showed.

    `meanwhile` is called when it asks for the first time, `leave` when it asks for more than there are lines.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("resolve", job),
        cwd=job.parent,
        env=environment(job.parent),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = b""
        while b"[s]kip" not in seen:
            seen += os.read(ours, 1 << 16)
        meanwhile()
        os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
        try:
            while part := os.read(ours, 1 << 16):
                seen += part
                if seen.count(b"[s]kip") == len(answers) + 1:
                    leave(process, ours)
        except OSError:
            pass  # the terminal's other end is closed
        code = process.wait(60)
    os.close(ours)
    return code, seen.decode()


def test_what_is_in_doubt_is_listed_with_all_that_is_known(tmp_path: Path) -> None:
    """Without a terminal it lists all that is known, and what each decision would mean, with 3."""
    job = held(tmp_path, "a", "b")
    done = resolve(job)
    assert done.code == 3
    for words in (
        "a: held, attempt 1",
        "by this machine's clock",
        "by the service's",
        "held, as the job asks",
        'image = "https://example.com/a.jpg"',
        'prompt = "a?b"',
        "found:ID",
        "absent",
        "abandon",
    ):
        assert words in done.out
    (first, second) = listed(job)
    assert (first["id"], first["state"], first["attempt"]) == ("a", "held", 1)
    assert abs(first["service_sent_at"] - first["sent_at"]) < 5
    assert second["sent"] == {"image": "https://example.com/b.jpg", "prompt": "a?b"}


def test_nothing_in_doubt_is_0(tmp_path: Path) -> None:
    """A job with nothing to decide says so and ends well."""
    job = simulated(tmp_path)
    run(job)
    done = resolve(job)
    assert (done.code, "nothing is in doubt" in done.out) == (0, True)
    assert json.loads(resolve(job, "--json").out) == {"job": "job", "items": [], "resolved": []}


def test_what_was_found_is_polled_and_not_bought(tmp_path: Path) -> None:
    """A prediction that shows what was sent becomes the item's, and the next run saves it."""
    job = held(tmp_path, "a")
    done = resolve(job, "a", "--as", f"found:{bought(job)['a']}")
    assert (done.code, "the next run polls" in done.err) == (0, True), done
    assert results(job)["a"]["state"] == "outstanding"
    assert results(job)["a"]["prediction_id"] == bought(job)["a"]
    last = run(job)
    assert (last.code, last.summary["saved"], last.summary["creates"]) == (0, 1, 0)
    assert judged(job)["creates"] == 1


@pytest.mark.parametrize("words", [(), ("--force",)])
def test_what_was_given_up_and_turns_up_counts_once(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A create that was abandoned and found later is one prediction in the books, and one attempt."""
    job = held(tmp_path, "a")
    assert resolve(job, "a", "--as", "abandon").code == 0
    done = resolve(job, "a", "--as", f"found:{bought(job)['a']}", *words)
    assert done.code == 0, done
    last = run(job)
    assert (last.code, last.summary["saved"], last.summary["creates"]) == (0, 1, 0), last
    books = last.summary["books"]
    assert (books["accepted"], books["well"], books["written_off"]) == (1, 1, 0)
    assert results(job)["a"]["attempts"] == 1


def test_a_prediction_of_something_else_is_refused(tmp_path: Path) -> None:
    """A prediction that differs, is not there, or is another item's, is 65 and changes nothing."""
    job = held(tmp_path, "a", "b")
    theirs, ours = bought(job)["b"], bought(job)["a"]
    differs = resolve(job, "a", "--as", f"found:{theirs}")
    assert (differs.code, "image differ" in differs.err) == (65, True)
    missing = resolve(job, "a", "--as", "found:no-such-id")
    assert (missing.code, "knows no prediction" in missing.err) == (65, True)
    assert [item["id"] for item in listed(job)] == ["a", "b"]
    assert resolve(job, "a", "--as", f"found:{ours}").code == 0
    taken = resolve(job, "b", "--as", f"found:{ours}", "--force")
    assert (taken.code, "belongs to a" in taken.err) == (65, True)


def test_force_takes_what_a_person_says(tmp_path: Path) -> None:
    """With --force the service is not asked, and the next run polls what was named."""
    job = held(tmp_path, "a", "b")
    assert resolve(job, "a", "--as", f"found:{bought(job)['b']}", "--force").code == 0
    assert results(job)["a"]["prediction_id"] == bought(job)["b"]


def test_what_is_absent_is_sent_again(tmp_path: Path) -> None:
    """What a person says was never created is ready, and what was sent is kept."""
    job = held(tmp_path, "a", "b")
    done = resolve(job, "--all", "--as", "absent", "--json")
    assert json.loads(done.out)["resolved"] == [{"id": id_, "as": "absent"} for id_ in ("a", "b")]
    with closing(sqlite3.connect(job.with_suffix(".out") / "checkpoint.db")) as db:
        assert list(db.execute("SELECT attempt, fate FROM attempts")) == [(1, "absent"), (1, "absent")]
    last = run(job)
    assert (last.code, last.summary["saved"], last.summary["creates"]) == (0, 2, 2)
    assert {line["attempts"] for line in results(job).values()} == {1}


def test_what_is_abandoned_fails_and_can_be_bought_anew(tmp_path: Path) -> None:
    """A given-up item is failed with its own kind, left alone by runs, and made by --rerun-failed."""
    job = held(tmp_path, "a")
    assert resolve(job, "a", "--as", "abandon").code == 0
    failure = results(job)["a"]["failure"]
    assert (failure["kind"], failure["retryable"]) == ("abandoned", False)
    last = json.loads((job.with_suffix(".out") / "status.json").read_text())["summary"]
    assert (last["held"], last["failed"], last["causes"][0]["cause"]) == (0, 1, "abandoned by a person")
    assert (last["books"]["held"], last["books"]["written_off"]) == (0, 1)
    left = run(job)
    assert (left.code, left.summary["failed"], left.summary["creates"]) == (3, 1, 0)
    again = run(job, "--rerun-failed")
    assert (again.code, again.summary["saved"], again.summary["creates"]) == (0, 1, 1)


@pytest.mark.parametrize(("concurrency", "creates"), [(1, 0), (2, 1)])
def test_what_was_abandoned_may_still_run(tmp_path: Path, concurrency: int, creates: int) -> None:
    """A create that was given up without an id keeps its slot in later runs until it must have ended."""
    more = f"{HOLD}\n[limits]\nconcurrency = {concurrency}"
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl", speed=20, more=more, faults=LOST)
    run(job)
    assert resolve(job, "a", "--as", "abandon").code == 0
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    simulated(tmp_path, "rows.jsonl", speed=20, more=more)
    assert run(job, "--max-duration", "6s").summary["creates"] == creates


def stopped_in_flight(folder: Path) -> Path:
    """Make a job that was stopped with one item in flight, whose prediction takes long."""
    rows(folder / "rows.jsonl", *web("a"))
    job = simulated(folder, "rows.jsonl", speed=2)
    path = job.with_suffix(".out") / "checkpoint.db"
    with running(job) as process:
        while process.poll() is None:
            try:
                with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                    if db.execute("SELECT 1 FROM items WHERE state = 'in_flight'").fetchone():
                        break
            except sqlite3.OperationalError:
                continue
        process.send_signal(signal.SIGKILL)
        process.wait()
    return job


def test_an_item_in_flight_is_cancelled_when_named(tmp_path: Path) -> None:
    """Abandoned by its id, what is in flight is cancelled at the service, which nothing else ever does."""
    job = stopped_in_flight(tmp_path)
    done = resolve(job, "a", "--as", "abandon", "--json")
    assert done.code == 0, done
    (resolved,) = json.loads(done.out)["resolved"]
    assert "ended at the service" in resolved["why"]
    path = job.with_suffix(".out") / "simulator" / "simulator.db"
    with closing(sqlite3.connect(path)) as db:
        assert list(db.execute("SELECT fate FROM predictions")) == [("cancelled",)]
    assert results(job)["a"]["failure"]["kind"] == "abandoned"
    assert run(job).summary["creates"] == 0


def test_what_has_ended_well_is_not_given_up(tmp_path: Path) -> None:
    """A prediction that ended before it could be cancelled is paid for: it is left to be saved."""
    job = stopped_in_flight(tmp_path)
    simulated(tmp_path, "rows.jsonl", speed=200)
    path = job.with_suffix(".out") / "simulator" / "simulator.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE predictions SET ended_at = created_at")
        db.commit()
    done = resolve(job, "a", "--as", "abandon")
    assert (done.code, "ended well" in done.err) == (65, True), done
    last = run(job)
    assert (last.summary["saved"], last.summary["creates"]) == (1, 0)


def test_a_create_cut_off_by_a_kill_is_in_doubt(tmp_path: Path) -> None:
    """What a killed run left in the middle of a create is listed, and can be decided upon."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl", speed=1, faults={"slow": 1})
    path = job.with_suffix(".out") / "checkpoint.db"
    with running(job) as process:
        while process.poll() is None:
            try:
                with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                    if db.execute("SELECT 1 FROM items").fetchone():
                        break
            except sqlite3.OperationalError:
                continue
        process.kill()
        process.wait()
    (item,) = listed(job)
    assert (item["state"], "the run ended before" in item["why"]) == ("in_doubt", True)
    assert resolve(job, "a", "--as", "absent").code == 0
    assert listed(job) == []


def test_a_running_job_is_left_alone(tmp_path: Path) -> None:
    """While a run holds the folder the command exits with 11, names the holder and touches nothing."""
    refused_while_running(tmp_path, "resolve")


def test_words_are_understood_as_letters_are(tmp_path: Path) -> None:
    """The prompt takes the words of --as too, found:ID too, and asks again where it understood nothing."""
    job = held(tmp_path, "a", "b", "c")
    code, seen = on_terminal(job, "what", "found:", f"found:{bought(job)['a']}", "absent", "abandon")
    assert (code, seen.count("write f, a, b or s")) == (0, 2), seen
    assert (results(job)["b"]["state"], results(job)["c"]["state"]) == ("outstanding", "failed")
    assert run(job).summary["creates"] == 1


def interrupt(process: "subprocess.Popen[bytes]", _terminal: int) -> None:
    """Do as Ctrl-C does, again where it came in the instant between the question and the reading."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)


def end_input(_process: "subprocess.Popen[bytes]", terminal: int) -> None:
    """Type Ctrl-D."""
    os.write(terminal, b"\x04")


@pytest.mark.parametrize(("leave", "expected"), [(interrupt, -signal.SIGINT), (end_input, 3)])
def test_who_leaves_the_prompt_leaves_quietly(tmp_path: Path, leave: Leave, expected: int) -> None:
    """Ctrl-C and Ctrl-D end the questions without a word of a bug, and what was decided stays decided."""
    job = held(tmp_path, "a", "b")
    code, seen = on_terminal(job, "absent", leave=leave)
    assert code == expected, seen
    assert [word for word in ("bug", "Abort", "Traceback") if word in seen] == []
    assert [left["id"] for left in listed(job)] == ["b"]


def test_on_a_terminal_each_is_asked_for(tmp_path: Path) -> None:
    """On a terminal each item is asked for: found, absent, abandon, and skipped ones are left, with 3."""
    job = held(tmp_path, "a", "b", "c", "d")
    ids = bought(job)
    code, seen = on_terminal(job, "f", ids["b"], "a", "b", "s")
    assert "is not that of a" in seen, "a prediction of another item is refused, and the next is asked for"
    assert code == 3
    states = {id_: line["state"] for id_, line in results(job).items()}
    assert states == {"a": "held", "b": "outstanding", "c": "failed", "d": "held"}
    code, _ = on_terminal(job, "f", ids["a"], "f", ids["d"])
    assert (code, listed(job)) == (0, [])
    last = run(job)
    assert (last.summary["saved"], last.summary["failed"], last.summary["creates"]) == (3, 1, 1)


def test_nothing_is_held_while_a_person_thinks(tmp_path: Path) -> None:
    """A run may start between question and answer; what it changed is not decided upon as it was shown."""
    job = held(tmp_path, "a", "b")
    code, seen = on_terminal(
        job, "b", "b", meanwhile=lambda: resolve(job, "a", "--as", "absent").code == 0 and run(job)
    )
    assert (code, "a is not as it was shown" in seen) == (3, True), seen
    assert {id_: line["state"] for id_, line in results(job).items()} == {"a": "saved", "b": "failed"}


def test_a_run_that_holds_the_folder_ends_the_questions(tmp_path: Path) -> None:
    """A decision that meets a run is not taken, and the command ends with 11."""
    job = held(tmp_path, "a")
    with ExitStack() as stack:
        folder = job.with_suffix(".out")
        code, seen = on_terminal(job, "b", meanwhile=lambda: stack.enter_context(RunLock(folder, "r1")))
    assert (code, "in use by run r1" in seen) == (11, True), seen
    assert [item["id"] for item in listed(job)] == ["a"]


@pytest.fixture(scope="module")
def settled_job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job with one item saved and one held."""
    folder = tmp_path_factory.mktemp("usage")
    rows(folder / "rows.jsonl", *web("done"))
    run(simulated(folder, "rows.jsonl"))
    rows(folder / "rows.jsonl", *web("done", "sku-1"))
    job = simulated(folder, "rows.jsonl", more=HOLD, faults=LOST)
    run(job)
    return job


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sku-2"], 'did you mean "sku-1"'),
        (["sku-1", "--as", "guess"], "no decision"),
        (["sku-1", "--as", "found"], "no decision"),
        (["--as", "absent"], "--all"),
        (["--all"], "--as"),
        (["--all", "--as", "found:x"], "exactly one"),
        (["sku-1", "--as", "found:../x"], "no id"),
        (["done", "--as", "absent"], "saved"),
        (["done", "--as", "found:x"], "saved"),
        (["sku-3", "--as", "found:x"], "did you mean"),
    ],
)
def test_wrong_usage_is_2(settled_job: Path, words: list[str], said: str) -> None:
    """An unknown id is told with the nearest one, a wrong decision with what can be said, both with 2."""
    done = resolve(settled_job, *words)
    assert (done.code, said in done.err) == (2, True), done


def test_a_job_that_never_ran_is_65(tmp_path: Path) -> None:
    """Without a checkpoint there is nothing to decide, and no folder is made."""
    job = simulated(tmp_path)
    assert resolve(job).code == 65
    assert not job.with_suffix(".out").exists()
