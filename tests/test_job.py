"""The job file becomes a job: defaults, values, and which source wins."""

import copy
import dataclasses
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from batchup.errors import ConfigProblem
from batchup.job import (
    Job,
    Limits,
    Output,
    Polling,
    Prepare,
    Rate,
    RunPolicy,
    Service,
    Simulation,
    Webhook,
)

MINIMAL = 'manifest = "products.jsonl"\nmodel = "each-upscaler"\n'


def write(folder: Path, text: str = MINIMAL, name: str = "nightly.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def load(path: Path, **overrides: object) -> Job:
    return Job.load(path, overrides=overrides, environ={})


def test_a_manifest_and_a_model_are_enough(tmp_path: Path) -> None:
    """Everything but the manifest and the model has a default."""
    job = load(write(tmp_path))
    assert job == Job(
        path=tmp_path / "nightly.toml",
        name="nightly",
        manifest="products.jsonl",
        model="each-upscaler",
        base=tmp_path,
        output=Output(dir=tmp_path / "nightly.out"),
    )
    assert job.limits == Limits(
        concurrency=10, rate=Rate(60, 60.0), open_creates=1, max_attempts=3, max_spend=None
    )
    assert job.polling == Polling(expected_s=53.0, list="auto", timeout_s=900.0)
    assert job.run == RunPolicy(on_in_doubt="reconcile", on_change="error")
    assert job.service.url == "https://api.eachlabs.ai/v1"
    assert not job.service.is_simulated
    assert job.simulator is None
    assert job.webhook is None


def test_every_key_reaches_the_job(tmp_path: Path) -> None:
    """A value for each key of the job file is found in the job, lengths in seconds."""
    text = """
        name = "n"
        manifest = "m.csv"
        model = "real-esrgan"
        input = { scale = 4, nested = { a = [1, true, "x"] } }
        [columns]
        id = "sku"
        image = "photo_url"
        [limits]
        concurrency = 7
        rate = "60/3s"
        open_creates = 100
        max_attempts = 5
        max_spend = 25
        [polling]
        expected = "500ms"
        list = "off"
        timeout = "1.5h"
        [run]
        on_in_doubt = "hold"
        on_change = "redo"
        on_unknown = "drop"
        dedupe = false
        executor = "processes:3"
        allow_empty = true
        cutoff = "leave"
        [output]
        dir = "o"
        allow_private = true
        max_pixels = 1_000
        [prepare]
        max_side = 4096
        format = "webp"
        quality = 80
        orient = true
        check = true
        delete_uploads = true
        [service]
        url = "simulator"
        key = "file:k.txt"
        auth = "bearer"
        profile = "eachlabs"
        request_timeout = "5s"
        listing_lag = "2min"
        settle = "1s"
        [webhook]
        listen = "[::]:8080"
        public_url = "https://hooks.example.com/a"
        [simulator]
        durations = "fixed:5s"
        speed = 20
        seed = 3
        faults = { create_lost = 0.5 }
    """
    job = load(write(tmp_path, text))
    assert job == Job(
        path=tmp_path / "nightly.toml",
        name="n",
        manifest="m.csv",
        model="real-esrgan",
        base=tmp_path,
        input={"scale": 4, "nested": {"a": [1, True, "x"]}},
        columns={"id": "sku", "image": "photo_url"},
        limits=Limits(concurrency=7, rate=Rate(60, 3.0), open_creates=100, max_attempts=5, max_spend=25.0),
        polling=Polling(expected_s=0.5, list="off", timeout_s=5400.0),
        run=RunPolicy(
            on_in_doubt="hold",
            on_change="redo",
            on_unknown="drop",
            dedupe=False,
            executor="processes:3",
            allow_empty=True,
            cutoff="leave",
        ),
        output=Output(dir=tmp_path / "o", allow_private=True, max_pixels=1000),
        prepare=Prepare(
            max_side=4096, format="webp", quality=80, orient=True, check=True, delete_uploads=True
        ),
        service=Service(
            url="simulator",
            key=f"file:{tmp_path / 'k.txt'}",
            auth="bearer",
            request_timeout_s=5.0,
            listing_lag_s=120.0,
            settle_s=1.0,
        ),
        webhook=Webhook(listen="[::]:8080", public_url="https://hooks.example.com/a"),
        simulator=Simulation(durations="fixed:5s", speed=20.0, seed=3, faults={"create_lost": 0.5}),
    )


def test_a_flag_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    """The strongest source that names a setting decides it, and leaves the others to the weaker."""
    path = write(tmp_path, MINIMAL + "[limits]\nconcurrency = 1\nmax_attempts = 1\nmax_spend = 1.0\n")
    environ = {"BATCHUP_LIMITS_CONCURRENCY": "2", "BATCHUP_LIMITS_MAX_ATTEMPTS": "2"}
    limits = Job.load(path, overrides={"limits.concurrency": 3}, environ=environ).limits
    assert (limits.concurrency, limits.max_attempts, limits.max_spend) == (3, 2, 1.0)


def test_every_setting_has_a_variable(tmp_path: Path) -> None:
    """Variables set the top of the file, its tables, columns and faults, each in its own type."""
    environ = {
        "BATCHUP_NAME": "7",
        "BATCHUP_MODEL": "gfpgan",
        "BATCHUP_COLUMNS_ID": "sku",
        "BATCHUP_LIMITS_RATE": "unlimited",
        "BATCHUP_LIMITS_MAX_SPEND": "2.50",
        "BATCHUP_LIMITS_OPEN_CREATES": "3",
        "BATCHUP_POLLING_LIST": "off",
        "BATCHUP_POLLING_TIMEOUT": "7h",
        "BATCHUP_WEBHOOK_LISTEN": "localhost:0",
        "BATCHUP_OUTPUT_ALLOW_PRIVATE": "true",
        "BATCHUP_SERVICE_URL": "simulator",
        "BATCHUP_SIMULATOR_FAULTS_CREATE_LOST": "1",
        "BATCHUP_RUN_ON_CHANGE": "",
        "UNRELATED": "x",
    }
    job = Job.load(write(tmp_path), environ=environ)
    assert (job.name, job.model, job.columns) == ("7", "gfpgan", {"id": "sku"})
    assert (job.limits.rate, job.limits.max_spend) == (None, 2.5)
    assert (job.polling.timeout_s, job.output.allow_private) == (25200.0, True)
    assert (job.limits.open_creates, job.polling.list) == (3, "off")
    assert job.webhook == Webhook(listen="localhost:0")
    assert job.run.on_change == "error"
    assert job.simulator == Simulation(faults={"create_lost": 1.0})


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environment given, the process's own is read."""
    monkeypatch.setenv("BATCHUP_LIMITS_CONCURRENCY", "4")
    assert Job.load(write(tmp_path)).limits.concurrency == 4


def test_paths_are_relative_to_who_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in the file are relative to its folder, those of flags and variables to the current one."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = write(tmp_path / "jobs", MINIMAL + '[output]\ndir = "../out"\n')
    assert load(path).base == tmp_path / "jobs"
    assert load(path).output.dir == tmp_path / "jobs" / ".." / "out"
    job = Job.load(path, overrides={"manifest": "x.jsonl"}, environ={"BATCHUP_OUTPUT_DIR": "o"})
    assert (job.base, job.manifest) == (tmp_path / "here", "x.jsonl")
    assert job.output.dir == tmp_path / "here" / "o"


def test_the_output_folder_is_absolute_and_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job file named by a relative path has absolute folders all the same."""
    (tmp_path / "jobs").mkdir()
    write(tmp_path / "jobs")
    monkeypatch.chdir(tmp_path)
    job = load(Path("jobs/nightly.toml"))
    assert job.output.dir == tmp_path / "jobs" / "nightly.out"
    assert job.path == tmp_path / "jobs" / "nightly.toml"


def test_flags_that_were_not_given_change_nothing(tmp_path: Path) -> None:
    """An override of None is no override."""
    job = Job.load(write(tmp_path), overrides={"limits.concurrency": None, "manifest": None}, environ={})
    assert (job.limits.concurrency, job.manifest, job.base) == (10, "products.jsonl", tmp_path)


def test_a_job_can_be_made_without_a_file(tmp_path: Path) -> None:
    """A job from text has no path, lies in the folder given, and is called batch."""
    job = Job.from_toml(MINIMAL, base=tmp_path)
    assert (job.path, job.base, job.name) == (None, tmp_path, "batch")
    assert job.output.dir == tmp_path / "batch.out"


def test_the_simulator_has_defaults() -> None:
    """A job on the simulator needs no table for it."""
    job = Job.from_toml(MINIMAL + '[service]\nurl = "simulator"\n')
    assert job.service.is_simulated
    assert job.simulator == Simulation(durations="lognormal:53s:0.3", speed=1.0, seed=1, faults={})


def test_a_job_is_frozen() -> None:
    """Nothing of a job can be changed once it is made."""
    job = Job.from_toml(MINIMAL)
    for part in (job, job.limits, job.polling, job.run, job.output, job.service):
        name = dataclasses.fields(part)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, name, None)


def test_a_job_made_by_hand_is_held_to_the_same_bounds() -> None:
    """Parts that are made in Python are checked as those from a file are."""
    with pytest.raises(ConfigProblem, match=r"limits\.concurrency: expected a whole number from 1 to 10000"):
        Limits(concurrency=0)
    with pytest.raises(ConfigProblem, match=r"limits\.max_attempts.*\nlimits\.max_spend"):
        Limits(max_attempts=21, max_spend=-1.0)
    with pytest.raises(ConfigProblem, match=r"polling\.timeout: expected a length above 0s"):
        Polling(timeout_s=0)
    with pytest.raises(ConfigProblem, match=r"polling\.list: expected \"auto\" or \"off\""):
        Polling(list="on")  # type: ignore[arg-type]
    with pytest.raises(ConfigProblem, match=r"webhook\.listen: expected \"HOST:PORT\""):
        Webhook(listen="8080")
    with pytest.raises(ConfigProblem, match=r"^webhook\.public_url: missing; write the address"):
        replace(Job.from_toml(MINIMAL), webhook=Webhook(listen="0.0.0.0:1"))
    with pytest.raises(ConfigProblem, match="use https"):
        Service(url="http://example.com/v1")
    with pytest.raises(ConfigProblem, match=r"simulator\.durations"):
        Simulation(durations="often")
    with pytest.raises(ConfigProblem, match="model"):
        Job(name="n", manifest="m.csv", model=" ", base=Path(), output=Output(dir=Path("o")))


def test_the_output_folder_of_a_job_made_by_hand_is_absolute() -> None:
    """An output folder is absolute however the job was made."""
    assert Output(dir=Path("o")).dir == Path.cwd() / "o"


def test_the_limits_can_be_read_again(tmp_path: Path) -> None:
    """A job file that changes while it runs gives other limits, and the job stays what it was."""
    path = write(tmp_path, MINIMAL + "[limits]\nconcurrency = 5\n")
    job = load(path)
    assert job.reread_limits() == Limits(concurrency=5)
    write(tmp_path, MINIMAL + '[limits]\nconcurrency = 7\nrate = "30/min"\n[run]\non_change = "redo"\n')
    assert job.reread_limits() == Limits(concurrency=7, rate=Rate(30, 60.0))
    assert (job.limits, job.run.on_change) == (Limits(concurrency=5), "error")


def test_flags_and_variables_win_in_a_second_reading_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said beside the file when the job was loaded holds, and what has been said since does not."""
    flags: dict[str, object] = {"limits.concurrency": 3}
    environ = {"BATCHUP_LIMITS_MAX_ATTEMPTS": "2"}
    job = Job.load(write(tmp_path), overrides=flags, environ=environ)
    flags["limits.concurrency"] = 9
    environ["BATCHUP_LIMITS_MAX_ATTEMPTS"] = "9"
    monkeypatch.setenv("BATCHUP_LIMITS_OPEN_CREATES", "9")
    write(tmp_path, MINIMAL + "[limits]\nconcurrency = 7\nmax_attempts = 7\nmax_spend = 7\n")
    assert job.reread_limits() == Limits(concurrency=3, max_attempts=2, max_spend=7.0)


def test_a_second_reading_knows_its_file_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job file named by a relative path is found again after the current folder has changed."""
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    job = load(Path("nightly.toml"))
    write(tmp_path, MINIMAL + "[limits]\nconcurrency = 7\n")
    monkeypatch.chdir("/")
    assert job.reread_limits().concurrency == 7


def test_a_second_reading_raises_as_the_first_does(tmp_path: Path) -> None:
    """A file that is gone, cut or wrong anywhere is a problem, so that nobody takes half of it."""
    path = write(tmp_path)
    job = load(path)
    for text, said in (
        ("[limits", "not valid TOML"),
        (MINIMAL + "[limits]\nconcurrency = 0\n", "limits.concurrency: expected a whole number"),
        (MINIMAL + "[limits]\nconcurrency = 7\n[polling]\ntimeout = 1\n", "polling.timeout: add a unit"),
        ("", "manifest: missing"),
    ):
        write(tmp_path, text)
        with pytest.raises(ConfigProblem, match=said.replace(".", r"\.")):
            job.reread_limits()
    path.unlink()
    with pytest.raises(ConfigProblem, match="There is no job file"):
        job.reread_limits()


def test_limits_that_came_from_no_file_stay(tmp_path: Path) -> None:
    """A job made of text, by hand, or given other limits since it was loaded keeps its own."""
    path = write(tmp_path)
    limits = Limits(concurrency=4)
    loaded = replace(load(path), limits=limits)
    by_hand = Job(
        name="n",
        manifest="m",
        model="m",
        base=tmp_path,
        path=path,
        output=Output(dir=tmp_path),
        limits=limits,
    )
    text = Job.from_toml(MINIMAL + "[limits]\nconcurrency = 4\n")
    write(tmp_path, MINIMAL + "[limits]\nconcurrency = 7\n")
    assert [job.reread_limits() for job in (loaded, by_hand, text)] == [limits] * 3
    assert replace(load(path), name="other").reread_limits().concurrency == 7


def test_what_a_job_was_loaded_with_shows_nowhere(tmp_path: Path) -> None:
    """It is no part of what a job is or prints, it holds no key, and it goes where the job goes."""
    path = write(tmp_path, MINIMAL + '[service]\nkey = "env:BATCHUP_KEY"\n')
    environ = {"BATCHUP_KEY": "smk_1", "EACHLABS_API_KEY": "smk_2", "BATCHUP_LIMITS_CONCURRENCY": "10"}
    job = Job.load(path, environ=environ)
    assert job == load(path)
    assert "BATCHUP_LIMITS" not in repr(job)
    assert "_Loaded" not in repr(job)
    assert b"smk_" not in pickle.dumps(job)
    for other in (copy.deepcopy(job), pickle.loads(pickle.dumps(job))):  # noqa: S301 our own bytes
        assert (other, other.reread_limits()) == (job, job.limits)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60/min", Rate(60, 60.0)),
        ("60/3s", Rate(60, 3.0)),
        ("1/s", Rate(1, 1.0)),
        ("500/h", Rate(500, 3600.0)),
        ("10 / 500ms", Rate(10, 0.5)),
        ("unlimited", None),
    ],
)
def test_rates_are_read_as_people_write_them(text: str, rate: Rate | None) -> None:
    """A rate is a count in a unit, in a length, or unlimited."""
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text", ["60", "60/", "/min", "x/min", "0/min", "-1/s", "6/0s", "6/day", "1.5/s", "6/3"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    """A rate without a count, a unit or a length above zero raises ValueError."""
    with pytest.raises(ValueError, match=r"rate|unit|length"):
        Rate.parse(text)


def test_a_rate_knows_what_it_comes_to_a_minute() -> None:
    """Rates over other lengths are comparable by the minute."""
    assert Rate(60, 3.0).per_minute == 1200.0


def test_a_job_loads_without_the_heavy_libraries(tmp_path: Path) -> None:
    """Reading a job file imports neither aiohttp nor Pillow, so that the command answers at once."""
    path = write(
        tmp_path, MINIMAL + '[service]\nurl = "simulator"\n[simulator]\nfaults = { create_lost = 0.1 }\n'
    )
    code = (
        "import sys; from batchup.job import Job; Job.load(sys.argv[1], environ={});"
        "sys.exit(sorted({'aiohttp', 'PIL', 'anyio'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], env=os.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
