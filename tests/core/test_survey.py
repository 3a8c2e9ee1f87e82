"""How far the service's list is believed, and what a survey is worth."""

from math import inf

import pytest
from core.parts import Lister, running
from hypothesis import given
from hypothesis import strategies as st

from batchup.core import pace as worth
from batchup.core.messages import LimitsChanged, Stop
from batchup.core.survey import (
    AGAIN_AFTER_S,
    FAILED_LONGEST_S,
    FAILURES_BORNE,
    FAILURES_MOST,
    SurveyState,
    Trust,
    pace,
    reach,
    without_query,
)


def test_waits_between_failures_grow_and_are_bounded() -> None:
    """A list that fails is asked again after a second, then ever later, two minutes at most."""
    made, waits = SurveyState(is_allowed=True, trust=Trust.PROVED, is_worth_it=True), []
    for k in range(FAILURES_MOST):
        assert made.is_used == (k < FAILURES_BORNE)
        made.failed(100.0)
        waits.append(made.not_before - 100.0)
    assert waits == [1.0, 4.0, 16.0, 64.0, FAILED_LONGEST_S, FAILED_LONGEST_S]


def test_a_list_that_is_left_alone_has_to_prove_itself_again() -> None:
    """What was agreed on is forgotten, and no probe is wanted for ten minutes."""
    made = SurveyState(is_allowed=True, trust=Trust.PROVED, is_worth_it=True, agreed_count=2)
    made.leave_alone(100.0)
    assert not made.is_used
    assert made.agreed_count == 0
    assert not made.wants_probe(100.0 + AGAIN_AFTER_S - 1)
    assert made.wants_probe(100.0 + AGAIN_AFTER_S)


def test_a_probe_is_wanted_only_where_it_can_tell_something() -> None:
    """Not where the job does without, not while one is tried, open or decided."""
    assert SurveyState(is_allowed=True).wants_probe(0.0)
    assert not SurveyState(is_allowed=False).wants_probe(0.0)
    assert not SurveyState(is_allowed=True, is_open=True).wants_probe(0.0)
    for trust in (Trust.PROVED, Trust.REFUSED):
        assert not SurveyState(is_allowed=True, trust=trust).wants_probe(0.0)


@given(
    st.floats(1.0, 1000.0),
    st.integers(1, 1000),
    st.floats(0.01, 100.0),
    st.floats(1.0, 3.0),
    st.floats(0, 60),
)
def test_the_pace_of_surveys_keeps_to_both_limits(
    mean_s: float, slots: int, rate: float, per_item: float, lag_s: float
) -> None:
    """Predictions a second with surveys alone are no more than slots and requests allow."""
    per_s, every_s = pace(mean_s, slot_count=slots, requests_per_s=rate, per_item=per_item, lag_s=lag_s)
    assert per_s <= slots / (mean_s + lag_s + every_s / 2) * 1.0001
    assert per_s * per_item <= rate - 1 / every_s + 1e-6 * rate or every_s > 7 * mean_s
    later, _ = pace(mean_s, slot_count=slots, requests_per_s=rate, per_item=per_item, lag_s=lag_s + 10)
    assert later < per_s


def test_without_a_rate_surveys_are_frequent() -> None:
    """Where requests are unlimited a survey comes every hundredth of the mean."""
    per_s, every_s = pace(100.0, slot_count=10, requests_per_s=None, per_item=1.0, lag_s=0.0)
    assert every_s == 1.0
    assert per_s == pytest.approx(10 / 100.5)


def test_signed_addresses_are_compared_without_their_signature() -> None:
    """Two addresses of one output are the same, however they are signed."""
    assert without_query(["https://a/x.png?sig=1", "https://a/y.png"]) == {
        "https://a/x.png",
        "https://a/y.png",
    }


@given(st.floats(0.0, 1e4), st.floats(0.1, 100.0), st.floats(0.1, 60.0))
def test_the_instant_at_which_a_total_is_reached(now: float, threshold: float, step_s: float) -> None:
    """It is found to a part of the step, is now where it is reached already, and the far end where never."""

    def total(at: float) -> float:
        return (at - 50.0) * 0.7

    found = reach(total, threshold, now, step_s)
    truly = max(now, 50.0 + threshold / 0.7)
    assert truly - 1e-6 <= found <= truly + step_s / 8
    assert reach(lambda _: 0.0, threshold, now, step_s) >= 1e6


def used() -> Lister:
    made = Lister(10)
    made.prove()
    made.survey(made.rows_of_running(), 55.0)
    return made


def test_a_survey_is_due_sooner_the_more_permits_are_free() -> None:
    """Free permits make a survey cheap, and one is due when slots have been idle for its worth."""
    made = used()
    times = [worth.survey_at(made.board, 55.5, permits) for permits in range(1, 7)]
    assert times == sorted(times, reverse=True)
    assert 55.5 <= times[-1] < times[0] < 120.0


def test_without_a_rate_a_survey_has_one_price() -> None:
    """Where requests are unlimited the free permits say nothing."""
    made = used()
    made.batch.handle(LimitsChanged(10, None, 6), 53.0)
    assert worth.survey_at(made.board, 55.5, 1) == worth.survey_at(made.board, 55.5, 6) < inf


def test_in_the_drain_surveys_are_cheap() -> None:
    """When nothing more will be created requests are left for surveys."""
    made = used()
    before = worth.survey_at(made.board, 55.5, 1)
    made.batch.handle(Stop("deadline", drain=True), 53.0)
    assert worth.survey_at(made.board, 55.5, 1) < before


def test_a_survey_is_not_repeated_at_once() -> None:
    """Whatever it costs, a moment passes between two surveys."""
    made = used()
    made.poll_of("i5", running("p5"), 70.0)
    made.board.survey.answered_at = 90.0
    assert worth.survey_at(made.board, 90.0, 6) > 90.0
