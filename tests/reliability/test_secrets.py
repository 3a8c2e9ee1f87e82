"""The real command beside a service that repeats every secret: none is in any byte that was written."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import warm
from PIL import Image
from reliability.conftest import Record
from reliability.leaky import INPUT, KEY, MOVED, OUTPUT, PASSWORD, PUBLIC, PUT, Leaky, leaking

FAMILY = "secrets: errors, redirects, logs, tracebacks, forged webhooks"
PASS = "0 secrets in any byte written"
SECONDS = 60
pytestmark = pytest.mark.reliability

JOB = """
manifest = "rows.jsonl"
model = "each-upscaler"
[limits]
rate = "60/2s"
max_attempts = 1
[polling]
expected = "300ms"
timeout = "2s"
[output]
dir = "out"
allow_private = true
[service]
url = "{url}"
key = "{key}"
auth = "{auth}"
request_timeout = "1s"
listing_lag = "100ms"
settle = "100ms"
[webhook]
listen = "127.0.0.1:0"
"""
MOODS = {  # what the service does, and what the command may end with: some rows are rejected, 3 at best
    "well": {3},
    "refuses the key": {77},
    "refuses the item": {3},
    "breaks": {4, 69, 75},
    "breaks off": {3, 4, 69, 75},
    "moves": {78},
    "makes no sense": {4, 69, 75, 76},
    "fails": {3},
    "poll breaks": {77},
    "odd word": {3, 4, 69, 75},
    "put refused": {3, 75},
    "output breaks": {4, 75},
    "output gone": {3, 4},
}
STOPPED = 75
AT_ONCE = 6
OTHERS = (("check",), ("status",), ("resolve",), ("audit",), ("verify",), ("check", "--forecast", "--json"))


def spellings(secret: str) -> set[bytes]:
    """Spell a secret in the ways in which it could have been written."""
    raw = secret.encode()
    spelled = {
        raw,
        quote(secret).encode(),
        quote(secret, safe="").encode(),
        json.dumps(secret)[1:-1].encode(),
    }
    spelled |= {secret.replace("/", "\\/").encode(), repr(raw)[2:-1].encode(), raw.hex().encode()}
    spelled |= {base64.b64encode(raw).rstrip(b"="), base64.urlsafe_b64encode(raw).rstrip(b"=")}
    spelled |= {secret.encode("utf-16-le"), hashlib.sha256(raw).hexdigest().encode()}
    return spelled


class Scene:
    """A job folder, a home and the command; everything that it writes ends up below one folder."""

    def __init__(self, folder: Path, leaky: Leaky, *, key: str, auth: str) -> None:
        self.folder, self.leaky = folder, leaky
        for name in ("job", "home", "tmp"):
            (folder / name).mkdir()
        Image.new("RGB", (16, 12), (7, 8, 9)).save(folder / "job" / "local.png")
        signed = f"https://user:{PASSWORD}@bucket.example/a.png?X-Amz-Signature={INPUT}&Expires=99"
        rows = [{"id": "a", "image": signed}, {"id": "b", "image": "local.png"}]
        rows += [{"id": "c", "image": signed.replace("https", "ftp")}, {"id": "d", "image": signed + " x"}]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "job" / "rows.jsonl").write_text(text + f'{{"id": "e", "image": "{signed}"\n')
        (folder / "secret-key").write_text(KEY)
        (folder / "secret-key").chmod(0o600)
        (folder / "job" / "job.toml").write_text(JOB.format(url=leaky.url, key=key, auth=auth))
        self.said: list[bytes] = []

    def environment(self) -> dict[str, str]:
        """Return an environment whose folders are all below ours."""
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        home = self.folder / "home"
        return {
            **kept,
            "A_KEY": KEY,
            "CREDENTIALS_DIRECTORY": str(self.folder),
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONFAULTHANDLER": "1",
        }

    def call(self, *words: str) -> int:
        """Run the command, keep what it says, and return its exit code."""
        command = [sys.executable, "-m", "batchup", words[0], "job.toml", *words[1:]]
        done = warm.run(command, cwd=self.folder / "job", env=self.environment(), timeout=60)
        self.said += [done.stdout.encode(), done.stderr.encode()]
        return done.returncode

    def secrets(self) -> set[str]:
        """Return everything that must not be written."""
        return {KEY, INPUT, OUTPUT, MOVED, PUT, PUBLIC, PASSWORD} | self.leaky.hook_secrets

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Yield all that was written, said or sent to somebody else; what a person wrote is not ours."""
        given = {self.folder / "job" / "rows.jsonl", self.folder / "secret-key"}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path not in given:
                yield str(path.relative_to(self.folder)), path.read_bytes()
                yield "the name of a file", str(path).encode()
        for said in self.said:
            yield "what it says", said

    def leaks(self) -> list[str]:
        """Name each secret that was written, and where."""
        found = []
        for secret in sorted(self.secrets()):
            for spelled in spellings(secret):
                found += [f"{where}: {secret}" for where, content in self.written() if spelled in content]
        own = {KEY, INPUT, PUT, PUBLIC, PASSWORD} | self.leaky.hook_secrets
        sent = b"".join(self.leaky.arrived)  # an output's own signature has to go where it leads
        found += [f"sent elsewhere: {secret}" for secret in own for one in spellings(secret) if one in sent]
        return sorted(set(found))


@dataclass(frozen=True)
class Night:
    """What the commands came to beside a service in one mood, and what they wrote of secrets."""

    codes: list[int]
    said: list[bytes]
    was_asked: bool
    searched_count: int
    leaks: list[str]


def spend(mood: str, folder: Path) -> Night:
    """Run the command twice in a mood, the second time with tracebacks, and every other command after it."""
    number = list(MOODS).index(mood)
    key = ("env:A_KEY", f"file:{folder}/secret-key", "credential:secret-key")[number % 3]
    with leaking(mood) as leaky:
        scene = Scene(folder, leaky, key=key, auth=("x-api-key", "bearer")[number % 2])
        longest = "6.5s" if STOPPED in MOODS[mood] else "50s"  # what ends by itself has time for that
        flags = ("--log-level", "debug", "--max-duration", longest, "--json")
        codes = [scene.call("run", *flags, *more) for more in ((), ("--debug",))]
        codes += [scene.call(*words) for words in OTHERS]
    searched_count = sum(len(content) for _, content in scene.written())
    return Night(codes, scene.said, bool(leaky.paths), searched_count, scene.leaks())


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Night]:
    """Go through all moods, a few at a time: most of it is waiting."""
    folders = [tmp_path_factory.mktemp("night") for _ in MOODS]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return dict(zip(MOODS, threads.map(spend, MOODS, folders), strict=True))


@pytest.mark.parametrize("mood", MOODS)
def test_nothing_is_written_of_what_is_secret(mood: str, nights: dict[str, Night], record: Record) -> None:
    """Whatever the service does, no secret is in a file, in what is said, or sent to anybody else."""
    night = nights[mood]
    searched = round(night.searched_count / (1 << 20), 1)
    record(commands=len(night.codes), mib_searched=searched, secrets_found=len(night.leaks))
    assert night.codes[0] in MOODS[mood], night.said
    assert night.was_asked
    assert 1 not in night.codes
    assert night.leaks == []


CRASH = """
import sys
from batchup.edge import client, outputs
from batchup.cli import main

async def broken(self, call, kind, asked_for=None):
    raise RuntimeError(f"headers {self._headers!r} body {call.body!r}")

async def lost(self, item_id, urls, **known):
    raise RuntimeError(f"could not fetch {urls!r} with a stale token")

if sys.argv.pop(1) == "send":
    client.Client.send = broken
else:
    outputs.Outputs.save = lost
main()
"""


@pytest.mark.parametrize("debug", [(), ("--debug",)])
@pytest.mark.parametrize("where", ["send", "save"])
def test_a_bug_of_ours_tells_no_secret(
    where: str, debug: tuple[str, ...], tmp_path: Path, record: Record
) -> None:
    """An exception that holds all the request had, headers too, is shown without them, traceback included."""
    with leaking("well") as leaky:
        scene = Scene(tmp_path, leaky, key="env:A_KEY", auth="bearer")
        done = subprocess.run(
            [sys.executable, "-c", CRASH, where, "run", "job.toml", "--log-level", "debug", *debug],
            cwd=tmp_path / "job",
            env=scene.environment(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        scene.said += [done.stdout, done.stderr]
    assert done.returncode != 0
    assert b"bug" in done.stderr or b"RuntimeError" in done.stderr
    leaks = scene.leaks()
    record(commands=1, secrets_found=len(leaks))
    assert leaks == []


def test_no_forged_webhook_is_believed(tmp_path: Path, record: Record) -> None:
    """Without the run's own secret no delivery is taken, whatever it shows, and with it a genuine one is."""
    with leaking("odd word") as leaky:
        scene = Scene(tmp_path, leaky, key="env:A_KEY", auth="bearer")
        with warm.Warm(
            [sys.executable, "-m", "batchup", "run", "job.toml", "-q", "--max-duration", "20s"],
            cwd=tmp_path / "job",
            env=scene.environment(),
        ) as process:
            try:
                until = time.monotonic() + 20
                while not leaky.hook_urls:
                    assert time.monotonic() < until
                    time.sleep(0.02)
                (url,), (secret,) = leaky.hook_urls, leaky.hook_secrets
                codes = [deliver(url, headers) for headers in forgeries(secret)]
                genuine = deliver(url, {"X-Webhook-Secret": secret})
            finally:
                process.kill()
    record(forgeries=len(codes), forgeries_believed=sum(200 <= code < 300 for code in codes))
    assert not any(200 <= code < 300 for code in codes), codes
    assert 200 <= genuine < 300


BODY = b'{"exec_id": "p0", "status": "succeeded"}'


def forgeries(secret: str) -> list[dict[str, str]]:
    """Make headers that look like the service's and are not."""
    now = f"{time.time():.0f}"
    old = f"{time.time() - 3600:.0f}"

    def signed(key: str, message: bytes) -> str:
        return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()

    return [
        {},
        {"X-Webhook-Secret": ""},
        {"X-Webhook-Secret": "*"},
        {"X-Webhook-Secret": secret[:-1]},
        {"X-Webhook-Secret": secret + "x"},
        {"X-Webhook-Secret": secret.swapcase()},
        {"X-Webhook-Secret": KEY},
        {"X-Webhook-Secret": secret, "X-Webhook-Timestamp": old},
        {"X-Webhook-Signature": signed("", BODY)},
        {"X-Webhook-Signature": signed(KEY, BODY)},
        {"X-Webhook-Signature": signed(secret, BODY + b" ")},
        {"X-Webhook-Signature": signed(secret, old.encode() + b"." + BODY), "X-Webhook-Timestamp": old},
        {"X-Webhook-Signature": signed(secret, old.encode() + b"." + BODY), "X-Webhook-Timestamp": now},
        {"X-Webhook-Signature": signed(secret, now.encode() + b"." + BODY)},
        {"X-Webhook-Signature": hashlib.sha256(BODY).hexdigest()},
        {"X-Webhook-Signature": "0" * 64},
        {"X-Hub-Signature-256": "sha256=" + signed("secret", BODY)},
        {"Authorization": f"Bearer {secret}"},
        {"X-API-Key": KEY},
    ]


def deliver(url: str, headers: dict[str, str]) -> int:
    """Deliver a webhook and return the answer's status."""
    try:
        with urlopen(Request(url, BODY, headers, method="POST"), timeout=5) as answer:
            return int(answer.status)
    except HTTPError as refusal:
        return refusal.code
