"""The table [notify] of a job: who is told of a run's end, and that no address is shown."""

from pathlib import Path

import pytest

from batchup.core.notice import LEVELS
from batchup.errors import ConfigProblem
from batchup.job import Job, Notify
from batchup.settings.hooks import WORDS

MINIMAL = 'manifest = "m.jsonl"\nmodel = "each-upscaler"\n'
HOOK = "https://hooks.example.com/T0/s3cr3t?x=1"
MAIL = "mailto://me:s3cr3t@example.com"


def job(*lines: str) -> Job:
    return Job.from_toml("\n".join([MINIMAL + "[notify]", *lines]))


def problems(*lines: str) -> list[str]:
    with pytest.raises(ConfigProblem) as caught:
        job(*lines)
    assert "s3cr3t" not in str(caught.value)
    return str(caught.value).splitlines()


def test_without_the_table_nobody_is_told() -> None:
    """A job that does not ask for it tells nobody."""
    assert Job.from_toml(MINIMAL).notify is None


def test_all_of_it_is_read(tmp_path: Path) -> None:
    """Each key is read, from a variable too, and a relative file lies beside the job."""
    (tmp_path / "job.toml").write_text(
        MINIMAL + '[notify]\non = ["failure", "person"]\nping = "file:ping"\nwebhook_format = "slack"\n'
    )
    environ = {"BATCHUP_NOTIFY_ON": "person, finish", "BATCHUP_NOTIFY_WEBHOOK": HOOK}
    plain = Job.load(tmp_path / "job.toml", environ={}).notify
    notify = Job.load(tmp_path / "job.toml", environ=environ).notify
    assert plain == Notify(on=["failure", "person"], ping=f"file:{tmp_path / 'ping'}", webhook_format="slack")
    assert notify is not None
    assert (notify.on, notify.webhook, notify.timeout_s) == (("person", "finish"), HOOK, 10.0)


def test_the_words_are_the_levels_of_messages() -> None:
    """The words for when to tell are those that the core decides by."""
    assert tuple(LEVELS) == WORDS


def test_one_word_is_enough_in_code() -> None:
    """A job that is made in a program may name one occasion without a list."""
    assert Notify(on="person", ping=HOOK).on == ("person",)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "job:3: notify: nobody is told; add a line such as webhook = "),
        (['on = "failure"'], "job:3: notify: nobody is told"),
        (['on = "always"', f'ping = "{HOOK}"'], "job:4: notify.on: expected one of finish, failure, person"),
        (
            ["on = []", f'ping = "{HOOK}"'],
            "notify.on: expected one of finish, failure, person, or a list of them",
        ),
        (["on = [1]", f'ping = "{HOOK}"'], "notify.on: expected one of"),
        (["on = 1", f'ping = "{HOOK}"'], "notify.on: expected one of"),
        (
            ['webhook = "hooks.example.com/s3cr3t"'],
            'notify.webhook: expected an address that begins with "https',
        ),
        (['webhook = "https://h/s3cr3t x"'], "notify.webhook: expected an address"),
        (['webhook = "https://[h/s3cr3t"'], "notify.webhook: expected an address"),
        (['ping = "https://h:0/s3cr3t"'], "notify.ping: the port is none: it is a number from 1 to 65535"),
        (['webhook = "https://h:99999/s3cr3t"'], "notify.webhook: the port is none"),
        (
            ['ping = "http://example.com/s3cr3t"'],
            "notify.ping: use https: over plain http whoever is on the way",
        ),
        (['apprise = "s3cr3t"'], "notify.apprise: expected apprise's addresses such as"),
        ([f'apprise = "{MAIL} s3cr3t"'], "notify.apprise: expected apprise's addresses such as"),
        ([f'webhook = ["{HOOK}"]'], "notify.webhook: expected an address, or where it is found, as one text"),
        (['ping = " "'], "notify.ping: expected an address, or where it is found, but it is empty"),
        (
            ['webhook_format = "teams"', f'webhook = "{HOOK}"'],
            'notify.webhook_format: expected "auto" or "json"',
        ),
        (['timeout = "61s"', f'ping = "{HOOK}"'], "notify.timeout: expected a length above 0s, at most 60s"),
        (['url = "x"', f'ping = "{HOOK}"'], "notify.url: unknown key; it belongs under [service]"),
    ],
)
def test_what_is_wrong_is_said_without_the_address(lines: list[str], said: str) -> None:
    """A problem names the line and what is expected, and never repeats what may be a secret."""
    [problem] = problems(*lines)
    assert said in problem


def test_a_notify_in_code_is_held_to_the_same() -> None:
    """One that is made in a program without an address, or with a wrong one, is refused too."""
    with pytest.raises(ConfigProblem, match="nobody is told"):
        Notify()
    with pytest.raises(ConfigProblem, match="use https"):
        Notify(ping="http://example.com/x")


def test_addresses_are_not_shown() -> None:
    """Neither the table nor the job shows an address to whoever prints it."""
    shown = job(f'webhook = "{HOOK}"', f'apprise = "{MAIL}"', 'ping = "http://127.0.0.1:9/s3cr3t"')
    assert "s3cr3t" not in repr(shown)
    assert "s3cr3t" not in str(shown.notify)


def test_a_variable_of_our_own_may_hold_an_address(tmp_path: Path) -> None:
    """A variable that begins as settings do is none where an address is said to be in it."""
    (tmp_path / "job.toml").write_text(MINIMAL + '[notify]\nwebhook = "env:BATCHUP_HOOK"\n')
    loaded = Job.load(tmp_path / "job.toml", environ={"BATCHUP_HOOK": HOOK})
    assert loaded.notify == Notify(webhook="env:BATCHUP_HOOK")
    assert loaded.reread_limits() == loaded.limits
    with pytest.raises(ConfigProblem, match="BATCHUP_OTHER"):
        Job.load(tmp_path / "job.toml", environ={"BATCHUP_OTHER": HOOK})
