"""A month of nights on the virtual clock: what each ended with, and what the judge found in the end."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from batchup.cli import main

MONTH = Path(__file__).with_name("month.py")
SEED = 1
WHOLE_WINDOW_S, SHORT_WINDOW_S = 4500, 900
P95_S, MARGIN_S = 85, 60  # of a lognormal of 53 s and cv 0.3; what the last create may be earlier than that
ENDS: dict[int, str] = {  # of the nights in which something happens, run by run
    3: "killed, finished",
    5: "signal, signal, signal, finished",
    7: "killed",
    12: "unavailable",
    13: "unavailable",
    14: "no_credit",
    18: "key_refused",
    19: "deadline",
    22: "disk",
    25: "nothing_to_do",
}
CODES = {"signal": 143, "unavailable": 69, "no_credit": 79, "key_refused": 77, "deadline": 75, "disk": 74}


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Live through a month, in a process that it has for itself, and that nobody traces."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    folder = tmp_path_factory.mktemp("month") / "scene"
    command = [sys.executable, str(MONTH), str(folder), str(SEED)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)) | {"folder": folder}


def test_each_night_ends_as_it_must(month: dict[str, Any]) -> None:
    """Each night's exit code says what it met, and one that met nothing has left nothing over."""
    assert month["problems"] == []
    for number, night in enumerate(month["nights"]):
        reasons = [end["reason"] if end else "killed" for end in night["ends"]]
        assert ", ".join(reasons) == ENDS.get(number, "finished"), night
        for end in filter(None, night["ends"]):
            usual = 3 if end["failed"] else 0
            assert end["exit_code"] == CODES.get(end["reason"], usual), night
            assert bool(end["outstanding"]) == (end["reason"] in CODES), night


def test_in_the_end_everything_is_saved_once(month: dict[str, Any]) -> None:
    """All that was asked for was bought once and is saved, but for what the service has refused for good."""
    contents, said = month["contents"], month["said"]
    assert month["twice"] == 0
    assert contents["success"] + contents["final"] == month["items"] + month["former"]
    assert said["saved"] + said["failed"] == month["items"]
    assert said["failed"] <= contents["final"]
    assert contents["success"] == said["saved"] + month["former"]
    assert month["still_running"] == 0


def test_the_limits_held_all_month(month: dict[str, Any]) -> None:
    """No night, kill, outage or change of the key made a window too full or a prediction too many."""
    assert month["worst_window"] <= 60
    assert month["most_in_flight"] <= 10
    assert month["throttled"] == 0


def test_the_books_balance(month: dict[str, Any]) -> None:
    """The last night's books name each create that the service accepted, and the money that it took."""
    books = month["books"]
    assert books["is_balanced"]
    assert books["accepted"] == month["creates"] == books["well"] + books["badly"]
    assert books["billed_usd"] == pytest.approx(month["cost_usd"])
    for night in month["nights"]:
        for end in filter(None, night["ends"]):
            assert end["books"] is None or end["books"]["is_balanced"], night


def test_every_summary_adds_up(month: dict[str, Any]) -> None:
    """In each night each item of the manifest is in exactly one state, none held, and none forgotten."""
    states = ("saved", "failed", "held", "in_doubt", "outstanding", "rejected")
    for night in month["nights"]:
        for end in filter(None, night["ends"]):
            assert end["items"] == sum(end[state] for state in states), night
            assert (end["held"], end["rejected"]) == (0, 0), night
            if end["reason"] in ("finished", "nothing_to_do"):
                assert end["items"] == night["row_count"], night


def test_nobody_is_at_work_when_the_clock_says_stop(month: dict[str, Any]) -> None:
    """Every run is over in time, and what it bought has landed, unless the service or the disk was away."""
    for number, night in enumerate(month["nights"]):
        assert night["ended_at"] <= night["stops_at"], night
        assert night["in_flight"] == 0 or number in {7, 13, 22}, night


def test_the_night_of_summer_time_is_an_hour_shorter(month: dict[str, Any]) -> None:
    """The night that loses an hour stops as early as it must, no earlier, and the next one does the rest."""
    windows = {night["day"]: night["stops_at"] - night["begins_at"] for night in month["nights"]}
    assert windows.pop(str(date(2026, 3, 29))) == SHORT_WINDOW_S
    assert set(windows.values()) == {WHOLE_WINDOW_S}
    short = month["nights"][19]
    before_stop_s = short["stops_at"] - short["last_create_at"]
    assert before_stop_s <= P95_S * 1.1 + MARGIN_S
    assert month["nights"][20]["ends"][0]["outstanding"] == 0


def test_the_crash_was_met_at_work(month: dict[str, Any]) -> None:
    """The killed runs had predictions in flight, and those who came after them adopted each."""
    assert month["kills"] == 2
    assert month["states_at_kills"]["in_flight"] > 0
    again = month["nights"][3]["ends"][1]
    tomorrow = month["nights"][8]["ends"][0]
    assert again["creates"] < 8 + 2
    assert tomorrow["creates"] < 16 + 2


def test_the_history_tells_the_month(month: dict[str, Any]) -> None:
    """Each run has its line in its night, cut off where it could not tell its end, and the money adds up."""
    history = month["history"]
    assert len(history) == month["runs"]
    told = iter(history)
    for night in month["nights"]:
        for end in night["ends"]:
            line = next(told)
            assert night["begins_at"] <= line["began_at"] <= night["stops_at"], line
            if not end or end["reason"] == "disk":
                assert line["reason"] in ("cut_off", "disk"), line
                continue
            same = ("reason", "exit_code", "items", "saved", "failed", "outstanding", "creates", "polls")
            assert {name: line[name] for name in same} == {name: end[name] for name in same}
    assert sum(line["spend_usd"] for line in history) == pytest.approx(month["cost_usd"])


def test_the_history_is_shown(month: dict[str, Any]) -> None:
    """The command prints each run of the month in 80 columns, and all of them as JSON."""
    job = str(month["folder"] / "job.toml")
    shown = CliRunner().invoke(main, ["history", job, "--last", "40"])
    assert shown.exit_code == 0, shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
    assert shown.output.count("cut off") >= month["kills"]
    told = CliRunner().invoke(main, ["history", job, "--last", "40", "--json"])
    assert told.exit_code == 0
    assert month["history"][-1]["run"] in told.stdout
