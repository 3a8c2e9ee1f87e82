"""A small disk that runs full while a job goes on: a real file system, a real process, a real judge."""

import re
from pathlib import Path
from random import Random

from edge.bench import batchup, real, rows, web
from edge.namespaces import inside
from PIL import Image
from test_cli_disk import judged, service

MORE = '[limits]\nrate = "60/3s"\nconcurrency = 4\n[polling]\nexpected = "1s"'


def test_creates_stop_before_the_disk_is_full_and_what_is_in_flight_lands(tmp_path: Path) -> None:
    """With too little room left nothing more is bought, what is in flight is saved, and the end is 74."""
    rows(tmp_path / "rows.jsonl", *web(*(f"i{k}" for k in range(16))))
    with service(tmp_path, "--durations", "fixed:20s") as address:
        real(tmp_path, address["url"], more=MORE)
        code = """
            mount("tmpfs", folder / "job.out", "size=6m")
            job = folder / "job.toml"
            with running(job) as process:
                wait_for("in_flight", job, process)
                (folder / "job.out/other").write_bytes(bytes(4_000_000))
                out, err = process.communicate(timeout=120)
            first = Ended(process.returncode, out, err)
            left = [count(job, state) for state in ("submitting", "in_doubt", "in_flight")]
            (folder / "job.out/other").unlink()
            again = run(job)
            print(json.dumps([told(first), left, told(again)]))
        """
        (status, summary, err), left, (again, total, _) = inside(tmp_path, code)
        creates = [judged(address)[name] for name in ("creates", "duplicate_creates")]
    assert (status, summary["reason"]) == (74, "disk"), err
    assert "nearly full" in err
    assert re.search(r"\d [kM]?B are free", err), err
    assert 0 < summary["creates"] == summary["saved"] < 16
    assert left == [0, 0, 0]
    assert (again, total["saved"], creates) == (0, 16, [16, 0])


def test_the_ballast_lets_a_bought_id_be_written_on_a_full_disk(tmp_path: Path) -> None:
    """A disk that fills up while a create is open takes its id all the same, in place of the ballast."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    with service(tmp_path, "--fault", "slow=1", "--durations", "fixed:40s") as address:
        real(tmp_path, address["url"], more=MORE)
        code = """
            mount("tmpfs", folder / "job.out", "size=6m")
            job = folder / "job.toml"
            with running(job) as process:
                wait_for("submitting", job, process)
                fill(folder / "job.out/other")
                out, err = process.communicate(timeout=120)
            first = Ended(process.returncode, out, err)
            has_ballast = (folder / "job.out/ballast").exists()
            left = [count(job, state) for state in ("submitting", "in_doubt", "in_flight")]
            (folder / "job.out/other").unlink()
            again = run(job)
            size = (folder / "job.out/ballast").stat().st_size
            nights = [json.loads(line) for line in (folder / "job.out/history.jsonl").open()]
            ends = [(night["reason"], night["exit_code"], night["creates"]) for night in nights]
            print(json.dumps([told(first), has_ballast, left, told(again), size, ends]))
        """
        (status, summary, err), has_ballast, left, (again, total, _), size, ends = inside(tmp_path, code)
        creates = [judged(address)[name] for name in ("creates", "duplicate_creates")]
    assert (status, summary["reason"], summary["creates"]) == (74, "disk", 1), err
    assert "Traceback" not in err
    assert (has_ballast, left) == (False, [0, 0, 1])
    assert (again, total["saved"], creates, size) == (0, 1, [1, 0], 1 << 20)
    assert ends == [["disk", 74, 1], ["finished", 0, 0]]


def test_a_disk_too_small_for_the_plan_is_told_before_it_is_full(tmp_path: Path) -> None:
    """At the start both figures are named, what the items will need and what is free, and the run goes on."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for k in range(40):
        Image.frombytes("RGB", (200, 150), Random(k).randbytes(90_000)).save(photos / f"{k}.png")
    with service(tmp_path) as address:
        real(tmp_path, address["url"], "photos", more=f"input.scale_factor = 2\n{MORE}")
        code = """
            mount("tmpfs", folder / "job.out", "size=8m")
            print(json.dumps(told(run(folder / "job.toml", "--limit", "1"))))
        """
        status, summary, err = inside(tmp_path, code)
        checked = batchup(tmp_path, "check", "job.toml", "--offline")
    assert (status, summary["saved"]) == (75, 1), err
    assert err.count("the disk may be too small: 40 items will need about 14.4 MB") == 1
    assert "MB are free" in err
    assert "too small" not in checked.err
