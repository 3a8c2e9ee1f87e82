"""`batchup` that marks its manifest as often as one likes: `marking_run.py SECONDS run JOB`."""

import sys

from batchup.cli import main
from batchup.edge.feeding import feeder


def start(words: list[str]) -> None:
    """Read the command line, set how often marks are written, and run."""
    feeder.MARK_EVERY_S = float(words[0])  # type: ignore[attr-defined] # a constant
    main(words[1:], prog_name="batchup")


if __name__ == "__main__":
    start(sys.argv[1:])
