"""The units of `batchup schedule` under a real service manager: what it makes of each end of a run."""

import json
from pathlib import Path
from typing import Any

import pytest
from nightly.manager import managed
from reliability.processes import Host

from batchup.simulator import SimulatorSettings

KEY = "smk-a-key-of-the-shop"
JOB = """
manifest = "rows.jsonl"
model = "each-upscaler"
[service]
url = "simulator"
[simulator]
durations = "fixed:{duration}"
speed = {speed}
"""
ITEMS = 8
ODD = '50% o\'ff $HOME %h "a" ; é'  # a folder whose name systemd would read as something else
INSTALL = """
def schedule(job, *flags):
    done = manager.batchup("schedule", job, *flags)
    assert done.returncode == 0, done
    return done

def install(job, *flags, begin_h=-1, end_h=5):
    at, until = (time.strftime("%H:%M", time.gmtime(time.time() + 3600 * h)) for h in (begin_h, end_h))
    night = ("--at", at, "--stop-at", until, "--time-zone", "UTC")
    schedule(job, *night, "--systemd", "--install", *flags)
    (path,) = (manager.home / ".config/systemd/user").glob("batchup-*.service")
    return path.name

def states(job):
    import sqlite3
    try:
        db = sqlite3.connect(f"file:{job.with_suffix('.out') / 'checkpoint.db'}?mode=ro", uri=True)
        try:
            return dict(db.execute("SELECT state, count(*) FROM items GROUP BY state"))
        finally:
            db.close()
    except sqlite3.OperationalError:
        return {}

job = manager.folder / ODD / "shop.toml"
"""


def write_job(folder: Path, *, duration: str = "20s", speed: int = 200) -> None:
    """Write a job on the embedded simulator, with rows whose images lie on the web."""
    rows = [{"id": f"i{k}", "image": f"https://example.com/{k}.jpg"} for k in range(ITEMS)]
    (folder / ODD).mkdir()
    (folder / ODD / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / ODD / "shop.toml").write_text(JOB.format(duration=duration, speed=speed))


def under_manager(folder: Path, code: str) -> Any:
    """Run code with a manager and a job that can be installed."""
    return managed(folder, f"ODD = {ODD!r}\n{INSTALL}{code}")


def test_a_night_by_the_timer(tmp_path: Path) -> None:
    """Installed twice it is there once; it runs a night, and one with nothing to do; removed it is gone."""
    write_job(tmp_path)
    code = """
unit = install(job)
assert install(job) == unit
timers = manager.ctl("list-timers", "--all")
verified = manager.run("systemd-analyze", "--user", "verify", manager.home / ".config/systemd/user" / unit)
ends = []
for _ in range(2):
    manager.ctl("start", unit)
    ends.append(manager.ended(unit))
for _ in range(2):
    schedule(job, "--remove")
left = [str(path) for path in (manager.home / ".config/systemd").rglob("*") if not path.is_dir()]
after = manager.ctl("list-timers", "--all")
print(json.dumps([unit, timers, verified.returncode, verified.stderr, ends, states(job), left, after]))
"""
    unit, timers, verified, words, ends, states, left, after = under_manager(tmp_path, code)
    assert unit.removesuffix(".service") + ".timer" in timers
    assert (verified, words) == (0, "")
    assert ends == [{"SubState": "dead", "Result": "success", "ExecMainStatus": "0"}] * 2
    assert states == {"saved": ITEMS}
    assert left == []
    assert "batchup-" not in after


def test_a_missed_night_is_made_up_for(tmp_path: Path) -> None:
    """A timer that last went off two days ago starts its run by itself; without catching up it waits."""
    write_job(tmp_path)
    code = """
def starts(*flags):
    unit = install(job, "--jitter", "0s", *flags)
    timer = unit.replace(".service", ".timer")
    manager.ctl("stop", timer)
    stamp = manager.home / ".local/share/systemd/timers" / f"stamp-{timer}"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()
    os.utime(stamp, (time.time() - 2 * 86_400,) * 2)
    manager.ctl("start", timer)
    return unit

unit = starts("--no-catch-up")
time.sleep(1)
waited = manager.show(unit, "ExecMainPID"), states(job)
starts()
manager.until(lambda: manager.show(unit, "ExecMainPID")["ExecMainPID"] != "0")
print(json.dumps([waited, manager.ended(unit), states(job)]))
"""
    waited, end, states = under_manager(tmp_path, code)
    assert waited == [{"ExecMainPID": "0"}, {}]
    assert end == {"SubState": "dead", "Result": "success", "ExecMainStatus": "0"}
    assert states == {"saved": ITEMS}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("limits.max_spend = 0.02", {"SubState": "dead", "Result": "success", "ExecMainStatus": "75"}),
        ("rows = 3", {"SubState": "failed", "Result": "exit-code", "ExecMainStatus": "78"}),
    ],
    ids=["work left", "configuration"],
)
def test_how_the_manager_takes_an_end(tmp_path: Path, more: str, expected: dict[str, str]) -> None:
    """Work that is left on purpose is no failure, what needs a person is one; neither is tried again."""
    write_job(tmp_path)
    code = """
unit = install(job)
job.write_text(job.read_text().replace("[service]", MORE + "\\n[service]", 1))
manager.ctl("start", unit)
print(json.dumps(manager.ended(unit)))
"""
    assert under_manager(tmp_path, f"MORE = {more!r}\n{code}") == expected


def test_a_unit_that_is_stopped_or_killed_goes_on(tmp_path: Path) -> None:
    """Stopped it ends in order and well, killed or hung it is started again; nothing is bought twice."""
    write_job(tmp_path, duration="40s", speed=5)
    code = """
unit = install(job)

def at_work():
    manager.ctl("start", "--no-block", unit)
    manager.until(lambda: manager.show(unit, "SubState")["SubState"] == "running")
    manager.until(lambda: states(job).get("in_flight", 0) >= 3)

at_work()
manager.ctl("stop", unit)
stopped = [manager.ended(unit), states(job)]
at_work()
manager.ctl("kill", "--signal=KILL", unit)
killed = [manager.ended(unit), states(job)]
manager.ctl("stop", unit)
manager.ctl("start", unit)
last = [manager.ended(unit), states(job)]
print(json.dumps([stopped, killed, last]))
"""
    stopped, killed, last = under_manager(tmp_path, code)
    assert (stopped[0]["SubState"], stopped[0]["Result"]) == ("dead", "success")
    assert {"submitting", "in_doubt"}.isdisjoint(stopped[1])
    assert killed[0] == {"SubState": "auto-restart", "Result": "signal", "ExecMainStatus": "9"}
    assert (last[0]["Result"], last[1]) == ("success", {"saved": ITEMS})


def test_a_unit_that_hangs_is_started_again(tmp_path: Path) -> None:
    """A process that does not go on is ended by the manager's watchdog, and the next one ends the night."""
    write_job(tmp_path, duration="40s", speed=10)
    code = """
unit = install(job)
more = manager.home / f".config/systemd/user/{unit}.d/sooner.conf"
more.parent.mkdir()
more.write_text("[Service]\\nWatchdogSec=2s\\nTimeoutAbortSec=1s\\nRestartSec=100ms\\n")
manager.ctl("daemon-reload")
manager.ctl("start", unit)
manager.until(lambda: states(job).get("in_flight", 0) >= 3)
manager.ctl("kill", "--kill-who=main", "--signal=STOP", unit)
manager.until(lambda: int(manager.show(unit, "NRestarts")["NRestarts"]) >= 1)
manager.until(lambda: manager.show(unit, "SubState")["SubState"] == "dead")
print(json.dumps([manager.ended(unit), states(job)]))
"""
    end, states = under_manager(tmp_path, code)
    assert end == {"SubState": "dead", "Result": "success", "ExecMainStatus": "0"}
    assert states == {"saved": ITEMS}


def test_no_start_again_comes_past_the_night(tmp_path: Path) -> None:
    """What is made up for by day is started once: a crash stays one, and whoever is to hear of it does."""
    write_job(tmp_path, duration="40s", speed=5)
    code = """
unit = install(job, begin_h=2, end_h=3)
units = manager.home / ".config/systemd/user"
(units / "told.service").write_text("[Service]\\nType=oneshot\\nExecStart=/bin/true\\nRemainAfterExit=yes\\n")
more = units / f"{unit}.d/sooner.conf"
more.parent.mkdir()
more.write_text("[Unit]\\nOnFailure=told.service\\n[Service]\\nRestartSec=100ms\\n")
manager.ctl("daemon-reload")
manager.ctl("start", unit)
manager.until(lambda: states(job).get("in_flight", 0) >= 3)
manager.ctl("kill", "--signal=KILL", unit)
manager.until(lambda: manager.show("told.service", "SubState")["SubState"] == "exited")
print(json.dumps([manager.ended(unit, "NRestarts"), states(job)]))
"""
    end, states = under_manager(tmp_path, code)
    assert end == {"SubState": "failed", "Result": "exit-code", "ExecMainStatus": "99", "NRestarts": "1"}
    assert states["in_flight"] >= 3


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), {"SubState": "auto-restart", "Result": "exit-code", "ExecMainStatus": "200"}),
        (("--no-catch-up",), {"SubState": "failed", "Result": "exit-code", "ExecMainStatus": "78"}),
    ],
)
def test_a_folder_that_is_not_there_is_a_failure(
    tmp_path: Path, flags: tuple[str, ...], expected: dict[str, str]
) -> None:
    """A disk that is not mounted at night is no night that went well."""
    write_job(tmp_path)
    code = """
unit = install(job, *FLAGS)
job.parent.rename(manager.folder / "elsewhere")
manager.ctl("start", unit)
print(json.dumps(manager.ended(unit)))
"""
    assert under_manager(tmp_path, f"FLAGS = {flags!r}\n{code}") == expected


def test_the_key_reaches_the_run_as_a_credential(tmp_path: Path) -> None:
    """What stands in a file of yours is the run's key, and stands in no unit, variable or output."""
    write_job(tmp_path)
    (tmp_path / "key").write_text(KEY + "\n")
    (tmp_path / "key").chmod(0o600)
    host = Host()
    try:
        with host.serving(SimulatorSettings(durations="fixed:20s", speed=100, key=KEY)) as service:
            job = tmp_path / ODD / "shop.toml"
            real = f'url = "{service.url}"\nkey = "env:SHOP_KEY"\n[polling]\nexpected = "1s"\n'
            job.write_text(job.read_text().partition('url = "simulator"')[0] + real)
            code = """
unit = install(job, "--key-file", manager.folder / "key")
manager.ctl("start", unit)
end = manager.ended(unit, "Environment")
print(json.dumps([end, states(job)]))
"""
            end, states = under_manager(tmp_path, code)
            refused = service.stats()["refused"]
    finally:
        host.close()
    assert (end["Result"], end["ExecMainStatus"], states) == ("success", "0", {"saved": ITEMS})
    assert "credential:" in end["Environment"]
    assert refused == 0
    told = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "key"]
    assert [path for path in told if KEY.encode() in path.read_bytes()] == []
