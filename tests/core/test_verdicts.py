"""The table of errors, row by row, by exact status."""

import pytest

from batchup.core.verdicts import Kind, Verdict, verdict

V = Verdict
READS = (Kind.POLL, Kind.LIST)

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
    *((kind, "429", V.THROTTLED) for kind in Kind),
    *((kind, how, V.ELSEWHERE) for kind in Kind for how in ("301", "302", "303", "304", "307", "308")),
    # the key
    *((kind, how, V.KEY_REFUSED) for kind in READS for how in ("401", "403")),
    (Kind.PRESIGN, "401", V.KEY_REFUSED),
    # free to repeat
    *(
        (kind, how, V.REPEAT)
        for kind in (Kind.POLL, Kind.PRESIGN, Kind.LIST)
        for how in ("unsent", "lost", "senseless", "408", "500", "502", "503", "504")
    ),
    *((Kind.POLL, how, V.REPEAT) for how in ("400", "402", "409", "410")),
    (Kind.PRESIGN, "403", V.REPEAT),
    *((Kind.PRESIGN, how, V.PERMANENT) for how in ("400", "404", "413", "422")),
    # not there
    (Kind.POLL, "404", V.GONE),
    *((Kind.LIST, how, V.GONE) for how in ("400", "404", "405")),
]


@pytest.mark.parametrize(("kind", "condition", "means"), ROWS)
def test_each_condition_means_one_thing(kind: Kind, condition: str, means: Verdict) -> None:
    """A status means for each kind of request what the contract says."""
    assert verdict(kind, condition) is means


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, 999])
def test_a_status_from_nowhere_makes_no_sense(kind: Kind, status: int) -> None:
    """A status outside of every family is treated as an answer that makes no sense."""
    assert verdict(kind, str(status)) is verdict(kind, "senseless")


@pytest.mark.parametrize("kind", [Kind.POLL, Kind.PRESIGN, Kind.LIST])
def test_only_a_create_leaves_doubt(kind: Kind) -> None:
    """No answer to a request that costs nothing leaves an item in doubt."""
    conditions = ("unsent", "lost", "senseless", *(str(status) for status in range(100, 600)))
    assert V.IN_DOUBT not in {verdict(kind, condition) for condition in conditions}


def test_a_create_is_never_simply_repeated() -> None:
    """No answer to a create is free to repeat."""
    conditions = ("unsent", "lost", "senseless", *(str(status) for status in range(100, 600)))
    assert V.REPEAT not in {verdict(Kind.CREATE, condition) for condition in conditions}
