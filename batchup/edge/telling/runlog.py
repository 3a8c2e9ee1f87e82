"""The run's log, `run.log.jsonl`: one JSON object a line, no secret in it, and never the end of a run."""

import contextlib
import datetime as dt
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

import msgspec

from batchup.edge.telling.redact import Redactor

NAME = "run.log.jsonl"
LEVELS = ("debug", "info", "warning", "error")
"""The levels there are, the most talkative first."""

_OWN = frozenset({"ts", "level", "event", "run"})


class RunLog:
    """Appends events of one run to a log file.

    A file that cannot be written raises nothing: `problem` then holds the first error. `level` is one of
    `LEVELS` (ValueError otherwise); `secrets` are values that must not appear.
    """

    def __init__(self, path: Path, run_id: str, secrets: Sequence[str] = (), level: str = "info") -> None:
        if level not in LEVELS:
            raise ValueError(f"not a log level: {level!r}; use one of {', '.join(LEVELS)}")
        self._redactor = Redactor(secrets)
        self._lines = _JsonLines(run_id, self._redactor)
        self._file = _LineFile(path)
        self._floor = LEVELS.index(level)

    @property
    def problem(self) -> OSError | None:
        """The first error of writing the log, if there was one."""
        return self._file.problem

    def hide(self, secret: str) -> None:
        """Let one more value not appear from now on."""
        self._redactor.hide(secret)

    def debug(self, event: str, **fields: object) -> None:
        """Log what helps to find a fault."""
        self.log("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log what is as it should be; `fields` may be `item`, `attempt`, `prediction_id` and any other."""
        self.log("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what a person should look at some time."""
        self.log("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log what cost an item or ends the run."""
        self.log("error", event, fields)

    def log(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Log at one of `LEVELS`."""
        if LEVELS.index(level) >= self._floor and not self._file.is_closed:
            self._file.write(self._lines.format(level, event, fields))

    def close(self) -> None:
        """Close the file; what is logged later is dropped."""
        self._file.close()


class _JsonLines:
    """Formats an event as one line of JSON, with secrets taken out of the final text."""

    def __init__(self, run_id: str, redactor: Redactor) -> None:
        self._run_id = run_id
        self._redactor = redactor

    def format(self, level: str, event: str, fields: Mapping[str, object]) -> str:
        line = {"ts": _timestamp(time.time()), "level": level, "event": event, "run": self._run_id}
        try:
            extra = {f"{name}_" if name in _OWN else name: value for name, value in fields.items()}
            text = msgspec.json.encode(line | extra, enc_hook=str).decode()
        except Exception:  # noqa: BLE001 whatever cannot be spelled in JSON must not end the run
            text = msgspec.json.encode(_ascii(line | {"fields": dict(fields)})).decode()
        return self._redactor(text)


class _LineFile:
    """Appends each line with one write, so that lines of a killed run are whole but for the last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._lock = Lock()  # a thread may have something to say too
        self.problem: OSError | None = None
        self.is_closed = False

    def write(self, text: str) -> None:
        line = f"{text}\n".encode()
        with self._lock:
            try:
                if self._file is None:
                    self._file = self._open()
                if os.write(self._file, line) < len(line):
                    # What follows must not be glued to a line that the full disk cut off.
                    self._reopen()
            except OSError as error:
                self.problem = self.problem or error

    def close(self) -> None:
        with self._lock:
            self._reopen()
            self.is_closed = True

    def _open(self) -> int:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")
        return file

    def _reopen(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None


def _timestamp(seconds: float) -> str:
    instant = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ascii(line: Mapping[str, object]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) and value.isascii() else ascii(value)
        for name, value in line.items()
    }
