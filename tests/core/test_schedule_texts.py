"""A schedule's values, and how they are written for systemd, cron and Kubernetes."""

from dataclasses import replace

import pytest

from batchup.core.schedule import cron, exits, kubernetes, quoting, systemd
from batchup.core.schedule.values import Schedule, SecretFile, TimeOfDay, plain_name

KEY = "BATCHUP_SERVICE_KEY"
NIGHTLY = Schedule(
    name="nightly",
    job="/srv/shop/nightly.toml",
    folder="/srv/shop",
    python="/srv/shop/.venv/bin/python",
    at=TimeOfDay(1, 0),
    stop_at=TimeOfDay(6, 0),
    key=SecretFile(KEY, "eachlabs_api_key", "/home/me/.config/batchup/eachlabs_api_key"),
)
PROGRAM = ("/srv/shop/.venv/bin/python", "-P", "-m", "batchup")
AGAIN = r"[ \"$$(systemctl --user show -P NRestarts batchup-nightly.service)\" -gt 0 ]"
CLUSTER = kubernetes.Cluster("shop/batchup:1", claim="photos", secret="photos-key")  # noqa: S106 a name


@pytest.mark.parametrize(("text", "expected"), [("01:00", (1, 0)), ("6:05", (6, 5)), (" 23:59 ", (23, 59))])
def test_a_time_of_day_is_read(text: str, expected: tuple[int, int]) -> None:
    """Hours and minutes are read, and written with two digits each."""
    time = TimeOfDay.parse(text)
    assert (time.hour, time.minute) == expected
    assert str(time) == f"{expected[0]:02}:{expected[1]:02}"


@pytest.mark.parametrize("text", ["", "1", "24:00", "12:60", "noon", "06:00+02:00", "٠١:٠٠"])
def test_what_is_no_time_of_day_is_told(text: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(ValueError, match="such as 01:00"):
        TimeOfDay.parse(text)


@pytest.mark.parametrize(("end", "minutes"), [("06:00", 300), ("00:30", 1410), ("01:00", 1440)])
def test_a_night_may_pass_midnight(end: str, minutes: int) -> None:
    """The night's length is counted forward, over midnight where it has to."""
    assert TimeOfDay(1, 0).minutes_to(TimeOfDay.parse(end)) == minutes


def test_a_late_start_lasts_as_long_as_a_night() -> None:
    """A missed night that is made up for by day ends after a night's length and an hour, not tomorrow."""
    words = ["run", NIGHTLY.job, "--stop-at", "06:00", "--max-duration", "360min", "--on-change", "redo"]
    assert NIGHTLY.run_words() == [*words, "--quiet"]
    own = replace(NIGHTLY, max_duration="2h", on_change="keep").run_words()
    assert own[2:] == ["--stop-at", "06:00", "--max-duration", "2h", "--on-change", "keep", "--quiet"]
    assert replace(NIGHTLY, stop_at=None).run_words()[2:] == ["--on-change", "redo", "--quiet"]
    measured = replace(NIGHTLY, stop_at=None, metrics_file="/m/j.prom").run_words()
    assert measured[2:] == ["--metrics-file", "/m/j.prom", "--on-change", "redo", "--quiet"]


def test_a_start_is_put_off_for_less_than_a_night() -> None:
    """The jitter has to leave something of the night, or of the day where the night has no end."""
    assert NIGHTLY.latest_s == 5 * 3600
    assert replace(NIGHTLY, stop_at=None).latest_s == 86_400


@pytest.mark.parametrize(
    ("text", "name"),
    [("nightly", "nightly"), ("Shop: A & B!", "shop-a-b"), ("照片", "job"), ("x" * 60, "x" * 40)],
)
def test_names_suit_everybody(text: str, name: str) -> None:
    """A job's name becomes one that a unit, a crontab and a cluster can have."""
    assert plain_name(text) == name


def test_it_is_killed_only_when_it_could_have_ended() -> None:
    """The patience after SIGTERM is twice what a run takes to leave, and two minutes at least."""
    assert NIGHTLY.stop_s == 120
    assert replace(NIGHTLY, leave_s=90.0).stop_s == 180


def test_every_exit_code_has_its_consequence() -> None:
    """Of the contract's codes, 0 and 75 are well, four are tried again, and no other is."""
    contract = {0, 1, 2, 3, 4, 11, 65, 69, 70, 73, 74, 75, 76, 77, 78, 79}
    assert contract - {0, exits.WELL} - set(exits.NOT_AGAIN) == {1, 11, 69, 70}
    assert exits.NIGHT_OVER not in contract


@pytest.mark.parametrize(
    ("word", "unit", "shell"),
    [
        ("/a/b-c.toml", "/a/b-c.toml", "/a/b-c.toml"),
        ("/a b", '"/a b"', "'/a b'"),
        ("/50%", '"/50%%"', "'/50%'"),
        ("it's", '"it\'s"', "'it'\"'\"'s'"),
        ('"\\', '"\\"\\\\"', "'\"\\'"),
        ("", '""', "''"),
        ("é", '"é"', "'é'"),
    ],
)
def test_words_are_quoted(word: str, unit: str, shell: str) -> None:
    """What a unit or a shell would read as something else is put in quotes."""
    assert (quoting.unit_word(word), quoting.shell_word(word)) == (unit, shell)


def test_a_cluster_puts_no_variable_into_a_path() -> None:
    """What looks like a cluster's own variable is written so that it stays what it is."""
    odd = replace(NIGHTLY, job="/srv/$(HOSTNAME)/$x.toml")
    assert '"/srv/$$(HOSTNAME)/$x.toml"' in kubernetes.cron_job(odd, kubernetes.Cluster("i", "c", "s"))


def test_dollars_are_doubled_behind_the_program() -> None:
    """Systemd expands variables in a command's words, but not in the program's name."""
    assert quoting.unit_command(["/a$b", "c$d"]) == '"/a$b" "c$$d"'


@pytest.mark.parametrize(
    ("text", "is_writable"),
    [
        ("/a b", True),
        ("/a\nb", False),
        ("/a\x7f", False),
        ("/a ", False),
        ("/a\\%b", False),
        ("/\udce9", False),
    ],
)
def test_what_no_unit_can_hold(text: str, *, is_writable: bool) -> None:
    """A line break, a backslash, what is no text and what is lost at a line's end cannot be written."""
    assert quoting.is_writable(text) is is_writable


def test_the_service_is_watched_and_has_no_key() -> None:
    """The unit runs this Python on whole paths, names the key's file and not the key, and knows the codes."""
    lines = systemd.service_unit(NIGHTLY).splitlines()
    assert lines[0] == "# Made by `batchup schedule` for /srv/shop/nightly.toml"
    for line in (
        "Type=notify",
        "WorkingDirectory=/srv/shop",
        "Environment=BATCHUP_SERVICE_KEY=credential:eachlabs_api_key",
        "LoadCredential=eachlabs_api_key:/home/me/.config/batchup/eachlabs_api_key",
        "WatchdogSec=400",
        "TimeoutStopSec=120",
        "KillMode=mixed",
        "SuccessExitStatus=75",
        "Restart=on-failure",
        "RestartPreventExitStatus=2 3 4 65 73 74 76 77 78 79 99",
    ):
        assert line in lines
    (start,) = (line for line in lines if line.startswith("ExecStart="))
    assert start.startswith('ExecStart=/bin/sh -c "t=')
    assert start.endswith(f'; exec \\"$$@\\"" batchup {" ".join([*PROGRAM, *NIGHTLY.run_words()])}')
    endless = replace(NIGHTLY, stop_at=None)
    line = f"ExecStart={' '.join([*PROGRAM, *endless.run_words()])}\n"
    assert line in systemd.service_unit(endless)


def test_a_program_that_systemd_does_not_start() -> None:
    """Systemd takes no program whose path has a quote: `env` starts that one."""
    odd = replace(NIGHTLY, python="/it's/python")
    assert '" batchup "/it\'s/python" -P -m batchup run ' in systemd.service_unit(odd)
    text = systemd.service_unit(replace(odd, stop_at=None))
    assert '\nExecStart=/usr/bin/env "/it\'s/python" -P -m batchup run ' in text


def test_the_service_has_what_it_is_given() -> None:
    """A zone, variables, a credential that the job names itself, and no key at all, each give their lines."""
    odd = replace(NIGHTLY, zone="Europe/Berlin", environment={"XDG_STATE_HOME": "/s t"}, folder="/50% off")
    text = systemd.service_unit(replace(odd, key=SecretFile(KEY, "mine", "/k%", is_named=True)))
    assert (
        'Environment="XDG_STATE_HOME=/s t"\nEnvironment=TZ=Europe/Berlin\nLoadCredential=mine:/k%%\n' in text
    )
    assert "WorkingDirectory=/50%% off\n" in text
    without = systemd.service_unit(replace(NIGHTLY, key=None))
    assert ("LoadCredential" in without, "Environment" in without) == (False, False)


@pytest.mark.parametrize(
    ("stop_at", "expected"),
    [("06:00", r"\"$$t\" -ge 0100 -a \"$$t\" -lt 0600"), ("00:30", r"\"$$t\" -ge 0100 -o \"$$t\" -lt 0030")],
)
def test_a_start_again_stays_in_the_night(stop_at: str, expected: str) -> None:
    """A start again past the night's end fails; a first start there is left out where none is made up for."""
    night = replace(NIGHTLY, stop_at=TimeOfDay.parse(stop_at))
    text = systemd.service_unit(night)
    assert f"[ {expected} ] || ! {AGAIN} || {{ echo " in text
    assert ("ExecCondition" in text, "WorkingDirectory=/srv/shop\n" in text) == (False, True)
    confined = systemd.service_unit(replace(night, is_caught_up=False))
    assert f'ExecCondition=/bin/sh -c "t=$$(date +%%H%%M); [ {expected} ] || {AGAIN}"\n' in confined
    assert f"[ {expected} ] || ! {AGAIN} || {{ echo " in confined
    assert "WorkingDirectory=-/srv/shop\n" in confined
    endless = systemd.service_unit(replace(night, is_caught_up=False, stop_at=None))
    assert ("ExecCondition" in endless, "/bin/sh" in endless) == (False, False)


def test_the_timer() -> None:
    """The timer says when, with jitter, and whether a missed night is made up for."""
    text = systemd.timer_unit(NIGHTLY)
    assert "OnCalendar=*-*-* 01:00:00\nRandomizedDelaySec=300\nAccuracySec=1s\nPersistent=true\n" in text
    other = systemd.timer_unit(replace(NIGHTLY, zone="Europe/Berlin", is_caught_up=False, jitter_s=0))
    assert "OnCalendar=*-*-* 01:00:00 Europe/Berlin\nRandomizedDelaySec=0\n" in other
    assert "Persistent=false\n" in other


@pytest.mark.parametrize("at", ["1:05", "23:59"])
@pytest.mark.parametrize("jitter_s", [0, 300])
def test_what_is_installed_tells_when_it_starts(at: str, jitter_s: int) -> None:
    """A timer and a line are read as they were written; of one that was changed by hand nothing is said."""
    night = replace(NIGHTLY, at=TimeOfDay.parse(at), jitter_s=jitter_s)
    assert cron.start_of(cron.crontab_block(night)) == night.start
    for zone in (None, "Europe/Berlin"):
        zoned = replace(night, zone=zone)
        assert systemd.start_of(systemd.timer_unit(zoned)) == zoned.start
    assert systemd.start_of("[Timer]\nOnCalendar=Mon *-*-* 01:00:00\n") is None
    assert cron.start_of("@daily x\n") is None


def test_a_unit_tells_whose_it_is() -> None:
    """The job file is read from a unit of ours, and from no other."""
    assert systemd.job_of(systemd.timer_unit(NIGHTLY)) == NIGHTLY.job
    assert systemd.job_of("[Unit]\n") is None


def test_the_line_for_cron() -> None:
    """The crontab says what cron cannot do, and its line needs nothing of a shell's set-up."""
    begin, warning, line, end = cron.crontab_block(NIGHTLY).splitlines()
    assert begin == "# batchup schedule nightly: /srv/shop/nightly.toml"
    assert "does not catch up" in warning
    assert line == (
        '0 1 * * * sleep "$(shuf -i 0-300 -n 1)"; cd /srv/shop && exec env'
        " BATCHUP_SERVICE_KEY=file:/home/me/.config/batchup/eachlabs_api_key"
        " /srv/shop/.venv/bin/python -P -m batchup run /srv/shop/nightly.toml"
        " --stop-at 06:00 --max-duration 360min --on-change redo --quiet"
    )
    assert end == "# batchup schedule's end: nightly"
    bare = cron.command(replace(NIGHTLY, key=None, jitter_s=0, folder="/50% off", stop_at=None))
    assert bare.startswith("cd '/50\\% off' && exec /srv/shop/.venv/bin/python -P")


@pytest.mark.parametrize("others", ["", "MAILTO=me\n", "# no newline at the end", "\n\n*/5 * * * * x\n"])
def test_other_lines_of_a_crontab_stay(others: str) -> None:
    """The block is put in once, changed in its place, and taken away; every other line stays as it was."""
    block = cron.crontab_block(NIGHTLY)
    once = cron.with_block(others, "nightly", block)
    assert once == (f"{others}\n" if others and not others.endswith("\n") else others) + block
    assert cron.find_block(once, "nightly") == (block, NIGHTLY.job)
    assert cron.names_of(once, NIGHTLY.job) == ["nightly"]
    later = once + "@daily y\n"
    changed = cron.crontab_block(replace(NIGHTLY, at=TimeOfDay(2, 0)))
    assert cron.with_block(later, "nightly", changed) == later.replace(block, changed)
    assert cron.with_block(later, "nightly", "") == later.replace(block, "")


def test_a_block_without_an_end_is_no_block() -> None:
    """Where the last line of a block is missing nothing is taken for it, and nothing is cut away."""
    half = cron.crontab_block(NIGHTLY).rpartition("# batchup")[0]
    assert cron.find_block(half, "nightly") is None
    assert [cron.is_begun(half, name) for name in ("nightly", "night")] == [True, False]
    assert cron.find_block("# batchup schedule's end: nightly\n" + half, "nightly") is None
    assert cron.with_block(half, "nightly", "") == half


def test_a_block_that_was_cut_takes_no_line_of_yours() -> None:
    """Between a beginning without an end and the next whole block no line goes, and no block comes twice."""
    block = cron.crontab_block(NIGHTLY)
    begin, *rest = block.splitlines(keepends=True)
    for others in (f"{begin}@daily mine\n", f"@daily mine\n{rest[-1]}"):
        once = cron.with_block(others, "nightly", block)
        assert once == others + block
        assert cron.with_block(once, "nightly", block) == once
        assert cron.names_of(once, NIGHTLY.job) == ["nightly"]
        assert cron.with_block(once, "nightly", "") == others


def test_a_line_ends_where_cron_ends_it() -> None:
    """What else may end a line of a text is part of the line, in a job's path too."""
    odd = replace(NIGHTLY, job="/srv/\u2028shop/a.toml")
    crontab = cron.with_block("@daily a\rb\n", "nightly", cron.crontab_block(odd))
    assert cron.names_of(crontab, odd.job) == ["nightly"]
    assert cron.with_block(crontab, "nightly", "") == "@daily a\rb\n"


def test_the_cron_job() -> None:
    """One pod at a time, folder on a claim, key from a secret, exit codes as systemd has them."""
    text = kubernetes.cron_job(replace(NIGHTLY, zone="Europe/Berlin"), CLUSTER)
    for part in (
        '  schedule: "0 1 * * *"\n  timeZone: "Europe/Berlin"\n  concurrencyPolicy: Forbid\n',
        "startingDeadlineSeconds: 43200\n",
        "activeDeadlineSeconds: 22020\n",
        "backoffLimit: 11\n",
        "values: [2, 3, 4, 65, 73, 74, 76, 77, 78, 79]\n",
        "terminationGracePeriodSeconds: 120\n",
        '{name: XDG_STATE_HOME, value: "/srv/shop/.batchup-state"}',
        '{name: BATCHUP_SERVICE_KEY, value: "file:/run/secrets/batchup/eachlabs_api_key"}',
        '{claimName: "photos"}',
        '{secretName: "photos-key", defaultMode: 0440}',
    ):
        assert part in text


@pytest.mark.parametrize(("stop_at", "limit"), [("06:00", "22020"), ("00:30", "88620")])
def test_a_start_again_in_a_cluster_ends_with_the_night(stop_at: str, limit: str) -> None:
    """The night's length bounds all of its starts, whatever `--max-duration` one of them may last."""
    night = replace(NIGHTLY, stop_at=TimeOfDay.parse(stop_at), max_duration="4h")
    assert f"activeDeadlineSeconds: {limit}\n" in kubernetes.cron_job(night, CLUSTER)
    assert "activeDeadline" not in kubernetes.cron_job(replace(night, stop_at=None), CLUSTER)
    always_alike = replace(night, has_clock_changes=False)
    assert f"activeDeadlineSeconds: {int(limit) - 3600}\n" in kubernetes.cron_job(always_alike, CLUSTER)


def test_a_cron_job_without_key_jitter_or_catching_up() -> None:
    """What is not wanted is left out, and without a zone the times are UTC."""
    text = kubernetes.cron_job(
        replace(NIGHTLY, key=None, jitter_s=0, stop_at=None, is_caught_up=False), CLUSTER
    )
    left_out = ("secret", "shuf", "KEY", "activeDeadlineSeconds")
    assert [word for word in left_out if word in text] == []
    assert 'timeZone: "Etc/UTC"\n' in text
    assert "startingDeadlineSeconds: 300\n" in text
