"""Callbacks: when a prediction has ended, its client is told, or told late, twice, falsely or not at all.

The simulator never leaves the machine: only loopback addresses are called.
"""

import asyncio
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from batchup.settings.hosts import is_loopback
from batchup.simulator import callbacks
from batchup.simulator.book import Book
from batchup.simulator.clock import Clock
from batchup.simulator.faults import FaultDice
from batchup.simulator.inputs import Inputs
from batchup.simulator.judge import Judge
from batchup.simulator.prediction import Prediction
from batchup.simulator.settings import SimulatorSettings
from batchup.simulator.store import Store

_ATTEMPTS = 3
_BETWEEN_S = 10.0
_DEADLINE_S = 30.0
_LATE_S = 20.0


@dataclass(frozen=True, slots=True)
class Hook:
    """Whom to tell of one prediction's end, and the secret that shows who tells it; empty for none."""

    prediction: str
    url: str
    secret: str


class Webhooks:
    """All callbacks that were asked for; those not yet sent outlive the process with the store."""

    def __init__(
        self,
        settings: SimulatorSettings,
        clock: Clock,
        store: Store,
        *,
        book: Book,
        inputs: Inputs,
        judge: Judge,
        dice: FaultDice,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._store = store
        self._book = book
        self._inputs = inputs
        self._judge = judge
        self._dice = dice
        self._origin = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def start(self, origin: str) -> None:
        """Take up what an earlier process has left; outputs are shown under `origin`, this server."""
        self._origin = origin
        left = self._store.rows("SELECT prediction, url, secret FROM webhooks")
        for row in list(left):
            self._begin(self._follow(Hook(**dict(row))))

    async def close(self) -> None:
        """Give up what is under way; with a store that lasts, the next start takes it up."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def ask(self, prediction: Prediction, url: str, secret: str) -> None:
        """Have this address called when the prediction has ended, unless it is another machine's."""
        if not _is_here(url):
            self._judge.count("webhook not called: not on this machine")
            return
        self._store.write("INSERT INTO webhooks VALUES (?, ?, ?)", prediction.id, url, secret)
        self._begin(self._follow(Hook(prediction.id, url, secret)))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, hook: Hook) -> None:
        prediction = self._book.get(hook.prediction)
        if prediction is not None:
            if not prediction.is_ended(self._clock.now()) and self._hits("webhook_forged", prediction):
                self._begin(self._forge(hook, prediction))
            ended = await self._book.wait(prediction, prediction.ended_at)
            ended = await self._inputs.settled(ended, self._clock.now())
            if ended.fate != "cancelled" and not self._hits("webhook_lost", ended):
                await self._tell(hook, ended)
        self._store.write("DELETE FROM webhooks WHERE prediction = ?", hook.prediction)

    async def _tell(self, hook: Hook, prediction: Prediction) -> None:
        if self._hits("webhook_late", prediction):
            await self._clock.sleep(_LATE_S)
        for _ in range(2 if self._hits("webhook_twice", prediction) else 1):
            await self._deliver(hook, prediction)

    async def _deliver(self, hook: Hook, prediction: Prediction) -> None:
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self._clock.sleep(_BETWEEN_S)
            status = await self._post(hook, prediction)
            if 200 <= status < 300:
                return

    async def _forge(self, hook: Hook, prediction: Prediction) -> None:
        """Send what an attacker would: a wrong secret, before the end, of a made-up one or another."""
        rng = self._dice.rng("webhook_forged id", prediction.number)
        span_s = prediction.ended_at - prediction.created_at
        await self._book.wait(prediction, prediction.created_at + span_s * rng.uniform(0.2, 0.8))
        now = self._clock.now()
        others = [name for name in self._book.running(now) if name != prediction.id]
        made_up = str(uuid.UUID(int=rng.getrandbits(128)))
        name = rng.choice(others) if others and rng.random() < 0.5 else made_up
        false = replace(prediction, id=name, ended_at=now, fate="success")
        await self._post(replace(hook, secret=f"forged-{rng.getrandbits(64):016x}"), false)

    async def _post(self, hook: Hook, prediction: Prediction) -> int:
        """Call once and return the status answered, 0 for no answer."""
        now = self._clock.now()
        data = callbacks.body(self._settings, prediction, self._url, now)
        headers = callbacks.headers(self._settings.webhook_scheme, hook.secret, data, now)
        status = await self._send(hook.url, data, headers)
        self._judge.called_back(status)
        return status

    async def _send(self, url: str, data: bytes, headers: dict[str, str]) -> int:
        if self._session is None:
            # A fresh connection each: one that the receiver has closed meanwhile would cost an attempt.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        timeout = aiohttp.ClientTimeout(total=self._clock.real(_DEADLINE_S))
        try:
            async with self._session.post(
                url, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return 0

    def _hits(self, fault: str, prediction: Prediction) -> bool:
        is_hit = self._dice.hits(fault, prediction.number)
        if is_hit:
            self._judge.count(f"fault {fault}")
        return is_hit

    def _url(self, path: str) -> str:
        return f"{self._origin}{path}"


def _is_here(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and is_loopback(parts.hostname or "")
    except ValueError:
        return False
