"""The plan of a run with a deadline, in words."""

from collections.abc import Callable
from typing import Final

from batchup.core.picture import NightPlan

_ENDS: Final = {
    "leave": "what is in flight then is left to the next run",
    "abort": "what is in flight or being downloaded then is left to the next run",
}


def plan_words(plan: NightPlan, when: Callable[[float], str]) -> str:
    """Say what is done by the deadline and what is not; `when` puts a length from now on into words."""
    parts = [_items(plan)] if plan.fits is not None else []
    deadline = f"the deadline is {when(plan.deadline_s)}" if plan.deadline_s else "the deadline has come"
    if plan.cutoff in _ENDS:
        return "; ".join([*parts, f"{deadline}, {_ENDS[plan.cutoff]}"])
    if plan.fits and not plan.count:
        return "; ".join([*parts, deadline])
    is_over = not plan.last_create_s
    last = "nothing more is created" if is_over else f"the last create is {when(plan.last_create_s)}"
    return "; ".join([*parts, f"{last}, {deadline}"])


def _items(plan: NightPlan) -> str:
    count, left = plan.count or 0, plan.left or 0
    if plan.fits:
        return f"all {count} items that are left fit" if count else "nothing is left to be created"
    begun = f"about {count}" if count else "none"
    fit = f"{begun} of the {count + left} items that are left fit"
    if plan.nights_left is None:
        return f"{fit}: this is too short for one"
    return f"{fit}, {plan.nights_left} more {'night' if plan.nights_left == 1 else 'nights'} like this one"
