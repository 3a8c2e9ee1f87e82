"""How a job names its outputs, and what it puts beside them."""

import io
import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from edge.bench import batchup, photos, results, rows, run, simulated, web
from PIL import Image


def outputs(folder: Path) -> set[str]:
    """Return the names of everything that lies in `images/`."""
    images = folder / "job.out" / "images"
    return {path.relative_to(images).as_posix() for path in images.rglob("*") if path.is_file()}


def told(job: Path) -> dict[str, str]:
    return {name: line["files"][0]["path"].removeprefix("images/") for name, line in results(job).items()}


def test_a_template_keeps_the_folders_of_a_folder(tmp_path: Path) -> None:
    """Pictures of sub-folders are named by the template in the same sub-folders; results say how."""
    folder = photos(tmp_path / "photos", 3)
    (folder / "red" / "big").mkdir(parents=True)
    (folder / "p002.png").rename(folder / "red" / "big" / "p002.png")
    job = simulated(tmp_path, more='[output]\nname = "{stem}@2x.{ext}"')
    assert run(job, "--no-report").code == 0
    assert outputs(tmp_path) == {"p000@2x.png", "p001@2x.png", "red/big/p002@2x.png"}
    assert set(told(job).values()) == outputs(tmp_path)
    assert batchup(tmp_path, "verify", job).code == 0


def test_the_members_of_a_tar_keep_their_folders(tmp_path: Path) -> None:
    """What is called `red/a` in a shard is called so among the outputs."""
    with tarfile.open(tmp_path / "shard-0.tar", "w") as archive:
        for k, name in enumerate(("red/a.png", "blue/a.png")):
            file = io.BytesIO()
            Image.new("RGB", (16, 12), (k, 40, 90)).save(file, "PNG")
            member = tarfile.TarInfo(name)
            member.size = file.tell()
            archive.addfile(member, io.BytesIO(file.getvalue()))
    job = simulated(tmp_path, "shard-0.tar", more='[output]\nname = "{stem}.{ext}"')
    done = run(job, "--no-report")
    assert done.code == 0, done.err
    assert outputs(tmp_path) == {"red/a.png", "blue/a.png"}


def test_ids_that_a_template_does_not_tell_apart_have_two_names(tmp_path: Path) -> None:
    """Of `x.jpg` and `x.png` one is told by a hash, today and in every later night."""
    given = [{**row, "scale_factor": k + 1} for k, row in enumerate(web("x.jpg", "x.png", "X", "y/x.jpg"))]
    rows(tmp_path / "rows.jsonl", *given)
    job = simulated(tmp_path, "rows.jsonl", more='[output]\nname = "{stem}.{ext}"')
    assert run(job, "--no-report").code == 0
    names = told(job)
    assert len({name.lower() for name in names.values()}) == 4
    plain = [item for item, name in names.items() if name in {"x.png", "X.png"}]
    assert len(plain) == 1
    assert names["y/x.jpg"] == "y/x.png"
    assert batchup(tmp_path, "verify", job).code == 0
    for path in (tmp_path / "job.out" / "images").rglob("*.png"):
        path.unlink()
    assert batchup(tmp_path, "verify", job, "--fix", "--all").code == 0
    assert (told(job), outputs(tmp_path)) == (names, set(names.values()))


@pytest.mark.parametrize("executor", ["threads", "processes:1"])
def test_nothing_of_anybody_else_is_written_over(tmp_path: Path, executor: str) -> None:
    """A file that lay where an output belongs stays, also for one that is alike; the output has its hash."""
    rows(tmp_path / "rows.jsonl", *web("a", "b"), {"id": "c", "image": web("a")[0]["image"]})
    images = tmp_path / "job.out" / "images"
    images.mkdir(parents=True)
    for name in ("a.png", "c.png"):
        (images / name).write_bytes(b"mine")
    job = simulated(tmp_path, "rows.jsonl", more=f'[run]\nexecutor = "{executor}"')
    done = run(job, "--no-report")
    assert done.code == 0, done.err
    assert {(images / name).read_bytes() for name in ("a.png", "c.png")} == {b"mine"}
    names = told(job)
    assert names["b"] == "b.png"
    assert {names[item][:2] for item in ("a", "c")} == {"a-", "c-"}
    assert "1 output is told by a hash" in done.err  # of those that were fetched
    assert batchup(tmp_path, "verify", job).code == 0
    (images / names["a"]).write_bytes(b"rotten")  # its own name is its own
    assert batchup(tmp_path, "verify", job, "--fix").code == 0
    assert told(job) == names


@pytest.mark.parametrize("manifest", ["images", "images/*.png", "images/**/*.{png,jpg}"])
def test_a_job_never_buys_what_it_made(tmp_path: Path, manifest: str) -> None:
    """Pictures that lie where the job puts its outputs are no manifest."""
    photos(tmp_path / "images", 2)
    job = simulated(tmp_path, manifest, more='[output]\ndir = "."')
    done = run(job, "--no-report")
    assert (done.code, "where this job puts its outputs" in done.err) == (65, True)
    assert len(list((tmp_path / "images").iterdir())) == 2


def test_metadata_lies_beside_each_output(tmp_path: Path) -> None:
    """Before an item counts as saved its JSON is there: what it is, where it comes from, what it cost."""
    rows(tmp_path / "rows.jsonl", *web("a/b", scale_factor=3))
    job = simulated(tmp_path, "rows.jsonl", more="[output]\nmetadata = true")
    assert run(job).code == 0
    assert outputs(tmp_path) == {"a/b.png", "a/b.png.json"}
    (line,) = results(job).values()
    beside = json.loads((tmp_path / "job.out/images/a/b.png.json").read_text())
    assert beside == {
        "id": "a/b",
        "model": "each-upscaler",
        "parameters": line["input"],
        **{name: line[name] for name in ("prediction_id", "cost_usd", "predict_time_s")},
        **{name: line[name] for name in ("created_at", "settled_at")},
        "file": line["files"][0],
    }
    done = json.loads(batchup(tmp_path, "verify", job, "--json").out)
    assert (done["flaws"], done["unclaimed"]) == ([], [])


def test_no_signature_is_written_beside_an_output(tmp_path: Path) -> None:
    """A signed address of an input opens nothing in what lies beside the output."""
    signed = {"id": "a", "image": "https://example.com/a.jpg?X-Amz-Signature=opens-it&X-Amz-Expires=9"}
    rows(tmp_path / "rows.jsonl", signed)
    job = simulated(tmp_path, "rows.jsonl", more="[output]\nmetadata = true")
    assert run(job, "--no-report").code == 0
    text = (tmp_path / "job.out/images/a.png.json").read_text()
    assert "https://example.com/a.jpg" in text
    assert "opens-it" not in text


def test_another_template_is_refused_once_something_is_saved(tmp_path: Path) -> None:
    """Under another template one output could be written over another: exit code 65, nothing bought."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    assert run(job, "--no-report").code == 0
    rows(tmp_path / "rows.jsonl", *web("a", "b"))
    plain = job.read_text()
    job.write_text(plain.replace("[service]", '[output]\nname = "{stem}.{ext}"\n[service]'))
    done = run(job, "--no-report")
    assert (done.code, done.summary["creates"]) == (65, 0)
    assert 'named by their ids, and this job names outputs by "{stem}.{ext}"' in done.err
    job.write_text(plain.replace("[service]", '[output]\nname = "{id}.{ext}"\n[service]'))
    assert run(job, "--no-report").code == 0


def test_a_checkpoint_of_before_counts_as_named_by_ids(tmp_path: Path) -> None:
    """What an older version has saved lies in the folder, by its ids: such a job goes on."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    assert run(job, "--no-report").code == 0
    with closing(sqlite3.connect(tmp_path / "job.out/checkpoint.db", isolation_level=None)) as db:
        db.execute("DELETE FROM facts WHERE name IN ('outputs', 'names')")
    assert run(job, "--no-report").summary["reason"] == "nothing_to_do"


@pytest.mark.parametrize("flag", ["--deep", "--fix"])
def test_a_folder_is_always_verified_deeply(tmp_path: Path, flag: str) -> None:
    """In a folder every byte is read with or without --deep: it costs nothing."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = simulated(tmp_path, "rows.jsonl")
    assert run(job, "--no-report").code == 0
    path = tmp_path / "job.out/images/a.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    done = json.loads(batchup(tmp_path, "verify", job, "--json", flag).out)
    assert [flaw["problem"] for flaw in done["flaws"]] == ["changed"]
