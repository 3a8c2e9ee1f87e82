"""What somebody elsewhere is told of a run's end, and whether he is."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from batchup import errors
from batchup.core.books import Books
from batchup.core.causes import FETCH, RAISE, Cause
from batchup.core.failures import LONGEST
from batchup.core.notice import (
    LEVELS,
    EndKind,
    Notice,
    Trouble,
    as_json,
    as_slack,
    is_told,
    kind_of,
    notice_of,
    trial,
)
from batchup.core.reasons import REASONS
from batchup.core.summary import Summary

JOB = "/srv/shop/nightly.toml"
AGAIN = f"batchup run {JOB}"
FLYING = "2 of them in flight: looked at, not bought again"
DONE = Summary(
    job="nightly", run="r1", reason="finished", exit_code=0, items=1000, saved=1000, skipped=400,
    manifest_complete=True, spend_usd=6.0, job_spend_usd=10.0,
)  # fmt: skip
BROKEN = Cause("failed", "not a usable image", 2, "Open some of these files.", "sku-1")
UNFETCHED = Cause("outstanding", "the output's host refuses it", 8, FETCH, "sku-2")
TOO_LARGE = Cause("outstanding", "larger than [output] max_pixels allows", 1, RAISE, "sku-3")
ODD = Cause("rejected", "a row without an image", 1, "Name the column.", None)


def told(trouble: Trouble | None = None, **changes: Any) -> Notice:
    """Return the message about a run that ended so."""
    return notice_of(replace(DONE, **changes), job=JOB, host="shop", took="5:20:11", trouble=trouble)


def refused(reason: str, exit_code: int, remedy: str = "", **changes: Any) -> Notice:
    """Return the message about a run that a problem ended before it had begun."""
    nothing = {"items": 0, "saved": 0, "skipped": 0, "manifest_complete": False}
    trouble = Trouble("It went\nwrong.", remedy)
    return told(trouble, reason=reason, exit_code=exit_code, **{**nothing, **changes})


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, EndKind.FINISHED),
        ({"reason": "nothing_to_do"}, EndKind.FINISHED),
        ({"reason": "deadline", "exit_code": 75, "outstanding": 5}, EndKind.FINISHED),
        ({"reason": "signal", "exit_code": 75, "outstanding": 5}, EndKind.FINISHED),
        ({"reason": "deadline", "exit_code": 75, "outstanding": 5, "failed": 1}, EndKind.FAILED),
        ({"reason": "signal", "exit_code": 75, "outstanding": 5, "rejected": 1}, EndKind.FAILED),
        ({"exit_code": 3, "failed": 1}, EndKind.FAILED),
        ({"exit_code": 4, "in_doubt": 1}, EndKind.FAILED),
        ({"reason": "unavailable", "exit_code": 69}, EndKind.FAILED),
        ({"reason": "protocol", "exit_code": 76}, EndKind.FAILED),
        ({"reason": "signal", "exit_code": 143}, EndKind.FAILED),
        ({"exit_code": 4, "held": 1}, EndKind.PERSON),
        ({"reason": "spend_limit", "exit_code": 75, "outstanding": 5}, EndKind.PERSON),
        ({"reason": "unavailable", "exit_code": 69, "held": 1}, EndKind.PERSON),
        ({"reason": "key_refused", "exit_code": 77}, EndKind.PERSON),
        ({"reason": "no_credit", "exit_code": 79}, EndKind.PERSON),
        ({"reason": "data", "exit_code": 65}, EndKind.PERSON),
        ({"reason": "disk", "exit_code": 74}, EndKind.PERSON),
        ({"reason": "whatever", "exit_code": 99}, EndKind.PERSON),
    ],
)
def test_a_person_is_needed_where_no_run_goes_on_by_itself(changes: dict[str, Any], kind: EndKind) -> None:
    """An end is as it was meant, or mended by the next run, or waits for a person; so does one not known."""
    assert kind_of(replace(DONE, **changes)) is kind


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"reason": "deadline", "exit_code": 75, "outstanding": 5, "failed": 1}, EndKind.FINISHED),
        ({"reason": "nothing_to_do", "exit_code": 3, "rejected": 1}, EndKind.FINISHED),
        ({"exit_code": 4, "in_doubt": 1, "failed": 1}, EndKind.FAILED),
        ({"exit_code": 3, "failed": 1, "held": 1}, EndKind.PERSON),
    ],
)
def test_old_failures_are_not_told_every_night(changes: dict[str, Any], kind: EndKind) -> None:
    """Where nothing has failed but what had failed before, an end of the run's own is as it was meant."""
    assert kind_of(replace(DONE, **changes), has_new_failures=False) is kind


@pytest.mark.parametrize(
    ("on", "kinds"),
    [
        (["finish"], {EndKind.FINISHED, EndKind.FAILED, EndKind.PERSON}),
        (["failure"], {EndKind.FAILED, EndKind.PERSON}),
        (["person"], {EndKind.PERSON}),
        (["person", "failure"], {EndKind.FAILED, EndKind.PERSON}),
        ([], set()),
    ],
)
def test_each_word_includes_what_is_graver(on: list[str], kinds: set[EndKind]) -> None:
    """Who wants to hear of failures hears of what needs a person, and who wants each end hears of all."""
    assert {kind for kind in EndKind if is_told(kind, on)} == kinds
    assert set(on) <= set(LEVELS)


def test_a_good_end_is_told_in_full() -> None:
    """A night that went well says how much was done, by this run and in all, and that nothing is left."""
    notice = told()
    assert notice.title == "nightly: finished, 1,000 of 1,000 saved"
    assert notice.happened == (
        "The run on shop ended after 5:20:11: finished (exit code 0).",
        "600 items saved by this run, 1,000 of 1,000 in all.",
        "$6.00 spent in this run, $10.00 in the whole job.",
    )
    assert (notice.left, notice.to_do) == (("Nothing.",), ("Nothing.",))
    assert notice.body.startswith("What happened:\n- The run on shop ended")
    assert notice.body.endswith("\n\nWhat is left:\n- Nothing.\n\nWhat to do:\n- Nothing.")


def test_a_deadline_leaves_the_rest_to_the_next_night() -> None:
    """Work that is left, and what of it is in flight, is told, and that no person has to do anything."""
    flying = Books(accepted=710, well=700, in_flight=10, open_usd=0.1)
    notice = told(reason="deadline", exit_code=75, saved=700, outstanding=300, books=flying)
    assert notice.title == "nightly: stopped, as its time was up, 700 of 1,000 saved"
    assert notice.left == ("300 items outstanding, 10 of them in flight: looked at, not bought again.",)
    assert notice.to_do == (f"Nothing, where it runs every night. By hand: batchup run {JOB}",)
    assert told(reason="deadline", exit_code=75, outstanding=1).left == ("1 item outstanding.",)


def test_a_deadline_hides_no_failures() -> None:
    """What failed in a night that was cut short is told with what mends it; once it is old, as a good end."""
    counts: dict[str, Any] = {"saved": 400, "failed": 300, "outstanding": 300, "causes": (BROKEN,)}
    notice = told(reason="deadline", exit_code=75, **counts)
    assert (notice.kind, notice.title) == (EndKind.FAILED, "nightly: stopped, as its time was up, 300 failed")
    assert notice.left == ("300 items outstanding.", "300 items failed.")
    assert notice.to_do == (
        f"the time was up; the same command continues: batchup run {JOB}",
        "Open some of these files.",
    )
    summary = replace(DONE, reason="deadline", exit_code=75, **counts)
    old = notice_of(summary, job=JOB, host="shop", took="5:20:11", has_new_failures=False)
    assert old.title == "nightly: stopped, as its time was up, 400 of 1,000 saved"
    assert old.to_do == (f"Nothing, where it runs every night. By hand: batchup run {JOB}",)


def test_what_failed_is_told_by_its_causes() -> None:
    """The largest causes are named with an example and with what mends them, and the rest is counted."""
    others = [Cause("failed", f"cause {k}", 1, "Open some of these files.", "x") for k in range(3)]
    counts: dict[str, Any] = {"saved": 994, "failed": 5, "rejected": 1, "exit_code": 3}
    notice = told(causes=(BROKEN, ODD, *others), **counts)
    assert notice.title == "nightly: finished, 5 failed, 1 rejected"
    assert notice.happened[-4:] == (
        "2 failed: not a usable image, such as sku-1",
        "1 rejected: a row without an image",
        "1 failed: cause 0, such as x",
        "... and 2 more causes",
    )
    assert notice.left == ("5 items failed.", "1 item rejected: they could not be sent.")
    assert notice.to_do == (
        f"when the causes are mended, try the failed ones again: batchup run {JOB} --rerun-failed",
        "Open some of these files.",
        "Name the column.",
    )


def test_money_in_doubt_asks_for_a_decision() -> None:
    """Held items need a person, who is told the command that decides; those in doubt are looked at again."""
    notice = told(saved=997, held=2, failed=1, exit_code=4)
    assert notice.title == "nightly: needs a person: finished, 2 held, 1 failed"
    assert notice.left[0] == "2 items held: nobody but a person can tell whether they were bought."
    assert notice.to_do == (f"decide whether the held ones were bought: batchup resolve {JOB}",)
    doubt = told(saved=999, in_doubt=1, exit_code=4)
    assert doubt.title == "nightly: finished, 1 in doubt"
    assert doubt.left == ("1 item in doubt: the next run looks whether they were bought.",)
    assert doubt.to_do[0].startswith("Nothing, where it runs every night.")


def test_what_is_paid_and_not_fetched_is_told() -> None:
    """It is what such a run failed by, so it is in the title, with what was rejected besides."""
    counts: dict[str, Any] = {"saved": 989, "outstanding": 8, "rejected": 3, "exit_code": 4}
    notice = told(causes=(UNFETCHED, ODD), books=Books(accepted=997, well=997), **counts)
    assert notice.kind is EndKind.FAILED
    assert notice.title == "nightly: finished, 8 paid and not fetched, 3 rejected"
    assert notice.happened[3] == "8 paid and not fetched: the output's host refuses it, such as sku-2"
    assert notice.left[0] == "8 items outstanding, 8 of them paid and not fetched: not bought again."
    assert notice.to_do == (f"Nothing, where it runs every night. By hand: batchup run {JOB}",)


def test_outputs_that_no_night_fetches_ask_for_somebody() -> None:
    """Where a setting keeps them from being fetched it is named, and no night is waited for."""
    notice = told(saved=999, outstanding=1, exit_code=4, causes=(TOO_LARGE,))
    assert notice.title == "nightly: finished, 1 paid and not fetched"
    assert notice.to_do == (
        f"paid, and larger than [output] max_pixels: raise that first, then this fetches them: {AGAIN}",
        RAISE,
    )


def test_what_is_overdue_is_told() -> None:
    """A run that ends but for what runs past its timeout says so; what a deadline leaves is no such thing."""
    books = Books(accepted=1000, well=998, in_flight=2)
    notice = told(saved=998, outstanding=2, exit_code=4, books=books)
    assert notice.title == "nightly: finished, 2 overdue"
    assert notice.left == (f"2 items outstanding, {FLYING}.",)
    late = told(saved=990, outstanding=10, exit_code=4, books=books, reason="deadline", causes=(UNFETCHED,))
    assert late.title == "nightly: stopped, as its time was up, 8 paid and not fetched"
    assert late.left == (
        f"10 items outstanding, {FLYING}; 8 of them paid and not fetched: not bought again.",
    )


def test_a_cap_on_money_needs_a_person() -> None:
    """A cap that is reached stops every night to come, so the command that raises it is told."""
    notice = told(reason="spend_limit", exit_code=75, saved=500, outstanding=500)
    assert notice.title == "nightly: needs a person: max_spend is reached"
    assert notice.to_do == (f"max_spend is reached; raise it to continue: batchup run {JOB} --max-spend 21",)


def test_a_limit_of_items_says_what_is_next() -> None:
    """A run that was to make a few items alone is not told to wait for the night."""
    notice = told(reason="item_limit", exit_code=75, saved=500, outstanding=500)
    assert notice.to_do == (
        f"as many items as --limit allows; the same command continues: batchup run {JOB}",
    )


@pytest.mark.parametrize(
    ("notice", "to_do"),
    [
        (
            refused("key_refused", 77, "Give the\nright one."),
            ("Give the right one.", f"Then: batchup run {JOB}"),
        ),
        (refused("config", 78), (f"When that is mended: batchup run {JOB}",)),
        (refused("data", 65, items=3, saved=3), (f"When that is mended: batchup run {JOB}",)),
        (
            refused("disk", 74, items=3, saved=2, outstanding=1),
            (f"When that is mended: batchup run {JOB}",),
        ),
        (
            refused("unavailable", 69, "Wait."),
            (f"Nothing, where it runs every night. By hand: batchup run {JOB}",),
        ),
    ],
)
def test_a_problem_says_how_it_is_mended(notice: Notice, to_do: tuple[str, ...]) -> None:
    """What ended a run is told in one line, then its remedy, then the command that goes on."""
    assert notice.happened[1] == "It went wrong."
    assert notice.to_do == to_do


def test_a_run_that_never_began_does_not_know_what_is_left() -> None:
    """Where the manifest was not read, nothing is said of items."""
    notice = refused("key_refused", 77)
    assert notice.title == "nightly: needs a person: the service refused the key"
    assert notice.left == ("Not known: the run ended before it had counted it.",)
    assert len(notice.happened) == 2


def test_every_reason_has_words() -> None:
    """Each class of problem is told in words of its own, and a reason that is not known by its name."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    reasons = {kind.reason for kind in kinds if issubclass(kind, errors.BatchupError)}
    assert reasons - {errors.Locked.reason} <= set(REASONS)
    assert refused("odd_one", 99).title == "nightly: needs a person: odd one"


def test_words_of_others_are_bounded() -> None:
    """A problem of any length is told in a line of bounded length."""
    notice = told(Trouble("x" * 9 * LONGEST), reason="bug", exit_code=70)
    assert len(notice.happened[1]) == LONGEST + 1


def test_slack_reads_no_links_into_it() -> None:
    """What Slack would take for a link, a mention or an end of one is escaped, and the title stands out."""
    payload = as_slack(told(Trouble("<!channel> & co"), reason="bug", exit_code=70))
    assert list(payload) == ["text"]
    text = str(payload["text"])
    assert text.startswith("*nightly: needs a person: a bug in batchup*\nWhat happened:\n")
    assert "&lt;!channel&gt; &amp; co" in text


def test_a_program_gets_the_parts() -> None:
    """As JSON the message has its text, where Slack and the like look for it, its parts and the summary."""
    given = msgspec.json.decode(msgspec.json.encode(as_json(told())))
    assert given["text"].startswith("nightly: finished, 1,000 of 1,000 saved\n\nWhat happened:\n")
    assert (given["kind"], given["job"], given["run"], given["host"]) == ("finished", "nightly", "r1", "shop")
    assert given["summary"]["saved"] == 1000
    assert (given["left"], given["to_do"]) == (["Nothing."], ["Nothing."])


def test_a_trial_says_that_it_is_one() -> None:
    """A message that only shows that messages arrive cannot be taken for a run's end."""
    notice = trial("nightly", "shop")
    assert notice.title == "nightly: a test, nothing happened"
    assert (notice.kind, notice.run, as_json(notice)["summary"]) == (EndKind.FINISHED, "", None)
