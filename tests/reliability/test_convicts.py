from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from reliability.conftest import Record
from reliability.forks import Sweep, in_memory
from reliability.whole import Plan

from batchup.core.messages import ItemRestored, Keep
from batchup.core.states import State
from batchup.edge.checkpoint import Checkpoint
from batchup.edge.database.schema import SEAL
from batchup.edge.gate.ledger import Ledger

FAMILY = "programs broken on purpose, killed by the same sweep"
PASS = "each is convicted of what it does"
SECONDS = 40
pytestmark = pytest.mark.reliability

LONGEST_S = 600
FEW = Plan(seed=1, item_count=8, faults={}, expected="5s")
MANY = Plan(
    seed=1, item_count=30, faults={}, expected="5s"
)  # they use the rate up: there is a window to exceed


def forget_ids() -> None:
    """Let a resumed run begin anew what was in flight, as if no id had been written down."""
    unsettled = Checkpoint.unsettled

    def forgetful(self: Checkpoint) -> list[ItemRestored]:
        self.db.execute("UPDATE items SET state = 'ready' WHERE state = 'in_flight'")
        self.db.execute(SEAL)
        return unsettled(self)

    Checkpoint.unsettled = forgetful  # type: ignore[method-assign]


def write_intents_late() -> None:
    """Let a create go out before it is written down that it does: that comes with what it was answered."""
    keep, late = Checkpoint.keep, dict[str, Any]()

    def lazy(self: Checkpoint, commands: Any) -> None:
        begun = {c.item.id: c for c in commands if isinstance(c, Keep) and c.becomes is State.SUBMITTING}
        late.update(begun)
        rest = [command for command in commands if command not in begun.values()]
        owed = [late.pop(c.item.id) for c in rest if isinstance(c, Keep) and c.item.id in late]
        keep(self, [*owed, *rest])

    Checkpoint.keep = lazy  # type: ignore[method-assign]


def write_ids_late() -> None:
    """Let ids be written down some time after they have come: with the next change but three."""
    keep, late = Checkpoint.keep, list[Any]()

    def lazy(self: Checkpoint, commands: Any) -> None:
        late.extend(commands)
        if len(late) > 3:
            keep(self, late)
            late.clear()

    Checkpoint.keep = lazy  # type: ignore[method-assign]


def forget_leases() -> None:
    """Let each run begin with all of its permits, as if none had been used before it."""
    begin, number = Ledger.__init__, count()

    def fresh(self: Ledger, path: Path, **options: Any) -> None:
        begin(self, path.with_name(f"{next(number)}-{path.name}"), **options)

    Ledger.__init__ = fresh  # type: ignore[method-assign]


def sweep(breaks: Callable[[], None], plan: Plan, one_in: int, folder: Path) -> Sweep:
    """Break the program, in a process of its own, and kill it at every so-manieth step."""
    breaks()
    return Sweep(plan, folder / "scene", one_in=one_in).run()


@pytest.mark.parametrize(
    ("breaks", "words", "plan", "one_in"),
    [
        (forget_ids, "bought twice", FEW, 9),
        (write_intents_late, "bought twice", FEW, 3),
        (write_ids_late, "lost", FEW, 9),  # the log names them: the next run refuses to begin
        (forget_leases, "in a window of a minute", MANY, 40),
    ],
    ids=["ids", "intents", "late ids", "leases"],
)
def test_a_broken_program_is_convicted(
    breaks: Callable[[], None], words: str, plan: Plan, one_in: int, record: Record
) -> None:
    """The sweep finds what a program does wrong that forgets: its silence on the real one means something."""
    done = in_memory(partial(sweep, breaks, plan, one_in), LONGEST_S)
    found = [verdict for _, verdict in done.verdicts if any(words in problem for problem in verdict.problems)]
    record(broken=1, kills=len(done.verdicts) - 1, convicted=bool(found))
    assert found, [verdict.problems for _, verdict in done.verdicts if verdict.problems][:3]
