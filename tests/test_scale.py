"""The bench of scale at its smallest: each of its runs buys what it has to."""

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parent / "bench" / "scale"


def test_a_small_job_is_measured() -> None:
    """Each run buys what it has to and no more, in little memory, and a saved item takes few bytes."""
    command = [sys.executable, str(BENCH), "5000"]  # by itself: a child's peak begins with its parent's
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "all as it has to be"), done.stdout
    size = done.stdout.splitlines()[-2].split("|")[-2]
    assert float(size) < 250
