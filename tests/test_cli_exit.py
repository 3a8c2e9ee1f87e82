"""Exit codes of `batchup run` as a real process, and the one JSON line that goes with each."""

import fcntl
import json
import sqlite3
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from edge.bench import (
    Ended,
    adds_up,
    batchup,
    command,
    environment,
    judged,
    photos,
    real,
    results,
    rows,
    run,
    simulated,
    web,
)
from edge.servers import Server, answer, free_port, serving

from batchup.core.summary import Summary

NAMES = [field.name for field in fields(Summary)]


def ended(done: Ended, code: int, reason: str) -> dict[str, Any]:
    """Check what holds whatever ended a run, and return its summary."""
    assert (done.code, done.summary["exit_code"], done.summary["reason"]) == (code, code, reason), done
    assert list(done.summary) == NAMES
    assert adds_up(done.summary)
    assert "Traceback" not in done.err
    assert "a-secret-key" not in done.err + done.out
    return done.summary


def test_all_saved_is_0_and_nothing_to_do_is_0(tmp_path: Path) -> None:
    """A run that saves everything ends with 0, the same command again has nothing to do and asks nothing."""
    job = simulated(tmp_path)
    first = ended(run(job), 0, "finished")
    assert (first["items"], first["saved"], first["creates"], first["manifest_complete"]) == (6, 6, 6, True)
    assert first["spend_usd"] == pytest.approx(0.06)
    second = ended(run(job), 0, "nothing_to_do")
    assert (second["saved"], second["skipped"], second["requests"], second["spend_usd"]) == (6, 6, 0, 0)
    assert second["job_spend_usd"] == pytest.approx(0.06)


def test_failures_are_grouped_by_cause(tmp_path: Path) -> None:
    """The end of a run tells what failed in groups, with a count and what to do, in words and in JSON."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"), {"id": "no image"})
    job = simulated(tmp_path, "rows.jsonl", faults={"failed_permanent": 1})
    summary = ended(done := run(job, "--quiet"), 3, "finished")  # somebody has to read it
    failed, rejected = summary["causes"]
    assert (failed["count"], failed["state"], failed["cause"]) == (3, "failed", "refused by moderation")
    assert (rejected["count"], rejected["state"], rejected["example_item"]) == (1, "rejected", "no image")
    told = " ".join(done.err.split())
    assert f"3 failed 3 refused by moderation, such as a {failed['what_to_do']}" in told
    assert all(line["failure"]["cause"] == failed["cause"] for line in results(job).values())


def test_without_json_standard_output_is_empty(tmp_path: Path) -> None:
    """Talk goes to standard error, and quiet means none."""
    done = batchup(tmp_path, "run", simulated(tmp_path))
    assert (done.code, done.out) == (0, "")
    assert "job: finished; 6 items in all\n     6  saved\n" in done.err
    again = batchup(tmp_path, "run", tmp_path / "job.toml", "--quiet")
    assert (again.code, again.out, again.err) == (0, "", "")


def test_what_standard_output_does_not_take_is_74(tmp_path: Path) -> None:
    """A full disk behind standard output is said once and has its code, also for what is in a buffer."""
    for words in (["fields", "run"], ["check", simulated(tmp_path)]):
        with Path("/dev/full").open("w") as full:
            plain = {name: text for name, text in environment(tmp_path).items() if name != "PYTHONUNBUFFERED"}
            done = subprocess.run(
                command(*words), stdout=full, stderr=subprocess.PIPE, text=True, env=plain, check=False
            )
        assert (done.returncode, "Exception ignored" in done.stderr) == (74, False), done.stderr
        assert "standard output: No space left on device" in done.stderr


def test_what_standard_error_does_not_take_changes_no_exit_code(tmp_path: Path) -> None:
    """A full disk behind standard error loses the words alone, buffered or not."""
    plain = {name: text for name, text in environment(tmp_path).items() if name != "PYTHONUNBUFFERED"}
    for words, code in ((["run", tmp_path / "none.toml"], 78), (["no-such-command"], 2)):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(command(*words), stderr=full, env=plain, check=False)
        assert done.returncode == code


def test_a_simulator_that_cannot_keep_its_state_is_74(tmp_path: Path) -> None:
    """What the embedded simulator meets on the disk is the disk's problem, and no bug."""
    (tmp_path / "job.out").mkdir()
    (tmp_path / "job.out" / "simulator").touch()
    done = run(simulated(tmp_path))
    assert (done.code, "A bug" in done.err) == (74, False), done.err


@pytest.mark.parametrize(
    "flags",
    [
        ["--no-such-flag"],
        ["--limit", "0"],
        ["--stop-at", "25:00"],
        ["--stop-at", "2020-01-01T00:00"],
        ["--max-duration", "soon"],
        ["--on-in-doubt", "guess"],
        ["--cutoff", "sometimes"],
        ["--log-level", "loud"],
    ],
)
def test_wrong_usage_is_2(tmp_path: Path, flags: list[str]) -> None:
    """A command line that cannot be understood ends with 2, and still prints the JSON line."""
    job = simulated(tmp_path)
    ended(run(job, *flags), 2, "usage")
    assert not job.with_suffix(".out").exists()


def test_failed_and_rejected_items_are_3(tmp_path: Path) -> None:
    """Failed items and rejected rows end a run with 3, and each is told with its reason."""
    bad = [{"id": "a", "image": "missing.png"}, {"id": "no-image"}]
    rows(tmp_path / "rows.jsonl", *web("w", "x", "y", "z"), *bad)
    summary = ended(run(simulated(tmp_path, "rows.jsonl", faults={"failed_permanent": 0.6})), 3, "finished")
    assert (summary["saved"] + summary["failed"], summary["rejected"]) == (4, 2)
    assert summary["failed"] > 0
    rejects = (tmp_path / "job.out" / "rejects.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in rejects]
    assert [(line["line"], line["id"], line["kind"]) for line in told] == [
        (5, "a", "missing_file"),
        (6, "no-image", "no_image"),
    ]
    failed = [line for line in results(tmp_path / "job.toml").values() if line["state"] == "failed"]
    assert {(line["failure"]["retryable"], line["attempts"]) for line in failed} == {(False, 1)}
    again = ended(run(tmp_path / "job.toml"), 3, "nothing_to_do")
    assert again["requests"] == 0


def test_held_items_are_4(tmp_path: Path) -> None:
    """With on_in_doubt = "hold" a create without an answer is held, and held items end a run with 4."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c", "d", "e", "f"))
    job = simulated(tmp_path, "rows.jsonl", more='[run]\non_in_doubt = "hold"', faults={"create_lost": 0.7})
    summary = ended(run(job), 4, "finished")
    assert summary["held"] > 0
    assert summary["saved"] + summary["held"] == 6
    ended(run(job), 4, "nothing_to_do")
    assert (judged(job)["creates"], judged(job).get("duplicate_creates", 0)) == (6, 0)


def test_in_doubt_without_a_list_is_4(tmp_path: Path) -> None:
    """Where the list of executions is not to be had, what is in doubt is held."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c", "d", "e", "f"))
    job = simulated(tmp_path, "rows.jsonl", faults={"create_lost": 0.25, "list_5xx": 1})
    assert ended(run(job), 4, "finished")["held"] > 0
    assert judged(job).get("duplicate_creates", 0) == 0


def test_paid_but_unclaimed_is_4_and_claimed_later(tmp_path: Path) -> None:
    """An output that cannot be fetched tonight is 4; the next run fetches it and buys nothing."""
    job = simulated(tmp_path, faults={"output_5xx": 1})
    done = run(job)
    summary = ended(done, 4, "finished")
    assert (summary["saved"], summary["outstanding"], summary["creates"]) == (0, 6, 6)
    assert "batchup run" in done.err
    simulated(tmp_path)
    summary = ended(run(job), 0, "finished")
    assert (summary["saved"], summary["creates"]) == (6, 0)


def test_a_second_run_is_11_and_names_the_holder(tmp_path: Path) -> None:
    """A job that is running is left alone by a second run, which says who holds it."""
    job = simulated(tmp_path)
    run(job)
    folder = job.with_suffix(".out")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    holder = (folder / "run.lock").read_text().strip()
    with (folder / "run.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run(job)
    ended(done, 11, "locked")
    assert holder in done.err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_missing_manifest_is_65(tmp_path: Path) -> None:
    """Without a manifest nothing can be done, and no folder is made."""
    done = run(simulated(tmp_path, "nowhere.jsonl"))
    ended(done, 65, "data")
    assert "nowhere.jsonl" in done.err
    assert not (tmp_path / "job.out").exists()


def test_strict_with_a_bad_row_is_65(tmp_path: Path) -> None:
    """With --strict one bad row is enough to create nothing."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"), {"id": "bad"})
    done = run(simulated(tmp_path, "rows.jsonl"), "--strict")
    assert ended(done, 65, "data")["creates"] == 0
    assert "Line 3" in done.err
    assert not (tmp_path / "job.out").exists()


def test_a_checkpoint_of_another_program_is_65(tmp_path: Path) -> None:
    """A file that is not ours is left byte for byte as it is."""
    job = simulated(tmp_path)
    path = tmp_path / "job.out" / "checkpoint.db"
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = path.read_bytes()
    ended(run(job), 65, "data")
    assert path.read_bytes() == before


def test_a_damaged_checkpoint_is_65(tmp_path: Path) -> None:
    """A checkpoint with rubbish in its middle is said to be damaged, and nothing is bought on its word."""
    job = simulated(tmp_path)
    run(job)
    path = tmp_path / "job.out" / "checkpoint.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    done = run(job)
    assert ended(done, 65, "data")["creates"] == 0
    assert "damaged" in done.err


def test_an_output_folder_that_cannot_be_made_is_73(tmp_path: Path) -> None:
    """A file where the folder should be is told, and nothing is created."""
    (tmp_path / "file").write_text("")
    done = run(simulated(tmp_path, more='[output]\ndir = "file/out"'))
    assert ended(done, 73, "disk")["creates"] == 0


@pytest.mark.parametrize(
    ("flags", "more", "reason"),
    [
        (["--limit", "2"], "", "item_limit"),
        (["--max-duration", "50ms"], "", "deadline"),
        ([], "[limits]\nmax_spend = 0.02", "spend_limit"),
        (["--max-spend", "0.02"], "", "spend_limit"),
    ],
)
def test_stopped_on_purpose_is_75_and_the_next_run_goes_on(
    tmp_path: Path, flags: list[str], more: str, reason: str
) -> None:
    """A cap ends the run with 75 as long as work is left, again in each later run under the same cap."""
    job = simulated(tmp_path, more=more)
    first = ended(run(job, *flags), 75, reason)
    assert first["saved"] <= 2
    second = ended(run(job, *flags), 75, reason)
    assert second["job_spend_usd"] <= 0.02 * (2 if reason == "item_limit" else 1) + 1e-9
    simulated(tmp_path)
    last = ended(run(job), 0, "finished")
    assert (last["saved"], judged(job)["creates"]) == (6, 6)


def asked(server: Server) -> list[str]:
    """Return each request's method and path, but for what is looked up before anything is spent."""
    lines = [" ".join(request.decode().split()[:2]) for request in server.requests]
    return [line for line in lines if not line.startswith(("GET /v1/models/", "GET /v1/billing/"))]


@pytest.mark.parametrize(
    ("status", "headers", "code", "reason"),
    [
        ("401 Unauthorized", [], 77, "key_refused"),
        ("403 Forbidden", [], 77, "key_refused"),
        ("404 Not Found", [], 78, "config"),
        ("402 Payment Required", [], 79, "no_credit"),
        (
            "308 Permanent Redirect",
            ["Location: http://elsewhere.invalid/v1/prediction?token=x"],
            78,
            "config",
        ),
    ],
)
def test_what_the_service_refuses_for_all_ends_the_run(
    tmp_path: Path, status: str, headers: list[str], code: int, reason: str
) -> None:
    """A refused key, an unknown model, no credit or a redirect end the run at the first create."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"))
    with serving(answer(status, b"{}", *headers)) as server:
        done = run(real(tmp_path, server.url))
    summary = ended(done, code, reason)
    assert summary["outstanding"] == summary["items"] > 0
    assert asked(server) == ["POST /v1/prediction"]
    assert "token" not in done.err
    assert all(line["state"] == "outstanding" for line in results(tmp_path / "job.toml").values())


def test_twenty_items_refused_first_is_65(tmp_path: Path) -> None:
    """When the first twenty items are all refused the job is wrong, and the rest is not tried."""
    rows(tmp_path / "rows.jsonl", *web(*(f"i{k}" for k in range(30))))
    with serving(answer("400 Bad Request", b'{"error": "no"}')) as server:
        done = run(real(tmp_path, server.url, more='[limits]\nrate = "unlimited"'))
    assert ended(done, 65, "data")["failed"] == 20
    assert len(asked(server)) == 20


def test_a_service_that_is_not_there_creates_nothing(tmp_path: Path) -> None:
    """Refused connections leave items as they were, and a clock that ends the waiting is no good end."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = real(tmp_path, f"http://127.0.0.1:{free_port()}/v1", more='[polling]\nexpected = "100ms"')
    summary = ended(run(job, "--max-duration", "6s"), 69, "unavailable")
    assert (summary["outstanding"], summary["in_doubt"], summary["creates"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limits]\nconcurency = 3", "concurrency"),
        ("[webhook]\nurl = 'x'", "webhook"),
        ("[limits]\nconcurrency = 0", "concurrency"),
        ("[limits", "job.toml"),
    ],
)
def test_a_wrong_job_file_is_78(tmp_path: Path, text: str, words: str) -> None:
    """What cannot be, is unknown or not built yet is refused before anything is touched."""
    done = run(simulated(tmp_path, more=text))
    ended(done, 78, "config")
    assert words in done.err
    assert not (tmp_path / "job.out").exists()


def test_a_missing_key_is_78(tmp_path: Path) -> None:
    """Without the key's variable the run says which one to set."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    done = run(real(tmp_path, "http://127.0.0.1:9/v1"), A_KEY="")
    ended(done, 78, "config")
    assert "A_KEY" in done.err


def test_a_missing_job_file_is_78(tmp_path: Path) -> None:
    """A wrong path is told in one sentence that names what is there."""
    photos(tmp_path / "photos", 1)
    simulated(tmp_path)
    done = run(tmp_path / "jab.toml")
    ended(done, 78, "config")
    assert "job.toml" in done.err
