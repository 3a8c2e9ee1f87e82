"""The service's clock beside ours, as it was when a create was sent."""

from pathlib import Path

import pytest

from batchup.core.calendar import Calendar
from batchup.core.items import Item
from batchup.core.messages import Keep
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint

ITEM = Item("a", 1, {"image": "https://images.example/a.jpg"}, {}, "ab" * 32)


@pytest.mark.parametrize("offset_s", [0.0, -3600.5])
def test_the_offset_at_sending_outlives_the_run(tmp_path: Path, offset_s: float) -> None:
    """The next run gets back the offset that a create was sent under, whatever the clock says by then."""
    changes = {"attempt": 1, "hashes": {"image": "0"}, "sent_at": 7.0, "service_offset_s": offset_s}
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(1_800_000_000.0), {}) as checkpoint:
        checkpoint.keep([Keep(ITEM, State.READY, State.SUBMITTING, changes)])
    with Checkpoint(tmp_path / "checkpoint.db", Calendar(1_800_005_000.0), {}) as checkpoint:
        (restored,) = checkpoint.unsettled()
    assert restored.service_offset_s == offset_s
    assert restored.sent_at == 7.0 - 5000.0
