"""What libraries say by themselves, in warnings and logging: for the run's log, not for a terminal or a mail.

It is the command that listens; a program that calls batchup as a library keeps its own logging.
"""

import logging
import sys
import threading
from collections import deque
from types import TracebackType
from typing import Final, Self

from batchup.core.messages import Note
from batchup.edge.telling.runlog import RunLog

_KEPT: Final = 100  # records that wait for a log
_LONGEST: Final = 2000  # characters of one


class Overheard(logging.Handler):
    """Listens to all of logging, to warnings and to exceptions that nobody can catch, while the block lasts.

    It keeps a few until there is a log to write them to.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._waiting: deque[tuple[str, str]] = deque(maxlen=_KEPT)
        self._log: RunLog | None = None

    @property
    def log(self) -> RunLog | None:
        """The log that it goes to."""
        return self._log

    @log.setter
    def log(self, log: RunLog | None) -> None:
        self._log = log
        while log is not None and self._waiting:
            self._write(log, *self._waiting.popleft())

    def __enter__(self) -> Self:
        self._hooks = sys.unraisablehook, threading.excepthook
        sys.unraisablehook, threading.excepthook = self._on_unraisable, self._on_thread
        logging.captureWarnings(True)
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)
        logging.captureWarnings(False)
        sys.unraisablehook, threading.excepthook = self._hooks

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record in without logging's lock: a finaliser that speaks may hold the log's already."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record in."""
        try:
            words = f"{record.name}: {record.getMessage()}"
        except Exception as error:  # noqa: BLE001 what a library words wrongly must not reach its caller
            words = f"{record.name}: {record.msg!r}: {_named(error)}"
        if record.exc_info is not None and record.exc_info[1] is not None:
            words += f": {_named(record.exc_info[1])}"
        self._take("error" if record.levelno >= logging.ERROR else "warning", words)

    def _on_unraisable(self, told: "sys.UnraisableHookArgs") -> None:
        self._take("error", f"ignored in {told.object!r}: {_named(told.exc_value)}")

    def _on_thread(self, told: "threading.ExceptHookArgs") -> None:
        name = "a thread" if told.thread is None else told.thread.name
        self._take("error", f"ended {name}: {_named(told.exc_value)}")

    def _take(self, level: str, words: str) -> None:
        if self._log is None:
            self._waiting.append((level, words))
        else:
            self._write(self._log, level, words)

    def _write(self, log: RunLog, level: str, words: str) -> None:
        note = Note("overheard", level, {"why": words[:_LONGEST]})
        log.log(note.level, note.event, note.fields)


def _named(error: BaseException | None) -> str:
    return "nobody knows what" if error is None else f"{type(error).__name__}: {error}"
