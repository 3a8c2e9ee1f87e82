"""What holds requests back, and that each brake lets go by itself."""

from math import inf
from random import Random
from typing import Any

import pytest
from core.parts import problem

from batchup.core.brakes import (
    BREAKER_COUNT,
    CAP_SILENCE_S,
    GROWTH_COUNT,
    OUTAGE_S,
    PATIENCE_S,
    SENSELESS_COUNT,
    Brakes,
)
from batchup.core.verdicts import Verdict

RNG = Random(1)


def brakes(*verdicts: Verdict, **more: Any) -> Brakes:
    """Make brakes that took in these answers at 100 s."""
    made = Brakes(10)
    for verdict in verdicts:
        made.failed(problem(verdict, **more), 100.0, RNG)
    return made


def test_nothing_holds_back_at_first() -> None:
    """A run begins at full speed and says nothing of it."""
    assert brakes().creates_from(5.0) == 5.0
    assert brakes().why(5.0) is None
    assert brakes().cap == 10


def test_three_unanswered_creates_open_the_breaker() -> None:
    """After three creates in a row without an answer nothing is bought before a sign of life."""
    almost = brakes(*[Verdict.IN_DOUBT] * (BREAKER_COUNT - 1))
    assert almost.creates_from(100.0) == 100.0
    almost.failed(problem(Verdict.IN_DOUBT), 100.0, RNG)
    assert almost.creates_from(1e9) == inf
    assert "unanswered" in str(almost.why(1e9))
    almost.worked()
    assert almost.creates_from(100.0) == 100.0


def test_polls_that_work_do_not_hide_creates_that_do_not() -> None:
    """A good poll closes an open breaker, and does not keep creates in doubt from opening it."""
    made = Brakes(10)
    for _ in range(BREAKER_COUNT):
        made.worked()
        made.failed(problem(Verdict.IN_DOUBT), 100.0, RNG)
    assert made.creates_from(100.0) == inf


def test_an_accepted_create_ends_the_row() -> None:
    """Two creates in doubt, one accepted and two in doubt are no three in a row."""
    made = brakes(Verdict.IN_DOUBT, Verdict.IN_DOUBT)
    made.accepted()
    made.failed(problem(Verdict.IN_DOUBT), 100.0, RNG)
    made.failed(problem(Verdict.IN_DOUBT), 100.0, RNG)
    assert made.creates_from(100.0) == 100.0


def test_no_way_to_the_service_delays_creates_alone() -> None:
    """Where nothing can be reached creates wait, at most a minute, and polls do not."""
    made = brakes(Verdict.NOTHING_CREATED)
    assert 100.0 < made.creates_from(100.0) <= 160.0
    assert made.resume_at == 0.0
    assert "cannot be reached" in str(made.why(100.0))
    assert made.why(200.0) is None


def test_retry_after_holds_for_everybody_once() -> None:
    """A wait that is asked for holds every request, and the longest one counts."""
    made = brakes(Verdict.THROTTLED, retry_after_s=40.0)
    made.failed(problem(Verdict.THROTTLED, retry_after_s=3.0), 110.0, RNG)
    assert made.resume_at == 140.0
    assert "asked to wait" in str(made.why(120.0))


def test_a_throttle_without_a_figure_backs_off() -> None:
    """Without Retry-After the wait grows from ten seconds to a minute."""
    assert 100.0 < brakes(Verdict.THROTTLED).resume_at <= 110.0
    assert 106.0 <= brakes(*[Verdict.THROTTLED] * 9).resume_at <= 160.0


def test_a_named_cap_shrinks_ours_and_waits() -> None:
    """The service's cap is taken over, and nothing is created for 90 s of silence."""
    made = brakes(Verdict.THROTTLED, cap=4)
    assert made.cap == 4
    assert made.creates_from(100.0) == 100.0 + CAP_SILENCE_S
    assert made.resume_at == 0.0
    assert "cap" in str(made.why(100.0))


def test_a_settled_prediction_ends_the_silence() -> None:
    """What settles makes room under the cap at once, and frees credit."""
    made = brakes(Verdict.THROTTLED, cap=4)
    made.settled()
    assert made.creates_from(100.0) == 100.0
    broke = brakes(Verdict.NO_CREDIT)
    assert broke.creates_from(1e9) == inf
    assert "no credit" in str(broke.why(0.0))
    broke.settled()
    assert broke.creates_from(100.0) == 100.0


def test_settling_shortens_no_other_wait() -> None:
    """A prediction that settles says nothing about a service that cannot be reached."""
    made = brakes(Verdict.NOTHING_CREATED)
    until = made.creates_resume_at
    made.settled()
    assert made.creates_resume_at == until


def test_a_larger_cap_than_ours_changes_nothing_of_ours() -> None:
    """A service that allows more than the job wants does not widen the job."""
    assert brakes(Verdict.THROTTLED, cap=50).cap == 10


def test_a_shrunken_cap_grows_back() -> None:
    """Each round of accepted creates, ten at the most, widens the cap by one, up to the job's own."""
    made = brakes(Verdict.THROTTLED, cap=8)
    for _ in range(9):
        assert made.cap == 8
        made.accepted()
    assert made.cap == 9
    small = brakes(Verdict.THROTTLED, cap=2)
    for _ in range(3):
        assert small.cap == 2
        small.accepted()
    assert small.cap == 3
    for _ in range(5 * GROWTH_COUNT):
        made.accepted()
    assert made.cap == 10


def test_half_an_hour_of_failures_is_hopeless() -> None:
    """Thirty minutes from the first failure in a row, without anything that worked, end the patience."""
    made = brakes(Verdict.REPEAT)
    made.failed(problem(Verdict.REPEAT), 100.0 + PATIENCE_S - 1, RNG)
    assert not made.is_hopeless(100.0 + PATIENCE_S - 1)
    assert made.is_hopeless(100.0 + PATIENCE_S)
    made.worked()
    assert not made.is_hopeless(1e9)


def test_half_an_hour_of_creates_for_nothing_is_hopeless() -> None:
    """Where polls work and no create is accepted for thirty minutes, waiting on is pointless too."""
    made = Brakes(10)
    for minute in range(30):
        assert not made.is_hopeless(60.0 * minute)
        made.failed(problem(Verdict.IN_DOUBT), 60.0 * minute, RNG)
        made.worked()
    assert made.is_hopeless(1800.0)
    made.accepted()
    assert not made.is_hopeless(1800.0)


def test_a_named_wait_is_in_real_seconds() -> None:
    """Retry-After is the service's and passes in real time, however fast the run's clock goes."""
    made = Brakes(10)
    made.failed(problem(Verdict.THROTTLED, retry_after_s=3.0), 100.0, RNG, speed=20.0)
    assert made.resume_at == 160.0


def test_one_failure_after_a_long_silence_is_not_hopeless() -> None:
    """An hour in which nothing was asked is no hour of failures."""
    made = Brakes(10)
    made.worked()
    made.failed(problem(Verdict.REPEAT), 3600.0, RNG)
    assert not made.is_hopeless(3600.0)


@pytest.mark.parametrize("verdict", [Verdict.PERMANENT, Verdict.GONE, Verdict.NO_CREDIT])
def test_a_clear_no_is_a_sign_of_life(verdict: Verdict) -> None:
    """A service that refuses clearly is there: hours of refusals are not hours of silence."""
    made = brakes(*[Verdict.IN_DOUBT] * BREAKER_COUNT)
    made.failed(problem(verdict), 100.0, RNG)
    assert not made.is_hopeless(1e9)
    assert made.doubt_count == 0


@pytest.mark.parametrize(
    ("has_worked", "failed_at", "is_out"),
    [
        (True, [], False),
        (False, [], False),
        (True, [100.0], False),
        (True, [100.0, 100.0 + OUTAGE_S - 1], False),
        (True, [100.0, 100.0 + OUTAGE_S], True),
        (False, [100.0], True),
    ],
)
def test_failures_a_minute_apart_are_an_outage(
    has_worked: bool,  # noqa: FBT001 a table of cases
    failed_at: list[float],
    is_out: bool,  # noqa: FBT001 a table of cases
) -> None:
    """So is a single one where nothing has ever worked; whatever works ends it."""
    made = Brakes(10)
    if has_worked:
        made.worked()
    for at in failed_at:
        made.failed(problem(Verdict.REPEAT), at, RNG)
    assert made.is_out() is is_out
    made.worked()
    assert not made.is_out()


def test_a_failure_is_everybodys_when_nothing_worked_since_the_last() -> None:
    """The first in a row may be of what was asked for; those that follow it, with no good answer, are not."""
    made = brakes(Verdict.REPEAT)
    assert not made.is_everybodys()
    made.failed(problem(Verdict.REPEAT), 101.0, RNG)
    assert made.is_everybodys()
    made.worked()
    assert not made.is_everybodys()


def test_ten_senseless_answers_in_a_row_are_nonsense() -> None:
    """Ten in a row are too many, and anything else in between ends the row."""
    made = brakes(*[Verdict.REPEAT] * (SENSELESS_COUNT - 1), is_senseless=True)
    assert not made.is_nonsense()
    made.failed(problem(Verdict.REPEAT, is_senseless=True), 100.0, RNG)
    assert made.is_nonsense()
    made.failed(problem(Verdict.REPEAT), 100.0, RNG)
    assert not made.is_nonsense()


@pytest.mark.parametrize("verdict", [Verdict.REPEAT, Verdict.NOTHING_CREATED, Verdict.THROTTLED])
def test_what_does_not_work_for_a_while_is_said(verdict: Verdict) -> None:
    """Requests that hold no create back, or no longer, and fail for long are no less worth a word."""
    made = brakes(verdict)
    assert made.why(200.0) is None
    made.failed(problem(verdict), 110.0, RNG)
    made.resume_at = made.creates_resume_at = 0.0
    assert made.why(115.0) == "nothing has worked lately: words"
    made.worked()
    assert made.why(120.0) is None
