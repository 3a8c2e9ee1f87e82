"""What a command that changes items outside of a run leaves of the last run's words."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from edge.nights import failed, status_of, summary_of, write_night

from batchup.core.books import Books
from batchup.core.calendar import Calendar
from batchup.core.causes import Cause
from batchup.core.items import Failure, Item
from batchup.core.messages import Keep
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.mending.renewal import counts_of, renew
from batchup.edge.page.gather import read_status
from batchup.edge.telling.status import NAME

pytestmark = pytest.mark.anyio
WRONG = Books(accepted=3)
ROWS = Cause("rejected", "not JSON", 2, "Mend these lines of the manifest.", "line 7")


def keep(checkpoint: Checkpoint, was: State, becomes: State) -> None:
    item = Item("a", 1, {"image": "https://x.example/a.jpg"}, {}, "01" * 32)
    checkpoint.keep([Keep(item, was, becomes, {"failure": Failure("no_output", "nothing")})])


async def test_only_what_has_changed_is_taken_over(tmp_path: Path) -> None:
    """The manifest's counts follow by what has changed; rejected rows and books of a bug stay as they are."""
    night = write_night(tmp_path, [])
    ends = [failed("a"), failed("b")]
    summary = summary_of(ends, items=9, saved=3, rejected=2, outstanding=2, books=WRONG, causes=(ROWS,))
    (night.folder / NAME).write_bytes(msgspec.json.encode(status_of(summary)))
    with Checkpoint(night.folder / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        keep(checkpoint, State.READY, State.FAILED)
        before = counts_of(checkpoint)
        assert before == Counter(failed=1)
        keep(checkpoint, State.FAILED, State.READY)
        await renew(checkpoint, night.job, before)
    status = read_status(night.folder)
    assert status is not None
    left = status.summary
    assert left is not None
    assert (left.items, left.saved, left.failed, left.rejected, left.outstanding) == (9, 3, 1, 2, 3)
    assert (left.causes, left.books, left.reason) == ((ROWS,), WRONG, summary.reason)


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_run_that_was_cut_off_has_no_end_to_renew(is_there: bool, tmp_path: Path) -> None:  # noqa: FBT001 a table of cases
    """Of a killed run the counts alone are renewed, and no status is made up where there is none."""
    night = write_night(tmp_path, [])
    (night.folder / NAME).write_bytes(msgspec.json.encode(status_of(None)))
    if not is_there:
        (night.folder / NAME).unlink()
    with Checkpoint(night.folder / "checkpoint.db", Calendar(0.0), {}) as checkpoint:
        before = counts_of(checkpoint)
        keep(checkpoint, State.READY, State.FAILED)
        await renew(checkpoint, night.job, before)
    status = read_status(night.folder)
    assert (status is not None) == is_there
    assert status is None or (status.now.failed, status.summary) == (1, None)
