"""What goes to a worker and what comes back: values, of which none is a secret, a handle or an image."""

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from executors.helpers import Blind, Elsewhere, Leaving, Losing, Older, Travelling
from executors.nights import all_is_well, job_on, service
from reliability.processes import Host

import batchup
from batchup.core.items import Failure, LocalFile
from batchup.core.messages import Put, UploadFailed
from batchup.edge.executors.crew import GivenCrew
from batchup.edge.executors.looking import look_at
from batchup.edge.executors.processes import ProcessCrew
from batchup.edge.making import output_settings, upload_settings
from batchup.edge.stages import Bug, Ended, Refused, SaveRef, save_chunk, upload_chunk
from batchup.errors import ConfigProblem, DiskProblem, OutputProblem, Unavailable
from batchup.job import Job

KEY = "a-secret-key"
IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"WEBP", b"IDAT")
ITEMS = 20
LARGEST = 2000  # bytes for an item, there and back; a picture of these has more with its output


class Giving(BaseHTTPRequestHandler):
    """Gives a few bytes to whoever asks."""

    def do_GET(self) -> None:
        """Answer with four bytes, whatever was asked for."""
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"1234")


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("A_KEY", KEY)


def job_in(folder: Path, more: str = "") -> Job:
    return Job.from_toml(
        f'manifest = "a.txt"\nmodel = "m"\n[service]\nurl = "simulator"\n{more}', base=folder
    )


def test_no_key_no_checkpoint_and_no_image_travels(tmp_path: Path, host: Host) -> None:
    """A run by any executor sends it paths, addresses and settings, gets facts back, and leaves it open."""
    executor = Travelling()
    with service(host) as judge:
        job = job_on(tmp_path, judge, "threads", ITEMS)
        summary = batchup.run_sync(job, executor=executor)
        assert (summary.exit_code, summary.saved) == (0, ITEMS)
        all_is_well(job, judge, ITEMS)
    assert executor.stages["upload_chunk"] >= 1
    assert executor.stages["save_chunk"] >= 1
    travelled = executor.sent + executor.came
    for one in travelled:
        assert KEY.encode() not in one
        assert re.search(rb"checkpoint\.|Checkpoint|Ledger|sqlite3", one) is None
        assert not any(mark in one for mark in IMAGES)
    assert sum(map(len, travelled)) < ITEMS * LARGEST
    assert executor.submit(len, "open").result() == 4
    executor.shutdown()


def test_an_image_that_workers_do_not_have_goes_up_from_here(tmp_path: Path, host: Host) -> None:
    """The images need not be shared: what no worker finds is uploaded by the run itself."""
    executor = Blind()
    with service(host) as judge:
        job = job_on(tmp_path, judge, "threads", 3)
        summary = batchup.run_sync(job, executor=executor)
        assert (summary.exit_code, summary.saved) == (0, 3)
        all_is_well(job, judge, 3)
    assert executor.stages["upload_chunk"] >= 1
    executor.shutdown()


def test_lost_workers_leave_what_was_paid_to_the_next_run(tmp_path: Path, host: Host) -> None:
    """Where all workers are lost the run ends in order, and the next one fetches what it bought."""
    with service(host) as judge:
        job = job_on(tmp_path, judge, "threads", 3)
        executor = Leaving("save_chunk")
        with pytest.raises(Unavailable, match="are gone") as caught:
            batchup.run_sync(job, executor=executor)
        assert caught.value.exit_code == 69
        summary = batchup.run_sync(job)
        assert (summary.exit_code, summary.saved) == (0, 3)
        all_is_well(job, judge, 3)
    executor.shutdown()


def test_a_folder_that_is_not_shared_is_found_before_anything_is_bought(tmp_path: Path, host: Host) -> None:
    """Workers whose output folder is another one than the run's are refused with what to do."""
    with service(host) as judge, pytest.raises(OutputProblem, match="is another folder") as caught:
        batchup.run_sync(job_on(tmp_path, judge, "threads", 1), executor=Elsewhere(tmp_path / "theirs"))
    assert "bucket" in caught.value.remedy


def test_a_folder_that_a_worker_cannot_write(tmp_path: Path, host: Host) -> None:
    """A worker to which the folder is closed is told as such, not as a full disk of this machine."""
    (tmp_path / "theirs").write_text("no folder")
    with service(host) as judge, pytest.raises(OutputProblem, match="A worker of") as caught:
        batchup.run_sync(job_on(tmp_path, judge, "threads", 1), executor=Elsewhere(tmp_path / "theirs"))
    assert caught.value.exit_code == 73


def test_workers_that_do_not_answer_are_found_before_anything_is_bought(tmp_path: Path, host: Host) -> None:
    """Where no worker can look at the folder the run does not begin."""
    with service(host) as judge:
        job = job_on(tmp_path, judge, "threads", 1)
        with pytest.raises(ConfigProblem, match="do not work: nobody is there"):
            batchup.run_sync(job, executor=Losing(1000, is_gone=True))
        assert judge.stats()["requests"] == 0


@pytest.mark.anyio
async def test_workers_of_another_version_are_refused() -> None:
    """What stages say to each other is of one version: another one is named, with its machine."""
    executor = Older()
    with pytest.raises(ConfigProblem, match=r"has batchup-runner 0\.0\.1, and .* runs the job"):
        await look_at(GivenCrew(executor), None)
    executor.shutdown()


@pytest.mark.anyio
async def test_processes_that_do_not_start_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """A pool whose processes end at once is told with what mostly causes it: a script without a guard."""
    crew = ProcessCrew(1, (5,))  # type: ignore[arg-type] # which ends a process as it begins
    with pytest.raises(ConfigProblem, match="The workers of 1 process do not work") as caught:
        await look_at(crew, None)
    assert "__main__" in caught.value.remedy
    crew.close(is_idle=False)
    assert "No handlers" not in capfd.readouterr().err


@pytest.mark.parametrize("executor", ["ray://127.0.0.1:1", "dask://127.0.0.1:1"])
def test_a_cluster_that_is_not_there(tmp_path: Path, executor: str) -> None:
    """An address at which no cluster is ends the run with its name and what to do."""
    (tmp_path / "a.txt").write_text("https://example.com/a.jpg\n")
    with pytest.raises(ConfigProblem, match=f"The workers of {executor} cannot be had") as caught:
        batchup.run_sync(job_in(tmp_path, f'[run]\nexecutor = "{executor}"'))
    assert caught.value.exit_code == 78


@pytest.mark.parametrize(
    ("name", "extra", "package"),
    [("ray://auto", "ray", "ray"), ("dask://127.0.0.1:1", "dask", "distributed")],
)
def test_a_missing_extra_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, extra: str, package: str
) -> None:
    """Without the package the message says how it is installed."""
    (tmp_path / "a.txt").write_text("https://example.com/a.jpg\n")
    monkeypatch.delitem(sys.modules, f"batchup.edge.executors.{extra}_crew", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigProblem, match=f"needs {package}") as caught:
        batchup.run_sync(job_in(tmp_path, f'[run]\nexecutor = "{name}"'))
    assert f"pip install 'batchup-runner[{extra}]'" in caught.value.remedy


def test_a_stage_never_raises_for_one_item(tmp_path: Path) -> None:
    """An address that is none is that item's outcome, and so is a bug; the others are not touched by it."""
    settings = output_settings(job_in(tmp_path))
    refs = [SaveRef("a", ("nowhere",), {"is_twin": False}), SaveRef("b", (5,), {"is_twin": False})]  # type: ignore[arg-type] # the bug
    refused, bug = save_chunk(settings, refs)
    assert isinstance(refused, Refused)
    assert (refused.failure.kind, refused.is_gone) == ("bad_url", False)
    assert isinstance(bug, Bug)
    assert "Traceback" in bug.trace


def test_a_disk_that_fails_is_told_as_a_problem_of_the_run(tmp_path: Path) -> None:
    """What ends the run comes back as it is raised here, with its remedy."""
    job = job_in(tmp_path, "[output]\nallow_private = true")
    job.output.dir.mkdir()
    (job.output.dir / "images").write_text("no folder")
    with ThreadingHTTPServer(("127.0.0.1", 0), Giving) as server:
        Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/a.png"
        (outcome,) = save_chunk(output_settings(job), [SaveRef("a", (url,), {"is_twin": False})])
        server.shutdown()
    assert isinstance(outcome, Ended)
    assert isinstance(outcome.error, DiskProblem)
    assert outcome.error.remedy


def test_a_file_that_is_not_there_is_told_as_an_upload_that_failed(tmp_path: Path) -> None:
    """An upload's outcome is an event that the run takes as if it had made it itself."""
    file = LocalFile(str(tmp_path / "gone.png"), "00" * 32, 10, "image/png")
    command = Put(file, "http://127.0.0.1:1/put", {}, "http://127.0.0.1:1/get", 0.0)
    (outcome,) = upload_chunk(upload_settings(job_in(tmp_path)), [command])
    assert isinstance(outcome, UploadFailed)
    assert isinstance(outcome.failure, Failure)
    assert not outcome.failure.retryable
