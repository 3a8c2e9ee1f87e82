"""What to type next, from how a run ended."""

import shlex
from dataclasses import replace
from typing import Any

import pytest

from batchup.core.advice import advise, next_command
from batchup.core.books import Books
from batchup.core.causes import AGAIN, NO_MORE, RAISE, Cause
from batchup.core.pilot import Pilot
from batchup.core.summary import Summary

JOB = "jobs/night ly.toml"
RUN = "batchup run 'jobs/night ly.toml'"
DONE = Summary(
    job="nightly", run="r", reason="finished", exit_code=0, items=100, saved=100, manifest_complete=True,
    job_spend_usd=1.0,
)  # fmt: skip
TOO_LARGE = Cause("outstanding", "the output is too large", 2, RAISE, "a")
PASSING = Cause("failed", "the service did not answer", 3, AGAIN, "a")
USED_UP = Cause("failed", "the service did not answer", 3, NO_MORE, "a")
FINAL = Cause("failed", "image too large", 3, "Make it smaller.", "a")
PILOT = Pilot(drawn=5, of=9, saved=5, failed=0, outstanding=0, rest=4)
OPEN = Books(accepted=3, in_flight=3, open_usd=None)


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, "batchup report 'jobs/night ly.toml'"),
        ({"reason": "nothing_to_do"}, "batchup report 'jobs/night ly.toml'"),
        ({"outstanding": 5}, RUN),
        ({"outstanding": 5, "reason": "signal", "failed": 3, "held": 1}, RUN),
        ({"in_doubt": 1, "held": 1}, RUN),
        ({"reason": "deadline", "manifest_complete": False}, RUN),
        ({"failed": 3, "held": 1, "causes": (FINAL, PASSING)}, RUN),
        ({"reason": "nothing_to_do", "failed": 3, "causes": (PASSING,)}, f"{RUN} --rerun-failed"),
        ({"failed": 3, "held": 1, "causes": (FINAL,)}, "batchup resolve 'jobs/night ly.toml'"),
        ({"failed": 3, "rejected": 1, "causes": (FINAL,)}, f"{RUN} --rerun-failed"),
        ({"rejected": 1}, RUN),
        ({"failed": 3, "causes": (USED_UP,)}, f"{RUN} --rerun-failed"),
        ({"outstanding": 5, "reason": "item_limit", "pilot": PILOT}, RUN),
        ({"outstanding": 50, "reason": "spend_limit", "books": Books(open_usd=0.0)}, f"{RUN} --max-spend 2"),
        ({"outstanding": 500, "reason": "spend_limit"}, f"{RUN} --max-spend 7"),
        ({"outstanding": 50, "reason": "spend_limit", "job_spend_usd": 0.0}, RUN),
        ({"outstanding": 50, "reason": "spend_limit", "saved": 0}, RUN),
        ({"outstanding": 50, "reason": "spend_limit", "books": OPEN}, f"{RUN} --limit 1"),
        ({"outstanding": 5, "books": Books(accepted=3, well=2)}, "batchup audit 'jobs/night ly.toml'"),
    ],
)
def test_there_is_one_command_for_each_end(changes: dict[str, Any], command: str) -> None:
    """Money that is not accounted for comes first, then what goes by itself, then what a person decides."""
    assert next_command(replace(DONE, **changes), JOB) == command


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({"outstanding": 2}, True),
        ({"outstanding": 3}, False),  # one of them is not too large
        ({"outstanding": 2, "in_doubt": 1}, False),
        ({"outstanding": 2, "reason": "signal"}, False),
    ],
)
def test_what_no_run_fetches_as_it_is_names_the_key(changes: dict[str, Any], *, is_told: bool) -> None:
    """Where all that is left is too large for max_pixels, the same command alone does not continue."""
    advice = advise(replace(DONE, causes=(TOO_LARGE,), **changes), JOB)
    assert ("raise that first" in advice.why) == is_told
    assert ("the same command continues" in advice.why) != is_told


@pytest.mark.parametrize("job", ["jobs/a-b.toml", "it's.toml", "a b", "$(x)", "ünï.toml", "", "a\nb"])
def test_a_command_can_be_typed(job: str) -> None:
    """The job file is quoted as a shell wants it, where it has to be."""
    assert next_command(replace(DONE, outstanding=1), job) == shlex.join(["batchup", "run", job])


def test_where_all_is_done_and_shown_nothing_is_left_to_type() -> None:
    """A report that is there already need not be asked for."""
    assert next_command(DONE, JOB, has_report=True) is None
    assert next_command(replace(DONE, outstanding=1), JOB, has_report=True) == RUN


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outstanding": 1, "reason": "signal"}, "stopped; the same command continues"),
        ({"outstanding": 1}, "some are ready, running"),
        ({"outstanding": 1, "reason": "spend_limit", "books": OPEN}, "no price is known"),
        ({"outstanding": 1, "reason": "spend_limit"}, "raise it"),
        ({"failed": 3, "causes": (USED_UP,)}, "no further run tries them; this does"),
        ({"failed": 6, "causes": (USED_UP, FINAL)}, "when the causes are mended"),
        ({"failed": 6, "causes": (USED_UP, PASSING)}, "one more try"),
    ],
)
def test_the_reason_is_told_beside_it(changes: dict[str, Any], words: str) -> None:
    """A person reads why before typing."""
    assert words in advise(replace(DONE, **changes), JOB).why
