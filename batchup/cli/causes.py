"""What failed, in groups: how many for each cause, and what to do about it."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

from batchup.core.causes import Cause
from batchup.edge.telling.printable import printable

SHOWN = 8
_KINDS = 4  # of files that were passed over
_COUNT_COLUMNS = 9


def cause_lines(causes: Sequence[Cause], width: int = 79) -> list[str]:
    """Return the lines for a person: each cause with its count and an example, and what to do below it."""
    lines = []
    for one in causes[:SHOWN]:
        example = f", such as {one.example_item}" if one.example_item else ""
        lines += beside(f"{one.count:>{_COUNT_COLUMNS}}", f"{one.cause}{example}", width)
        lines += beside("", one.what_to_do, width)
    return lines


def passed_words(passed: Mapping[str, int]) -> str:
    """Say how many files were no pictures, and of which kinds the most were."""
    kinds = sorted(passed.items(), key=lambda kind: -kind[1])
    told = ", ".join(f"{count} {kind}" for kind, count in kinds[:_KINDS])
    more = sum(count for _, count in kinds[_KINDS:])
    return f"{sum(passed.values())} that are no pictures: {told}{f', {more} others' if more else ''}"


def more_causes(causes: Sequence[Cause]) -> list[str]:
    """Say how many items have failed of causes that are too many to be told."""
    if len(causes) <= SHOWN:
        return []
    count = sum(one.count for one in causes[SHOWN:])
    label = f"{count:>{_COUNT_COLUMNS}}"
    return [f"{label}  more, of {len(causes) - SHOWN} other causes: see results.jsonl"]


def beside(label: str, words: str, width: int, columns: int = _COUNT_COLUMNS) -> list[str]:
    """Return words wrapped beside a label of so many columns; a word that is too long is left whole."""
    head = f"{label:<{columns}}  "
    return wrap(
        printable(words),
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]
