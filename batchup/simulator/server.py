"""The simulator as a server: listens, lets the judge count, admits, answers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from aiohttp import web

from batchup.simulator import neural, router
from batchup.simulator.arrivals import JudgedServer, Request
from batchup.simulator.calls import Answer, Call, send
from batchup.simulator.judge import Arrival
from batchup.simulator.routes import replicate
from batchup.simulator.routes.stats import collect
from batchup.simulator.service import Service
from batchup.simulator.settings import SimulatorSettings

_SHUTDOWN_S = 0.5
_KEEPALIVE_S = 75.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a simulator listens: `url` is the service's, `stats` the judge's."""

    url: str
    stats: str


class Simulator:
    """The simulated service on the running loop; `state` is a folder that outlives it, None for none."""

    def __init__(self, settings: SimulatorSettings, state: Path | None = None) -> None:
        self._settings = settings
        self._state = state
        self._service: Service | None = None
        self._last: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})

    @asynccontextmanager
    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Address]:
        """Serve on this address (port 0: a free one) until the block is left.

        Raises ConfigProblem where the engine that is asked for is not installed.
        """
        if self._settings.engine == "neural":
            neural.require()
        service = Service.open(self._settings, self._state)
        self._service = service
        server = JudgedServer(
            self._handle,
            now=service.clock.now,
            receive=self._receive,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_S,
        )
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
        try:
            await runner.setup()
            await web.TCPSite(runner, host, port).start()
            bound = runner.addresses[0][1]
            shown = f"[{host}]" if ":" in host else host
            origin = f"http://{shown}:{bound}"
            service.webhooks.start(origin)
            yield Address(f"{origin}/v1", f"{origin}/stats")
        finally:
            with anyio.CancelScope(shield=True):
                await runner.cleanup()
                self._last = (service.stats(), collect(service))
                self._service = None
                await service.close()

    def stats(self) -> Mapping[str, Any]:
        """Return what `/stats` shows, or showed last."""
        return self._service.stats() if self._service else self._last[0]

    def log(self) -> Mapping[str, Any]:
        """Return what `/stats/log` shows, or showed last."""
        return collect(self._service) if self._service else self._last[1]

    @property
    def _open(self) -> Service:
        if self._service is None:
            raise RuntimeError("the simulator does not listen")
        return self._service

    def _receive(self, at: float, method: str, path: str) -> Arrival | None:
        if not router.is_counted(path):
            return None
        return self._open.judge.arrive(at, router.name_of(method, path))

    async def _handle(self, request: Request) -> web.StreamResponse:
        service, arrival = self._open, request.arrival
        # First of all: what has come whole is dealt with although its sender may be gone by now.
        body = await _read(request)
        found = router.find(request.method, request.path)
        route, parts = found or (None, {})
        number = arrival.number if arrival else service.judge.count(route.name if route else "other")
        call = Call(service, request, body or b"", parts, number)
        answer = Answer.dropped() if body is None else await _answer(call, route)
        if arrival:
            service.judge.answered(arrival, answer.status)
            if call.hits("slow"):
                await asyncio.sleep(service.clock.real(service.settings.slow_s))
        return await send(call, answer)


async def _read(request: Request) -> bytes | None:
    """Return the request's body, or None where the sender has left in the middle of it."""
    try:
        return await request.read()
    except (OSError, web.RequestPayloadError, web.HTTPRequestEntityTooLarge):
        return None


async def _answer(call: Call, route: router.Route | None) -> Answer:
    answer = await _worked(call, route)
    return replicate.worded(answer) if route is not None and route.is_replicate else answer


async def _worked(call: Call, route: router.Route | None) -> Answer:
    refusal = _admit(call, route)
    if refusal is not None:
        return refusal
    if route is None:
        return Answer.error(404, "not found")
    return await route.handler(call)


def _admit(call: Call, route: router.Route | None) -> Answer | None:
    arrival = call.request.arrival
    if arrival is None:
        return None
    wait = {"Retry-After": str(arrival.retry_after_s)}
    if call.service.judge.is_over(arrival) or call.hits("rate_429"):
        return _throttled(wait)
    if call.hits("rate_429_bare"):
        return _throttled({})
    if route is not None and route.needs_key and not _has_key(call, route):
        return Answer.json({"error": "Invalid or missing API key"}, 401)
    return None


def _throttled(headers: Mapping[str, str]) -> Answer:
    details = "Rate limit exceeded; please retry later"
    return Answer.error(429, "too many requests", details, headers)


def _has_key(call: Call, route: router.Route) -> bool:
    headers = call.request.headers
    schemes = {"bearer", "token"} if route.is_replicate else {"bearer"}
    scheme, _, bearer = headers.get("Authorization", "").partition(" ")
    given = bearer.strip() if scheme.lower() in schemes else headers.get("X-API-Key", "").strip()
    return bool(given) and call.service.settings.key in {None, given}
