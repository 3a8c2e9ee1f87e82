"""What a reading of a folder, a bucket or a shard has passed over without a word: how many, by kind."""

from collections import Counter
from pathlib import PurePosixPath
from typing import Final

_MOST_KINDS: Final = 50
_OTHERS: Final = "others"
HIDDEN: Final = "hidden"
DEAD_LINK: Final = "a link that leads nowhere"
NO_FILE: Final = "no file"
LOOP: Final = "a link to a folder above or read already"
NO_ENDING: Final = "without an ending"
NO_IMAGE: Final = "a sample without an image"


class Passed(Counter[str]):
    """Counts by kind: a file's ending such as ".txt", or words; beyond a bound kinds are one."""

    def note(self, kind: str) -> None:
        """Count one of a kind."""
        self[kind if kind in self or len(self) < _MOST_KINDS else _OTHERS] += 1

    def note_name(self, name: str) -> None:
        """Count a file that is no picture, by its name."""
        ending = PurePosixPath(name).suffix.lower()
        self.note(ending if ending and ending.isprintable() else NO_ENDING)
