"""What each thing that can go wrong means: the one table of errors.

What came back is first named by its *condition* (`"lost"`, `"429"`, `"5xx"` ...), then looked up by what was
asked. Only a create can cost money twice, so only a create can leave an item in doubt.
"""

from collections.abc import Mapping
from enum import Enum


class Kind(Enum):
    """What is asked of the service, or of the hosts that keep its files, as far as errors differ."""

    CREATE = "create"
    POLL = "poll"
    PRESIGN = "presign"
    LIST = "list"
    UPLOAD = "upload"  # the PUT of a file's bytes: no request to the service itself
    DOWNLOAD = "download"  # of an output: none either
    PREDICTION = "prediction"  # the prediction itself, by what it says when it settled badly


class Verdict(Enum):
    """What an answer that is not a good one says about what to do."""

    NOTHING_CREATED = "nothing_created"  # free to send again; not the item's fault
    IN_DOUBT = "in_doubt"  # may have been created
    PERMANENT = "permanent"  # the item fails with the service's words
    REPEAT = "repeat"  # free to repeat later
    GONE = "gone"  # what was asked for is not there
    THROTTLED = "throttled"  # too many requests, or too many in flight
    NO_CREDIT = "no_credit"  # the balance does not cover one more
    KEY_REFUSED = "key_refused"  # the key is read again, once; then it ends the run
    NO_SUCH_MODEL = "no_such_model"  # ends the run
    ELSEWHERE = "elsewhere"  # a redirect: ends the run, never followed
    NEXT_RUN = "next_run"  # paid, and again helps only when something was changed: left to the next run
    NEW_ATTEMPT = "new_attempt"  # worth another prediction, up to `max_attempts`
    ONE_MORE = "one_more"  # worth one more prediction, although it is said to be final


V = Verdict

TABLE: Mapping[Kind, Mapping[str, Verdict]] = {
    Kind.CREATE: {
        "unsent": V.NOTHING_CREATED,
        "lost": V.IN_DOUBT,
        "senseless": V.IN_DOUBT,
        "3xx": V.ELSEWHERE,
        "401": V.KEY_REFUSED,
        "402": V.NO_CREDIT,
        "403": V.KEY_REFUSED,
        "404": V.NO_SUCH_MODEL,
        "408": V.IN_DOUBT,
        "429": V.THROTTLED,
        "4xx": V.PERMANENT,
        "5xx": V.IN_DOUBT,
    },
    Kind.POLL: {
        "unsent": V.REPEAT,
        "lost": V.REPEAT,
        "senseless": V.REPEAT,
        "3xx": V.ELSEWHERE,
        "401": V.KEY_REFUSED,
        "403": V.KEY_REFUSED,
        "404": V.GONE,
        "410": V.GONE,
        "429": V.THROTTLED,
        "4xx": V.REPEAT,
        "5xx": V.REPEAT,
    },
    Kind.PRESIGN: {
        "unsent": V.REPEAT,
        "lost": V.REPEAT,
        "senseless": V.REPEAT,
        "3xx": V.ELSEWHERE,
        "401": V.KEY_REFUSED,
        "402": V.REPEAT,
        "403": V.REPEAT,
        "408": V.REPEAT,
        "429": V.THROTTLED,
        "4xx": V.PERMANENT,
        "5xx": V.REPEAT,
    },
    Kind.LIST: {
        "unsent": V.REPEAT,
        "lost": V.REPEAT,
        "senseless": V.REPEAT,
        "3xx": V.ELSEWHERE,
        "401": V.KEY_REFUSED,
        "403": V.KEY_REFUSED,
        "408": V.REPEAT,
        "429": V.THROTTLED,
        "4xx": V.GONE,
        "5xx": V.REPEAT,
    },
    Kind.UPLOAD: {
        "unsent": V.REPEAT,
        "lost": V.REPEAT,
        "senseless": V.REPEAT,  # an address that is none: the next presign may name a better one
        "unreadable": V.REPEAT,  # a disk or network folder may give the bytes in a minute
        "missing": V.PERMANENT,
        "changed": V.PERMANENT,  # another content is another request: the next run makes it
        "3xx": V.REPEAT,
        "403": V.REPEAT,  # after its expiry
        "408": V.REPEAT,
        "425": V.REPEAT,
        "429": V.REPEAT,
        "4xx": V.PERMANENT,
        "5xx": V.REPEAT,
    },
    Kind.DOWNLOAD: {
        "unsent": V.REPEAT,
        "lost": V.REPEAT,
        "short": V.REPEAT,
        "damaged": V.REPEAT,  # hash or decode
        "encoded": V.REPEAT,
        "403": V.GONE,
        "404": V.GONE,
        "408": V.REPEAT,
        "410": V.GONE,
        "425": V.REPEAT,
        "429": V.REPEAT,
        "5xx": V.REPEAT,
        "too_large": V.NEXT_RUN,
        "not_allowed": V.NEXT_RUN,  # an address that points inward
        "senseless": V.NEXT_RUN,  # no address, too many redirects, any other status
    },
    Kind.PREDICTION: {
        "cancelled": V.PERMANENT,
        "moderation": V.PERMANENT,
        "validation": V.PERMANENT,
        "said_retryable": V.NEW_ATTEMPT,
        "provider_failed": V.ONE_MORE,
        "said_final": V.PERMANENT,
        "provider": V.NEW_ATTEMPT,
        "rate_limit": V.NEW_ATTEMPT,
        "network": V.NEW_ATTEMPT,
        "timeout": V.NEW_ATTEMPT,
        "internal": V.NEW_ATTEMPT,
        "auth": V.PERMANENT,
        "senseless": V.PERMANENT,  # any other category, or nothing that tells
    },
}


def verdict(kind: Kind, condition: str) -> Verdict:
    """Look up what `condition` (a status, or unsent, lost, senseless ...) means for what was asked."""
    row = TABLE[kind]
    if condition in row:
        return row[condition]
    family = f"{condition[:1]}xx"
    return row[family] if family in row else row["senseless"]


def settled_condition(category: str, code: str, words: str, *, retryable: bool | None) -> str:
    """Name how a prediction settled badly, by what the service says of it; `retryable` is None if unsaid.

    What was refused for its content or as invalid is never bought again, whatever else is said.
    """
    category = category.lower()
    if "moderation" in f"{category} {code} {words}".lower():
        return "moderation"
    if "validation" in f"{category} {code}".lower():
        return "validation"
    if retryable is True:
        return "said_retryable"
    if code == "PROVIDER_FAILED":
        return "provider_failed"
    return "said_final" if retryable is False else category
