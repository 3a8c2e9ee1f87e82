"""The README's commands do what they are shown for, on a job of the simulator in place of the reader's."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from docs.parts import (
    assigned,
    blocks,
    command_of,
    invoke,
    is_batchup,
    job_in,
    lines_of,
    shell_lines,
    words_of,
)

FREE_PORT = "127.0.0.1:0"
STAND_INS: tuple[tuple[str, str], ...] = (
    (r"JOB|.+\.toml", "job.toml"),
    (r"photos/?|products\.\w+|.+/\*\.\w+", "photos"),
    (r"(127\.0\.0\.1|localhost):\d+", FREE_PORT),
    (r"--port=\d+", "--port=0"),
)
"""What stands in for a word of the README that is not in the folder: the reader's own job and photographs."""

ELSEWHERE = {
    r"python3 -m venv ": ".ci/run runs these lines letter by letter",
    r"\.venv/bin/python tests/": ".ci/run runs the reliability table; the benches take minutes",
    r"(\.venv/bin/)?pip install ": "needs the network",
    r"apt(-get)? ": "needs the network, and root",
    r"uv ": "needs another program",
    r"\. \S+/activate ": "sets the reader's own path",
    r"export \w+=": "sets what the reader knows and this job does not need",
    r'eval "\$\(_BATCHUP_COMPLETE=': "tests/docs/test_completion.py asks a real bash",
    r"(git|cd|ls|cat|open|xdg-open|curl|jq) ": "is somebody else's command",
}
"""Lines that are no command of batchup's, and why they are not run here."""

ONLY_READ = {
    r"found:|\b(ID|sku-\d+)\b|--cause\b": "names an item, or a cause, that this job does not have",
    r"--(install|remove)\b": "changes the timers and the crontab of whoever runs the tests",
}
"""Lines that are only taken apart, each flag and value with it, and why."""

FRESH = {"check", "init", "models", "run", "simulate"}
"""A block that begins with one of these begins on a job that has not run yet."""

COMMAND_BLOCKS = [block for block in blocks("sh", "bash") if any(map(is_batchup, lines_of(block)))]


def reason(line: str, table: dict[str, str], match: Callable[..., object] = re.match) -> str | None:
    """Return why a line is not run, or None."""
    return next((why for pattern, why in table.items() if match(pattern, line)), None)


def stand_in(word: str) -> str:
    """Return what to type in place of a word of the README."""
    if Path(word).exists() and not word.endswith(".toml"):
        return word
    return next((other for pattern, other in STAND_INS if re.fullmatch(pattern, word)), word)


def stand_ins(words: list[str]) -> list[str]:
    """Return what to type in place of the README's words; `--serve` gets a free port of this machine."""
    if words[0] == "init":
        return words
    found = [words[0], *map(stand_in, words[1:])]
    for place in [k for k, word in enumerate(found) if word == "--serve"]:
        if found[place + 1 : place + 2] != [FREE_PORT]:
            found.insert(place + 1, FREE_PORT)
    return found


def stays(words: list[str]) -> bool:
    """Tell whether a command goes on until it is stopped."""
    return words[0] == "simulate" or (words[0] == "report" and "--serve" in words)


def started_and_stopped(words: list[str]) -> int:
    """Start a command, stop it once it has said where it is, and return its exit code."""
    command = [sys.executable, "-m", "batchup", *words]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            assert process.stdout is not None
            assert "127.0.0.1" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            return process.wait(60) % 256
        finally:
            process.kill()


@pytest.mark.parametrize("line", shell_lines())
def test_every_line_is_known(line: str) -> None:
    """A line of a shell is a command of batchup's, or it is said why it is not run here."""
    assert is_batchup(line) != bool(reason(line, ELSEWHERE))


@pytest.mark.parametrize("block", COMMAND_BLOCKS, ids=lambda block: " ".join(block.split()[:3]))
def test_the_commands_of_a_block_run(block: str, finished: Path, copied: Path) -> None:
    """One after the other, the commands of a block end with 0."""
    lines = [line for line in lines_of(block) if is_batchup(line)]
    if words_of(lines[0])[0] in FRESH:
        shutil.rmtree(copied / "job.out")
    for line in lines:
        words = words_of(line)
        if reason(line, ONLY_READ, re.search):
            assert command_of(words[0]).make_context(words[0], words[1:]) is not None
            continue
        words = stand_ins(words)
        if stays(words):
            assert started_and_stopped(words) in {0, 130}, line
        else:
            done = invoke(*words, env=assigned(line))
            assert done.exit_code == 0, f"{line}\n{done.output}"
    assert (finished / "job.out/results.jsonl").exists()


def test_a_line_that_does_not_work_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command with a flag that is not there, or on a job that is not there, does not end with 0."""
    monkeypatch.chdir(tmp_path)
    assert invoke("run", job_in(tmp_path).name, "--no-such-flag").exit_code == 2
    assert invoke("status", "other.toml").exit_code != 0
