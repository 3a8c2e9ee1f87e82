"""A disk that takes no more, and two runs at one time, against a simulator in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from edge.bench import Ended, adds_up, command, environment, real, results, rows, run, web

LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
RATE = '[limits]\nrate = "60/3s"\nconcurrency = {concurrency}\n[polling]\nexpected = "1s"'


@contextmanager
def service(folder: Path, *flags: str) -> Iterator[dict[str, str]]:
    """Start a simulator twenty times as fast as life."""
    words = command("simulate", "--speed", "20", "--durations", "fixed:20s", *flags)
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def judged(address: dict[str, str]) -> dict[str, Any]:
    """Return what the judge has seen."""
    with urlopen(address["stats"]) as answer:
        return dict(json.load(answer))


def limited(job: Path, limit: int) -> Ended:
    """Run a job where no file may grow beyond `limit` bytes, which is what a full disk is like."""
    words = [sys.executable, "-c", LIMITED.format(limit=limit)]
    words += command("run", job, "--json", "--no-progress")[1:]
    done = subprocess.run(
        words,
        cwd=job.parent,
        # Without what measures coverage: its own file would be refused too.
        env={name: value for name, value in environment(job.parent).items() if "COV" not in name},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def test_a_full_disk_is_74_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """When nothing can be written down any more the run stops buying; later nothing is bought twice."""
    rows(tmp_path / "rows.jsonl", *web(*(f"i{k}" for k in range(12))))
    with service(tmp_path) as address:
        job = real(tmp_path, address["url"], more=RATE.format(concurrency=10))
        done = limited(job, 120_000)
        assert (done.code, done.summary["reason"]) == (74, "disk"), done
        assert adds_up(done.summary)
        assert "Traceback" not in done.err
        bought = judged(address)["creates"]
        assert bought < 12
        again = run(job)
        assert (again.code, again.summary["saved"]) == (0, 12), again
        assert [judged(address)[name] for name in ("creates", "duplicate_creates")] == [12, 0]
    assert all(line["state"] == "saved" for line in results(job).values())


def test_leases_that_cannot_be_kept_are_74(tmp_path: Path) -> None:
    """Without a place for the leases nothing is sent, as the limit could not be kept."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    (tmp_path / "state").write_text("a file where the folder should be")
    done = run(real(tmp_path, "http://127.0.0.1:9/v1"))
    assert (done.code, done.summary["requests"]) == (74, 0)
    assert "Traceback" not in done.err


def test_two_runs_with_one_key_keep_one_limit(tmp_path: Path) -> None:
    """Two jobs on one host under one key stay under its limit together."""
    with service(tmp_path) as address:
        processes = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            rows(folder / "rows.jsonl", *web(*(f"{name}{k}" for k in range(15))))
            job = real(folder, address["url"], more=RATE.format(concurrency=5))
            words = command("run", job, "--quiet", "--json")
            processes.append(
                subprocess.Popen(
                    words, cwd=folder, env=environment(tmp_path), stdout=subprocess.PIPE, text=True
                )
            )
        codes = [process.communicate(timeout=120) and process.returncode for process in processes]
        totals = judged(address)
    assert codes == [0, 0]
    assert (totals["creates"], totals["duplicate_creates"], totals["throttled"]) == (30, 0, 0)
    assert totals["worst_window"] <= 60
    assert totals["max_in_flight"] <= 10
