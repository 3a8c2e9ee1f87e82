"""batchup on one job file, as `batchup run` does it: `python ours.py JOB [PROFILE]` prints how it went.

With PROFILE the loop's thread is profiled by cProfile into that file, which makes it slower.
"""

import cProfile
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import batchup
from batchup.cli.collector import seldom_collecting
from batchup.cli.turns import short_turns


def run(job: Path, profile: Path | None) -> dict[str, Any]:
    """Run the job and say how it went; `loop_s` is what the loop's own thread took of the processor."""
    profiler = cProfile.Profile()
    if profile is not None:
        profiler.enable()
    began_s = time.thread_time()
    with seldom_collecting(), short_turns():
        summary = batchup.run_sync(batchup.Job.load(job))
    loop_s = time.thread_time() - began_s
    if profile is not None:
        profiler.disable()
        profiler.dump_stats(profile)
    return {**asdict(summary), "loop_s": loop_s}


if __name__ == "__main__":
    to = Path(sys.argv[2]) if sys.argv[2:] else None
    print(json.dumps(run(Path(sys.argv[1]), to), default=str))
