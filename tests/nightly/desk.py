"""A user's folders with a job and a key, and the machine's own `crontab` and `systemctl`, turned to these."""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from batchup.cli import main

AT_1 = ("--at", "01:00", "--stop-at", "06:00")
SPOOL = Path("/var/spool/cron/crontabs")
NOT_HERE = (
    *("SSL_CERT_FILE", "AWS_CA_BUNDLE", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"),
    *("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
)
CRONTAB = """#!/bin/sh
exec unshare --mount sh -c 'mount --bind "$0" {spool} && exec {program} "$@"' "{home}/spool" "$@"
"""
SYSTEMCTL = """#!/bin/sh
exec nsenter --target {process} --mount -- {program} "$@"
"""


class Desk:
    """A user, whose home is a folder: his crontab is in its `spool`, his units where systemd has them.

    `environ` is what else is set for him.
    """

    def __init__(self, home: Path, **environ: str) -> None:
        self.home, self.environ = home, environ
        self.units = home / ".config/systemd/user"
        self.job = home / "shop one/nightly.toml"
        self.job.parent.mkdir()
        self.job.write_text('manifest = "rows.jsonl"\nmodel = "each-upscaler"\n')
        self.key = home / ".config/batchup/eachlabs_api_key"
        self.key.parent.mkdir(parents=True)
        self.write_secret(self.key, "the-secret-key")
        (home / "spool").mkdir()
        (home / "bin").mkdir()

    def write_secret(self, path: Path, text: str) -> None:
        """Write a file as one does for oneself alone."""
        path.write_text(f"{text}\n")
        path.chmod(0o600)

    def put(self, name: str, text: str) -> None:
        """Put a program where it is found first."""
        path = self.home / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def have_cron(self) -> None:
        """Have the machine's `crontab`, with a spool of this user's own."""
        if not _can_mount():
            pytest.skip("no mounts for tests here: only root may mount")
        self.put("crontab", CRONTAB.format(spool=SPOOL, program=need("crontab"), home=self.home))

    def have_systemd(self, process: int) -> None:
        """Have the machine's `systemctl`, which asks the manager in the mounts of a process."""
        self.put("systemctl", SYSTEMCTL.format(process=process, program=need("systemctl")))

    def say(self, *words: str, job: Path | None = None, **environ: str | None) -> Result:
        """Say `batchup schedule JOB WORDS`."""
        given: Mapping[str, str | None] = {**dict.fromkeys(NOT_HERE), **self._variables, **environ}
        return CliRunner(env=given).invoke(main, ["schedule", str(job or self.job), *words])

    def ask(self, *words: str, text: bytes = b"") -> bytes:
        """Ask a program, and return what it prints."""
        environ = {**os.environ, **self._variables}
        return subprocess.run(words, env=environ, input=text, capture_output=True, check=False).stdout

    @property
    def _variables(self) -> dict[str, str]:
        path = f"{self.home}/bin:{os.environ['PATH']}"
        return {"HOME": str(self.home), "PATH": path, "EACHLABS_API_KEY": "the-secret-key", **self.environ}


def need(program: str) -> str:
    """Return where a program of this machine is."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"there is no {program} here")
    return found


@functools.cache
def _can_mount() -> bool:
    words = ["unshare", "--mount", "mount", "--bind", "/var", "/var"]
    return shutil.which("unshare") is not None and not subprocess.run(words, check=False).returncode
