"""The lock of an output folder: one run at a time, and whoever only looks is in nobody's way."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from batchup.edge.lock import NAME, RunLock, is_held, make_output_folder
from batchup.errors import Locked, OutputProblem


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


def test_whoever_looks_does_not_turn_a_run_away(tmp_path: Path) -> None:
    """A run that starts in the instant in which somebody looks tries a second time."""
    file = os.open(tmp_path / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(file, fcntl.LOCK_SH)
    timer = threading.Timer(0.01, os.close, [file])
    timer.start()
    with RunLock(tmp_path, "r"):
        assert is_held(tmp_path)
    timer.join()


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    """Where the output folder, or one above it, is a file, that one is told with what to do."""
    (tmp_path / "a").touch()
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(OutputProblem, match=r"a is no folder, and has to be one\.") as caught:
            make_output_folder(folder)
        assert caught.value.remedy == "Put it somewhere else, or set `[output] dir`."
