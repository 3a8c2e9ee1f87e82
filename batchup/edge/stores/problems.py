"""What can go wrong at a store, in our words: none of them holds a query, a key or a user."""

import re
from typing import Final
from urllib.parse import quote

from batchup.core.redaction import plain_words
from batchup.edge.stores.addresses import object_address

_OPEN: Final = "_SKIP_SIGNATURE=true if it is public."
_CREDENTIALS: Final = {
    "s3": f"Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; AWS{_OPEN}",
    "gs": f"Set GOOGLE_APPLICATION_CREDENTIALS; GOOGLE{_OPEN}",
    "az": f"Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY; AZURE{_OPEN}",
}
_NO_BUCKET: Final = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
_CHANGED: Final = re.compile(r"\b412\b|Precondition", re.IGNORECASE)
_REFUSED: Final = re.compile(
    r"\b40[13]\b|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|AuthenticationFailed|Authorization"
    r"|credential|oauth|Account must be specified",
    re.IGNORECASE,
)
_CLOUD_HOSTS: Final = re.compile(r"169\.254\.169\.254|metadata\.google\.internal")
"""Where a machine inside a cloud asks for credentials: the last resort of whoever has none."""
_ADDRESSES: Final = re.compile(r"https?://\S+")
_ELSEWHERE: Final = re.compile(r"\b301\b|PermanentRedirect|IncorrectRegion", re.IGNORECASE)
_UNREACHABLE: Final = re.compile(
    r"error sending request|error decoding response|connection|timed? ?out|\bdns\b|retries", re.IGNORECASE
)


class StoreProblem(Exception):
    """Something of a store cannot be had: the message is one sentence, `remedy` another, `kind` for programs.

    Kinds: `missing` (the object), `no_bucket`, `refused` (credentials), `elsewhere` (another region),
    `unreachable`, `changed` (another object by now), `other`.
    """

    def __init__(self, kind: str, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.remedy = remedy

    @property
    def is_lasting(self) -> bool:
        """Whether asking again will not help."""
        return self.kind in {"missing", "no_bucket", "refused", "elsewhere"}


def put_into_words(problem: Exception, bucket: str, key: str) -> StoreProblem:
    """Say what a store's library meant, of an object or, without a key, of the bucket."""
    text = str(problem).partition("\n\nDebug source")[0]
    has_nobody_to_ask = _CLOUD_HOSTS.search(text) is not None
    names = {key, quote(key), bucket.partition("://")[2]} - {""}
    for name in sorted(names, key=len, reverse=True):  # an object may be called 403.png, or metadata
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "", text)
    text = _ADDRESSES.sub("", text)
    where = plain_words(object_address(bucket, key)) if key else bucket
    if _NO_BUCKET.search(text):
        return StoreProblem("no_bucket", f"There is no bucket {bucket}.", remedy="Check its name.")
    if isinstance(problem, FileNotFoundError):
        return StoreProblem("missing", f"There is no {where}.", remedy="Check the address.")
    if _CHANGED.search(text):
        return StoreProblem("changed", f"{where} has changed while it was read.", remedy="Run again.")
    if _ELSEWHERE.search(text):
        words = f"The bucket {bucket} is in another region."
        return StoreProblem("elsewhere", words, remedy="Set AWS_REGION to the bucket's own.")
    if has_nobody_to_ask or _REFUSED.search(text):
        remedy = _CREDENTIALS[bucket.partition(":")[0]]
        return StoreProblem("refused", f"The store refuses to show {where}.", remedy=remedy)
    if _UNREACHABLE.search(text):
        words = f"The store of {bucket} cannot be reached."
        return StoreProblem("unreachable", words, remedy="Check the network and the endpoint's address.")
    first = plain_words(" ".join(text.split()) or type(problem).__name__)[:200]
    return StoreProblem("other", f"{where} cannot be had; the store says: {first}.")
