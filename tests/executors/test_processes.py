"""Worker processes: what they do not know, which signals they mind, and that they outlive no run."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from edge.bench import rows, simulated, web
from executors.helpers import double, own_pid, sleep_long, variable
from executors.nights import children, soon

from batchup.edge.executors.processes import ProcessCrew


@contextmanager
def crew(*secrets: str) -> Iterator[ProcessCrew]:
    """Open one process, and see to it that it ends."""
    made = ProcessCrew(1, secrets)
    try:
        yield made
    finally:
        made.close(is_idle=False)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_does_not_see_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that holds the key is gone from a worker's environment; others are there."""
    monkeypatch.setenv("A_KEY", "a-secret-key")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with crew("A_KEY") as made:
        assert made.submit(variable, "A_KEY").result() is None
        assert made.submit(variable, "AWS_REGION").result() == "us-east-1"
        assert made.where == "1 process"


def test_signals_are_for_the_run_to_heed() -> None:
    """A terminal's and a service manager's signals end no worker; one that is killed is replaced."""
    with crew() as made:
        pid = made.submit(own_pid).result()
        assert os.getpgid(pid) == pid
        for number in (signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
        subprocess.run([sys.executable, "-c", f"import os; os.kill({pid}, 15)"], check=True)
        assert made.submit(own_pid).result() == pid
        os.kill(pid, signal.SIGKILL)
        assert soon(lambda: not is_alive(pid))
        assert soon(lambda: _answers(made))


def _answers(made: ProcessCrew) -> bool:
    """Tell whether the pool does its work, or finds out just now that it is broken."""
    try:
        return bool(made.submit(double, 2, [4]).result() == [8])
    except Exception:  # noqa: BLE001 whatever a broken pool raises
        return False


def test_what_is_running_is_ended_with_the_run(tmp_path: Path) -> None:
    """A run that drops its downloads does not wait for workers that are in the middle of one."""
    made = ProcessCrew(1, ())
    pid = made.submit(own_pid).result()
    made.submit(sleep_long, str(tmp_path / "begun"))
    assert soon((tmp_path / "begun").exists)
    made.close(is_idle=False)
    assert not is_alive(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_or_killed(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C reaches the run alone, which leaves in order; a kill takes the workers along."""
    rows(tmp_path / "rows.jsonl", *web(*(f"item-{k}" for k in range(16))))
    job = simulated(tmp_path, "rows.jsonl", speed=30, more='[run]\nexecutor = "processes:1"')
    command = [sys.executable, "-m", "batchup", "run", str(job), "--no-report", "--no-progress"]
    images = tmp_path / "job.out" / "images"
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True) as process:
        assert soon(lambda: process.poll() is not None or any(images.glob("*.png")))
        workers = children(process.pid)
        assert workers
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == -number, said
    assert soon(lambda: not any(map(is_alive, workers)))
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(images.glob("*.png"))) == 16
    assert not (images / ".unfinished").exists()


KILLED = """
import os, signal
from batchup.edge.executors.processes import ProcessCrew
if __name__ == "__main__":
    ProcessCrew(1, []).submit(abs, 1).result()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_no_words_behind(tmp_path: Path) -> None:
    """What is left of a killed run is taken away without a warning of Python's, which helps nobody."""
    (tmp_path / "killed.py").write_text(KILLED)
    done = subprocess.run(  # its standard error ends when the last process that has it does
        [sys.executable, "killed.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
