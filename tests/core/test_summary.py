"""How a run ended: the code and the word."""

from dataclasses import replace
from itertools import product

import pytest

from batchup.core.summary import Summary, ended, summarise, whole
from batchup.core.tally import Tally


def of_run(reason: str) -> Summary:
    """Return the end of a run that has met nothing."""
    return Summary(job="j", run="r", reason=reason, exit_code=0)


def end_of(tally: Tally, **changes: bool) -> tuple[str, int]:
    """Return reason and code of a run that read its manifest to the end and met no limit."""
    plain = {"is_complete": True, "is_item_limited": False, "is_past_deadline": False, "is_broke": False}
    return ended(tally, **plain | changes)


@pytest.mark.parametrize(
    ("tally", "code"),
    [
        (Tally(), 0),
        (Tally(items=2, saved=2), 0),
        (Tally(items=2, saved=1, failed=1), 3),
        (Tally(items=2, saved=1, rejected=1), 3),
        (Tally(items=2, saved=1), 75),
        (Tally(items=2, held=1, saved=1), 4),
        (Tally(items=1, in_doubt=1), 4),
        (Tally(items=1, unclaimed=1), 4),
        (Tally(items=1, overdue=1), 4),
        (Tally(items=2, saved=2, duplicates=3), 0),
    ],
)
def test_what_is_left_makes_the_code(tally: Tally, code: int) -> None:
    """All saved is 0, something failed or rejected 3, something to do 75, something nobody can tell 4."""
    assert end_of(tally)[1] == code


def test_the_worst_wins() -> None:
    """Of several, 4 wins over 75, that over 3, that over 0."""
    for held, left, failed in product((0, 1), repeat=3):
        tally = Tally(items=held + left + failed, held=held, failed=failed)
        assert end_of(tally)[1] == (4 if held else 75 if left else 3 if failed else 0)


@pytest.mark.parametrize(
    ("tally", "past", "limited", "broke", "word"),
    [
        (Tally(), False, False, False, "nothing_to_do"),
        (Tally(items=5, saved=5), False, False, False, "nothing_to_do"),
        (Tally(items=5, saved=5, saved_here=1), False, False, False, "finished"),
        (Tally(items=5, saved=5, requests=9), True, True, True, "finished"),
        (Tally(items=5, requests=9), True, True, True, "deadline"),
        (Tally(items=5, requests=9), False, True, True, "spend_limit"),
        (Tally(items=5, requests=9), False, True, False, "item_limit"),
        (Tally(items=5, requests=9), False, False, False, "finished"),
        (Tally(items=5), False, False, True, "spend_limit"),
    ],
)
def test_the_word_says_why(tally: Tally, past: bool, limited: bool, broke: bool, word: str) -> None:  # noqa: FBT001 a table of cases
    """With work left the word is what stopped it; without, whether there was anything to do."""
    got, _ = end_of(tally, is_past_deadline=past, is_item_limited=limited, is_broke=broke)
    assert got == word


def test_a_stop_on_request_is_told_before_any_limit() -> None:
    """Whoever pressed the button finds it in the summary, unless all was done by then."""
    left, done = Tally(items=5, requests=9), Tally(items=5, saved=5, requests=9)
    assert end_of(left, is_stopped=True, is_past_deadline=True, is_broke=True) == ("stopped", 75)
    assert end_of(done, is_stopped=True) == ("finished", 0)


def test_an_unread_manifest_has_work_left() -> None:
    """What was not read may be work: the run was cut short, though nothing it knows of is outstanding."""
    assert end_of(Tally(), is_complete=False, is_past_deadline=True) == ("deadline", 75)
    assert end_of(Tally(), is_complete=False, is_broke=True) == ("spend_limit", 75)


def test_the_summary_says_what_was_counted() -> None:
    """Counts are taken over, and what is outstanding is what is left of the items."""
    tally = Tally(items=9, saved=4, failed=1, held=1, in_doubt=1, rejected=1, spend_usd=0.1 + 0.2)
    got = summarise(
        tally,
        job="j",
        run="r",
        reason="signal",
        exit_code=143,
        manifest_complete=False,
        worst_window=60,
        wall_s=1.23456,
    )
    assert (got.outstanding, got.spend_usd, got.wall_s, got.exit_code) == (1, 0.3, 1.235, 143)


def test_what_was_not_read_is_outstanding() -> None:
    """A run that has not read its manifest to the end tells of all its items; what was saved before is."""
    read = replace(of_run("signal"), items=93, saved=60, skipped=50, outstanding=33)
    told = whole(read, 2000, {"saved": 63, "failed": 2, "outstanding": 40})
    assert (told.items, told.saved, told.skipped, told.failed, told.outstanding) == (2000, 63, 53, 2, 1935)
    assert whole(read, 50) == read
    assert whole(read, 94, {"saved": 300, "held": 1}).outstanding == 33


def test_where_nobody_counted_what_is_known_is_told() -> None:
    """A run that was stopped or refused at its beginning forgets nothing that earlier runs have told of."""
    known = {"saved": 40, "failed": 3, "held": 2, "in_doubt": 1, "outstanding": 5}
    told = whole(of_run("data"), None, known)
    assert (told.items, told.saved, told.skipped, told.failed, told.held) == (51, 40, 40, 3, 2)
    assert (told.in_doubt, told.outstanding) == (1, 5)
    assert whole(of_run("data"), None, known, 90) == replace(told, items=90, outstanding=44)
    met = replace(of_run("signal"), items=45, saved=41, skipped=39, failed=4)
    later = whole(met, None, known)
    assert (later.items, later.saved, later.failed, later.outstanding) == (53, 41, 4, 5)


def test_what_is_known_stays() -> None:
    """A manifest that was read, that nobody counted, or of which nothing was read changes nothing."""
    read = replace(of_run("finished"), items=93, saved=93)
    assert whole(replace(read, manifest_complete=True), 2000) == replace(read, manifest_complete=True)
    assert whole(read, None) == read
    assert whole(of_run("auth"), None, {"saved": 0}, 90) == of_run("auth")
    assert whole(of_run("auth"), 2000) == of_run("auth")
