"""The lock of an output folder: one run at a time, and whoever only looks is in nobody's way."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from batchup.edge.lock import (
    NAME,
    ReportLock,
    RunLock,
    _let_go,
    is_held,
    make_output_folder,
    refuse_if_held,
)
from batchup.errors import DiskProblem, Locked, OutputProblem


def test_a_lock_is_seen_while_it_is_held(tmp_path: Path) -> None:
    """Looking tells whether a run holds the folder, before, during and after it."""
    seen = [is_held(tmp_path)]
    with RunLock(tmp_path, "r"):
        seen.append(is_held(tmp_path))
        with pytest.raises(Locked, match=r"run r, process \d+ on \S+, since 20"), RunLock(tmp_path, "other"):
            pass
        seen.append(is_held(tmp_path))
    assert [*seen, is_held(tmp_path)] == [False, True, True, False]
    assert is_held(tmp_path / ("x" * 300))  # it cannot be known there
    assert not is_held(tmp_path / NAME)  # a file, which holds no lock of a run


@pytest.mark.parametrize("name", [NAME, "."])
def test_whoever_looks_does_not_turn_a_run_away(tmp_path: Path, name: str) -> None:
    """A run that starts while somebody looks, at the file or the folder, waits until they have looked."""
    looking = look_at(tmp_path / name)
    timer = threading.Timer(0.2, os.close, [looking])
    timer.start()
    with RunLock(tmp_path, "r"):
        assert is_held(tmp_path)
    timer.join()


def look_at(path: Path) -> int:
    """Return a handle that has what whoever looks has for an instant."""
    (path.parent / NAME).touch()
    handle = os.open(path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def test_any_number_may_look_while_runs_come_and_go(tmp_path: Path) -> None:
    """No run is refused for those who look, who see each run that is there, file or not."""
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            is_held(tmp_path)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for number in range(100):
            with RunLock(tmp_path, "r"):
                if number % 2:
                    (tmp_path / NAME).unlink()
                assert is_held(tmp_path)
    finally:
        is_over.set()
        for looker in lookers:
            looker.join()


class HastyLock(RunLock):
    """Waits hardly for those who look."""

    LOOKING_S = 0.02


def test_whoever_was_stopped_as_they_looked_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """A run ends, as one that is refused, rather than wait without an end before it began."""
    looking = look_at(tmp_path / NAME)
    with pytest.raises(Locked):
        HastyLock(tmp_path, "r").__enter__()
    os.close(looking)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    """Where the output folder, or one above it, is a file, that one is told with what to do."""
    (tmp_path / "a").touch()
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OutputProblem, match=r"a is no folder, and has to be one\.") as caught:
            make_output_folder(folder)
        assert caught.value.remedy == "Put it somewhere else, or set `[output] dir`."


def test_removing_the_file_lets_nobody_in(tmp_path: Path) -> None:
    """Whoever takes a lock for a stale one and removes its file does not get two runs on one checkpoint."""
    with RunLock(tmp_path, "r"):
        (tmp_path / NAME).unlink()
        with pytest.raises(Locked, match=r"in use by a run whose run\.lock was removed\."):
            RunLock(tmp_path, "other").__enter__()
    with RunLock(tmp_path, "other"):
        pass


def test_a_run_whose_file_was_removed_is_seen(tmp_path: Path) -> None:
    """It goes on for whoever looks, and one that is refused for it leaves no file that nobody holds."""
    with RunLock(tmp_path, "r"):
        (tmp_path / NAME).unlink()
        assert is_held(tmp_path)
        with pytest.raises(Locked):
            RunLock(tmp_path, "other").__enter__()
        assert not (tmp_path / NAME).exists()
        with pytest.raises(Locked, match=r"in use by a run whose run\.lock was removed\."):
            refuse_if_held(tmp_path, "Wait.")
        (tmp_path / NAME).touch()  # as somebody may who misses it
        assert is_held(tmp_path)
        with pytest.raises(Locked):
            RunLock(tmp_path, "other").__enter__()
        assert (tmp_path / NAME).exists()  # it was there before
    assert not is_held(tmp_path)
    refuse_if_held(tmp_path, "Wait.")


def test_a_report_is_written_while_a_run_goes_on(tmp_path: Path) -> None:
    """The folder is locked for runs alone, and reports keep one another out by their own file."""
    with RunLock(tmp_path, "r"), ReportLock(tmp_path), pytest.raises(Locked, match="another report"):
        ReportLock(tmp_path).__enter__()


def test_a_folder_that_cannot_be_read_is_locked_by_its_file(tmp_path: Path) -> None:
    """Where the folder itself cannot be opened, the file alone keeps the others out."""
    folder = tmp_path / "gone"
    folder.mkdir()
    lock = RunLock(folder, "r")
    (folder / NAME).touch()
    with lock:
        assert is_held(folder)
    folder.rename(tmp_path / "moved")
    assert lock._lock_folder() is None


LEFT = """run 20300101T010000-000000, process {pid} on {host}, since 2030-01-01 01:00:00+00:00
"""


def test_what_a_dead_run_left_keeps_nobody_out(tmp_path: Path) -> None:
    """After a reboot, or in a container with the same process number, the file is there and no lock."""
    (tmp_path / NAME).write_text(LEFT.format(pid=os.getpid(), host=os.uname().nodename))
    assert not is_held(tmp_path)
    with RunLock(tmp_path, "r"):
        assert "run r, " in (tmp_path / NAME).read_text()


def test_a_lock_that_cannot_name_its_holder_is_given_up(tmp_path: Path) -> None:
    """A run that ends because the file cannot be written leaves nothing locked in its process."""
    (tmp_path / NAME).symlink_to("/dev/full")
    with pytest.raises(DiskProblem, match=r"run\.lock"):
        RunLock(tmp_path, "r").__enter__()
    (tmp_path / NAME).unlink()
    with RunLock(tmp_path, "next"):
        assert is_held(tmp_path)


def test_a_fork_keeps_nothing(tmp_path: Path) -> None:
    """What a new process does at once gives up its part of every lock, and it may leave the block as well."""
    with RunLock(tmp_path, "r"):
        _let_go()
        assert not is_held(tmp_path)


HOLDER = """
import os, sys, time
from pathlib import Path
from batchup.edge.lock import RunLock
with RunLock(Path(sys.argv[1]), "r"):
    if os.fork() == 0:
        print("forked", flush=True)
        os.close(1)
    time.sleep(60)
"""


def test_kill_9_gives_the_lock_up_though_a_fork_lives_on(tmp_path: Path) -> None:
    """The lock goes with its process in the same instant, whatever that had forked."""
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert is_held(tmp_path)
        process.kill()
        process.wait()
        try:
            os.killpg(process.pid, 0)  # the fork is there
            assert not is_held(tmp_path)
            with RunLock(tmp_path, "next"):
                pass
        finally:
            os.killpg(process.pid, signal.SIGKILL)
