"""Taking secrets out of text before anybody reads it: keys by value and by shape, and signed addresses."""

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from batchup.core.redaction import MASK, plain_words

__all__ = ["MASK", "Redactor"]

_SHORTEST = 4


class Redactor:
    """A callable that returns a text without the secrets it was told, and without what looks like one."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._secrets: set[str] = set()
        for secret in secrets:
            self.hide(secret)

    def hide(self, secret: str) -> None:
        """Learn one more secret; one of less than four characters is left alone, as it is in every text."""
        if len(secret) >= _SHORTEST:
            in_json = msgspec.json.encode(secret).decode()[1:-1]
            self._secrets |= {secret, in_json, quote(secret), quote(secret, safe="")}

    def __call__(self, text: str) -> str:
        """Return the text with `MASK` in place of secrets."""
        # The longest first: a secret may be the beginning of another.
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return plain_words(text)
