"""What libraries say by themselves goes to the run's log, and a program's own logging is left as it was."""

import json
import logging
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from batchup.edge.telling.overhearing import Overheard
from batchup.edge.telling.runlog import RunLog


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


class Odd:
    """What cannot be taken away in order."""

    def __del__(self) -> None:
        raise ValueError("smk_secret in a finaliser")


def test_nothing_that_a_library_says_reaches_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Logging, warnings, threads and finalisers are heard, before there is a log too, and no secrets."""
    log = RunLog(tmp_path / "log", "r1")
    before = (
        sys.unraisablehook,
        threading.excepthook,
        warnings.showwarning,
        list(logging.getLogger().handlers),
    )
    with Overheard() as overheard:
        logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=ValueError("v"))
        overheard.log = log
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("Corrupt EXIF data", UserWarning, stacklevel=1)
        logging.getLogger("aiohttp").info("not worth a line")
        thread = threading.Thread(target=lambda: 1 / 0, name="a thread of theirs")
        thread.start()
        thread.join()
        odd = Odd()
        del odd
        assert overheard.log is log
    log.close()
    said = lines(tmp_path / "log")
    assert [line["event"] for line in said] == ["overheard"] * 4
    assert [line["level"] for line in said] == ["error", "warning", "error", "error"]
    texts = [line["why"] for line in said]
    assert texts[0] == "asyncio: Task exception was never retrieved: ValueError: v"
    assert "UserWarning: Corrupt EXIF data" in texts[1]
    assert texts[2] == "ended a thread of theirs: ZeroDivisionError: division by zero"
    assert texts[3].endswith("ValueError: *** in a finaliser")
    assert capfd.readouterr() == ("", "")
    after = sys.unraisablehook, threading.excepthook, warnings.showwarning, list(logging.getLogger().handlers)
    assert after == before


def test_what_a_library_words_wrongly_harms_nobody(tmp_path: Path) -> None:
    """A message that does not fit its arguments is told as it is, and its caller goes on."""
    log = RunLog(tmp_path / "log", "r1")
    with Overheard() as overheard:
        overheard.log = log
        record = logging.LogRecord("somebody", logging.WARNING, __file__, 1, "%d left", ("none",), None)
        overheard.handle(record)
    log.close()
    (line,) = lines(tmp_path / "log")
    assert line["why"].startswith("somebody: '%d left': TypeError: ")


def test_nobody_who_speaks_waits_for_another() -> None:
    """Who holds the log's lock may be made to speak by a finaliser, while another waits for it in logging."""
    record = logging.LogRecord("somebody", logging.WARNING, __file__, 1, "a word", (), None)
    with Overheard() as overheard:
        overheard.acquire()
        speaker = threading.Thread(target=overheard.handle, args=(record,), daemon=True)
        speaker.start()
        speaker.join(10)
        overheard.release()
        assert list(overheard._waiting) == [("warning", "somebody: a word")]


def test_what_is_said_without_a_log_is_bounded() -> None:
    """A library that talks for hours before there is a log, or where there never is one, takes no memory."""
    with Overheard() as overheard:
        for number in range(1000):
            logging.getLogger("somebody").warning("line %s", number)
        assert len(overheard._waiting) == 100
