"""Words as systemd, a shell, cron and YAML want them written, so that each gets what was meant."""

import json
import re
from collections.abc import Iterable
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9_@+=:,./-]+", re.ASCII)
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


def is_writable(text: str) -> bool:
    """Tell whether a path can stand in a unit and in a line of a crontab.

    None can hold a line break or another control character, nor what is no UTF-8; a space at its end would be
    lost, and cron has no way to write a backslash before a percent sign.
    """
    return _UNFIT.search(text) is None and text == text.strip()


def for_unit(text: str) -> str:
    """Write a value that stands by itself in a unit: systemd would expand a percent sign."""
    return text.replace("%", "%%")


def unit_word(word: str) -> str:
    """Write one word of a list in a unit, such as a variable with its value."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = for_unit(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unit_command(words: Iterable[str]) -> str:
    """Write a command in a unit; all words but the program's own would have their dollars expanded."""
    program, *rest = words
    return " ".join([unit_word(program), *(unit_word(word.replace("$", "$$")) for word in rest)])


def shell_word(word: str) -> str:
    """Write one word of a shell's command."""
    return word if _PLAIN.fullmatch(word) else "'" + word.replace("'", "'\"'\"'") + "'"


def shell_command(words: Iterable[str]) -> str:
    """Write a shell's command."""
    return " ".join(shell_word(word) for word in words)


def shell_wait(longest_s: int) -> str:
    """Return what has a shell wait at random for so long at the most, before what stands behind it."""
    return f'sleep "$(shuf -i 0-{longest_s} -n 1)"; ' if longest_s else ""


def for_crontab(command: str) -> str:
    """Write a shell's command as the rest of a crontab's line: cron makes a percent sign a line break."""
    return command.replace("%", "\\%")


def cluster_word(word: str) -> str:
    """Write a word of a command or environment: a cluster would put a variable in for `$(NAME)`."""
    return yaml_word(word.replace("$(", "$$("))


def yaml_word(text: str) -> str:
    """Write a text in YAML, in quotes: every string of JSON is one."""
    return json.dumps(text, ensure_ascii=False)
