"""The table of errors, row by row, by exact condition."""

import pytest

from batchup.core.verdicts import TABLE, Kind, Verdict, settled_condition, verdict

V = Verdict
READS = (Kind.POLL, Kind.LIST)
REQUESTS = (Kind.CREATE, Kind.POLL, Kind.PRESIGN, Kind.LIST)
STORES = (Kind.UPLOAD, Kind.DOWNLOAD)

ROWS = [
    # create: anything before the headers were sent
    (Kind.CREATE, "unsent", V.NOTHING_CREATED),
    # create: nobody knows
    *(
        (Kind.CREATE, how, V.IN_DOUBT)
        for how in ("lost", "senseless", "408", "500", "502", "503", "504", "599")
    ),
    # create: a definite no
    *((Kind.CREATE, how, V.PERMANENT) for how in ("400", "405", "409", "413", "415", "422", "451")),
    (Kind.CREATE, "402", V.NO_CREDIT),
    (Kind.CREATE, "404", V.NO_SUCH_MODEL),
    *((Kind.CREATE, how, V.KEY_REFUSED) for how in ("401", "403")),
    *((kind, "429", V.THROTTLED) for kind in REQUESTS),
    *((kind, how, V.ELSEWHERE) for kind in REQUESTS for how in ("301", "302", "303", "304", "307", "308")),
    # the key
    *((kind, how, V.KEY_REFUSED) for kind in READS for how in ("401", "403")),
    (Kind.PRESIGN, "401", V.KEY_REFUSED),
    # free to repeat
    *(
        (kind, how, V.REPEAT)
        for kind in (Kind.POLL, Kind.PRESIGN, Kind.LIST)
        for how in ("unsent", "lost", "senseless", "408", "500", "502", "503", "504")
    ),
    *((Kind.POLL, how, V.REPEAT) for how in ("400", "402", "409")),
    *((Kind.PRESIGN, how, V.REPEAT) for how in ("402", "403")),
    *((Kind.PRESIGN, how, V.PERMANENT) for how in ("400", "404", "413", "422")),
    # not there
    *((Kind.POLL, how, V.GONE) for how in ("404", "410")),
    *((Kind.LIST, how, V.GONE) for how in ("400", "404", "405")),
    # uploads and downloads
    *(
        (kind, how, V.REPEAT)
        for kind in STORES
        for how in ("unsent", "lost", "408", "425", "429", "500", "502", "503", "504")
    ),
    *((Kind.UPLOAD, how, V.REPEAT) for how in ("senseless", "unreadable", "307", "403")),
    *((Kind.UPLOAD, how, V.PERMANENT) for how in ("missing", "changed", "400", "404", "411", "413")),
    *((Kind.DOWNLOAD, how, V.REPEAT) for how in ("short", "damaged", "encoded")),
    *((Kind.DOWNLOAD, how, V.GONE) for how in ("403", "404", "410")),
    *(
        (Kind.DOWNLOAD, how, V.NEXT_RUN)
        for how in ("too_large", "not_allowed", "senseless", "204", "206", "300", "304", "400", "401", "451")
    ),
    # a prediction that settled badly
    *((Kind.PREDICTION, how, V.PERMANENT) for how in ("cancelled", "moderation", "validation")),
    *((Kind.PREDICTION, how, V.PERMANENT) for how in ("said_final", "auth", "unknown", "", "senseless")),
    *(
        (Kind.PREDICTION, how, V.NEW_ATTEMPT)
        for how in ("said_retryable", "provider", "rate_limit", "network", "timeout", "internal")
    ),
    (Kind.PREDICTION, "provider_failed", V.ONE_MORE),
]


@pytest.mark.parametrize(("kind", "condition", "means"), ROWS)
def test_each_condition_means_one_thing(kind: Kind, condition: str, means: Verdict) -> None:
    """A condition means for each kind of request what the contract says."""
    assert verdict(kind, condition) is means


def test_every_entry_of_the_table_is_in_these_rows() -> None:
    """Nothing stands in the table that no row above shows."""
    shown = {(kind, condition) for kind, condition, _ in ROWS}
    families = {(kind, f"{condition[:1]}xx") for kind, condition, _ in ROWS}
    entries = {(kind, condition) for kind, row in TABLE.items() for condition in row}
    assert entries <= shown | families


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, 999])
def test_a_status_from_nowhere_makes_no_sense(kind: Kind, status: int) -> None:
    """A status outside of every family is treated as an answer that makes no sense."""
    assert verdict(kind, str(status)) is verdict(kind, "senseless")


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CREATE])
def test_only_a_create_leaves_doubt(kind: Kind) -> None:
    """No answer to what costs nothing leaves an item in doubt."""
    conditions = ("unsent", "lost", "senseless", *(str(status) for status in range(100, 600)))
    assert V.IN_DOUBT not in {verdict(kind, condition) for condition in conditions}


def test_a_create_is_never_simply_repeated() -> None:
    """No answer to a create is free to repeat."""
    conditions = ("unsent", "lost", "senseless", *(str(status) for status in range(100, 600)))
    assert V.REPEAT not in {verdict(Kind.CREATE, condition) for condition in conditions}


def test_what_is_paid_is_never_given_up_for_its_address() -> None:
    """No answer to a download fails an item by itself: it is paid."""
    conditions = (*TABLE[Kind.DOWNLOAD], *(str(status) for status in range(600)))
    assert V.PERMANENT not in {verdict(Kind.DOWNLOAD, condition) for condition in conditions}


SAID = [
    ("PROVIDER", "ANY", "words", True, "said_retryable"),
    ("AUTH", "ANY", "words", True, "said_retryable"),
    ("PROVIDER", "ANY", "words", False, "said_final"),
    ("PROVIDER", "ANY", "words", None, "provider"),
    ("", "", "words", None, ""),
    ("PROVIDER", "PROVIDER_FAILED", "words", True, "said_retryable"),
    ("PROVIDER", "PROVIDER_FAILED", "words", False, "provider_failed"),
    ("", "PROVIDER_FAILED", "words", None, "provider_failed"),
    ("VALIDATION", "ANY", "words", True, "validation"),
    ("", "INPUT_VALIDATION_ERROR", "words", True, "validation"),
    ("", "ANY", "Stopped by Moderation", True, "moderation"),
    ("CONTENT_MODERATION", "PROVIDER_FAILED", "words", True, "moderation"),
    ("VALIDATION", "MODERATION_BLOCKED", "words", None, "moderation"),
]


@pytest.mark.parametrize(("category", "code", "words", "retryable", "condition"), SAID)
def test_the_services_own_word_comes_first(
    category: str, code: str, words: str, *, retryable: bool | None, condition: str
) -> None:
    """A bad end is named by what is never bought again, then by the service's word, then by its category."""
    assert settled_condition(category, code, words, retryable=retryable) == condition
