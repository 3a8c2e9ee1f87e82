import subprocess
import sys
from typing import Any

import pytest

from batchup.simulator import FAULTS, SimulatorSettings
from batchup.simulator.faults import FaultDice
from batchup.simulator.settings import parse_fault, parse_length, parse_rate


def test_defaults_are_those_of_the_contract() -> None:
    """Without a word said, the service has the limits and durations of the real one."""
    plain = SimulatorSettings()
    assert (plain.concurrency, plain.rate_count, plain.rate_period_s) == (10, 60, 60.0)
    assert (plain.durations, plain.speed, plain.seed) == ("lognormal:53s:0.3", 1, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"durations": "53s"},
        {"speed": 0},
        {"speed": float("inf")},
        {"concurrency": 0},
        {"rate_count": 0},
        {"rate_period_s": -1},
        {"output_count": 0},
        {"slow_s": -1},
        {"listing_lag_s": float("nan")},
        {"output_shape": "cube"},
        {"engine": "bicubic"},
        {"webhook_scheme": "shouted"},
        {"webhook_body": "newer"},
        {"hold_s": -1},
        {"list_strangers": -1},
        {"balance": -1},
        {"cost": float("nan")},
        {"faults": {"create_lots": 0.1}},
        {"faults": {"create_lost": 1.1}},
    ],
)
def test_wrong_settings_are_refused_in_one_sentence(wrong: dict[str, Any]) -> None:
    """A setting outside its bounds raises ValueError with one line."""
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        SimulatorSettings(**wrong)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60/min", (60, 60.0)),
        ("2/s", (2, 1.0)),
        ("500/h", (500, 3600.0)),
        ("60/3s", (60, 3.0)),
        ("5/500ms", (5, 0.5)),
        ("unlimited", (None, 60.0)),
    ],
)
def test_rates_are_read_in_every_form(text: str, rate: tuple[int | None, float]) -> None:
    """A rate is a count and a unit or a length of time, or the word unlimited."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["60", "0/min", "60/", "60/fortnight", "-1/s", "x/min", "60/0s"])
def test_wrong_rates_are_refused(text: str) -> None:
    """What is no rate raises ValueError that says what to write."""
    with pytest.raises(ValueError, match="write"):
        parse_rate(text)


def test_a_length_may_be_none() -> None:
    """A length is read with its unit; 0s is one, and a bare number is not."""
    assert (parse_length("20s"), parse_length("0s"), parse_length("2min")) == (20.0, 0.0, 120.0)
    with pytest.raises(ValueError, match="write"):
        parse_length("20")


def test_a_fault_is_a_name_and_a_share() -> None:
    """A fault's switch is read as NAME=SHARE; a near miss of a name is told the name."""
    assert parse_fault("create_lost=0.02") == ("create_lost", 0.02)
    for text in ("create_lost", "create_lost=", "create_lost=much", "create_lost=nan", "create_lost=2"):
        with pytest.raises(ValueError, match="create_lost"):
            parse_fault(text)
    with pytest.raises(ValueError, match='did you mean "create_lost"'):
        parse_fault("create_lots=0.1")
    with pytest.raises(ValueError, match="there are create_lost, "):
        parse_fault("zzz=0.1")


def test_faults_fall_by_seed_name_and_number_alone() -> None:
    """The same seed throws the same faults in any order, at about the share that was asked for."""
    dice = FaultDice(1, {"create_lost": 0.25, "slow": 0.0})
    first = [dice.hits("create_lost", number) for number in range(2000)]
    again = FaultDice(1, {"create_lost": 0.25})
    assert first == [again.hits("create_lost", number) for number in range(2000)]
    assert first != [FaultDice(2, {"create_lost": 0.25}).hits("create_lost", n) for n in range(2000)]
    assert sum(first) / 2000 == pytest.approx(0.25, abs=0.04)
    assert not any(dice.hits("slow", number) or dice.hits("poll_5xx", number) for number in range(100))


def test_every_fault_has_a_line_for_the_help() -> None:
    """Each switch is explained in one short line, and the one that others rely on is there."""
    assert "create_lost" in FAULTS
    assert all(line and "\n" not in line and len(line) < 90 for line in FAULTS.values())


def test_checking_a_job_or_showing_help_loads_no_server() -> None:
    """The names a job file's check needs, and the command's help, import neither aiohttp nor Pillow."""
    code = (
        "import sys, batchup.simulator, batchup.cli.simulate;"
        "sys.exit(' '.join(sorted({'aiohttp', 'PIL'} & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    """The package that imports its server late still says so when a name does not exist."""
    import batchup.simulator as package  # noqa: PLC0415 - the package itself is what is asked

    with pytest.raises(AttributeError, match="no attribute 'Simulators'"):
        package.Simulators  # noqa: B018 - the access is the test
