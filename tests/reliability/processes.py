"""What the families with real processes share: simulators in this process, and what is on record."""

import asyncio
import json
import os
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

from PIL import Image

from batchup.edge.database.schema import PATH
from batchup.simulator import Simulator, SimulatorSettings

_T = TypeVar("_T")


_PATHS = f"SELECT {PATH} FROM files f JOIN items i ON i.n = f.item"  # noqa: S608 a name of ours


@dataclass(frozen=True)
class Service:
    """A simulator that is another process than the run, and outlives whatever happens to it."""

    url: str
    stats_url: str

    def stats(self) -> dict[str, Any]:
        """Return what the judge has counted."""
        with urlopen(self.stats_url) as answer:
            return dict(json.load(answer))

    def arrivals(self) -> list[dict[str, Any]]:
        """Return all requests in their order: `t` in service seconds, and `route`."""
        return self._log("arrivals")

    def accepted(self) -> list[str]:
        """Return the ids of all predictions that were accepted, the oldest first."""
        return [prediction["id"] for prediction in self._log("predictions")]

    def _log(self, name: str) -> list[dict[str, Any]]:
        with urlopen(f"{self.stats_url}/log") as answer:
            return list(json.load(answer)[name])


class Host:
    """A thread with an event loop on which simulators run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def close(self) -> None:
        """Stop the loop; all simulators must be gone."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    @contextmanager
    def serving(self, settings: SimulatorSettings) -> Iterator[Service]:
        """Run a simulator while the block lasts."""
        ready: asyncio.Future[Service] = self._loop.create_future()
        done = asyncio.Event()

        async def serve() -> None:
            async with Simulator(settings).listen() as address:
                ready.set_result(Service(address.url, address.stats))
                await done.wait()

        async def wait() -> Service:
            return await ready

        task = asyncio.run_coroutine_threadsafe(serve(), self._loop)
        try:
            yield self._run(wait())
        finally:
            self._loop.call_soon_threadsafe(done.set)
            task.result(60)


@dataclass(frozen=True)
class OnDisk:
    """What a dead run has on record: the ids of its predictions, and how many creates have none."""

    states: Counter[str]
    known: frozenset[str]
    open_count: int
    saved: tuple[str, ...]  # names of files


def on_disk(folder: Path, copy: Path) -> OnDisk:
    """Look into a dead run's checkpoint, in a copy so that nothing is changed; it must be whole."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("checkpoint.db", "checkpoint.db-wal"):
        if (folder / name).exists():
            shutil.copy(folder / name, copy / name)
    if not (copy / "checkpoint.db").exists():
        return OnDisk(Counter(), frozenset(), 0, ())
    with closing(sqlite3.connect(copy / "checkpoint.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'items'").fetchone() is None:
            return OnDisk(Counter(), frozenset(), 0, ())  # killed before the tables were there
        states = Counter(dict(db.execute("SELECT state, count(*) FROM items GROUP BY state")))
        query = "SELECT prediction_id FROM items UNION SELECT prediction_id FROM attempts"
        known = frozenset(row[0] for row in db.execute(query) if row[0] is not None)
        saved = tuple(row[0] for row in db.execute(_PATHS))
        return OnDisk(states, known, sum(states[name] for name in ("submitting", "in_doubt", "held")), saved)


def whole_pictures(folder: Path) -> list[str]:
    """Return the names of all finished outputs; each must be a whole picture."""
    found = [path for path in sorted(folder.glob("images/**/*")) if path.is_file()]
    finished = [path for path in found if not path.name.endswith((".part", ".tmp"))]
    for path in finished:
        with Image.open(path) as image:
            image.load()
    return [str(path.relative_to(folder)) for path in finished]


def clean_environment(state: Path, **more: str) -> dict[str, str]:
    """Return an environment without proxies and coverage, whose leases lie in `state`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("COV", "RELIABILITY"))
    }
    return {**kept, "XDG_STATE_HOME": str(state), "A_KEY": "a-secret-key", **more}
