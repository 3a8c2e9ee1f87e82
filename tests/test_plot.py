"""The picture of a run's pace: its series, its PNG, and what is said where there is nothing to draw."""

import asyncio
import json
import socket
from bisect import bisect_right
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest
from edge.bench import Ended, batchup, run, simulated
from PIL import Image
from simulator.bench import running

from batchup.errors import DataProblem
from batchup.report import draw
from batchup.report.pace import (
    Delays,
    Pace,
    Steps,
    changes_of,
    in_use,
    running_median,
    spans_of,
    trailing_window,
)
from batchup.report.records import read_run_log, read_service_log
from batchup.settings.units import Rate
from batchup.simulator import Simulator, SimulatorSettings

SIZE = (1600, 1000)


def line(event: str, run_id: str = "r1", **fields: Any) -> bytes:
    head = {"ts": "2030-01-01T00:00:00.000Z", "level": "info", "event": event, "run": run_id}
    return f"{json.dumps(head | fields, separators=(',', ':'))}\n".encode()


def paced(t_s: float, run_id: str = "r1", **fields: Any) -> bytes:
    usual = {"window": 30, "period_s": 60.0, "rate": 60, "slots": 9, "concurrency": 10}
    return line("pace", run_id, t_s=t_s, requests=5, **(usual | fields))


def settled(t_s: float, late_s: float | None, run_id: str = "r1", *, is_told: bool = True) -> bytes:
    return line("settled", run_id, t_s=t_s, item="a", found_late_s=late_s, is_told=is_told)


def service_log(*predictions: tuple[float, float | None, float | None]) -> dict[str, Any]:
    rows = [{"created_at": a, "done_at": b, "seen_at": c} for a, b, c in predictions]
    return {"arrivals": [{"t": at} for at in (10.0, 20.0, 70.0)], "predictions": rows}


def steps_by_counting(times: list[float], period_s: float, at: float) -> int:
    return sum(1 for time in times if at - period_s < time <= at)


def test_a_window_counts_what_came_within_a_period() -> None:
    """At each instant of change the series has what plain counting gives, half open as the judge's is."""
    rng = Random(1)
    times = [float(rng.randrange(300)) for _ in range(120)]
    steps = trailing_window(times, 60.0)
    assert list(steps.values) == [steps_by_counting(times, 60.0, at) for at in steps.at_s]
    assert steps.at_s[-1] == max(times) + 60
    assert steps.most == max(steps_by_counting(times, 60.0, at) for at in times)


def test_a_slot_that_is_freed_can_be_taken_at_once() -> None:
    """A span that begins where another ends is not open together with it."""
    assert in_use([(0, 5), (5, 9), (1, 9)]) == Steps([0, 1, 5, 9], [1, 2, 2, 0])
    assert in_use([]) == Steps([], [])


def test_a_median_runs() -> None:
    """Each value's median is of itself and its neighbours, of fewer at both ends."""
    assert running_median([1, 9, 2, 3, 50, 4], 3) == [5.0, 2, 3, 3, 4, 27.0]
    assert running_median([]) == []


def test_a_long_series_is_summed_up() -> None:
    """Each span has the least, the mean over time and the most that plain sampling finds in it."""
    rng = Random(2)
    at_s = sorted(rng.uniform(0, 100) for _ in range(60))
    steps = Steps(at_s, [float(rng.randrange(10)) for _ in at_s])
    spans = spans_of(steps, 100.0, 8)
    for k in range(8):
        sampled = [value_at(steps, 12.5 * (k + (n + 0.5) / 5000)) for n in range(5000)]
        assert (spans.least[k], spans.most[k]) == (min(sampled), max(sampled))
        assert spans.mean[k] == pytest.approx(sum(sampled) / len(sampled), abs=0.02)


def value_at(steps: Steps, at_s: float) -> float:
    k = bisect_right(steps.at_s, at_s)
    return (steps.values[k - 1] or 0.0) if k else 0.0


def test_limits_are_kept_where_they_change() -> None:
    """A limit that holds for hours is two numbers, and one that is taken away is none."""
    assert changes_of([0, 10, 20, 30], [60, 60, None, 30]) == Steps([0, 20, 30], [60, None, 30])


def test_the_newest_run_is_read() -> None:
    """Of a log with several runs the last one counts, with its job, its limits and its delays."""
    lines = [line("run_started", "r0", job="nightly"), paced(0, "r0", window=99), settled(9, 9.0, "r0")]
    lines += [line("run_started", job="nightly"), paced(0), line("created", item="a")]
    lines += [
        paced(10, window=50, slots=10, rate=30),
        settled(12, 1.5),
        settled(13, None),
        paced(14, rate=30),
    ]
    lines += [settled(15, 2.5, is_told=False), line("run_ended")]
    pace = read_run_log(lines, "log")
    assert (pace.title, pace.end_s, pace.period_s) == ("nightly · run r1", 15, 60)
    assert pace.window == Steps([0, 10, 14], [30, 50, 30])
    assert pace.slots == Steps([0, 10, 14], [9, 10, 9])
    assert (pace.rate, pace.concurrency) == (Steps([0, 10], [60, 30]), Steps([0], [10]))
    assert pace.delays == Delays([12, 15], [1.5, 2.5], [True, False])
    assert pace.running is None


def test_an_older_run_can_be_chosen() -> None:
    """A run is found by its id, also when newer ones follow; else those that are there are named."""
    lines = [paced(0, "r0", window=7), paced(0, "r1"), paced(0, "r2")]
    assert read_run_log(lines, "log", "r0").window.values == [7]
    assert read_run_log(lines, "log", "r0").title == "run r0"
    with pytest.raises(DataProblem, match=r"^log has no run r9; its newest are r0, r1, r2\.$"):
        read_run_log(lines, "log", "r9")


@pytest.mark.parametrize(
    "cut", [b'{"ts', b'{"ts":"2030-01-01T00:00:00.000Z","level":"in', paced(5)[:-2], b"\n"]
)
def test_a_line_that_was_cut_off_is_passed_over(cut: bytes) -> None:
    """A killed run leaves half a line; what the next one writes after it is read."""
    assert read_run_log([paced(0), cut, paced(10)], "log").window.at_s == [0, 10]


@pytest.mark.parametrize(
    "wrong", [b"<html>\n", b'{"id": "a"}\n', b"[]\n", b"\xff\xfe\n", line("pace", t_s="x")]
)
def test_a_wrong_line_is_named(wrong: bytes) -> None:
    """What is no log is one sentence with file and line."""
    with pytest.raises(DataProblem, match=r"^photos.txt, line 2, is not a line of a run's log\.\n"):
        read_run_log([paced(0), wrong], "photos.txt")


@pytest.mark.parametrize(
    ("lines", "words"), [([], "is empty"), ([line("run_started", job="j")], "no pace lines")]
)
def test_an_empty_log_is_told(lines: list[bytes], words: str) -> None:
    """A log without a run, and a run without its pace, are said to be nothing to draw."""
    with pytest.raises(DataProblem, match=f"^log .*{words}.*nothing to draw"):
        read_run_log(lines, "log")


def test_what_a_simulator_saw() -> None:
    """Its log gives each window, the slots until each end was found, and the delays; time begins with it."""
    log = service_log((10.0, 50.0, 55.0), (20.0, 60.0, None), (30.0, None, None))
    pace = read_service_log(json.dumps(log).encode(), "log", rate=Rate(60, 60.0), concurrency=10)
    assert (pace.end_s, pace.period_s) == (60, 60)
    assert pace.window == Steps([0, 10, 60, 70, 120], [1, 2, 2, 1, 0])
    assert pace.slots == Steps([0, 10, 20, 45, 60], [1, 2, 3, 2, 0])
    assert pace.running == Steps([0, 10, 20, 40, 50, 60], [1, 2, 3, 2, 1, 0])
    assert pace.delays == Delays([45], [5], [True])
    assert (pace.rate.values, pace.concurrency.values) == ([60], [10])


def test_a_simulator_without_a_rate() -> None:
    """Without a limit the windows are minutes, and no limit is drawn."""
    pace = read_service_log(json.dumps(service_log()).encode(), "log", rate=None, concurrency=10)
    assert (pace.period_s, pace.rate) == (60, Steps([0], [None]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"arrivals": [],\n"predictions": [\n}', r"^log, line 3, is not the log of a simulator"),
        (b'{"arrivals": 5, "predictions": []}', r"^log, line 1, is not the log of a simulator"),
        (b'{"arrivals": [], "predictions": []}', r"^log is empty"),
    ],
)
def test_a_broken_service_log_is_told(data: bytes, words: str) -> None:
    """What is no log of a simulator is one sentence with the line, as is one without a request."""
    with pytest.raises(DataProblem, match=words):
        read_service_log(data, "log", rate=None, concurrency=10)


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


PICTURES: Mapping[str, Pace] = {
    "empty": read_run_log([paced(0, window=0, slots=0)], "log"),
    "unlimited": read_run_log([paced(0, rate=None), paced(20_000, rate=None)], "log"),
    "night": read_run_log([paced(10.0 * k, slots=k % 10) for k in range(3000)], "log"),
    "whole": read_run_log([paced(0), paced(700), settled(5, 1), settled(9, 2, is_told=False)], "log"),
    "service": read_service_log(
        json.dumps(service_log((10.0, 50.0, 55.0))).encode(), "log", rate=None, concurrency=3
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_drawn_of_anything(name: str, tmp_path: Path) -> None:
    """The PNG opens and has its size, whether there is much to show or nothing at all."""
    path = tmp_path / "pace.png"
    path.write_bytes(draw.png(PICTURES[name]))
    picture = opened(path)
    assert (picture.format, picture.size) == ("PNG", SIZE)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small job that has run."""
    folder = tmp_path_factory.mktemp("plot")
    job = simulated(folder)
    assert run(job).code == 0
    return job


def test_a_run_is_drawn(done: Path) -> None:
    """`plot JOB` draws the newest run and says where; the log has every request and every end of it."""
    log = done.with_suffix(".out") / "run.log.jsonl"
    lines = [json.loads(text) for text in log.read_text().splitlines()]
    pace = read_run_log(log.read_bytes().splitlines(), "log")
    told = [entry for entry in lines if entry["event"] == "pace"]
    assert (
        sum(entry["requests"] for entry in told)
        == json.loads((log.parent / "status.json").read_text())["summary"]["requests"]
    )
    assert len([entry for entry in lines if entry["event"] == "settled"]) == 6
    assert (told[-1]["slots"], pace.concurrency.values) == (0, [10])
    assert 0 < pace.slots.most <= 10
    assert 0 < pace.window.most <= 60
    ended = batchup(done.parent, "plot", done, "-o", "here.png")
    assert (ended.code, ended.out, ended.err) == (0, "here.png\n", "")
    assert opened(done.parent / "here.png").size == SIZE


def test_a_log_is_drawn_by_itself(done: Path) -> None:
    """A run's log and a simulator's are told apart by what is in them."""
    folder = done.parent

    async def what_it_saw() -> Mapping[str, Any]:
        simulator = Simulator(SimulatorSettings(), done.with_suffix(".out") / "simulator")
        async with simulator.listen():
            return simulator.log()

    (folder / "saw.txt").write_text(json.dumps(asyncio.run(what_it_saw()), indent=1))
    for source in ("job.out/run.log.jsonl", "saw.txt"):
        assert batchup(folder, "plot", source).code == 0
        assert opened(folder / "pace.png").size == SIZE
        (folder / "pace.png").unlink()


def failed(folder: Path, *words: str | Path, **environ: str) -> Ended:
    """Run `plot` and see that it fails in one sentence, drawing nothing."""
    ended = batchup(folder, "plot", *words, **environ)
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert not (folder / "pace.png").exists()
    return ended


def test_without_matplotlib(done: Path, tmp_path: Path) -> None:
    """Where matplotlib is not installed, the next line says what to install, and the exit code is 78."""
    hidden = 'raise ModuleNotFoundError("No module named matplotlib", name="matplotlib")'
    (tmp_path / "matplotlib.py").write_text(hidden)
    ended = failed(done.parent, done, PYTHONPATH=str(tmp_path))
    assert ended.code == 78
    assert ended.err.count("\n") == 2
    assert "pip install 'batchup-runner[plots]'" in ended.err
    assert "No module named matplotlib" in ended.err


def test_a_wrong_file_is_one_sentence(tmp_path: Path) -> None:
    """What is no log, or is not there, is named with its line; the exit code is 65, and a folder's 78."""
    assert failed(tmp_path, tmp_path).code == 78
    (tmp_path / "rows.txt").write_text("a.jpg\n")
    assert "rows.txt, line 1, is not a line of a run's log." in failed(tmp_path, "rows.txt").err
    assert "no.jsonl cannot be read: No such file" in failed(tmp_path, "no.jsonl").err
    assert failed(tmp_path, "no.jsonl").code == 65
    job = simulated(tmp_path)
    assert "has not run yet" in failed(tmp_path, job).err


def test_a_rate_has_its_forms(tmp_path: Path) -> None:
    """A rate that is none is wrong usage, and the forms are named."""
    ended = failed(tmp_path, "log", "--rate", "many")
    assert ended.code == 2
    assert "60/min" in ended.err


def test_a_running_simulator_is_drawn(tmp_path: Path) -> None:
    """The address of a simulator on this machine is enough; one that has seen nothing says so."""
    with running("--port", "0") as simulator:
        ended = failed(tmp_path, simulator.stats)
        assert (ended.code, "has seen no request" in ended.err) == (65, True)
        with socket.create_connection(("127.0.0.1", simulator.port)) as client:
            client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: here\r\nX-API-Key: k\r\n\r\n")
            client.recv(1)
        assert batchup(tmp_path, "plot", simulator.url).code == 0
    assert opened(tmp_path / "pace.png").size == SIZE


def test_other_addresses_are_refused(tmp_path: Path) -> None:
    """No other machine is asked, and where nobody listens, or somebody else, that is said."""
    ended = failed(tmp_path, "https://example.com/stats/log")
    assert (ended.code, "on this machine" in ended.err) == (65, True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ended = failed(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}/stats")
    assert (ended.code, "cannot be read" in ended.err) == (69, True)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as stranger:
        thread = Thread(target=stranger.handle_request)
        thread.start()
        ended = failed(tmp_path, f"http://127.0.0.1:{stranger.server_port}/stats")
        thread.join()
    assert (ended.code, "it is no simulator's" in ended.err) == (65, True)
