"""Gets the log that a picture is made of: a file, or the log of a simulator on this machine."""

import urllib.error
import urllib.request
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from batchup.edge.telling.run_lines import parts_with
from batchup.errors import ConfigProblem, DataProblem, Unavailable
from batchup.report.pace import Pace
from batchup.report.records import SERVICE_LOG, read_run_log, read_service_log
from batchup.settings.hosts import is_loopback
from batchup.settings.units import Rate

HEAD: Final = 4096  # bytes by which one log is told from the other
TIMEOUT_S: Final = 30.0
_LOG: Final = "/stats/log"


def pace_of_file(path: Path, run_id: str | None, *, rate: Rate | None, concurrency: int) -> Pace:
    """Return the pace that a log tells of: a run's, or a simulator's with these limits; else DataProblem.

    ConfigProblem for a folder.
    """
    try:
        *earlier, last = parts_with(path, run_id) or [path]
        with ExitStack() as opened:
            files = [opened.enter_context(part.open("rb")) for part in earlier]
            file = opened.enter_context(last.open("rb"))
            is_of_service = SERVICE_LOG.match(file.read(HEAD)) is not None
            file.seek(0)
            if not is_of_service:
                return read_run_log(chain(*files, file), str(path), run_id)
            return read_service_log(file.read(), str(path), rate=rate, concurrency=concurrency)
    except IsADirectoryError:
        remedy = "Name a job file, or the run.log.jsonl in a job's output folder."
        raise ConfigProblem(f"{path} is a folder, not a job file or a log.", remedy=remedy) from None
    except OSError as problem:
        raise DataProblem(f"{path} cannot be read: {problem.strerror}.") from None


def pace_of_simulator(url: str, *, rate: Rate | None, concurrency: int) -> Pace:
    """Return the pace that a simulator on this machine has seen; `url` is any of its addresses.

    DataProblem for another machine's and for what is no simulator's, Unavailable if nobody answers.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        raise DataProblem(f"{url} is not the address of a simulator on this machine.")
    address = f"http://{parts.netloc}{_LOG}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=TIMEOUT_S) as answer:
            data: bytes = answer.read()
    except urllib.error.HTTPError as problem:
        raise DataProblem(f"{address} answers {problem.code}: it is no simulator's.") from None
    except OSError as problem:
        reason = getattr(problem, "reason", problem)
        raise Unavailable(f"{address} cannot be read: {reason}.") from None
    return read_service_log(data, address, rate=rate, concurrency=concurrency)
