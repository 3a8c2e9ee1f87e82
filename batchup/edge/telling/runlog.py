"""The run's log, `run.log.jsonl`: one JSON object a line, no secret in it, and never the end of a run."""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from batchup.core.messages import Note
from batchup.edge.telling.redact import Redactor
from batchup.edge.telling.rotating import KEPT, PART_BYTES, RotatingFile

NAME = "run.log.jsonl"
STARTED = "run_started"
CONTINUED = "run_continued"
LEVELS = ("debug", "info", "warning", "error")
"""The levels there are, the most talkative first."""

_OWN = frozenset({"ts", "level", "event", "run"})


class RunLog:
    """Appends events of one run to a log file.

    A file that cannot be written raises nothing: `problem` then holds the first error. `level` is one of
    `LEVELS` (ValueError otherwise); `secrets` are values that must not appear. It is kept in parts of
    `part_bytes`, of which `kept` stay beside the newest; 0 for whoever does not hold the folder.
    """

    def __init__(
        self,
        path: Path,
        run_id: str,
        secrets: Sequence[str] = (),
        level: str = "info",
        *,
        part_bytes: int = PART_BYTES,
        kept: int = KEPT,
    ) -> None:
        if level not in LEVELS:
            raise ValueError(f"not a log level: {level!r}; use one of {', '.join(LEVELS)}")
        self._redactor = Redactor(secrets)
        self._lines = _JsonLines(run_id, self._redactor)
        self._file = RotatingFile(path, part_bytes, kept)
        self._floor = LEVELS.index(level)

    @property
    def problem(self) -> OSError | None:
        """The first error of writing the log, if there was one."""
        return self._file.problem

    def hide(self, secret: str) -> None:
        """Let one more value not appear from now on."""
        self._redactor.hide(secret)

    def begin(self, job: str, model: str) -> None:
        """Log that the run begins; a part of the log that goes on with it begins with the same, and when."""
        note = Note(STARTED, fields={"job": job, "model": model})
        self._file.heading = partial(self._continued, job, model, _timestamp(time.time()))
        self.log(note.level, note.event, note.fields)

    def _continued(self, job: str, model: str, began_at: str) -> str | None:
        note = Note(CONTINUED, fields={"job": job, "model": model, "began_at": began_at})
        is_wanted = LEVELS.index(note.level) >= self._floor
        return self._lines.format(note.level, note.event, note.fields) if is_wanted else None

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


def _timestamp(seconds: float) -> str:
    instant = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ascii(line: Mapping[str, object]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) and value.isascii() else ascii(value)
        for name, value in line.items()
    }
