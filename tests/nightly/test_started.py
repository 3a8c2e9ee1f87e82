"""Environments in which cron or a service manager starts the command: it needs none of what a shell has."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from batchup.cli import main

NOBODY = 65534
AS_NOBODY = (  # who may read the program wherever it lies, and write nothing that is not his
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)
IDS = ("größe-1", "b", "c", "d")  # the first is in no way ASCII
JOB = """
manifest = "rows.jsonl"
model = "each-upscaler"
[service]
{service}
"""
SERVICES = {
    "job.toml": 'url = "simulator"\n[simulator]\ndurations = "fixed:20s"\nspeed = 200',
    "keyless.toml": 'url = "https://api.example.com/v1"\nkey = "credential:not-there"',
}
ASCII = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}  # else Python takes C for UTF-8
PLAIN: Mapping[str, str | None] = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "SHELL": "/bin/sh"}


@dataclass(frozen=True)
class Start:
    """How a command is started; `HOME` is a folder of its own unless `environ` names one, None takes away."""

    environ: Mapping[str, str | None] = field(default_factory=dict)
    closed: tuple[int, ...] = ()  # of 0, 1 and 2
    umask: int = 0o022
    way: tuple[str, ...] = ()  # what starts it

    def variables(self, home: Path) -> dict[str, str]:
        """Return the environment, all of it."""
        given = {**PLAIN, "HOME": str(home), **self.environ}
        return {name: value for name, value in given.items() if value is not None}

    def close(self) -> None:
        """Close what is to be closed, in the new process."""
        for number in self.closed:
            os.close(number)


STARTS = {
    "cron": Start({"LOGNAME": "shop", "LANG": None}),
    "nothing at all": Start(dict.fromkeys(["PATH", "LANG", "SHELL", "HOME"])),
    "LANG=C, no such time zone": Start({"LANG": "C", "LC_ALL": "C", "TZ": "Nowhere/Land"} | ASCII),
    "an empty PATH": Start({"PATH": ""}),
    "a home that cannot be": Start({"HOME": "/proc/nowhere", "XDG_RUNTIME_DIR": "/run/user/nobody"}),
    "closed standard input": Start(closed=(0,)),
    "all three closed": Start(closed=(0, 1, 2)),
    "a narrow umask": Start(umask=0o077),
    "an odd time zone": Start({"TZ": "<+0545>-5:45"}),
    "another user": Start(way=AS_NOBODY),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder that any user can reach, with a home and jobs in it."""
    with tempfile.TemporaryDirectory(prefix="batchup-started-") as name:
        path = Path(name)
        (path / "home").mkdir()
        rows = [{"id": id_, "image": f"https://example.com/{k}.jpg"} for k, id_ in enumerate(IDS)]
        (path / "rows.jsonl").write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
        for job, service in SERVICES.items():
            (path / job).write_text(JOB.format(service=service))
        path.chmod(0o755)
        yield path


@pytest.fixture
def started(folder: Path, request: pytest.FixtureRequest) -> Callable[..., tuple[int, str, str]]:
    """Return what starts `batchup run` in the way that the test asks for, and how it ended."""
    start: Start = request.param
    if start.way:
        if shutil.which(start.way[0]) is None or subprocess.run([*start.way, "true"], check=False).returncode:
            pytest.skip("only root may start a process as another user")
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)

    def run(job: str, *flags: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [*start.way, sys.executable, "-m", "batchup", "run", str(folder / job), "--quiet", *flags],
            env=start.variables(folder / "home"),
            cwd="/",
            umask=start.umask,
            preexec_fn=start.close if start.closed else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("started", STARTS.values(), ids=STARTS, indirect=True)
def test_a_night_goes_well_and_nobody_has_mail(
    started: Callable[..., tuple[int, str, str]], folder: Path
) -> None:
    """However it is started, 75 and 0 are its codes, it says nothing, and its pictures are whole."""
    assert started("job.toml", "--limit", "2") == (75, "", "")
    assert started("job.toml", "--max-duration", "1h") == (0, "", "")
    results = [json.loads(line) for line in (folder / "job.out/results.jsonl").read_bytes().splitlines()]
    assert {result["id"]: result["state"] for result in results} == dict.fromkeys(IDS, "saved")
    for result in results:
        with Image.open(folder / "job.out" / result["files"][0]["path"]) as image:
            image.load()


ODDEST = ("nothing at all", "LANG=C, no such time zone", "all three closed")


@pytest.mark.parametrize("started", [STARTS[name] for name in ODDEST], ids=ODDEST, indirect=True)
def test_what_needs_a_person_is_told_in_a_few_lines(
    started: Callable[..., tuple[int, str, str]], request: pytest.FixtureRequest
) -> None:
    """A key that is not there ends the run with its code, with its words where there is a place."""
    code, out, err = started("keyless.toml")
    assert (code, out) == (78, "")
    assert "Traceback" not in err
    start: Start = request.node.callspec.params["started"]
    assert ("not-there" in err) == (2 not in start.closed), err


def test_the_line_of_the_crontab_as_cron_runs_it(folder: Path) -> None:
    """The line that `schedule` prints does its night with the little that cron gives, and causes no mail."""
    environ = {"HOME": str(folder / "home"), "LOGNAME": "shop", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    asked = ("schedule", str(folder / "job.toml"), "--at", "01:00", "--max-duration", "1h")
    told = CliRunner(env={"HOME": environ["HOME"]}).invoke(main, [*asked, "--cron", "--jitter", "0s"])
    assert told.exit_code == 0, told.output
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("0 1 * * * ")]
    command = line.removeprefix("0 1 * * * ").replace("\\%", "%")
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environ, cwd="/", capture_output=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(list((folder / "job.out/images").iterdir())) == len(IDS)
