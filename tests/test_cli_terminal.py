"""A run in a real terminal: a bar that stays one line, the closing table below it, colours if wanted."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from edge.bench import environment, rows, simulated, web

LIMITS = "[limits]\nmax_attempts = 1\n"
END = "that was all"
BAR = r"\|[ ▏▎▍▌▋▊▉█]{10,24}\| \d+/(40|\?), \d+ in flight, \d+ failed, [\d.]+/min, ETA [\d:?]+, .*\w"
TABLE = ("spend", "requests", "window", "time", "books", "pictures", "results", "next")
PATIENCE_S, LOOK_EVERY_S = 60.0, 0.05


class Tmux:
    """A terminal of so many columns in which one command runs."""

    def __init__(self, folder: Path, columns: int, words: str, **environ: str) -> None:
        self._socket = folder / "tmux"
        shell = f"{words}; echo {END}; exec sleep 600"
        size = ["-x", str(columns), "-y", "50"]
        self._ask("-f", "/dev/null", "new-session", "-d", *size, shell, env=environment(folder, **environ))

    def screen(self) -> list[str]:
        """Return the lines that are shown, wrapped ones joined, with the codes of their colours."""
        lines = self._ask("capture-pane", "-p", "-e", "-J").split("\n")
        return [line.rstrip() for line in lines if line.strip()] or [""]

    def close(self) -> None:
        """End the terminal and what runs in it."""
        self._ask("kill-server")

    def _ask(self, *words: str, env: dict[str, str] | None = None) -> str:
        command = ["tmux", "-S", str(self._socket), *words]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=env).stdout


@contextmanager
def terminal(folder: Path, columns: int, **environ: str) -> Iterator[Tmux]:
    """Run a job of which some items fail."""
    rows(folder / "rows.jsonl", *web(*(f"sku-{k}" for k in range(40))))
    job = simulated(folder, "rows.jsonl", speed=40, more=LIMITS, faults={"failed_prediction": 0.2})
    tmux = Tmux(folder, columns, f"{sys.executable} -m batchup run {job.name} --no-report", **environ)
    try:
        yield tmux
    finally:
        tmux.close()


@pytest.mark.parametrize(
    ("columns", "environ", "has_colour"),
    [(80, {"NO_COLOR": "1"}, False), (200, {"TERM": "screen-256color"}, True)],
)
def test_a_bar_in_a_terminal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    environ: dict[str, str],
    *,
    has_colour: bool,
) -> None:
    """At each look there is one whole bar on one line; at the end the table stands below the last one."""
    monkeypatch.chdir(tmp_path)
    bars, lines, colours = set[str](), [""], set[str]()
    until = time.monotonic() + PATIENCE_S
    with terminal(tmp_path, columns, **environ) as tmux:
        while lines[-1] != END and time.monotonic() < until:
            screen = tmux.screen()
            colours |= set(re.findall(r"\x1b\[3[0-8]m", "".join(screen)))
            lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in screen]
            found = [line for line in lines if "|" in line]
            assert len(found) <= 1, lines
            bars |= set(found)
            time.sleep(LOOK_EVERY_S)
    assert lines[-1] == END, lines
    assert len(bars) > 3
    assert [bar for bar in bars if not re.fullmatch(BAR, bar) or len(bar) >= columns] == []
    assert colours == ({"\x1b[31m", "\x1b[32m"} if has_colour else set())
    table = [line.split("  ")[0] for line in lines[lines.index(found[0]) :]]
    assert [name for name in TABLE if name not in table] == []
    assert any("next poll" in bar for bar in bars) is (columns > 100)
