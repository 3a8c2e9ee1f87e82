import shutil
from pathlib import Path

import pytest
from docs.parts import invoke, job_in


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `job.toml`, a job on the simulator that has run to its end; nobody writes to it."""
    folder = tmp_path_factory.mktemp("finished")
    done = invoke("run", str(job_in(folder)), "--quiet")
    assert done.exit_code == 0, done.stderr
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a copy of the finished job's, from which no request leaves this machine."""
    folder = tmp_path / "copied"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("EACHLABS_API_KEY", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return folder
