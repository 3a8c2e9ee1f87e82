"""Taking secrets out of text before anybody reads it: keys by value and by shape, and signed addresses."""

import re
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

MASK = "***"
"""What stands where a secret stood."""

_SHORTEST = 4
# A backslash and what it escapes go together, so that what is cut out of JSON leaves JSON behind.
_QUERY = r"""(?:[^\s"\\]|\\\\|\\/|\\u[0-9a-fA-F]{4})+"""
_HEADERS = "(?:x-api-key|x-webhook-secret|authorization|cookie)"
_PATTERNS = (
    # https://user:password@host
    (re.compile(r"(://)[^\s/?#\"'\\@]+@"), rf"\1{MASK}@"),
    # https://host/path?signature=...
    (re.compile(rf"""(://[^\s"\\?#]*[?#]){_QUERY}"""), rf"\1{MASK}"),
    # X-API-Key: ...
    (re.compile(rf"""({_HEADERS}\s*[:=,]\s*)[^\s"'\\][^"'\\]*""", re.IGNORECASE), rf"\1{MASK}"),
    # "authorization": "Bearer ...", {'X-API-Key': '...'}, (b'Cookie', b'...'), "authorization": ["..."]
    (
        re.compile(rf"""({_HEADERS}\\*["']\s*[:=,]\s*[\[(]?b?\\*["'])[^"'\\]+""", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # ...&X-Amz-Signature=... where the address was cut
    (re.compile(r"""\b((?:x-(?:amz|goog)-[a-z-]+|signature)=)[^\s"'\\&]+""", re.IGNORECASE), rf"\1{MASK}"),
    # the service's keys
    (re.compile(r"\bsmk_[A-Za-z0-9_-]+"), MASK),
)


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
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text
