import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import warm
from simulator.bench import command, running

from batchup.simulator import FAULTS


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return warm.run(command(*options), timeout=120)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_ends_quietly(number: signal.Signals) -> None:
    """One JSON line when it listens, nothing more, and exit code 0 at the signal."""
    with running("--fault", "rate_429=1", "--fault", "slow=0") as service:
        assert service.stats == service.url.replace("/v1", "/stats")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(service.url + "/models")
        with caught.value as answer:
            assert answer.code == 429
        service.process.send_signal(number)
        assert service.process.wait(60) == 0
        assert service.process.stdout is not None
        assert service.process.stdout.read() == ""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--rate", "60"], '"60" is no rate'),
        (["--fault", "create_lots=1"], 'did you mean "create_lost"'),
        (["--fault", "create_lost=2"], "must lie between 0 and 1"),
        (["--durations", "53s"], '"53s" is no distribution'),
        (["--speed", "0"], "speed is 0"),
        (["--concurrency", "0"], "concurrency is 0"),
        (["--listing-lag", "20"], '"20" is no length of time'),
        (["--hold", "long"], '"long" is no length of time'),
        (["--strangers", "-1"], "list_strangers is -1"),
        (["--cost", "-1"], "cost is -1"),
        (["--webhook-scheme", "none"], "'none' is not one of"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--host", "192.0.2.1"], "cannot serve on 192.0.2.1:0"),
    ],
)
def test_a_wrong_value_is_one_sentence_and_exit_2(options: list[str], sentence: str) -> None:
    """What cannot be understood is told on stderr in one sentence, and nothing is served."""
    done = run(*options)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_port_in_use_and_a_state_that_is_none_are_told(tmp_path: Path) -> None:
    """A port that is taken, or a state file that is no database, is one sentence and exit 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port))
        assert (done.returncode, f"cannot serve on 127.0.0.1:{port}" in done.stderr) == (2, True)
    (tmp_path / "simulator.db").write_text("no database, but long enough to be taken for one " * 99)
    done = run("--state", str(tmp_path))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_help_lists_every_fault() -> None:
    """The help explains each switch."""
    text = run("-h").stdout
    assert [name for name in FAULTS if f"  {name}" not in text] == []
    assert "--fault NAME=SHARE" in text


def test_its_manners_are_flags() -> None:
    """Key, credit, price, the list's lag, its strangers and outputs, and held polls are as the flags say."""
    money = ("--key", "k2", "--balance", "0.5", "--cost", "0.4")
    listing = ("--listing-lag", "1h", "--strangers", "3", "--no-list-output")
    webhooks = ("--webhook-scheme", "hmac", "--webhook-body", "old")
    timing = ("--durations", "fixed:1s", "--hold", "5s")
    with running(*money, *listing, *webhooks, *timing) as service:

        def call(path: str, body: object = None, key: str = "k2") -> tuple[int, dict[str, Any]]:
            data = None if body is None else json.dumps(body).encode()
            asked = urllib.request.Request(service.url + path, data, {"X-API-Key": key})
            try:
                with urllib.request.urlopen(asked) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as problem:
                with problem:
                    return problem.code, json.load(problem)

        body = {"model": "each-upscaler", "input": {"image": "https://example.com/a.jpg"}}
        assert call("/prediction", body, key="k")[0] == 401
        made = call("/prediction", body)[1]["predictionID"]
        assert call("/prediction", body)[0] == 402
        # One request tells the end: it was held open.
        assert call(f"/prediction/{made}")[1]["status"] == "success"
        rows = call("/executions")[1]["executions"]
        assert made not in {row["id"] for row in rows}
        assert rows == []


def test_stats_are_a_json_object_of_whole_numbers() -> None:
    """The statistics have the names that others rely on, all whole numbers but the counts by route."""
    with running() as service, urllib.request.urlopen(service.stats) as answer:
        found = json.load(answer)
    names = [
        *("requests", "worst_window", "max_in_flight", "creates", "duplicate_creates", "throttled"),
        *("refused", "predictions"),
    ]
    assert [type(found[name]) for name in names] == [int] * len(names)
    assert found["by_route"] == {}
