"""What failed, in groups: how many for each cause, and what to do about it."""

from collections.abc import Sequence

from batchup.core.causes import Cause

SHOWN = 8


def cause_lines(causes: Sequence[Cause]) -> list[str]:
    """Return the lines for a person: two a cause, the largest first, a few causes at most."""
    lines = []
    for one in causes[:SHOWN]:
        example = f", such as {one.example_item}" if one.example_item else ""
        how_many = f"{one.count} {one.state}".rstrip()
        lines += [f"{how_many}: {one.cause}{example}", f"    {one.what_to_do}"]
    if len(causes) > SHOWN:
        count = sum(one.count for one in causes[SHOWN:])
        lines.append(f"... and {count} more, of {len(causes) - SHOWN} other causes: see results.jsonl")
    return lines
