"""What is said of outputs that are not called by their items' ids."""

from typing import Final

from batchup.core.nameable import ALL_NAMES

_PLAIN: Final = (
    "by default only plain ASCII names a file, and no file that is there already is written over;"
    f' [output] name = "{ALL_NAMES}", set before the first run, keeps folders, spaces and all letters'
)


def naming_words(count: int, template: str | None, example: str = "") -> str:
    """Say how many outputs have a hash in their names, and what keeps the ids."""
    outputs = "1 output is" if count == 1 else f"{count} outputs are"
    such = f", such as that of {example}" if example else ""
    why = _PLAIN if template is None else "their ids cannot be names of files, or the names were taken"
    return f"{outputs} told by a hash and not by the id alone{such}: {why}"
