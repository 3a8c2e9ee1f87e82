"""Runs whose uploads and downloads are made by processes, Ray and Dask, and what losing a worker costs."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from edge.bench import rows, simulated, web
from executors.nights import Killer, all_is_well, called, job_on, log, service, soon
from reliability.processes import Host

import batchup
from batchup import Job
from batchup.edge.stages import look

ITEMS = 40
KILLED_AFTER = 4
TRIES = 5


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("A_KEY", "a-secret-key")


def survives(folder: Path, host: Host, executor: str, *, least_lost: int) -> None:
    """Run a job, kill a worker in the middle, and see that all is as if nothing had happened."""
    job = next(filter(None, (killed_once(folder / str(k), host, executor) for k in range(TRIES))))
    assert len(log(job, "workers")) == 1
    assert len(log(job, "chunk_lost")) >= least_lost


def killed_once(folder: Path, host: Host, executor: str) -> Job | None:
    """Run a job and see that all is well; None where no worker was met in the middle."""
    folder.mkdir()
    with service(host) as judge:
        job = job_on(folder, judge, executor, ITEMS)
        killer = Killer(judge, KILLED_AFTER)
        summary = batchup.run_sync(job, on_outcome=killer.outcome)
        killer.join()
        assert (summary.exit_code, summary.saved, summary.creates) == (0, ITEMS, ITEMS)
        all_is_well(job, judge, ITEMS)
    return job if killer.killed else None


def test_processes(tmp_path: Path, host: Host) -> None:
    """A process that is killed costs nothing: its pool is replaced, what it had is asked for again."""
    before = called("spawn_main")  # of others who run beside this
    survives(tmp_path, host, "processes:2", least_lost=1)
    assert set(called("spawn_main")) <= set(before)


def test_ray(tmp_path: Path, host: Host, ray: str) -> None:
    """A worker of Ray that is killed in the middle of a stage costs nothing."""
    survives(tmp_path, host, f"ray://{ray}", least_lost=1)


def test_a_stage_is_sent_to_ray_once() -> None:
    """The cluster keeps whatever is made a task of, to its end: a hundred thousand chunks make no more."""
    from batchup.edge.executors.ray_crew import _task_of  # noqa: PLC0415 slow to import

    assert _task_of(look) is _task_of(look)


def test_ray_leaves_the_runs_signals_alone(tmp_path: Path, ray: str) -> None:
    """Ray's own handler of SIGTERM is not in force: the run leaves in order, as ever."""
    rows(tmp_path / "rows.jsonl", *web(*(f"item-{k}" for k in range(30))))
    job = simulated(tmp_path, "rows.jsonl", speed=20, more=f'[run]\nexecutor = "ray://{ray}"')
    command = [sys.executable, "-m", "batchup", "run", str(job), "--no-report", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        images = tmp_path / "job.out" / "images"
        assert soon(lambda: process.poll() is not None or any(images.glob("*.png")))
        process.terminate()
        out, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM, said
    assert json.loads(out)["reason"] == "signal"
    assert "***" not in said


def test_dask(tmp_path: Path, host: Host, dask: str) -> None:
    """A worker of Dask that is killed costs nothing: the scheduler gives what it had to the other."""
    survives(tmp_path, host, f"dask://{dask}", least_lost=0)
