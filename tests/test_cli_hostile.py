"""Surroundings that are against it: the real command, and exactly one thing wrong with the machine."""

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from edge.bench import (
    Ended,
    adds_up,
    command,
    environment,
    judged,
    real,
    results,
    rows,
    run,
    simulated,
    web,
)
from edge.namespaces import inside
from test_cli_signals import count

TABLE = "1 0 0:1 / / rw - ext4 /dev/root rw\n2 1 0:2 / {point} rw,relatime - {kind} server:/share rw\n"


def started(job: Path, *words: str, before: Callable[[], None] | None = None) -> Ended:
    """Run a job by this command line, with `before` called in the new process."""
    done = subprocess.run(
        [*words, *command("run", job, "--json", "--no-progress")],
        cwd=job.parent,
        env=environment(job.parent),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=before,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def limited(soft: int, hard: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_read_only_disk_is_73(tmp_path: Path) -> None:
    """An output folder on a file system that takes no writes is told before anything is sent."""
    simulated(tmp_path)
    code = """
        mount("tmpfs", folder / "job.out", "ro,size=1m")
        print(json.dumps(told(run(folder / "job.toml"))))
    """
    status, summary, err = inside(tmp_path, code)
    assert (status, summary["reason"], summary["requests"]) == (73, "disk", 0)
    assert "cannot be written" in err


@pytest.mark.parametrize(("more", "code"), [("", 73), ("[output]\nallow_network = true", 0)])
def test_a_network_file_system_is_73_unless_it_is_allowed(tmp_path: Path, more: str, code: int) -> None:
    """Where the mount table says NFS nothing is begun, in one sentence, and nothing is made there."""
    job = simulated(tmp_path, more=more)
    table = TABLE.format(point=tmp_path, kind="nfs4")
    script = """
        mount("tmpfs", Path("/proc"), "size=1m")
        Path("/proc/self").mkdir()
        Path("/proc/self/mountinfo").write_text(sys.argv[2])
        print(json.dumps(told(run(folder / "job.toml"))))
    """
    status, summary, err = inside(tmp_path, script, table)
    assert (status, job.with_suffix(".out").exists()) == (code, code == 0), err
    if code:
        assert (summary["reason"], summary["requests"]) == ("disk", 0)
        assert "nfs4" in err
        assert "allow_network = true" in err
        assert len(err.splitlines()) == 1


PRINTED = re.compile(rb'^(\{"job":"job","run":"[^"]+","reason":|job: finished; )', re.MULTILINE)
"""A line that begins as the summary does, for a program or for a person."""


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_change_nothing(tmp_path: Path, closed: str) -> None:
    """A run whose output nobody takes works as any other, and no file of it gets what was to be printed."""
    job = simulated(tmp_path)
    words = " ".join(command("run", job, "--json"))
    done = subprocess.run(
        ["sh", "-c", f"exec {words} {closed}"],  # noqa: S607 any sh
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert bool(PRINTED.search((done.stdout + done.stderr).encode())) is (closed in {">&-", "2>&-"})
    assert len(results(job)) == 6
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or not PRINTED.search(path.read_bytes()), path


def test_32_handles_are_told_at_once(tmp_path: Path) -> None:
    """A run that would not get by with the handles it may have says so before it begins."""
    job = simulated(tmp_path)
    done = started(job, before=limited(32, 32))
    assert (done.code, done.summary["reason"], done.summary["requests"]) == (78, "config", 0)
    assert "the limit is 32" in done.err
    assert not job.with_suffix(".out").exists()


def test_32_handles_are_no_matter_where_more_may_be_had(tmp_path: Path) -> None:
    """A soft limit on handles is raised as far as the hard one allows."""
    done = started(simulated(tmp_path), before=limited(32, 1024))
    assert (done.code, done.summary["saved"]) == (0, 6)


def test_the_handles_that_are_asked_for_are_enough(tmp_path: Path) -> None:
    """Given as many handles as it says it may need, a run with everything at once ends well."""
    rows(tmp_path / "rows.jsonl", *web(*(f"i{k}" for k in range(40))))
    job = simulated(tmp_path, "rows.jsonl", speed=200, more='[limits]\nrate = "unlimited"')
    asked = started(job, before=limited(32, 32)).err.split(" may need ")[1].split()[0]
    done = started(job, before=limited(int(asked), int(asked)))
    assert (done.code, done.summary["saved"]) == (0, 40), done.err


def test_ids_that_are_paths_devices_or_case_twins_stay_inside(tmp_path: Path) -> None:
    """Whatever ids a manifest has, each picture gets a file of its own in the output folder."""
    ids = ["../../etc/passwd", "/abs/olute", "CON", "nul.txt", "A", "a", "a/b", "..", "x\u202ey", "%2e%2e"]
    rows(tmp_path / "rows.jsonl", *web(*ids))
    job = simulated(tmp_path, "rows.jsonl")
    done = run(job)
    assert (done.code, done.summary["saved"]) == (0, len(ids)), done.err
    paths = [line["files"][0]["path"] for line in results(job).values()]
    assert len({path.lower() for path in paths}) == len(ids)
    images = (tmp_path / "job.out/images").resolve()
    assert all((tmp_path / "job.out" / path).resolve().is_relative_to(images) for path in paths)
    assert sum(1 for path in tmp_path.rglob("*.png") if "simulator" not in path.parts) == len(ids)


REWRITE = """
import sys, threading, time
from pathlib import Path
from batchup.edge.feeding import feeder
manifest, text, way, begun = Path(sys.argv[1]), Path(sys.argv[2]).read_text(), sys.argv[3], Path(sys.argv[4])
feeder.CHUNK_ROWS = 1  # so that there is a middle

def rewrite():
    while not begun.exists():
        time.sleep(0.01)
    if way == "replaced":
        manifest.with_suffix(".new").write_text(text)
        manifest.with_suffix(".new").replace(manifest)
    else:
        manifest.write_text(text)

threading.Thread(target=rewrite, daemon=True).start()
sys.argv[1:] = sys.argv[5:]
from batchup.cli import main
main()
"""


@pytest.mark.parametrize(
    ("way", "kept"), [("edited", range(2, 12)), ("truncated", range(6)), ("replaced", range(2, 12))]
)
def test_a_manifest_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, way: str, kept: range
) -> None:
    """A run whose manifest was changed under it is not taken for complete, and the next takes up the rest."""
    given = [{"id": f"i{k:02}", "image": f"https://example.com/{k}?{'x' * 2000}"} for k in range(20)]
    manifest = rows(tmp_path / "rows.jsonl", *given)
    other = rows(tmp_path / "other", *(given[k] for k in kept))
    job = simulated(tmp_path, "rows.jsonl", more='[limits]\nrate = "unlimited"\nconcurrency = 2')
    checkpoint = tmp_path / "job.out/images"
    words = [sys.executable, "-c", REWRITE, manifest, other, way, checkpoint]
    done = subprocess.run(
        [*map(str, words), *command("run", job, "--json", "--no-progress")[3:]],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    first = Ended(done.returncode, done.stdout, done.stderr)
    assert first.code == 75, first
    assert not first.summary["manifest_complete"]
    assert "the manifest was changed" in first.err
    assert adds_up(first.summary)
    again = run(job)
    assert (again.code, again.summary["items"], again.summary["saved"]) == (0, len(kept), len(kept)), again
    assert judged(job).get("duplicate_creates", 0) == 0


CLOCK = """
import sys, time
real, began_at = time.time, time.monotonic()
ahead_s, after_s = float(sys.argv[1]), float(sys.argv[2])
time.time = lambda: real() + (ahead_s if time.monotonic() - began_at >= after_s else 0.0)
sys.argv[1:] = sys.argv[3:]
from batchup.cli import main
main()
"""


@contextmanager
def by_clock(job: Path, ahead_s: float, after_s: float) -> Iterator["subprocess.Popen[str]"]:
    """Run a job by a wall clock that is ahead by so much, from so many seconds after its start on."""
    words = command("run", job, "--json", "--no-progress")[3:]
    with subprocess.Popen(
        [sys.executable, "-c", CLOCK, str(ahead_s), str(after_s), *words],
        cwd=job.parent,
        env=environment(job.parent),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("ahead_s", [7200.0, -7200.0])
def test_a_clock_that_jumps_while_running_moves_nothing(tmp_path: Path, ahead_s: float) -> None:
    """Two hours forward or back in the middle of a run change no wait, no look-up and no limit."""
    job = simulated(tmp_path, speed=100, faults={"create_lost": 0.3})
    with by_clock(job, ahead_s, 0.7) as process:
        out, err = process.communicate(timeout=60)
    done = Ended(process.returncode, out, err)
    assert (done.code, done.summary["saved"]) == (0, 6), done
    assert done.summary["wall_s"] < 20
    assert (judged(job)["creates"], judged(job).get("duplicate_creates", 0)) == (6, 0)
    instants = [line[name] for line in results(job).values() for name in ("created_at", "saved_at")]
    assert max(instants) - min(instants) < 60


@pytest.mark.parametrize("faults", [{}, {"create_lost": 1.0, "list_5xx": 1.0}])
@pytest.mark.parametrize("ahead_s", [7200.0, -7200.0])
def test_a_clock_that_was_wrong_in_the_run_before_moves_nothing(
    tmp_path: Path, ahead_s: float, faults: dict[str, float]
) -> None:
    """What a killed run left by a clock two hours off is looked up and polled in time, not bought again."""
    job = simulated(tmp_path, speed=30, faults=faults)
    with by_clock(job, ahead_s, 0.0):
        until = time.monotonic() + 60
        while not any(count(job, state) for state in ("in_flight", "in_doubt", "held")):
            assert time.monotonic() < until
            time.sleep(0.01)
    simulated(tmp_path, speed=60)
    again = run(job)
    assert (again.code, again.summary["saved"]) == (0, 6), again
    assert again.summary["wall_s"] < 20
    assert (judged(job)["creates"], judged(job).get("duplicate_creates", 0)) == (6, 0)


def test_a_second_run_names_the_holder_whole(tmp_path: Path) -> None:
    """Whoever is turned away is told the process, the host, the run and since when."""
    code = """
        from batchup.edge.lock import RunLock
        job = simulated(folder)
        (folder / "job.out").mkdir()
        with RunLock(folder / "job.out", "a-run"):
            print(json.dumps(told(run(job))))
    """
    status, summary, err = inside(tmp_path, code)
    assert (status, summary["reason"]) == (11, "locked")
    assert "run a-run, process " in err
    assert f" on {os.uname().nodename}, since 20" in err


def test_a_key_that_others_can_read_is_told_once(tmp_path: Path) -> None:
    """A key file that is open to others is warned of, and used."""
    rows(tmp_path / "rows.jsonl", *web("a"))
    (tmp_path / "key").write_text("a-secret-key\n")
    job = real(tmp_path, "http://127.0.0.1:9/v1")
    job.write_text(job.read_text().replace("env:A_KEY", f"file:{tmp_path / 'key'}"))
    told = []
    for mode in (0o644, 0o600):
        (tmp_path / "key").chmod(mode)
        done = run(job, "--max-duration", "50ms")
        told.append(done.err.count("chmod 600"))
        assert "a-secret-key" not in done.err + done.out
    assert told == [1, 0]


def test_as_process_1_of_a_container_it_stops_as_elsewhere(tmp_path: Path) -> None:
    """Process 1 leaves at SIGTERM and exits with 143, as re-raising does nothing there."""
    job = simulated(tmp_path, speed=30)
    code = """
        words = ["unshare", "--pid", "--fork", "--kill-child", *command("run", folder / "job.toml", "--json")]
        with subprocess.Popen(words, cwd=folder, env=environment(folder), text=True, stdout=-1) as process:
            wait_for("in_flight", folder / "job.toml", process)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGTERM)
            out, _ = process.communicate(timeout=35)
        print(json.dumps([process.returncode, json.loads(out)]))
    """
    status, summary = inside(tmp_path, code)
    assert (status, summary["reason"], summary["exit_code"], summary["in_doubt"]) == (143, "signal", 143, 0)
    simulated(tmp_path)
    again = run(job)
    assert (again.code, judged(job).get("duplicate_creates", 0)) == (0, 0)


def test_a_handle_that_was_closed_is_not_given_to_a_file(tmp_path: Path) -> None:
    """Under the numbers of closed streams nothing of ours is open, which whoever prints would write into."""
    job = simulated(tmp_path, speed=20)
    words = " ".join(command("run", job))
    with subprocess.Popen(["sh", "-c", f"exec {words} <&- >&- 2>&-"], env=environment(tmp_path)) as process:  # noqa: S607 any sh
        until = time.monotonic() + 60
        while not count(job, "in_flight"):
            assert time.monotonic() < until
            time.sleep(0.01)
        names = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]  # noqa: PTH115 no path
        assert process.wait(60) == 0
    assert names == [os.devnull] * 3


def test_check_with_nowhere_to_print_ends_well(tmp_path: Path) -> None:
    """`check` with standard output closed says nothing, and is no error."""
    words = " ".join(command("check", simulated(tmp_path)))
    done = subprocess.run(["sh", "-c", f"exec {words} >&-"], check=False, capture_output=True)  # noqa: S607 any sh
    assert (done.returncode, done.stderr) == (0, b"")
