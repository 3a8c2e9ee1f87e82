"""The live view of a run on the simulator: it follows the run, stops it in order, and never holds it."""

import io
import json
import socket
import zipfile
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from edge.bench import judged, rows, simulated, web
from edge.listening import Heard, deaf, until, viewing
from edge.nights import failed, write_night

import batchup
from batchup import Job, Summary
from batchup.api import _run
from batchup.edge.live.running import Live, Serving, live_view
from batchup.edge.live.view import View
from batchup.edge.options import RunOptions
from batchup.edge.stopper import Stopper
from batchup.edge.telling.runlog import NAME as LOG
from batchup.edge.telling.runlog import RunLog
from batchup.errors import ConfigProblem

pytestmark = pytest.mark.anyio
HERE = "127.0.0.1:0"


async def test_a_run_is_followed_and_stopped_in_order(tmp_path: Path) -> None:
    """Rows and figures come as they change; the button lets what is in flight land, and work is left."""
    rows(tmp_path / "rows.jsonl", *web(*(f"i{number}" for number in range(300))))
    job = simulated(tmp_path, "rows.jsonl", speed=30)
    urls: list[str] = []
    summaries: list[Summary] = []
    heard = Heard()

    async def run() -> None:
        summaries.append(await batchup.run(Job.load(job), serve=HERE, on_serve=urls.append))

    with ExitStack() as later:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await until(lambda: bool(urls))
            later.enter_context(deaf(urls[0]))
            tasks.start_soon(heard.listen, urls[0])
            async with viewing(urls[0]) as viewer:
                await until(lambda: len({row["id"] for new in heard.all("rows") for row in new}) >= 3)
                assert (await viewer.get())[0] == 200
                _, archive, _ = await viewer.get("images.zip")
                assert [await viewer.stop(), await viewer.stop()] == [202, 202]
    (summary,) = summaries
    assert (summary.reason, summary.exit_code) == ("stopped", 75)
    assert (summary.saved, summary.in_doubt, summary.held) == (summary.creates, 0, 0)
    assert summary.outstanding > 0
    with zipfile.ZipFile(io.BytesIO(archive)) as pictures:
        assert pictures.testzip() is None
        assert 0 < len(pictures.namelist()) <= summary.saved

    saved = [status["now"]["saved"] for status in heard.all("status")]
    assert saved == sorted(saved)
    assert len(set(saved)) > 1
    assert any(status["running"] for status in heard.all("status"))
    assert heard.all("status")[-1]["summary"]["reason"] == "stopped"
    shown = {row["id"]: row["state"] for new in heard.all("rows") for row in new}
    assert shown == {f"i{number}": "saved" for number in range(300) if f"i{number}" in shown}
    assert len(shown) == summary.saved
    commands = {told["next_command"] for told in heard.all("document") if told["run"]["is_running"]}
    assert commands == {None}
    assert {told["run"]["can_stop"] for told in heard.all("document")} == {True}
    document = heard.all("document")[-1]
    assert (document["run"]["reason"], document["totals"]["saved"]) == ("stopped", summary.saved)
    assert document["plots"]["throughput"] is not None
    assert heard.events[-1] == ("end", {})

    token = urls[0].split("/")[3]
    out = tmp_path / "job.out"
    for path in (out / LOG, out / "status.json", out / "results.jsonl"):
        assert token not in path.read_text()
    assert judged(job)["creates"] == summary.creates


async def test_a_stop_before_the_first_create_creates_nothing(tmp_path: Path) -> None:
    """Pressed while the run still opens its parts, the button holds from the beginning."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    stopper = Stopper()
    stopper.drain()
    summary = await _run(Job.load(simulated(tmp_path, "rows.jsonl")), RunOptions(), stopper)
    assert (summary.reason, summary.exit_code, summary.creates) == ("stopped", 75, 0)


async def test_a_view_that_cannot_be_served_costs_nothing(tmp_path: Path) -> None:
    """A port that is taken, and an address that others reach, end the run before anything is created."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    job = Job.load(simulated(tmp_path, "rows.jsonl"))
    with pytest.raises(ConfigProblem, match="can stop the run"):
        await batchup.run(job, serve="0.0.0.0:0")
    assert not job.output.dir.exists()
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigProblem, match="already in use") as caught,
    ):
        await batchup.run(job, serve=f"127.0.0.1:{taken.getsockname()[1]}")
    assert caught.value.summary is not None
    assert caught.value.summary.reason == "config"
    assert not (job.output.dir / "simulator").exists()


async def test_the_token_is_in_no_log(tmp_path: Path) -> None:
    """Whatever a run logs of its view's address, what opens it is not in the file."""
    night, log = write_night(tmp_path, []), RunLog(tmp_path / LOG, "r")
    urls: list[str] = []
    serving = Serving(address=HERE, on_url=urls.append, say=lambda _: None)
    async with live_view(night.job, serving, Stopper(), log):
        log.info("seen", url=urls[0])
    log.close()
    text = (tmp_path / LOG).read_text()
    assert (urls[0].split("/")[2] in text, urls[0].split("/")[3] in text) == (True, False)


async def test_a_view_that_breaks_is_given_up(tmp_path: Path) -> None:
    """A bug in the view is a line in the log, once, and nothing that the run hears of."""

    class Broken(View):
        def outcome(self, outcome: batchup.Outcome) -> None:
            raise LookupError(outcome.id)

    night = write_night(tmp_path, [])
    log = RunLog(tmp_path / LOG, "r")
    live = Live(Broken(night.job, "night.toml"), log)
    live.outcome(failed("a"))
    live.outcome(failed("b"))
    log.close()
    (line,) = (tmp_path / LOG).read_text().splitlines()
    assert json.loads(line)["event"] == "live_view_broken"
    assert "LookupError: a" in line
