"""The words of a plan: what a manifest holds, what of it does not fit, and what the rest takes."""

from collections.abc import Iterator
from typing import Any, Final

from batchup.cli.causes import passed_words
from batchup.cli.naming import naming_words
from batchup.core.space import in_words
from batchup.edge.manifest.told import told
from batchup.edge.planning.forecast import Outlook
from batchup.edge.planning.plan import Group
from batchup.edge.telling.printable import printable
from batchup.job import Job

GROUPS: Final = 10  # causes that are told
_STANDINGS: Final = {
    "new": "new",
    "again": "to be tried again",
    "in_hand": "in flight or in doubt",
    "saved": "saved",
    "failed": "failed",
    "held": "held",
}


def count_lines(job: Job, outlook: Outlook) -> Iterator[str]:
    """Say how many items there are, how they stand, and why rows are rejected, a line a cause."""
    counted = outlook.counted
    yield (
        f"{job.name}: {counted.items} items, {counted.rejected} rejected rows,"
        f" {counted.duplicates} duplicate rows"
    )
    if counted.passed:
        yield f"passed over: {passed_words(counted.passed)}"
    parts = [
        f"{counted.standings[name]} {word}" for name, word in _STANDINGS.items() if counted.standings[name]
    ]
    if parts and not (len(parts) == 1 and counted.standings["new"]):
        yield f"items: {', '.join(parts)}"
    if counted.renamed:
        words = naming_words(counted.renamed, job.output.name, printable(counted.renamed_example))
        yield f"names: {words}"
    shared = outlook.shared
    if shared:
        yield f"equal: {shared} of them ask for what another one asks for: bought once, and both get it"
    if counted.glanced:
        yield (
            f"bucket: of {counted.glanced} images there only the first bytes were read;"
            " [prepare] check = true has them decoded"
        )
    for group in counted.largest_groups[:GROUPS]:
        yield f"rejected: {_of_a_cause(job, group)}"
    more = counted.largest_groups[GROUPS:]
    if more:
        yield f"rejected: {sum(group.count for group in more)}: {len(more)} other causes"


def plan_lines(outlook: Outlook, night_s: float, speed: float) -> Iterator[str]:
    """Say what is left takes of requests, nights and disk."""
    seen, nights = outlook.rehearsed, _nights(outlook, night_s, speed)
    if seen.items:
        kinds = [(seen.creates, "creates"), (seen.polls, "polls"), (seen.presigns, "presigns")]
        kinds += [(seen.surveys, "lists"), (seen.deletes, "deletes")]
        told = ", ".join(f"{count} {word}" for count, word in kinds if count)
        runs = "1 night" if nights == 1 else f"{nights} nights"
        yield f"plan: about {seen.requests} requests ({told}), {runs}"
    if outlook.disk_needed is not None and outlook.disk_free is not None and outlook.outstanding:
        free = in_words(outlook.disk_free)
        yield f"disk: about {in_words(outlook.disk_needed)} for the outputs, {free} are free"


def plan_fields(outlook: Outlook, night_s: float, speed: float) -> dict[str, Any]:
    """Return the same as fields of a JSON object."""
    counted, seen = outlook.counted, outlook.rehearsed
    return {
        "items": counted.items,
        "outstanding": counted.outstanding,
        "standings": {name: counted.standings[name] for name in _STANDINGS},
        "equal": outlook.shared,
        "renamed": counted.renamed,
        "rejected": counted.rejected,
        "duplicates": counted.duplicates,
        "passed_over": dict(counted.passed.most_common()),
        "rejections": [_as_dict(group) for group in counted.largest_groups],
        "doubts": [{"words": one.words, "count": one.count} for one in outlook.fitting.doubts.values()],
        "left_out": [{"name": name, "count": count} for name, count in outlook.fitting.left_out.items()],
        "is_validated": outlook.fitting.is_known,
        "decoded": counted.decoded,
        "glanced": counted.glanced,
        "plan": {
            "requests": seen.requests,
            "creates": seen.creates,
            "polls": seen.polls,
            "presigns": seen.presigns,
            "lists": seen.surveys,
            "deletes": seen.deletes,
            "wall_s": round(seen.wall_s / speed, 1),
            "nights": _nights(outlook, night_s, speed),
            "disk_bytes": outlook.disk_needed,
            "free_bytes": outlook.disk_free,
        },
    }


def _nights(outlook: Outlook, night_s: float, speed: float) -> int:
    return outlook.rehearsed.nights(night_s * speed)


def _of_a_cause(job: Job, group: Group) -> str:
    where = told(job, group.first.line, group.first.id)
    if where.startswith("Line "):
        first = f"line {group.first.line}" if group.count == 1 else f"the first on line {group.first.line}"
    else:
        first = where if group.count == 1 else f"such as {where}"
    return f"{group.count}: {printable(group.cause)}, {first}; {group.what_to_do}"


def _as_dict(group: Group) -> dict[str, Any]:
    return {
        "kind": group.kind,
        "cause": group.cause,
        "count": group.count,
        "line": group.first.line,
        "message": group.first.message,
        "what_to_do": group.what_to_do,
    }
