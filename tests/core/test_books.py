"""The books: what was accepted on one side, what became of it on the other."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.core.books import Books, End, Entry, balance, end_of
from batchup.core.money import Seen, foresee
from batchup.core.states import State
from batchup.core.summary import Summary, closed

NOTHING = {"in_doubt": 0, "held": 0, "written_off": 0, "price_usd": None}


def entry(state: State | None, kind: str | None = None, *, count: int = 1, usd: float = 0.0) -> Entry:
    return Entry(state, kind, usd > 0, count, 0 if usd else count, usd)


@pytest.mark.parametrize(
    ("found", "end"),
    [
        (entry(State.SAVED, usd=0.1), End.WELL),
        (entry(State.SUCCEEDED), End.WELL),
        (entry(State.IN_FLIGHT), End.IN_FLIGHT),
        (entry(State.IN_FLIGHT, "no_answer"), End.IN_FLIGHT),
        (entry(State.FAILED, "no_output"), End.WELL),
        (entry(State.FAILED, "output_expired"), End.WELL),
        (entry(State.FAILED, "prediction_failed"), End.BADLY),
        (entry(State.FAILED, "cancelled"), End.BADLY),
        (entry(State.FAILED, "upload"), End.BADLY),
        (entry(State.FAILED, "upload", usd=0.1), End.WELL),
        (entry(State.FAILED, "gone"), End.UNKNOWN),
        (entry(State.FAILED, "abandoned"), End.UNKNOWN),
        (entry(State.BACKING_OFF, "prediction_failed"), End.BADLY),
        (entry(State.READY), End.WELL),
        (entry(None), End.WELL),
        (entry(None, "provider_failed"), End.BADLY),
    ],
)
def test_each_prediction_has_one_end(found: Entry, end: End) -> None:
    """What settled well is well, though its output was lost, and what nobody saw end is unknown."""
    assert end_of(found) is end


@given(
    st.lists(
        st.builds(
            entry,
            st.sampled_from([*State, None]),
            st.sampled_from([None, "no_output", "gone", "prediction_failed"]),
            count=st.integers(1, 9),
            usd=st.sampled_from([0.0, 0.25, 1.5]),
        )
    ),
    st.integers(0, 5),
)
def test_whatever_the_checkpoint_has_balances(entries: list[Entry], perhaps: int) -> None:
    """Each prediction is on the right side once, and its money too."""
    known, usd = sum(one.count for one in entries), sum(one.usd for one in entries)
    doubts = NOTHING | {"in_doubt": perhaps, "held": 1, "written_off": 2}
    books = balance(entries, known=known, billed_usd=usd, **doubts)  # type: ignore[arg-type] # a table
    assert books.is_balanced
    assert (books.accepted, books.known, books.perhaps) == (known + perhaps + 3, known, perhaps + 3)


@pytest.mark.parametrize(("known", "usd"), [(3, 0.5), (1, 0.5), (2, 0.4), (2, 0.501)])
def test_one_too_many_or_a_cent_is_noticed(known: int, usd: float) -> None:
    """A prediction that is on one side alone, or money, lets the books not balance."""
    entries = [entry(State.SAVED, count=2, usd=0.5)]
    assert balance(entries, known=2, billed_usd=0.5, **NOTHING).is_balanced  # type: ignore[arg-type] # a table
    assert not balance(entries, known=known, billed_usd=usd, **NOTHING).is_balanced  # type: ignore[arg-type] # a table


def test_what_is_open_is_reckoned_at_the_price() -> None:
    """What is in flight, unknown, in doubt, held, written off or not told counts at the price there is."""
    entries = [
        entry(State.IN_FLIGHT, count=2),
        entry(State.FAILED, "gone"),
        entry(State.SAVED),
        entry(State.FAILED, "cancelled"),
    ]
    found = balance(entries, known=5, billed_usd=0, in_doubt=1, held=1, written_off=1, price_usd=0.5)
    assert (found.open_usd, found.uncosted) == (0.5 * 7, 1)
    assert balance(entries, known=5, billed_usd=0, **NOTHING).open_usd is None  # type: ignore[arg-type] # a table
    assert balance([], known=0, billed_usd=0, **NOTHING).open_usd == 0.0  # type: ignore[arg-type] # a table


def test_books_survive_their_writing_down() -> None:
    """The file of the status is read back as it was written, balance and all."""
    books = Books(accepted=2, well=1, badly=1, billed_usd=0.1, well_usd=0.1, open_usd=0.0)
    assert msgspec.json.decode(msgspec.json.encode(books), type=Books) == books
    assert b'"is_balanced":true' in msgspec.json.encode(books)


@pytest.mark.parametrize("code", [0, 3, 4, 75])
def test_books_that_do_not_balance_are_a_bug(code: int) -> None:
    """A good end with books that do not balance is none, and any other end stays what it is."""
    summary = Summary(job="j", run="r", reason="finished", exit_code=code)
    wrong = closed(summary, Books(accepted=1))
    assert (wrong.reason, wrong.exit_code, wrong.books) == ("bug", 70, Books(accepted=1))
    right = closed(summary, Books(accepted=1, well=1))
    assert (right.reason, right.exit_code) == ("finished", code)
    worse = closed(Summary(job="j", run="r", reason="disk", exit_code=74), Books(accepted=1))
    assert (worse.reason, worse.exit_code) == ("disk", 74)


def test_the_rest_is_foreseen_with_its_range() -> None:
    """What was seen counts more than what is named, and the range holds both."""
    assert foresee(10, Seen(), None, None) is None
    named = foresee(10, Seen(), 0.4, 0.1)
    assert named is not None
    assert (named.likely_usd, named.low_usd, named.high_usd) == (4.0, 1.0, 4.0)
    seen = foresee(10, Seen(mean_usd=0.2, cheapest_usd=0.1, dearest_usd=0.3, count=4), 0.4, 0.4)
    assert seen is not None
    assert (seen.likely_usd, seen.low_usd, seen.high_usd) == (2.0, 1.0, 4.0)
