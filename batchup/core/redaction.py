"""Taking what is secret by its shape out of words and values: signed addresses, keys, headers with them.

Nothing is kept, told or logged but through here. What was sent is recognised later by its hashes alone, and
an item that is created again takes its input from the manifest: no stored value has to open anything.
"""

import re
from typing import Final

from batchup.core.items import Json

MASK: Final = "***"
"""What stands where a secret stood."""

# A backslash and what it escapes go together, so that what is cut out of JSON leaves JSON behind.
_QUERY: Final = r"""(?:[^\s"\\]|\\\\|\\/|\\u[0-9a-fA-F]{4})+"""
# Words may be as long as somebody likes: each pattern takes a time that grows with their length, not with its
# square, so no part of a text is walked again for each place where a match might begin.


def _named(*names: str) -> str:
    """Return a pattern for headers by these names, which are no part of a longer word: items are called so.

    An end of line may be spelled out in front, and an option of a command be glued to it. It looks back from
    where a name has ended: to look around at each letter takes thrice the time.
    """
    spelled = (r"(?<=\\[nrt]{0})", r"(?<=\\u000[ad]{0})")
    begins = (r"(?<![\w-]{0})", *spelled, r"(?<=[^\w-]--{0})", r"(?<=\s-H{0})")
    longer = (rf"(?<=\b{prefix}{{0}})" for prefix in ("proxy-", "set-", "x-", "http_"))
    found = "|".join((*begins, *longer))
    return "(?:" + "|".join(f"{name}(?:{found.format(name)})" for name in names) + ")"


_KEYS: Final = _named("x-api-key", "x-webhook-secret")
_GRANT_NAME: Final = _named("authorization")
_COOKIE_NAME: Final = _named("cookie")
_HEADERS: Final = f"(?:{_KEYS}|{_GRANT_NAME}|{_COOKIE_NAME})"

# Jobs and items are called `cookie` too: what follows such a name in a sentence, or in a list of JSON, is a
# secret only where it looks like one. Of a grant that is its scheme, a figure in a word, or a long word; of a
# cookie it is a name and `=`.
_SCHEMES: Final = (
    "(?:bearer|basic|digest|token|key|api-?key|negotiate|ntlm|oauth|hawk|ssws|googlelogin"
    "|sharedkey(?:lite)?|aws(?:4-[a-z0-9-]{1,40})?)"
)
_MIXED: Final = r"""(?=[^\s"'\\]{0,60}[0-9])(?=[^\s"'\\]{0,60}[a-z])[^\s"'\\]{6}"""
_GRANT: Final = rf"""(?:{_SCHEMES}[ \t]+[^\s"'\\]|{_MIXED}|[a-z0-9.~+/=-]{{24}})"""
_PAIR: Final = r"""[^\s"'\\=:,;]+="""
_GAP: Final = r"""\\*["']?\s*[:,]\s*[\[(<]?\s*b?\\*["']?"""
_LINE: Final = r"""[^"'\\\r\n]*"""
_QUOTED: Final = r"""\\*["']\s*:\s*\\*["'])[^"'\\]+"""
_PAIRED: Final = r"""\\*["']\s*,\s*b?\\*["'])(?!value\\*["']\s*:)[^"'\\]+"""


def _words_of(names: str, value: str) -> re.Pattern[str]:
    """Return a pattern for headers in words, up to the line's end: behind `=` anything, else such a value."""
    gap = rf"(?:[ \t]*=[ \t]*|{_GAP}(?={value}))"
    return re.compile(rf"""({names}{gap})[^\s"'\\]{_LINE}""", re.IGNORECASE)


SHAPES: Final = (
    # https://user:password@host
    (re.compile(r"(://)[^\s/?#\"'\\@]+@"), rf"\1{MASK}@"),
    # https://host/path?signature=...
    (re.compile(rf"""(://(?:(?!://)[^\s"\\?#])*[?#]){_QUERY}"""), rf"\1{MASK}"),
    # X-API-Key: ...
    (re.compile(rf"""({_KEYS}\s*[:=]\s*)[^\s"'\\]{_LINE}""", re.IGNORECASE), rf"\1{MASK}"),
    # Authorization: Bearer ..., ["authorization", "Bearer ..."]
    (_words_of(_GRANT_NAME, _GRANT), rf"\1{MASK}"),
    # A cookie's too: Cookie: name=..., ["cookie", "name=..."]
    (_words_of(_COOKIE_NAME, _PAIR), rf"\1{MASK}"),
    # "authorization": "Bearer ...", {'X-API-Key': '...'}, "authorization": ["..."]
    (
        re.compile(rf"""({_HEADERS}\\*["']\s*[:=]\s*[\[(]?b?\\*["'])[^"'\\]+""", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # In objects: {"name": "Cookie", "value": "..."}
    (
        re.compile(rf"""({_HEADERS}\\*["']\s*,\s*\\*["']value{_QUOTED}""", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # In pairs: (b'Cookie', b'...'), ["x-api-key", "..."]
    (
        re.compile(rf"""((?:\(b?\\*["']{_HEADERS}|{_KEYS}){_PAIRED}""", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # ...&X-Amz-Signature=... where the address was cut
    (
        re.compile(r"""\b((?:x-(?:amz|goog)-[a-z-]{1,40}|signature)=)[^\s"'\\&]+""", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    # the service's keys
    (re.compile(r"\bsmk_[A-Za-z0-9_-]+"), MASK),
    (re.compile(r"\br8_[A-Za-z0-9]{16,}"), MASK),
)
"""What looks secret, and what is put in its place; in this order."""

_MARKS: Final = (
    *("://", "smk_", "r8_", "x-amz-", "x-goog-", "signature"),
    *("api-key", "secret", "authorization", "cookie"),
)
"""In lower case: words in ASCII without any of them have none of the shapes."""

_SIGNING: Final = re.compile(
    r"""[?&#;](?:x-(?:amz|goog)-[a-z-]+|(?:[a-z0-9]+[-_])*(?:signature|token|secret|password)|sig|sign|hmac
    |hdnts|key-pair-id|policy|awsaccesskeyid|googleaccessid|auth|authorization|(?:api|access|subscription)?[-_]?key
    )=""",
    re.IGNORECASE | re.VERBOSE,
)
_ADDRESS: Final = re.compile(r"""(?<![a-z0-9+.-])([a-z0-9+.-]*://)([^\s"'<>]+)""", re.IGNORECASE)
_USER: Final = re.compile(r"[^/?#]*@")


def plain_words(text: str) -> str:
    """Return somebody's words without what looks secret in them: every address loses its query."""
    if text.isascii():
        low = text.lower()
        if not any(mark in low for mark in _MARKS):
            return text
    for pattern, replacement in SHAPES:
        text = pattern.sub(replacement, text)
    return text


def is_signed(address: str) -> bool:
    """Tell whether an address looks as if it opened something by itself: signed, or with a password in it."""
    return plain_address(address) != address


def plain_address(text: str) -> str:
    """Return text in which an address that looks signed has lost its query, and any one its user."""
    return _ADDRESS.sub(_plain, text) if "://" in text else text


def plain_value(value: Json) -> Json:
    """Return a JSON value, such as an item's input, with signed addresses cut down in all its strings."""
    if isinstance(value, str):
        return plain_address(value)
    if isinstance(value, dict):
        return {plain_address(name): plain_value(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(inner) for inner in value]
    return value


def _plain(found: re.Match[str]) -> str:
    rest = _USER.sub("", found[2], count=1) if _USER.match(found[2]) else found[2]
    return found[1] + (re.split(r"[?#]", rest, maxsplit=1)[0] if _SIGNING.search(rest) else rest)
