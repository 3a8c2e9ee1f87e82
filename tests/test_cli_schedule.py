"""`batchup schedule`: what is printed passes the judges there are, and a crontab's other lines stay."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from nightly.desk import AT_1, Desk, need

from batchup.cli.starting import systemd_words
from batchup.core.schedule.kubernetes import WELL_AS_0
from batchup.core.schedule.upcoming import next_runs
from batchup.core.schedule.values import Schedule, Starter, TimeOfDay
from batchup.edge.scheduling import units, zones
from batchup.edge.scheduling.programs import ask
from batchup.errors import ConfigProblem, UsageProblem

IN_UTC = ("--time-zone", "UTC")  # a cluster is told a zone by its name, and a machine may not know its own


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# ---------------------------------------------------------------- systemd


def test_units_pass_the_check_of_systemd(desk: Desk) -> None:
    """Systemd finds nothing to complain of in what is printed, odd paths and all."""
    program = need("systemd-analyze")
    folder = desk.home / "50% o'ff $HOME"
    folder.mkdir()
    job = Path(shutil.copy(desk.job, folder / 'a "b".toml'))
    files = {}
    for name, words in (("one", ()), ("two", ("--no-catch-up", "--time-zone", "Europe/Berlin"))):
        printed = desk.say(*AT_1, *words, "--systemd", "--name", name, job=job).stdout
        for part in printed.split(f"# {desk.units}/")[1:]:
            file, _, text = part.partition("\n")
            files[desk.home / file] = text

    def complaints(old: str, new: str) -> str:
        for path, text in files.items():
            path.write_text(text.replace(old, new))
        return subprocess.run(
            [program, "verify", "--user", "--man=no", *files],
            env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(desk.home), "HOME": str(desk.home)},
            capture_output=True,
            text=True,
            check=False,
        ).stderr

    assert (len(files), complaints("", "")) == (4, "")
    assert "nonsense" in complaints("Type=notify", "Type=nonsense")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"])
def test_next_starts_are_those_of_systemd(zone: str) -> None:
    """Around both changes of a year's clocks the starts are those that systemd itself names."""
    program = need("systemd-analyze")
    changes = {
        "Europe/Berlin": ("2027-03-28 01:00", "2027-10-31 01:00"),
        "America/New_York": ("2027-03-14 07:00", "2027-11-07 06:00"),
        "Australia/Lord_Howe": ("2027-04-03 15:00", "2027-10-02 15:30"),
        "Africa/Cairo": ("2027-04-29 22:00", "2027-10-28 21:00"),
    }
    for change in changes[zone]:
        moment = datetime.fromisoformat(change).replace(tzinfo=UTC)
        wall = moment.astimezone(ZoneInfo(zone))
        for minutes in (-1440, -31, 1, 45):
            base = datetime.fromtimestamp(moment.timestamp() + 60 * minutes, UTC)
            for at in (TimeOfDay((wall.hour - 1) % 24, 30), TimeOfDay(wall.hour, 15), TimeOfDay(12, 0)):
                said = subprocess.run(
                    [
                        program,
                        "calendar",
                        "--iterations=3",
                        f"--base-time={base:%Y-%m-%d %H:%M:%S} UTC",
                        f"{at} {zone}",
                    ],
                    env={"TZ": "UTC", "PATH": os.environ["PATH"]},
                    capture_output=True,
                    text=True,
                    check=True,
                )
                theirs = [
                    " ".join(line.split()[-3:-1])
                    for line in said.stdout.splitlines()
                    if "elapse" in line or "Iter." in line
                ]
                ours = next_runs(Starter.SYSTEMD, at, ZoneInfo(zone), base, 3)
                assert [f"{start.astimezone(UTC):%Y-%m-%d %H:%M:%S}" for start in ours] == theirs


# ---------------------------------------------------------------- cron


def test_a_line_is_installed_once_and_taken_away(desk: Desk) -> None:
    """The crontab is written when something changes, with its other lines as they were, to the byte."""
    desk.have_cron()
    others = b"# caf\xe9\n@daily x \x0b\x0c\x1c\x85\n"
    desk.ask("crontab", "-", text=others)
    assert desk.say(*AT_1, "--cron", "--install").exit_code == 0
    (kept,) = (desk.home / "spool").iterdir()
    before = kept.stat().st_mtime_ns
    done = desk.say(*AT_1, "--cron", "--install")
    assert (done.exit_code, "does not catch up" in done.stderr) == (0, True)
    assert kept.stat().st_mtime_ns == before
    assert desk.ask("crontab", "-l").startswith(others + b"# batchup schedule nightly: ")
    shown = desk.say()
    assert (shown.exit_code, shown.stdout) == (0, "batchup-nightly of your crontab\n")
    assert shown.stderr in done.stderr
    assert shown.stderr.startswith("the next runs start, each up to 300 s later:\n")
    other = Path(shutil.copy(desk.job, desk.home))
    refused = desk.say(*AT_1, "--cron", "--install", job=other)
    assert (refused.exit_code, str(desk.job) in refused.stderr, "--name" in refused.stderr) == (
        78,
        True,
        True,
    )
    assert desk.say(*AT_1, "--cron", "--install", "--name", "Other shop", job=other).exit_code == 0
    assert desk.say("--remove", job=other).stdout == "batchup-other-shop of your crontab\n"
    weekly = desk.ask("crontab", "-l").replace(b"\n0 1 * * * ", b"\n0 1 * * 1 ")
    desk.ask("crontab", "-", text=weekly)
    assert "changed by hand" in desk.say().stderr
    assert desk.say("--remove").stdout == "batchup-nightly of your crontab\n"
    assert desk.ask("crontab", "-l") == others
    kept.unlink()
    assert desk.say(*AT_1, "--cron", "--install").exit_code == 0


def test_several_lines_of_a_job(desk: Desk) -> None:
    """Each new schedule of a job tells of the others, and --name shows and ends one of them alone."""
    desk.have_cron()
    assert "too:" not in desk.say(*AT_1, "--cron", "--install").stderr
    one = desk.ask("crontab", "-l")
    for at in ("12:00", "13:00"):
        noon = desk.say("--at", at, "--cron", "--name", "Noon", "--install")
        ends = f"  batchup schedule '{desk.job}' --remove --name nightly\n"
        words = (
            f"installed for it too: batchup-nightly of your crontab; both start it. To end that one:\n{ends}"
        )
        assert (noon.exit_code, words in noon.stderr, noon.stderr.count("too:")) == (0, True, 1), noon.stderr
    assert desk.say().stdout == "batchup-nightly of your crontab\nbatchup-noon of your crontab\n"
    shown = desk.say("--name", "Noon")
    assert (shown.exit_code, shown.stdout) == (0, "batchup-noon of your crontab\n")
    assert (shown.stderr.count(" 13:00 "), shown.stderr.count(" 01:00 ")) == (5, 0)
    none = desk.say("--remove", "--name", "evening")
    assert (none.exit_code, none.stdout) == (0, "")
    assert "nothing was installed for it that is called evening" in none.stderr
    assert desk.say("--remove", "--name", "Noon").stdout == "batchup-noon of your crontab\n"
    assert desk.ask("crontab", "-l") == one
    assert (desk.say("--name", "noon").exit_code, desk.say("--name", "nightly").exit_code) == (3, 0)


def test_a_line_whose_end_is_gone_is_left_to_a_person(desk: Desk) -> None:
    """Where the last of our lines is missing, nothing is said to be gone, and nothing is put beside it."""
    desk.have_cron()
    assert desk.say(*AT_1, "--cron", "--install").exit_code == 0
    cut = desk.ask("crontab", "-l").rpartition(b"# batchup schedule's end")[0]
    desk.ask("crontab", "-", text=cut)
    for words in (("--remove",), (*AT_1, "--cron", "--install")):
        done = desk.say(*words)
        assert (done.exit_code, "no end any more" in done.stderr, "crontab -e" in done.stderr) == (
            78,
            True,
            True,
        )
    assert desk.ask("crontab", "-l") == cut


def test_a_crontab_that_cannot_be_had(desk: Desk) -> None:
    """Who cannot have a crontab, and who has no cron, is told in words; so is a line too long for cron."""
    desk.have_cron()
    (desk.home / "spool" / units.user_name()).symlink_to(units.user_name())
    done = desk.say(*AT_1, "--cron", "--install")
    assert (done.exit_code, "symbolic links" in done.stderr) == (78, True)
    assert [desk.say(*words).exit_code for words in ((), ("--remove",))] == [3, 0]
    (desk.home / "bin/crontab").unlink()
    done = desk.say(*AT_1, "--cron", "--install", PATH=str(desk.home / "bin"))
    assert (done.exit_code, "no program crontab" in done.stderr) == (78, True)
    assert desk.say("--remove", PATH=str(desk.home / "bin")).exit_code == 0
    deep = desk.home / "/".join(["x" * 200] * 3)
    deep.mkdir(parents=True)
    done = desk.say(*AT_1, "--cron", job=Path(shutil.copy(desk.job, deep)))
    assert (done.exit_code, "998 characters" in done.stderr) == (78, True)


def test_the_line_passes_cron_and_the_shell(desk: Desk) -> None:
    """Debian's crontab takes the line, and a shell makes of it the command that was meant."""
    odd = desk.home / "50% o'ff"
    odd.mkdir()
    text = desk.say(*AT_1, "--cron", "--jitter", "0s", job=Path(shutil.copy(desk.job, odd))).stdout
    (line,) = [line for line in text.splitlines() if not line.startswith("#")]
    shows = "import os, sys; print(os.getcwd(), sys.argv[2], os.environ['BATCHUP_SERVICE_KEY'])"
    told = line.split(" ", 5)[5].replace("\\%", "%").replace("-m batchup", f'-c "{shows}"')
    done = subprocess.run(["/bin/sh", "-c", told], env={}, capture_output=True, text=True, check=True)
    assert done.stdout == f"{odd} {odd}/nightly.toml file:{desk.key}\n"
    if (
        "-n"
        not in subprocess.run([need("crontab"), "-h"], capture_output=True, text=True, check=False).stderr
    ):
        pytest.skip("this crontab checks nothing")
    for content, code in ((text, 0), (text.replace("0 1 *", "0 25 *"), 1)):
        (desk.home / "new").write_text(content)
        checked = subprocess.run([need("crontab"), "-n", desk.home / "new"], capture_output=True, check=False)
        assert checked.returncode == code


# ---------------------------------------------------------------- Kubernetes


def test_the_cron_job_fits_the_schema(desk: Desk) -> None:
    """The manifest is YAML that says what was meant, and keeps to the cluster's schema to the letter."""
    validate = pytest.importorskip("kubernetes_validate")
    yaml = pytest.importorskip("yaml")
    done = desk.say(*AT_1, "--kubernetes", "--image", "shop/batchup:1", "--time-zone", "Europe/Berlin")
    assert (done.exit_code, "kubectl apply" in done.stderr, "create secret" in done.stderr) == (0, True, True)
    for text in (
        done.stdout,
        desk.say("--at", "1:00", "--kubernetes", "--image", "x", "--no-catch-up", *IN_UTC).stdout,
    ):
        manifest = yaml.safe_load(text)
        validate.validate(manifest, "1.31", strict=True)
    manifest = yaml.safe_load(done.stdout)
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"][:3] == ["batchup", "run", str(desk.job)]
    assert (manifest["spec"]["timeZone"], manifest["metadata"]["name"]) == (
        "Europe/Berlin",
        "batchup-nightly",
    )
    manifest["spec"]["unknown"] = 1
    with pytest.raises(validate.ValidationError):
        validate.validate(manifest, "1.31", strict=True)


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 3), (75, 0), (78, 78)])
def test_stopped_on_purpose_is_well_in_a_cluster(code: int, expected: int) -> None:
    """The container ends as the run does, but with 0 where it was stopped on purpose."""
    words = ["/bin/sh", "-c", WELL_AS_0, "batchup", "/bin/sh", "-c", f"exit {code}"]
    assert subprocess.run(words, check=False).returncode == expected


def test_a_cluster_s_sigterm_reaches_the_run() -> None:
    """SIGTERM is handed on, and the container waits for what the run makes of it."""
    inner = "trap 'echo leaving; exit 75' TERM; echo begun; for _ in $(seq 200); do sleep 0.05; done"
    words = ["/bin/sh", "-c", WELL_AS_0, "batchup", "/bin/sh", "-c", inner]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "leaving\n"
    assert process.returncode == 0


# ---------------------------------------------------------------- what is said


def test_the_next_five_starts_are_told(desk: Desk) -> None:
    """Five starts are told on standard error, and the nights of the next year in which the clocks matter."""
    done = desk.say("--at", "02:30", "--systemd", "--time-zone", "Europe/Berlin")
    told = done.stderr.split("the next runs start, each up to 300 s later:\n")[1].splitlines()
    now = datetime.now(UTC)
    ours = next_runs(Starter.SYSTEMD, TimeOfDay(2, 30), ZoneInfo("Europe/Berlin"), now)
    assert told[:5] == [f"  {start:%a %Y-%m-%d %H:%M %z}" for start in ours]
    assert (told[5], told[6].endswith("nothing starts")) == (
        "when the clocks change, 02:30 is not there once:",
        True,
    )
    assert done.stderr.startswith("nothing was installed; --install does it\n")


@pytest.mark.parametrize(
    ("stop_at", "is_caught_up", "expected"),
    [
        (TimeOfDay(6, 0), True, "systemctl --user start --no-block batchup-n.service"),
        (None, False, "systemctl --user start --no-block batchup-n.service"),
        (TimeOfDay(6, 0), False, "batchup run 'my n.toml'"),
    ],
)
def test_what_is_said_to_try_works_by_day(
    stop_at: TimeOfDay | None, *, is_caught_up: bool, expected: str
) -> None:
    """A service that starts within its night alone would do nothing by day: the run itself is named."""
    night = Schedule(
        name="n",
        job="/n",
        folder="/",
        python="/p",
        at=TimeOfDay(1, 0),
        stop_at=stop_at,
        is_caught_up=is_caught_up,
    )
    words = systemd_words(night, Path("my n.toml"), "me", is_lingering=True)
    assert [line for line in words if "try" in line] == [f"to try now:  {expected}"]


def test_a_missing_key_is_told(desk: Desk) -> None:
    """Without the key's file nothing is installed, and it is said how to write it."""
    desk.key.unlink()
    for kind in ("--systemd", "--cron"):
        done = desk.say(*AT_1, kind, "--install")
        assert (done.exit_code, f"cat > {desk.key}" in done.stderr) == (78, True)
    assert (desk.units.exists(), list((desk.home / "spool").iterdir())) == (False, [])
    assert f"cat > {desk.key}" in desk.say(*AT_1, "--systemd").stderr
    assert "cat > /etc/me/batchup/" in desk.say(*AT_1, "--systemd", XDG_CONFIG_HOME="/etc/me").stderr
    elsewhere = desk.home / "a key"
    elsewhere.write_text("k\n")
    elsewhere.chmod(0o644)
    done = desk.say(*AT_1, "--systemd", "--key-file", str(elsewhere))
    assert (done.exit_code, "others on this machine can read" in done.stderr) == (0, True)


def test_what_could_never_run_is_not_scheduled(desk: Desk) -> None:
    """An empty key, metrics that nobody reads and a manifest that nobody types are said before the night."""
    metrics = desk.say(*AT_1, "--systemd", "--metrics-file", "m.txt")
    assert (metrics.exit_code, metrics.stdout, "end in .prom" in metrics.stderr) == (2, "", True)
    desk.write_secret(desk.key, "")
    for kind in ("--systemd", "--cron"):
        done = desk.say(*AT_1, kind, "--install")
        assert (done.exit_code, str(desk.key) in done.stderr) == (78, True), done.stderr
    assert (desk.units.exists(), list((desk.home / "spool").iterdir())) == (False, [])
    desk.job.write_text('manifest = "-"\nmodel = "each-upscaler"\n')
    typed = desk.say(*AT_1, "--systemd")
    assert (typed.exit_code, typed.stdout, "standard input" in typed.stderr) == (78, "", True)


def test_a_key_in_a_file_of_its_own_is_looked_for_too(desk: Desk) -> None:
    """A job that names the key's file itself is not installed either where that file is not there."""
    desk.job.write_text(f'{desk.job.read_text()}[service]\nkey = "file:my key"\n')
    done = desk.say(*AT_1, "--cron", "--install")
    assert (done.exit_code, f"cat > '{desk.job.parent}/my key'" in done.stderr) == (78, True)


@pytest.mark.parametrize(
    ("service", "unit", "crontab"),
    [
        ('url = "simulator"', [], None),
        ('key = "file:/k"', [], None),
        ('key = "credential:mine"', ["LoadCredential=mine:"], "BATCHUP_SERVICE_KEY=file:"),
        (
            'key = "env:MINE"',
            ["Environment=BATCHUP_SERVICE_KEY=credential:mine", "LoadCredential=mine:"],
            "BATCHUP_SERVICE_KEY=file:",
        ),
    ],
)
def test_where_the_key_comes_from(desk: Desk, service: str, unit: list[str], crontab: str | None) -> None:
    """A key of the environment becomes a credential, one in a file stays there, a simulator's needs none."""
    desk.job.write_text(f"{desk.job.read_text()}[service]\n{service}\n")
    text = desk.say(*AT_1, "--systemd").stdout
    found = [line for line in text.splitlines() if "KEY" in line or line.startswith("LoadCredential")]
    assert [line.startswith(begin) for line, begin in zip(found, unit, strict=True)] == [True] * len(unit)
    line = desk.say(*AT_1, "--cron").stdout
    assert ("BATCHUP_SERVICE_KEY" in line) is (crontab is not None)
    assert crontab is None or crontab in line
    cluster = desk.say(*AT_1, "--kubernetes", "--image", "x", *IN_UTC).stdout
    assert ("secretName" in cluster) is ("simulator" not in service)


def test_the_run_finds_whom_to_tell(desk: Desk) -> None:
    """An address that the job finds in a variable comes from a file like the key; a missing one is told."""
    notify = '[notify]\nwebhook = "env:HOOK"\nping = "credential:beat"\napprise = "file:mails"\n'
    desk.job.write_text(desk.job.read_text() + notify)
    before = desk.say(*AT_1, "--systemd", HOOK="https://hooks.example/secret")
    for words in (f"cat > {desk.key.with_name('hook')}", f"cat > {desk.key.with_name('beat')}"):
        assert words in before.stderr
    for name in ("hook", "beat"):
        desk.write_secret(desk.key.with_name(name), "https://hooks.example/secret")
    done = desk.say(*AT_1, "--systemd", HOOK="https://hooks.example/secret")
    folder = desk.key.parent
    assert (
        "Environment=BATCHUP_SERVICE_KEY=credential:eachlabs_api_key\n"
        f"Environment=BATCHUP_NOTIFY_WEBHOOK=file:{folder}/hook\n"
        f"Environment=BATCHUP_NOTIFY_PING=file:{folder}/beat\n"
        f"LoadCredential=eachlabs_api_key:{desk.key}\nTimeoutStartSec"
    ) in done.stdout
    assert done.stdout == before.stdout
    assert "cat >" not in done.stderr
    line = desk.say(*AT_1, "--cron").stdout
    assert f" BATCHUP_NOTIFY_WEBHOOK=file:{folder}/hook BATCHUP_NOTIFY_PING=file:{folder}/beat " in line
    cluster = desk.say(*AT_1, "--kubernetes", "--image", "x", *IN_UTC)
    assert cluster.stdout.count('value: "file:/run/secrets/batchup/') == 4
    assert f"--from-file=apprise={desk.job.parent}/mails" in cluster.stderr.replace("'", "")
    assert "hooks.example" not in before.output + done.output + line + cluster.output


def test_a_key_named_in_this_shell(desk: Desk) -> None:
    """Where this shell says in which file the key is, the scheduled run is told so too."""
    done = desk.say(*AT_1, "--systemd", BATCHUP_SERVICE_KEY=f"file:{desk.key}")
    assert f"Environment=BATCHUP_SERVICE_KEY=file:{desk.key}\n" in done.stdout
    assert ("LoadCredential" in done.stdout, "not set for" in done.stderr) == (False, False)
    given = desk.say(*AT_1, "--systemd", "--key-file", "/k", BATCHUP_SERVICE_KEY=f"file:{desk.key}").stdout
    assert "Environment=BATCHUP_SERVICE_KEY=credential:key\nLoadCredential=key:/k\n" in given


def test_what_is_set_here_and_not_there(desk: Desk) -> None:
    """The ledger's folder is handed on; of other variables the names are told, never what they hold."""
    done = desk.say(*AT_1, "--systemd", XDG_STATE_HOME="/state", HTTPS_PROXY="http://u:secret@p", TZ="UTC")
    assert "Environment=XDG_STATE_HOME=/state\n" in done.stdout
    assert "not set for the scheduled run: HTTPS_PROXY\n" in done.stderr
    assert "secret@" not in done.output


@pytest.mark.parametrize(
    "words",
    [
        ("--at", "25:00", "--systemd"),
        ("--at", "01:00"),
        ("--install",),
        ("--systemd",),
        (*AT_1, "--systemd", "--cron"),
        (*AT_1, "--systemd", "--remove"),
        ("--remove", "--systemd"),
        ("--remove", "--stop-at", "06:00"),
        ("--remove", "--name", "noon", "--jitter", "5min"),
        ("--stop-at", "05:00", "--jitter", "1min"),
        ("--jitter", "5min"),
        ("--no-catch-up",),
        ("--on-change", "redo", "--name", "noon"),
        ("--key-file", "/k"),
        ("--image", "x"),
        (*AT_1, "--systemd", "--image", "x"),
        (*AT_1, "--cron", "--claim", "x"),
        ("--at", "06:00", "--stop-at", "06:00", "--cron"),
        (*AT_1, "--cron", "--time-zone", "Europe/Berlin"),
        (*AT_1, "--cron", "--jitter", "5h"),
        ("--at", "01:00", "--cron", "--jitter", "24h"),
        (*AT_1, "--kubernetes"),
        (*AT_1, "--kubernetes", "--image", "x", "--metrics-file", "x.prom"),
        (*AT_1, "--kubernetes", "--image", "x", "--install"),
        (*AT_1, "--kubernetes", "--image", ""),
        (*AT_1, "--kubernetes", "--image", "a b"),
        (*AT_1, "--kubernetes", "--image", "x", "--claim", "A B"),
        (*AT_1, "--systemd", "--time-zone", "Europe/Nowhere"),
        (*AT_1, "--systemd", "--time-zone", "../etc/passwd"),
        (*AT_1, "--systemd", "--max-duration", "long"),
    ],
)
def test_what_does_not_go_together(desk: Desk, words: tuple[str, ...]) -> None:
    """Flags that contradict each other, or lack another, are wrong usage."""
    done = desk.say(*words)
    assert (done.exit_code, done.stdout) == (2, "")


def test_what_would_change_nothing_is_named(desk: Desk) -> None:
    """Options that nothing heeds are named, so that nobody takes the old schedule for the new one."""
    idle = desk.say("--stop-at", "05:00", "--jitter", "1min")
    assert "so --stop-at and --jitter would change nothing" in idle.stderr
    assert "--remove does not go with --jitter." in desk.say("--remove", "--jitter", "1min").stderr


def test_a_home_that_nobody_knows(desk: Desk) -> None:
    """A key's file in the home of somebody who is not there is wrong usage, and named."""
    done = desk.say(*AT_1, "--systemd", "--key-file", "~no-such-user/key")
    assert (done.exit_code, done.stdout, "~no-such-user/key" in done.stderr) == (2, "", True), done.stderr


def test_a_path_that_no_unit_can_hold(desk: Desk) -> None:
    """A job in a folder whose name has a line break cannot be scheduled, and is told so."""
    odd = desk.home / "a\nb"
    odd.mkdir()
    done = desk.say(*AT_1, "--systemd", job=Path(shutil.copy(desk.job, odd)))
    assert (done.exit_code, "cannot be written into a schedule" in done.stderr) == (78, True)


def test_a_given_length_is_handed_on(desk: Desk) -> None:
    """`--max-duration`, `--on-change` and `--metrics-file` reach the run as they were given."""
    flags = ("--max-duration", "4 h", "--on-change", "keep", "--metrics-file", "/srv/j.prom")
    done = desk.say(*AT_1, "--systemd", *flags)
    given = "--stop-at 06:00 --max-duration 4h --metrics-file /srv/j.prom --on-change keep --quiet\n"
    assert given in done.stdout


def test_the_machines_own_zone(tmp_path: Path) -> None:
    """The machine's zone has the name that its link tells; without one it is UTC, without a link nameless."""
    berlin = Path("/usr/share/zoneinfo/Europe/Berlin")
    if not berlin.exists():
        pytest.skip("no time zones here")
    (tmp_path / "localtime").symlink_to(berlin)
    shutil.copy(berlin, tmp_path / "copy")
    noon = datetime(2027, 7, 1, 12, tzinfo=UTC)
    for name, expected in (("localtime", "Europe/Berlin"), ("copy", None), ("none", "Etc/UTC")):
        found, zone = zones.machine_zone(tmp_path / name)
        assert found == expected
        assert noon.astimezone(zone).hour == (12 if name == "none" else 14)
    with pytest.raises(UsageProblem):
        zones.named_zone("")


def test_lingering_is_known(tmp_path: Path) -> None:
    """A user's systemd lives on where systemd has noted it."""
    assert not units.is_lingering(tmp_path)
    (tmp_path / units.user_name()).touch()
    assert units.is_lingering(tmp_path)
    assert units.user_name(3_999_999_999) == "3999999999"


def test_what_a_program_is_given_and_gives_stays_as_it_is() -> None:
    """Neither way are ends of lines changed: a crontab is more than a text."""
    assert ask(["cat"], "a\rb\r\n\udce9").out == "a\rb\r\n\udce9"


def test_a_user_whose_home_nobody_knows() -> None:
    """It is said in words that HOME is to be set."""
    if os.geteuid():
        pytest.skip("only root may become another user")
    code = "import os, batchup.edge.scheduling.folders as f; os.setuid(4_000_000_000); f.data_folder()"
    done = subprocess.run([sys.executable, "-c", code], env={}, capture_output=True, text=True, check=False)
    assert "ConfigProblem: Nobody knows your home folder." in done.stderr


def test_a_program_that_does_not_end() -> None:
    """A program that hangs is not waited for without end."""
    with pytest.raises(ConfigProblem, match="does not end"):
        ask(["sleep", "20"], patience_s=0.05)
