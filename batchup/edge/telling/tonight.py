"""The plan of a run with a deadline is told at the start, and when it has become another one."""

from datetime import datetime
from typing import Final

import anyio

from batchup.core.messages import Note
from batchup.core.picture import NightPlan
from batchup.core.tonight import plan_of
from batchup.edge.pool import Pool
from batchup.edge.telling.planned import plan_words
from batchup.edge.telling.reporter import Reporter

COUNTED_S: Final = 5.0  # real seconds for which the first plan waits for the manifest to be counted
LOOK_EVERY_S: Final = 30.0  # real seconds; a plan that has changed is told when it is still the same by then
_SHORT_S: Final = 0.1
_DAY_S: Final = 86_400.0


async def tell_plan(pool: Pool, reporter: Reporter) -> None:
    """Tell what the run will come to by its deadline, and again when that has changed for good."""
    first = look(pool, reporter)
    if first is None:
        return
    with anyio.move_on_after(COUNTED_S):
        while reporter.total is None and first.last_create_s:  # noqa: ASYNC110 whoever counts tells nobody
            await anyio.sleep(_SHORT_S)
    told: tuple[object, ...] | None = None
    seen: tuple[object, ...] | None = None
    while (plan := look(pool, reporter)) is not None:
        now = plan.fits, plan.nights_left
        if told is None or seen == now != told:
            reporter.note(note(pool, plan))
            told = now
        seen = now
        await anyio.sleep(LOOK_EVERY_S)


def look(pool: Pool, reporter: Reporter) -> NightPlan | None:
    """Return the plan as it is now; None without a deadline."""
    return plan_of(pool.batch.board, reporter.eta, pool.tools.clock.now(), reporter.total)


def note(pool: Pool, plan: NightPlan) -> Note:
    """Return the plan for the log, with words for a person: instants by this machine's wall clock."""
    clock = pool.tools.clock

    def at(length_s: float) -> str:
        real_s = clock.real_s(length_s)
        try:
            instant = datetime.fromtimestamp(clock.calendar.to_unix(clock.now() + length_s)).astimezone()
        except (ValueError, OverflowError, OSError):  # a deadline beyond what calendars have
            return f"in {real_s / _DAY_S:.3g} days"
        return f"at {instant:{'%Y-%m-%d %H:%M' if real_s > _DAY_S else '%H:%M:%S'}}"

    fields: dict[str, object] = {
        "words": f"plan: {plan_words(plan, at)}",
        "fits": plan.fits,
        "count": plan.count,
        "left": plan.left,
        "nights_left": plan.nights_left,
        "last_create_s": round(plan.last_create_s, 1),
        "deadline_s": round(plan.deadline_s, 1),
        "cutoff": plan.cutoff,
    }
    return Note("plan", "info", fields)
