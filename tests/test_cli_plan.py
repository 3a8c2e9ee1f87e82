"""`batchup check`: every row held against the model, every picture looked into, and what the rest takes."""

import json
import sqlite3
from collections import deque
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from docs.parts import invoke
from edge.bench import photos, real, rows, run, simulated, web
from simulator.bench import running

from batchup.edge.planning.distinct import Distinct
from batchup.errors import DiskProblem

QUICK = ("--durations", "fixed:5s", "--speed", "200", "--rate", "unlimited")
UNLIMITED = '[limits]\nrate = "unlimited"\n[polling]\nexpected = "30ms"\ntimeout = "5s"\n'


def found(job: Path, *flags: str) -> dict[str, Any]:
    """Return what a check says to programs."""
    return dict(json.loads(invoke("check", str(job), "--json", *flags).stdout))


def causes(seen: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(one["cause"], one["count"], one["line"]) for one in seen["rejections"]]


def broken(folder: Path) -> None:
    """Make a folder of six pictures, two of them cut short."""
    photos(folder / "photos", 6)
    for name in ("p001.png", "p004.png"):
        path = folder / "photos" / name
        path.write_bytes(path.read_bytes()[:50])


def test_rejects_are_counted_by_cause_with_the_first_of_each(tmp_path: Path) -> None:
    """Many rows that are wrong in the same way are one line with a count, the most frequent first."""
    given = [
        *web("a"),
        *web("b", "c", "d", creativity=7),
        *web("e", tilling_width=16),
        {"id": "f"},
        *web("a"),
    ]
    rows(tmp_path / "rows.jsonl", *given)
    job = simulated(tmp_path, "rows.jsonl")
    done = invoke("check", str(job))
    assert done.exit_code == 3
    assert "job: 1 items, 5 rejected rows, 1 duplicate rows" in done.stdout
    assert 'rejected: 3: "creativity" is out of bounds, the first on line 2' in done.stdout
    assert 'Line 5: "tilling_width" is no parameter of the model; did you mean "tiling_width"?' in done.stderr
    assert causes(found(job)) == [
        ('"creativity" is out of bounds', 3, 2),
        ("a parameter that the model does not have", 1, 5),
        ("a row without an image", 1, 6),
    ]


def test_many_rejects_take_no_memory(tmp_path: Path) -> None:
    """The first few are told one by one, causes beyond a bound are one, and nothing is lost in the counts."""
    rows(
        tmp_path / "rows.jsonl",
        *(row for k in range(300) for row in web(f"r{k}", **{f"x{k}": 1, "sharpen": k + 99})),
    )
    job = simulated(tmp_path, "rows.jsonl")
    done = invoke("check", str(job))
    assert "... and 280 more" in done.stderr
    assert sum(count for _, count, _ in causes(found(job))) == 300


def test_pictures_are_decoded_once(tmp_path: Path) -> None:
    """A broken one is rejected with its file before anything is bought, and the next check remembers all."""
    broken(tmp_path)
    job = simulated(tmp_path)
    first = found(job)
    assert (first["items"], first["rejected"], first["decoded"]) == (4, 2, 4)
    assert causes(first) == [("a broken image", 2, 2)]
    assert "p001.png" in first["rejections"][0]["message"]
    with sqlite3.connect(tmp_path / "job.out" / "contents.db") as db:
        assert db.execute("SELECT count(*) FROM looks WHERE length(sha256) = 32").fetchone() == (6,)
        db.execute("UPDATE looks SET problem = ''")  # what was found is believed
    db.close()
    assert found(job)["rejected"] == 0


def test_pictures_need_not_be_decoded(tmp_path: Path) -> None:
    """With --no-decode files are only looked for, and nothing is written anywhere."""
    broken(tmp_path)
    (tmp_path / "photos" / "p000.png").write_bytes(b"")
    seen = found(simulated(tmp_path), "--no-decode")
    assert (seen["items"], seen["rejected"], seen["decoded"]) == (5, 1, 0)
    assert seen["plan"]["presigns"] == 5
    assert not (tmp_path / "job.out").exists()


def test_with_strict_a_broken_picture_stops_all(tmp_path: Path) -> None:
    """One picture or parameter that would be rejected, and nothing is created."""
    broken(tmp_path)
    done = run(simulated(tmp_path), "--strict")
    assert (done.code, done.summary["creates"]) == (65, 0)
    assert "p001.png" in done.err


@pytest.mark.parametrize(("dedupe", "creates", "equal"), [("true", 4, 3), ("false", 7, 0)])
def test_the_plan_is_what_the_run_does(tmp_path: Path, dedupe: str, creates: int, equal: int) -> None:
    """Items, creates and presigns of the plan are those that the run then makes, equal requests included."""
    folder = photos(tmp_path / "photos", 2)
    for name in ("p002.png", "p003.png"):
        (folder / name).write_bytes((folder / "p000.png").read_bytes())
    given = [*web("a", "b"), {**web("a")[0], "id": "c"}]
    given += [{"id": f"l{k}", "image": f"photos/p00{k}.png"} for k in range(4)]
    rows(tmp_path / "rows.jsonl", *given)
    job = simulated(tmp_path, "rows.jsonl", speed=100, more=f"[run]\ndedupe = {dedupe}\n")
    seen = found(job)
    assert (seen["items"], seen["equal"], seen["standings"]["new"]) == (7, equal, 7)
    assert (seen["plan"]["creates"], seen["plan"]["presigns"]) == (creates, 2)
    done = run(job).summary
    assert (done["creates"], done["saved"]) == (creates, 7)
    after = found(job)
    assert (after["outstanding"], after["standings"]["saved"], after["plan"]["requests"]) == (0, 7, 0)


def test_a_plan_tells_how_items_stand(tmp_path: Path) -> None:
    """After a part of the manifest, what is saved, new and twice the same is told apart."""
    rows(tmp_path / "rows.jsonl", *web("a", "b", "c"), {**web("a")[0], "id": "d"})
    job = simulated(tmp_path, "rows.jsonl", speed=100)
    assert run(job, "--limit", "2").code == 75
    text = invoke("check", str(job)).stdout
    assert "items: 2 new, 2 saved" in text
    assert "equal: 1 of them ask" in text
    assert "cost: 0.01 USD for 2 outstanding, 1 to be bought" in text
    assert "plan: about" in text
    assert "disk: about" in text


EXPORT = "sku,photo_url,price,stock,scale_factor\na1,https://example.com/a.jpg,9.90,3,2\n"


def test_an_export_with_columns_of_its_own_gets_along(tmp_path: Path) -> None:
    """A table's further columns are refused with the setting that leaves them out, and that does."""
    (tmp_path / "rows.csv").write_text(EXPORT)
    columns = '[columns]\nid = "sku"\nimage = "photo_url"\n'
    refused = found(simulated(tmp_path, "rows.csv", more=columns))
    assert refused["rejections"][0]["message"] == (
        'Line 2: "price", "stock" are no parameters of the model; [run] on_unknown = "drop" leaves such out.'
    )
    job = simulated(tmp_path, "rows.csv", more=f'{columns}[run]\non_unknown = "drop"\n', speed=100)
    seen = found(job)
    assert (seen["items"], seen["left_out"]) == (1, [{"name": n, "count": 1} for n in ("price", "stock")])
    assert run(job).code == 0
    (line,) = map(json.loads, (tmp_path / "job.out" / "results.jsonl").read_text().splitlines())
    assert line["input"] == {"image": "https://example.com/a.jpg", "scale_factor": 2}


def test_a_bad_input_table_is_a_bad_job(tmp_path: Path) -> None:
    """What `[input]` gets wrong each item would: check and run refuse the job with its line."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl", more="[input]\nscale_facto = 2\n", speed=100)
    done = invoke("check", str(job))
    assert done.exit_code == 78
    words = f'{job}:5: "scale_facto" is no parameter of each-upscaler; did you mean "scale_factor"?'
    assert words in done.stderr
    again = run(job)
    assert (again.code, again.summary["reason"], again.summary["creates"]) == (78, "config", 0)


def test_the_service_describes_the_model_before_anything_is_bought(tmp_path: Path) -> None:
    """A run that has never met a model asks first, and holds its first row against the answer."""
    rows(tmp_path / "rows.jsonl", *web("wrong", upscale_factor=9, image_url=None), *web("right"))
    for row in (given := [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]):
        row["image_url"] = row.pop("image")
    rows(tmp_path / "rows.jsonl", *given)
    with running(*QUICK) as service:
        job = real(tmp_path, service.url, more=UNLIMITED)
        text = job.read_text().replace('"each-upscaler"', '"topaz-upscale-image"')
        job.write_text(text.replace('request_timeout = "5s"', 'request_timeout = "60s"'))
        done = run(job)
        with urlopen(service.stats) as answer:
            requests = json.load(answer)["requests"]
    assert (done.summary["saved"], done.summary["rejected"], done.code) == (1, 1, 3), done
    assert done.summary["requests"] == requests
    rejects = (tmp_path / "job.out" / "rejects.jsonl").read_text()
    assert r"\"upscale_factor\" is 9; it may be a number, 1 to 4" in rejects
    offline = dict(json.loads(invoke("check", str(job), "--json", "--offline", env=kept(tmp_path)).stdout))
    assert offline["is_validated"]
    assert offline["rejected"] == 1


def kept(folder: Path) -> dict[str, str]:
    """Return the environment of a process that has run in a folder, as far as it keeps descriptions."""
    return {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state"), "A_KEY": "k"}


def test_a_model_that_nobody_describes_is_not_held_against_anything(tmp_path: Path) -> None:
    """Offline and for the first time, that is said, and items pass."""
    rows(tmp_path / "rows.jsonl", *web("a", anything=1))
    job = real(tmp_path, "http://127.0.0.1:9/v1")
    job.write_text(job.read_text().replace('"each-upscaler"', '"nobody-knows"'))
    done = invoke("check", str(job), "--offline", env=kept(tmp_path))
    assert "what the model takes is not known" in done.stderr
    assert "1 items, 0 rejected" in done.stdout


def test_different_things_are_counted_on_disk() -> None:
    """However many there are, what came twice counts once; a temporary folder that is full is said to be."""
    with Distinct() as few, Distinct() as many:
        for name in ("a", "b", "a", b"a"):
            few.show(name)
        for k in range(12_000):
            many.show(str(k % 7000))
        assert (few.count(), many.count(), many.count()) == (2, 7000, 7000)
        many._db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(DiskProblem, match="temporary folder"):
            deque(map(many.show, map(str, range(100_000))))
