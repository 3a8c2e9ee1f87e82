"""A process that is a fork behaves as one from nothing, or says that it cannot."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import warm

IS_FORK = "import gc; print(gc.get_freeze_count() > 0)"


def python(program: str, **options: Any) -> warm.Warm:
    return warm.Warm([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, **options)


def said(process: warm.Warm) -> str:
    with process:
        return process.communicate(timeout=60)[0].strip()


def test_it_is_a_fork_with_its_own_folder_words_and_code(tmp_path: Path) -> None:
    """A warm process has imported all, and has the words, folder, environment and end it was given."""
    program = f"import os, sys; {IS_FORK}; print(os.getcwd(), os.environ['A'], sys.argv[1]); exit(7)"
    words = [sys.executable, "-c", program, "word"]
    done = warm.run(words, cwd=tmp_path, env={**os.environ, "A": "b"}, timeout=60)
    assert (done.stdout.split(), done.returncode) == (["True", str(tmp_path), "b", "word"], 7), done.stderr


def test_it_is_a_child_of_this_process() -> None:
    """The kernel tells this process of its end, as of any child's, and nobody is left to be waited for."""
    program = "import os, sys; sys.stdin.read(); print(os.getppid())"
    process = python(program, stdin=subprocess.PIPE)
    assert said(process) == str(os.getpid())
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)


def test_one_thread_kills_what_another_waits_for() -> None:
    """A wait without an end holds up neither a look nor a signal from another thread."""
    with python("import time; time.sleep(60)") as process:
        began_at = time.monotonic()
        timer = threading.Timer(0.2, process.kill)
        timer.start()
        assert process.wait() == -signal.SIGKILL
        assert time.monotonic() - began_at < 30
        timer.join()


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "PYTHONUTF8", "SSL_CERT_FILE"])
def test_what_is_read_at_the_start_needs_a_start(name: str) -> None:
    """With another setting of what Python or its libraries read at the start, nothing is forked."""
    process = python(IS_FORK, env={**os.environ, name: "1" if name == "PYTHONUTF8" else "C.utf8"})
    assert (process.is_fork, said(process)) == (False, "False")


def test_a_fork_tells_of_its_crash_too(tmp_path: Path) -> None:
    """Where tracebacks of crashes are asked for, a fork has them as a process from nothing would."""
    environ = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    crash = "import os; os.kill(os.getpid(), 11)"
    process = python(crash, env=environ, cwd=tmp_path, stderr=subprocess.PIPE)
    with process:
        _, err = process.communicate(timeout=60)
    assert (process.is_fork, process.returncode) == (True, -signal.SIGSEGV)
    assert "Segmentation fault" in err


@pytest.mark.parametrize(
    "option",
    [
        {"umask": 0o077},
        {"process_group": 0},
        {"user": os.getuid()},
        {"group": os.getgid()},
        {"extra_groups": []},
        {"pass_fds": (1,)},
        {"close_fds": False},
        {"restore_signals": False},
        {"executable": "/bin/true"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_what_it_cannot_give_is_refused(option: dict[str, Any]) -> None:
    """An option of Popen that a fork would not have is an error and not silently left out."""
    with pytest.raises(ValueError, match="from nothing"):
        python("", **option)


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[warm.Server]:
    program = tmp_path / "broken.py"
    program.write_text("import no_such_module_at_all\n")
    server = warm.Server(program)
    yield server
    server.close()


def test_a_server_that_cannot_start_says_why(broken: warm.Server) -> None:
    """Whoever asks a server that died at its imports is told at once, with its last words."""
    for _ in range(2):
        with pytest.raises(OSError, match="no_such_module_at_all"):
            broken.start({}, (0, 1, 2))
