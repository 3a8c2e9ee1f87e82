"""What all families share: how many cases to try, and where the counts go."""

import json
import os
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import pytest

Column: TypeAlias = Literal["ci", "long"]


class Record(Protocol):
    """Adds to what the family's row of the table counts."""

    def __call__(self, *, detail: Any = None, **counts: float) -> None:
        """Add these; of `worst_...` and `most_...` the largest is shown.

        `detail`, a mapping of names to counts, would be too much for the table: it goes to the JSON alone.
        """


@pytest.fixture(scope="session")
def column() -> Column:
    """Tell how many cases to try: as many as CI has time for, or all that say something."""
    return "long" if os.environ.get("RELIABILITY_COLUMN") == "long" else "ci"


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Write counts down for the table; nowhere, where no table was asked for."""
    family, path = request.module.FAMILY, os.environ.get("RELIABILITY_COUNTS")

    def write(*, detail: Any = None, **counts: float) -> None:
        if path is not None:
            line = json.dumps({"family": family, "counts": counts, "detail": detail or {}})
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    return write
