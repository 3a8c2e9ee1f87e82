"""`batchup schedule` installs and takes away units under a real service manager of a test's own."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nightly.desk import AT_1, Desk
from nightly.manager import RUNTIME, kept


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """Keep a manager; return the home of its user, and in whose mounts it is."""
    folder = tmp_path_factory.mktemp("manager")
    with kept(folder) as process:
        yield folder / "home", process


@pytest.fixture
def desk(manager: tuple[Path, int]) -> Iterator[Desk]:
    """Sit down at the manager's home, and leave nothing in it."""
    home, process = manager
    found = Desk(home, XDG_RUNTIME_DIR=str(RUNTIME))
    found.have_systemd(process)
    found.have_cron()
    yield found
    found.say("--remove")
    for path in home.iterdir():
        shutil.rmtree(path)


def ctl(desk: Desk, *words: str) -> str:
    """Ask the manager."""
    return desk.ask("systemctl", "--user", *words).decode().strip()


def test_units_are_installed_once_and_taken_away(desk: Desk) -> None:
    """The second time nothing is written anew, another time changes the timer, and removing leaves none."""
    done = desk.say(*AT_1, "--systemd", "--install")
    service, timer = desk.units / "batchup-nightly.service", desk.units / "batchup-nightly.timer"
    assert (done.exit_code, done.stdout.split("\n")) == (0, [str(service), str(timer), ""]), done.stderr
    assert [ctl(desk, word, timer.name) for word in ("is-enabled", "is-active")] == ["enabled", "active"]
    for words in ("list-timers", "journalctl --user -u batchup-nightly", "enable-linger", "made up for"):
        assert words in done.stderr
    assert "the-secret-key" not in service.read_text() + timer.read_text() + done.output
    before = service.stat().st_mtime_ns, timer.stat().st_mtime_ns
    assert desk.say(*AT_1, "--systemd", "--install").exit_code == 0
    assert (service.stat().st_mtime_ns, timer.stat().st_mtime_ns) == before
    desk.say("--at", "12:00", "--systemd", "--install", "--no-catch-up")
    assert "OnCalendar=*-*-* 12:00:00" in timer.read_text()
    assert "12:00:00" in ctl(desk, "show", timer.name, "--property=TimersCalendar")
    shown = desk.say()
    assert (shown.stdout.split("\n"), shown.stderr.count(" 12:00 ")) == ([str(service), str(timer), ""], 5)
    gone = desk.say("--remove", job=desk.units / "../../.." / desk.job.relative_to(desk.home))
    assert (gone.exit_code, gone.stdout.split("\n")) == (0, [str(service), str(timer), ""])
    assert ctl(desk, "is-active", timer.name) == "inactive"
    assert [path for path in (desk.home / ".config/systemd").rglob("*") if not path.is_dir()] == []
    assert list((desk.home / ".local/share/systemd").rglob("stamp-*")) == []
    again = desk.say("--remove")
    assert (again.exit_code, again.stdout, "nothing was installed" in again.stderr) == (0, "", True)
    assert desk.say().exit_code == 3


def test_half_an_installation_is_taken_away(desk: Desk) -> None:
    """Where a kill has left the service alone, it is known to be there, and removed."""
    service = desk.units / "batchup-nightly.service"
    service.parent.mkdir(parents=True)
    service.write_text(f"# Made by `batchup schedule` for {desk.job}\n")
    done = desk.say("--remove")
    assert (done.exit_code, done.stdout, service.exists()) == (0, f"{service}\n", False), done.stderr


def test_a_stopped_timer_is_shown_as_stopped(desk: Desk) -> None:
    """Starts are told of a timer that is going; of another one, what starts it, and that command does."""
    assert desk.say(*AT_1, "--systemd", "--install").exit_code == 0
    going = desk.say().stderr
    assert ("the next runs start" in going, "loginctl enable-linger" in going) == (True, True)
    for word in ("stop", "disable"):
        ctl(desk, word, "batchup-nightly.timer")
        if word == "disable":
            ctl(desk, "stop", "batchup-nightly.timer")
        stopped = desk.say()
        starts = "systemctl --user enable --now batchup-nightly.timer"
        words = f"installed, but stopped: `{starts}` starts it\n"
        assert (stopped.exit_code, stopped.stderr.startswith(words)) == (0, True), stopped.stderr
        assert ("the next runs" in stopped.stderr, "enable-linger" in stopped.stderr) == (False, True)
        desk.ask(*starts.split())
        assert desk.say().stderr == going
    ctl(desk, "disable", "batchup-nightly.timer")
    for_now = desk.say().stderr
    assert ("the next runs start" in for_now, "enable batchup-nightly.timer` keeps it" in for_now) == (
        True,
        True,
    )


def test_what_nobody_starts_is_shown_so(desk: Desk) -> None:
    """No starts are told where no systemd answers, nor where one of the two units is gone."""
    assert desk.say(*AT_1, "--systemd", "--install").exit_code == 0
    ways: list[dict[str, Any]] = [{"XDG_RUNTIME_DIR": "/nowhere"}, {"PATH": str(desk.home)}]
    for nowhere in ways:
        shown = desk.say(**nowhere)
        assert (shown.exit_code, shown.stdout.count("\n")) == (0, 2)
        assert ("nothing starts until one does" in shown.stderr, "next runs" in shown.stderr) == (True, False)
    timer = desk.units / "batchup-nightly.timer"
    timer.unlink()
    half = desk.say()
    assert half.stdout == f"{timer.with_suffix('.service')}\n"
    assert half.stderr.startswith(f"{timer} is gone, so nothing starts")
    assert "next runs" not in half.stderr
    assert desk.say(*AT_1, "--systemd", "--install").exit_code == 0
    assert "the next runs start" in desk.say().stderr


def test_two_schedules_of_a_job_know_of_each_other(desk: Desk) -> None:
    """Whoever is to start the job too is told at installing, and what is said to end one leaves the other."""
    assert desk.say(*AT_1, "--cron", "--install", "--name", "old").exit_code == 0
    done = desk.say(*AT_1, "--systemd", "--install")
    assert (done.exit_code, "too: batchup-old of your crontab;" in done.stderr) == (0, True), done.stderr
    assert f"batchup schedule '{desk.job}' --remove --name old\n" in done.stderr
    assert desk.say("--remove", "--name", "old").stdout == "batchup-old of your crontab\n"
    assert ctl(desk, "is-active", "batchup-nightly.timer") == "active"
    both = desk.say(*AT_1, "--cron", "--install")
    assert ("too: batchup-nightly.timer;" in both.stderr, "One name ends both" in both.stderr) == (True, True)
    assert desk.say("--remove", "--name", "nightly").stdout.count("\n") == 3
    assert desk.say().exit_code == 3


def test_another_time_is_not_a_missed_one(desk: Desk) -> None:
    """A timer that is set to a time of day that is over waits for tomorrow, whenever it started last."""
    half_a_day_ago, just_over = (time.strftime("%H:%M", time.gmtime(time.time() - s)) for s in (43_200, 300))
    night = ("--time-zone", "UTC", "--jitter", "0s", "--systemd", "--install")
    desk.say("--at", half_a_day_ago, *night)
    stamp = desk.home / ".local/share/systemd/timers/stamp-batchup-nightly.timer"
    two_days_ago = time.time() - 2 * 86_400
    os.utime(stamp, (two_days_ago, two_days_ago))
    assert desk.say("--at", just_over, *night).exit_code == 0
    assert ctl(desk, "is-active", "batchup-nightly.timer") == "active"
    for _ in range(10):
        assert ctl(desk, "show", "batchup-nightly.service", "--property=ExecMainPID") == "ExecMainPID=0"
        time.sleep(0.05)


def test_without_a_systemd_nothing_is_written(desk: Desk) -> None:
    """Where no systemd of the user's answers, installing is refused with what to do; removing still works."""
    done = desk.say(*AT_1, "--systemd", "--install", XDG_RUNTIME_DIR=None)
    assert (done.exit_code, "Failed to connect" in done.stderr, "--cron" in done.stderr) == (78, True, True)
    assert not desk.units.exists()
    ways: list[dict[str, Any]] = [{"XDG_RUNTIME_DIR": "/nowhere"}, {"PATH": str(desk.home)}]
    for nowhere in ways:
        assert desk.say(*AT_1, "--systemd", "--install").exit_code == 0
        assert (desk.units / "timers.target.wants/batchup-nightly.timer").is_symlink()
        assert desk.say("--remove", **nowhere).exit_code == 0
        assert [path for path in desk.units.rglob("*") if not path.is_dir()] == []
        ctl(desk, "stop", "batchup-nightly.timer")


def test_what_systemd_refuses_is_told(desk: Desk) -> None:
    """Where the timer cannot be enabled it is said in systemd's own words."""
    desk.units.mkdir(parents=True)
    (desk.units / "timers.target.wants").write_text("in the way")
    done = desk.say(*AT_1, "--systemd", "--install")
    assert (done.exit_code, "Failed to enable" in done.stderr) == (78, True), done.stderr


def test_another_jobs_name_is_not_taken(desk: Desk) -> None:
    """Two jobs of one name do not take each other's place: the second one needs a name of its own."""
    other = desk.job.with_name("other") / "nightly.toml"
    other.parent.mkdir()
    other.write_text(desk.job.read_text())
    assert desk.say(*AT_1, "--systemd", "--install").exit_code == 0
    done = desk.say(*AT_1, "--systemd", "--install", job=other)
    assert (done.exit_code, str(desk.job) in done.stderr, "--name" in done.stderr) == (78, True, True)
    assert desk.say(*AT_1, "--systemd", "--install", "--name", "Other shop", job=other).exit_code == 0
    assert desk.say("--remove", job=other).stdout.count("batchup-other-shop") == 2
    assert desk.say().stdout.count("batchup-nightly") == 2
    (desk.units / "batchup-mine.timer").write_text("[Timer]\n")
    mine = desk.say(*AT_1, "--systemd", "--install", "--name", "mine")
    assert (mine.exit_code, "somebody else" in mine.stderr) == (78, True)
