"""`batchup audit`: every prediction that was paid for and not claimed is named, and what to type next."""

import importlib.resources
import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from edge.bench import (
    Ended,
    batchup,
    command,
    judged,
    photos,
    real,
    refused_while_running,
    results,
    rows,
    run,
    simulated,
    web,
)

HOLD = '[run]\non_in_doubt = "hold"'
LOST = {"create_lost": 1}
COUNT = "numbers(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM numbers WHERE k < {count})"
MANY = (
    f"WITH RECURSIVE {COUNT} INSERT INTO predictions SELECT number + k, 'p' || k, model, input, content,"  # noqa: S608 names are ours
    " created_at - k / 100.0, duration_s, ended_at - k / 100.0, fate, envelope, cost, image,"
    " is_checked, seen_at"
    " FROM predictions, numbers WHERE number = (SELECT min(number) FROM predictions)"
)
KNOWN = (
    "INSERT INTO items (id, id_key, twin, fingerprint, state, defaults, input, sent_ms, prediction, cost)"
    " SELECT 'i' || k, k, 0, zeroblob(32), 'saved', 1, '{}', sent_ms, 'p' || k, cost FROM items, numbers"
)
FAST = '[limits]\nrate = "unlimited"\nconcurrency = 100\n[polling]\nexpected = "100ms"'


def audit(job: Path, *words: str) -> Ended:
    return batchup(job.parent, "audit", job, *words)


def told(job: Path) -> dict[str, Any]:
    """Return what an audit finds, checking that its code says whether there is anything."""
    done = audit(job, "--json")
    found = dict(json.loads(done.out))
    problems = ("unclaimed", "unclear", "missing_count", "differing_count", "miscounted")
    assert done.code == (3 if any(found[name] for name in problems) else 0), done
    return found


def query(job: Path, statement: str, *values: object) -> list[Any]:
    """Change a job's checkpoint behind its back, or look into it."""
    with closing(sqlite3.connect(job.with_suffix(".out") / "checkpoint.db")) as db:
        found = db.execute(statement, values).fetchall()
        db.commit()
    return found


def test_a_job_that_adds_up_is_0(tmp_path: Path) -> None:
    """Where the list and the checkpoint agree nothing is found, and their costs are the same."""
    job = simulated(tmp_path)
    run(job)
    found = told(job)
    assert (found["rows"], found["known"], found["others"]) == (6, 6, 0)
    assert round(found["listed_usd"], 6) == round(found["recorded_usd"], 6) == 0.06
    assert (found["missing"], found["differing"], found["requests"]) == ([], [], 1)
    words = audit(job)
    assert (words.code, "6 known, 0 paid and not claimed, 0 of others" in words.out) == (0, True)
    assert judged(job)["creates"] == 6


def test_a_job_that_never_created_anything_is_0(tmp_path: Path) -> None:
    """Without a create there is no window, and the service is not asked."""
    rows(tmp_path / "rows.jsonl", {"id": "a"})
    job = simulated(tmp_path, "rows.jsonl")
    run(job)
    assert told(job)["requests"] == 0
    assert "nothing was ever sent" in audit(job).out


def test_a_create_that_was_never_answered_is_claimed_as_it_says(tmp_path: Path) -> None:
    """A held item's prediction is found by what was sent; the command it names makes the next run save it."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", more=HOLD, faults=LOST)
    run(job)
    simulated(tmp_path, "rows.jsonl", more=HOLD)
    found = told(job)
    unclaimed = {one["id"]: one for one in found["unclaimed"]}
    assert set(unclaimed) == {"a", "b"}
    assert {(one["attempt"], one["state"]) for one in unclaimed.values()} == {(1, "held")}
    words = audit(job)
    for id_, one in unclaimed.items():
        line = f"claim it: batchup resolve {job} {id_} --as found:{one['prediction_id']}"
        assert line in words.out
        _, *rest = line.removeprefix("claim it: ").split()
        assert batchup(tmp_path, *rest).code == 0
    last = run(job)
    assert (last.summary["saved"], last.summary["creates"], judged(job)["creates"]) == (2, 0, 2)
    assert told(job)["unclaimed"] == []


def test_what_was_cleared_as_absent_and_turns_up_is_named(tmp_path: Path) -> None:
    """A create that was decided upon stays on record, so that its prediction is known when it shows."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", more=HOLD, faults=LOST)
    run(job)
    simulated(tmp_path, "rows.jsonl", more=HOLD)
    assert batchup(tmp_path, "resolve", job, "--all", "--as", "absent").code == 0
    found = told(job)
    assert {(one["id"], one["attempt"], one["state"]) for one in found["unclaimed"]} == {
        ("a", 1, "ready"),
        ("b", 1, "ready"),
    }
    prediction = next(one["prediction_id"] for one in found["unclaimed"] if one["id"] == "a")
    assert batchup(tmp_path, "resolve", job, "a", "--as", f"found:{prediction}").code == 0
    last = run(job)
    assert (last.summary["saved"], last.summary["creates"]) == (2, 1)
    (bought_besides,) = told(job)["unclaimed"]
    assert (bought_besides["id"], bought_besides["state"]) == ("b", "saved")
    assert bought_besides["claimed_by"] == results(job)["b"]["prediction_id"]
    assert "bought besides" in audit(job).out


def test_an_old_checkpoint_that_was_put_back_is_caught_up(tmp_path: Path) -> None:
    """Predictions of items that an older checkpoint lacks are found by what they show, and claimed."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c", "d"))
    job = simulated(tmp_path, "rows.jsonl")
    run(job, "--limit", "1")
    path = job.with_suffix(".out") / "checkpoint.db"
    shutil.copy(path, tmp_path / "old.db")
    run(job)
    shutil.copy(tmp_path / "old.db", path)
    found = told(job)
    assert found["known"] == 1
    assert {(one["id"], one["attempt"], one["state"]) for one in found["unclaimed"]} == {
        (id_, None, "unknown") for id_ in ("b", "c", "d")
    }
    for one in found["unclaimed"]:
        done = batchup(tmp_path, "resolve", job, one["id"], "--as", f"found:{one['prediction_id']}")
        assert done.code == 0, done
    last = run(job)
    assert (last.code, last.summary["saved"], last.summary["creates"]) == (0, 4, 0)
    assert (judged(job)["creates"], told(job)["unclaimed"]) == (4, [])


def test_an_image_at_a_signed_address_is_known_by_the_rest_of_it(tmp_path: Path) -> None:
    """Signed anew since, an address is still that of the same image; another scale is another request."""

    def signed(night: int, **more: Any) -> list[dict[str, Any]]:
        mark = f"?X-Amz-Signature={night}"
        return [{**row, "image": row["image"] + mark, **more} for row in web("a", "b", "c")]

    rows(tmp_path / "rows.jsonl", *signed(1, scale_factor=2))
    job = simulated(tmp_path, "rows.jsonl")
    run(job, "--limit", "1")
    path = job.with_suffix(".out") / "checkpoint.db"
    shutil.copy(path, tmp_path / "old.db")
    run(job)
    shutil.copy(tmp_path / "old.db", path)
    lost = {("b", "unknown"), ("c", "unknown")}
    for night in (1, 2):
        rows(tmp_path / "rows.jsonl", *signed(night, scale_factor=2))
        found = told(job)
        assert {(one["id"], one["state"]) for one in found["unclaimed"]} == lost
        assert found["others"] == 0
    rows(tmp_path / "rows.jsonl", *signed(2, scale_factor=4))
    found = told(job)
    assert (found["unclaimed"], found["others"]) == ([], 2)


def test_a_local_image_is_known_by_its_content(tmp_path: Path) -> None:
    """A prediction shows where its image was uploaded, and that address is known for what lies there."""
    job = simulated(tmp_path)
    run(job)
    query(job, "DELETE FROM items WHERE id = 'p002.png'")
    assert [(one["id"], one["state"]) for one in told(job)["unclaimed"]] == [("p002.png", "unknown")]
    (tmp_path / "photos" / "p002.png").unlink()
    found = told(job)
    assert (found["unclaimed"], found["others"]) == ([], 1), "no item of the job shows that image any more"


def test_a_forgotten_upload_is_known_by_what_lies_there(tmp_path: Path) -> None:
    """Where an older checkpoint has forgotten its uploads too, the shown images are fetched and compared."""
    photos(tmp_path / "photos", 3)
    with service("--durations", "fixed:4s") as url:
        job = real(tmp_path, url, "photos", more=FAST)
        run(job)
        query(job, "DELETE FROM items WHERE id <> 'p000.png'")
        query(job, "DELETE FROM uploads")
        found = told(job)
        unclaimed = {(one["id"], one["state"]) for one in found["unclaimed"]}
        assert (unclaimed, found["others"]) == ({("p001.png", "unknown"), ("p002.png", "unknown")}, 0)
        for one in found["unclaimed"]:
            done = batchup(tmp_path, "resolve", job, one["id"], "--as", f"found:{one['prediction_id']}")
            assert done.code == 0, done
        last = run(job)
        assert (last.code, last.summary["saved"], last.summary["creates"]) == (0, 3, 0)


def test_a_prediction_that_is_not_listed_is_told(tmp_path: Path) -> None:
    """An id of ours that the list lacks, though it is long ago, is named."""
    job = simulated(tmp_path)
    run(job)
    with closing(sqlite3.connect(job.with_suffix(".out") / "simulator" / "simulator.db")) as db:
        gone = results(job)["p003.png"]["prediction_id"]
        db.execute("DELETE FROM predictions WHERE id = ?", (gone,))
        db.commit()
    give_up_at = time.monotonic() + 20
    while not (found := told(job))["missing_count"] and time.monotonic() < give_up_at:
        pass  # it may still be late
    assert (found["missing_count"], [one["prediction_id"] for one in found["missing"]]) == (1, [gone])
    assert f"{gone} of p003.png: is not in the list" in audit(job).out


def test_what_may_be_late_to_be_listed_is_not_told(tmp_path: Path) -> None:
    """An id that the list lacks says nothing as long as it may only be late."""
    job = simulated(tmp_path, speed=20)
    run(job)
    with closing(sqlite3.connect(job.with_suffix(".out") / "simulator" / "simulator.db")) as db:
        db.execute("DELETE FROM predictions")
        db.commit()
    assert told(job)["missing_count"] == 0


def test_another_cost_is_told(tmp_path: Path) -> None:
    """Where polls said another cost than the list does, both are named, and the sums beside them."""
    job = simulated(tmp_path)
    run(job)
    query(job, "UPDATE items SET cost = 40000 WHERE id = 'p000.png'")
    found = told(job)
    (odd,) = found["differing"]
    assert (odd["id"], odd["cost_usd"], odd["listed_usd"]) == ("p000.png", 0.04, 0.01)
    assert (round(found["recorded_usd"], 6), round(found["listed_usd"], 6)) == (0.09, 0.06)
    assert "cost $0.0400 here, $0.0100 in the list" in audit(job).out


@contextmanager
def service(*flags: str) -> Iterator[str]:
    """A simulator in a process of its own."""
    words = command("simulate", "--speed", "200", "--rate", "unlimited", "--concurrency", "200", *flags)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def test_predictions_of_others_are_counted_and_no_more(tmp_path: Path) -> None:
    """Other people's predictions in the window are told from ours by what they show."""
    with service("--strangers", "30", "--durations", "fixed:20s") as url:
        rows(tmp_path / "rows.jsonl", *web("a", "b"))
        job = real(tmp_path, url, more=FAST)
        run(job)
        found = told(job)
        assert (found["known"], found["unclaimed"], found["unclear"]) == (2, [], [])
        assert found["others"] == found["rows"] - 2 > 30
        assert found["requests"] > found["others"]


def test_a_list_with_more_rows_than_can_be_asked_for_is_read_in_parts(tmp_path: Path) -> None:
    """Of 2,500 predictions each is compared once, and the one that nobody knows is found."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job, count = simulated(tmp_path, "rows.jsonl"), 2500
    run(job)
    with closing(sqlite3.connect(job.with_suffix(".out") / "simulator" / "simulator.db")) as db:
        db.execute(MANY.format(count=count))
        db.commit()
    query(job, f"WITH RECURSIVE {COUNT.format(count=count)} {KNOWN}")
    query(job, "DELETE FROM items WHERE id = 'i77'")
    found = told(job)
    assert (found["rows"], found["known"], found["others"]) == (count + 1, count, 0)
    (one,) = found["unclaimed"]
    assert (one["prediction_id"], one["id"], one["claimed_by"]) == (
        "p77",
        "a",
        results(job)["a"]["prediction_id"],
    )
    assert 26 <= found["requests"] <= 32


def test_a_list_that_is_not_there_is_69(tmp_path: Path) -> None:
    """Without the list nothing can be compared, and the command says so."""
    job = simulated(tmp_path)
    run(job)
    done = audit(simulated(tmp_path, faults={"list_5xx": 1}))
    assert (done.code, done.out) == (69, "")


def test_a_list_without_pages_is_69(tmp_path: Path) -> None:
    """Where pages were never measured all are read; a list that shows one again and again hides others."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job, own = simulated(tmp_path, "rows.jsonl"), tmp_path / "own.toml"
    text = job.read_text()
    assert text.count("[service]") == 1
    job.write_text(text.replace("[service]", "[service]\nprofile = 'own.toml'"))
    shipped = importlib.resources.files("batchup").joinpath("profiles", "eachlabs.toml").read_text()
    own.write_text(shipped)
    run(job)
    assert told(job)["known"] == 1
    own.write_text(shipped.replace("offset =", "start ="))
    done = audit(job)
    assert (done.code, "the same page of its list again" in done.err) == (69, True)


def test_a_running_job_is_left_alone(tmp_path: Path) -> None:
    """While a run holds the folder the command exits with 11 and names the holder."""
    refused_while_running(tmp_path, "audit")
