"""Runs the programs that know what is scheduled: `systemctl`, `crontab`."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from batchup.errors import ConfigProblem

_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def first_words(self) -> str:
        """The first line of what it had to say."""
        return next(
            (line.strip() for line in self.err.splitlines() if line.strip()), f"it ended with {self.code}"
        )


def ask(words: Sequence[str], text: str = "", *, patience_s: float = _PATIENCE_S) -> Done:
    """Run a program with `text` as its standard input; ConfigProblem where there is none, or it hangs."""
    try:
        done = subprocess.run(  # noqa: S603 the words are ours, and no shell reads them
            words,
            input=os.fsencode(text),  # as bytes: of a text each carriage return would become a line's end
            capture_output=True,
            check=False,
            timeout=patience_s,
        )
    except FileNotFoundError:
        remedy = "Install what it belongs to, or leave --install away and copy what is printed."
        raise ConfigProblem(f"There is no program {words[0]} here.", remedy=remedy) from None
    except subprocess.TimeoutExpired:
        remedy = "Try it by hand, then say the same command again."
        raise ConfigProblem(f"`{' '.join(words)}` does not end.", remedy=remedy) from None
    return Done(done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr))


def order(words: Sequence[str], text: str = "") -> str:
    """Run a program that has to succeed, and return what it printed; else ConfigProblem with its words."""
    done = ask(words, text)
    if done.code != 0:
        remedy = "Mend what it complains of, then say the same command again: what is done already stays."
        raise ConfigProblem(f"`{' '.join(words)}` fails: {done.first_words}", remedy=remedy)
    return done.out
