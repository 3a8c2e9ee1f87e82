"""Items that ask for the same, by whole runs against the simulator, whose log says what was bought."""

from pathlib import Path
from typing import Any

import pytest
from edge.bench import adds_up, batchup, judged, photos, results, rows, run, simulated, web

from batchup.core.names import part_path


def alike(*ids: str, image: str = "same", **given: Any) -> list[dict[str, Any]]:
    """Return rows that ask for the same under different ids."""
    return [{"id": id_, "image": f"https://example.com/{image}.jpg", **given} for id_ in ids]


def test_the_same_is_bought_once_and_every_item_has_its_output(tmp_path: Path) -> None:
    """Ids that share a request, by address or by the content of a file, cost one prediction a request."""
    photos(tmp_path / "photos", 2)
    (tmp_path / "photos" / "copy.png").write_bytes((tmp_path / "photos" / "p000.png").read_bytes())
    local = [{"id": f"l-{name}", "image": f"photos/{name}.png"} for name in ("p000", "copy", "p001")]
    given = [*alike("a", "b", "c"), *web("d"), *local]
    rows(tmp_path / "rows.jsonl", *given)
    job = simulated(tmp_path, "rows.jsonl")
    done = run(job)
    summary = done.summary
    assert done.code == 0, done
    assert (summary["saved"], summary["creates"], summary["shared"]) == (7, 4, 3)
    assert adds_up(summary)
    assert summary["books"]["is_balanced"]
    assert (summary["books"]["well"], summary["books"]["shared"]) == (4, 3)
    assert judged(job)["creates"] == 4
    found = results(job)
    assert {id_: line["shared_with"] for id_, line in found.items() if line["shared_with"]} == {
        "b": "a",
        "c": "a",
        "l-copy": "l-p000",
    }
    for id_, line in found.items():
        (file,) = line["files"]
        assert (job.with_suffix(".out") / file["path"]).is_file()
        assert file["path"] == f"images/{id_}.png"
        original = found[line["shared_with"] or id_]
        assert file["sha256"] == original["files"][0]["sha256"]
        assert (line["cost_usd"] == 0) == (line["prediction_id"] is None) == bool(line["shared_with"])
    again = run(job).summary
    assert (again["reason"], again["skipped"], again["shared"], again["books"]["shared"]) == (
        "nothing_to_do",
        7,
        0,
        3,
    )


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    """With dedupe = false every item is bought by itself."""
    rows(tmp_path / "rows.jsonl", *alike("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", more="[run]\ndedupe = false")
    summary = run(job).summary
    assert (summary["creates"], summary["shared"], summary["saved"]) == (2, 0, 2)


def test_a_failure_is_shared_and_so_is_the_next_try(tmp_path: Path) -> None:
    """What is refused for one is refused for all, for the price of one; wanted again it is bought once."""
    rows(tmp_path / "rows.jsonl", *alike("a", "b", "c"))
    job = simulated(tmp_path, "rows.jsonl", faults={"failed_permanent": 1})
    done = run(job)
    assert (done.code, done.summary["failed"], done.summary["creates"]) == (3, 3, 1)
    assert {line["failure"]["cause"] for line in results(job).values()} == {"refused by moderation"}
    assert results(job)["b"]["shared_with"] == "a"
    assert run(job).summary["creates"] == 0
    batchup(tmp_path, "rerun", job)
    done = run(simulated(tmp_path, "rows.jsonl"))
    summary = done.summary
    assert (done.code, summary["saved"], summary["creates"], summary["shared"]) == (0, 3, 1, 2)
    assert summary["books"]["is_balanced"]


def test_one_alone_that_is_wanted_again_is_for_all(tmp_path: Path) -> None:
    """Of two that failed with one prediction one is made ready; once it is saved the other has its output."""
    rows(tmp_path / "rows.jsonl", *alike("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", faults={"failed_permanent": 1})
    run(job)
    batchup(tmp_path, "rerun", job, "b")
    assert run(simulated(tmp_path, "rows.jsonl")).summary["creates"] == 1
    summary = run(job).summary
    assert (summary["saved"], summary["creates"], summary["shared"]) == (2, 0, 1)
    assert (results(job)["b"]["shared_with"], results(job)["a"]["shared_with"]) == (None, "b")
    assert summary["books"]["is_balanced"]


def test_one_of_many_that_is_wanted_again_is_for_all(tmp_path: Path) -> None:
    """However many share a failure, and whichever of them is bought again, the others have its output."""
    rows(tmp_path / "rows.jsonl", *alike(*(f"a{k:02}" for k in range(70))))
    job = simulated(tmp_path, "rows.jsonl", faults={"failed_permanent": 1})
    assert run(job).summary["creates"] == 1
    batchup(tmp_path, "rerun", job, "a69")
    job = simulated(tmp_path, "rows.jsonl")
    assert run(job).summary["creates"] == 1
    batchup(tmp_path, "rerun", job, "a03")
    summary = run(job).summary
    assert (summary["saved"], summary["creates"], summary["shared"]) == (70, 0, 69)


def test_what_may_be_bought_is_not_bought_beside(tmp_path: Path) -> None:
    """While nobody knows whether one was bought, those that are alike stay outstanding."""
    rows(tmp_path / "rows.jsonl", *alike("a", "b", "c"))
    job = simulated(tmp_path, "rows.jsonl", more='[run]\non_in_doubt = "hold"', faults={"create_lost": 1})
    for _ in range(2):
        done = run(job)
        assert (done.code, done.summary["held"], done.summary["outstanding"]) == (4, 1, 2)
        assert adds_up(done.summary)
    assert judged(job)["creates"] == 1


def test_limits_are_of_what_is_bought(tmp_path: Path) -> None:
    """One that costs nothing counts neither against --limit nor against max_spend."""
    rows(tmp_path / "rows.jsonl", *alike("a", "b"), *web("c", "d"), *alike("e"))
    job = simulated(tmp_path, "rows.jsonl")
    summary = run(job, "--limit", "2").summary
    assert (summary["reason"], summary["creates"], summary["saved"]) == ("item_limit", 2, 3)
    rows(tmp_path / "rows.jsonl", *alike("e"), *alike("f", "g", image="f"), *web("d"))
    summary = run(job, "--max-spend", "0.03", "--concurrency", "1").summary
    assert (summary["reason"], summary["creates"], summary["saved"]) == ("spend_limit", 1, 3)
    assert adds_up(summary)


def test_what_a_kill_left_between_the_copy_and_its_record_is_made_again(tmp_path: Path) -> None:
    """A name that nothing is recorded of is taken over where the bytes are the same, and else left alone."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    run(job)
    images = job.with_suffix(".out") / "images"
    (images / "b.png").hardlink_to(images / "a.png")
    (images / Path(part_path("c", 0)).name).hardlink_to(images / "a.png")
    (images / Path(part_path("d", 0)).name).write_bytes(b"half")
    (images / "d.png").write_bytes(b"somebody's")
    rows(tmp_path / "rows.jsonl", *web("a"), *alike("b", "c", "d", image="a"))
    summary = run(job).summary
    assert (summary["saved"], summary["creates"], summary["shared"]) == (4, 0, 3)
    assert (images / "d.png").read_bytes() == b"somebody's"
    (images / "d.png").unlink()
    names = sorted(path.name for path in images.iterdir())
    assert (names[:3], len(names), names[3][:2]) == (["a.png", "b.png", "c.png"], 4, "d-")
    assert len({path.read_bytes() for path in images.iterdir()}) == 1
    assert batchup(tmp_path, "verify", job).code == 0


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A job that has saved two items with one prediction."""
    rows(tmp_path / "rows.jsonl", *alike("a", "b"))
    job = simulated(tmp_path, "rows.jsonl")
    assert run(job).summary["shared"] == 1
    return job


@pytest.mark.parametrize(("gone", "left"), [("b", "a"), ("a", "b")])
def test_verify_mends_one_from_the_other(shared: Path, gone: str, left: str) -> None:
    """Whichever of the two is missing, the other has its bytes, and the service is not asked."""
    images = shared.with_suffix(".out") / "images"
    (images / f"{gone}.png").unlink()
    asked = judged(shared)
    done = batchup(shared.parent, "verify", shared, "--fix")
    assert done.code == 0, done
    assert (images / f"{gone}.png").read_bytes() == (images / f"{left}.png").read_bytes()
    assert judged(shared) == asked
    assert results(shared)["b"]["shared_with"] == "a"


def test_one_that_shares_can_be_fetched_from_the_service_too(shared: Path) -> None:
    """With both files gone each is asked for by the prediction that they share."""
    images = shared.with_suffix(".out") / "images"
    for path in images.iterdir():
        path.unlink()
    done = batchup(shared.parent, "verify", shared, "--fix", "--all")
    assert done.code == 0, done
    assert sorted(path.name for path in images.iterdir()) == ["a.png", "b.png"]


def test_a_lost_original_is_said_and_nothing_is_bought(shared: Path) -> None:
    """A new item whose output is saved, but not there any more, fails until `verify --fix` was run."""
    images = shared.with_suffix(".out") / "images"
    (images / "b.png").unlink()
    (images / "a.png").write_bytes(b"other bytes")
    rows(shared.parent / "rows.jsonl", *alike("a", "b", "late"))
    for _ in range(2):
        done = run(shared)
        assert (done.code, done.summary["failed"], done.summary["creates"]) == (3, 1, 0)
        assert "batchup verify --fix" in done.summary["causes"][0]["what_to_do"]
    assert "images/a.png of a is not there" in results(shared)["late"]["failure"]["message"]
    batchup(shared.parent, "verify", shared, "--fix", "--all")
    assert run(shared).summary["saved"] == 3


def test_ids_that_differ_in_case_alone_have_files_of_their_own(tmp_path: Path) -> None:
    """An item that is alike and a case twin gets a name of its own, whichever of them is bought."""
    rows(tmp_path / "rows.jsonl", *alike("one", "One", "ONE"))
    job = simulated(tmp_path, "rows.jsonl")
    assert run(job).summary["shared"] == 2
    names = {line["files"][0]["path"].lower() for line in results(job).values()}
    assert len(names) == 3


def test_a_changed_request_shares_what_is_there(tmp_path: Path) -> None:
    """With on_change = "redo" an item whose request is another's by now gets that one's output."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    job = simulated(tmp_path, "rows.jsonl", more='[run]\non_change = "redo"')
    run(job)
    rows(tmp_path / "rows.jsonl", *web("a"), *alike("b", image="a"))
    summary = run(job).summary
    assert (summary["creates"], summary["shared"], summary["saved"]) == (0, 1, 2)
    assert (summary["books"]["accepted"], summary["books"]["well"], summary["books"]["shared"]) == (2, 2, 1)
    assert summary["books"]["is_balanced"]
    assert run(job).summary["reason"] == "nothing_to_do"
