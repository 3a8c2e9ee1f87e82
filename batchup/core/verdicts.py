"""What each answer of the service means: the one table of errors.

An answer is first named by its *condition* (`"lost"`, `"429"`, `"5xx"` ...), then looked up by the kind of
request it answers. Only a create can cost money twice, so only a create can leave an item in doubt.
"""

from collections.abc import Mapping
from enum import Enum


class Kind(Enum):
    """The kinds of request, as far as their errors differ."""

    CREATE = "create"
    POLL = "poll"
    PRESIGN = "presign"
    LIST = "list"


class Verdict(Enum):
    """What an answer that is not a good one says about what to do."""

    NOTHING_CREATED = "nothing_created"  # free to send again; not the item's fault
    IN_DOUBT = "in_doubt"  # may have been created
    PERMANENT = "permanent"  # the item fails with the service's words
    REPEAT = "repeat"  # free to repeat later
    GONE = "gone"  # what was asked for is not there
    THROTTLED = "throttled"  # too many requests, or too many in flight
    NO_CREDIT = "no_credit"  # the balance does not cover one more
    KEY_REFUSED = "key_refused"  # ends the run
    NO_SUCH_MODEL = "no_such_model"  # ends the run
    ELSEWHERE = "elsewhere"  # a redirect: ends the run, never followed


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
        "408": V.REPEAT,
        "429": V.THROTTLED,
        "4xx": V.PERMANENT,
        "403": V.REPEAT,
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
}


def verdict(kind: Kind, condition: str) -> Verdict:
    """Look up what `condition` (a status, or unsent, lost, senseless) means for a request of `kind`."""
    row = TABLE[kind]
    if condition in row:
        return row[condition]
    family = f"{condition[0]}xx"
    return row[family] if family in row else row["senseless"]
