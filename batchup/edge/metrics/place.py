"""Where a metrics file may lie."""

import os
from pathlib import Path
from typing import Final

from batchup.errors import UsageProblem

SUFFIX: Final = ".prom"


def metrics_path(path: str | Path) -> Path:
    """Return where a metrics file lies; UsageProblem for a name that the node exporter would pass over."""
    if Path(path).suffix != SUFFIX:
        remedy = f"Name one that does, such as /var/lib/prometheus/node-exporter/batchup{SUFFIX}."
        raise UsageProblem(
            f"--metrics-file {path} does not end in {SUFFIX}, and the node exporter reads no other.",
            remedy=remedy,
        )
    return Path(os.path.abspath(path))  # noqa: PTH100 links are followed when it is written
