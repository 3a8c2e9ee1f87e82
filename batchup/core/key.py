"""A key the service refused: read again from its source before anything is concluded.

A key that was changed at its source in the middle of a run (rotation) keeps the run going. Nothing is sent
between the refusal and the last answer to what went out with the old key, so that whatever is refused after
that was sent with the new one.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class KeyDoubt:
    """Whether the key may be used. `words` are the service's, of the refusal."""

    is_refused: bool = False  # nothing is sent: it is being read again, or the old one's answers are awaited
    is_read: bool = False  # read again since it was refused
    is_unproved: bool = False  # read again, and nothing has worked with it yet
    words: str = ""

    def refused(self, words: str) -> bool:
        """Take in a refusal; tell whether the key is worth reading again."""
        if self.is_unproved:
            return False
        self.is_refused, self.is_read, self.words = True, False, words
        return True

    def changed(self) -> None:
        """Another key is there."""
        self.is_read = self.is_unproved = True

    def answered(self, *, is_good: bool, open_count: int) -> None:
        """Take in that an answer came, and how many are still awaited."""
        if is_good and not self.is_refused:
            self.is_unproved = False
        if self.is_read and not open_count:
            self.is_refused = self.is_read = False
