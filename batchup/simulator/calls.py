"""One exchange: what a handler is given, and the ways in which it may answer or break off."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from batchup.simulator.arrivals import Request
from batchup.simulator.clock import http_date
from batchup.simulator.envelopes import error_body
from batchup.simulator.service import Service


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its body read; `parts` are the variable parts of its path."""

    service: Service
    request: Request
    body: bytes
    parts: Mapping[str, str]
    number: int
    """The request's number under /v1, or outside of it that of its route: faults are drawn for it."""

    def hits(self, fault: str, number: int | None = None) -> bool:
        """Tell whether a fault strikes this request, or the prediction with `number`; strikes are counted."""
        is_hit = self.service.dice.hits(fault, self.number if number is None else number)
        if is_hit:
            self.service.judge.count(f"fault {fault}")
        return is_hit

    def url(self, path: str) -> str:
        """Return an address on this server, as the client knows it."""
        return f"{self.request.scheme}://{self.request.host}{path}"

    def json(self) -> Any:
        """Return the decoded body; ValueError where it is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as problem:
            raise ValueError("the body is no JSON") from problem


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; `keep` bytes of the body are sent before the connection drops, None for all."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: int | None = None
    is_dropped: bool = False
    """Nothing at all is sent."""

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> "Answer":
        """Answer with a JSON body."""
        head = {"Content-Type": "application/json", **(headers or {})}
        return cls(status, msgspec.json.encode(value), head)

    @classmethod
    def error(
        cls, status: int, error: str, details: Any = None, headers: Mapping[str, str] | None = None
    ) -> "Answer":
        """Answer with the service's body for an error."""
        return cls.json(error_body(status, error, details), status, headers)

    @classmethod
    def dropped(cls) -> "Answer":
        """Answer nothing: the connection breaks."""
        return cls(0, is_dropped=True)

    def cut(self) -> "Answer":
        """Return this answer with the second half of its body missing, whatever its Content-Length says."""
        return Answer(self.status, self.body, self.headers, keep=len(self.body) // 2)

    def halved(self) -> "Answer":
        """Return this answer with half the body and the Content-Length of that."""
        return Answer(self.status, self.body[: len(self.body) // 2], self.headers)


async def send(call: Call, answer: Answer) -> web.StreamResponse:
    """Put an answer on the wire, or break the connection where the answer says so."""
    transport = call.request.transport
    headers = {
        "Date": http_date(call.service.clock.now()),
        "X-Request-Id": call.request.headers.get("X-Request-Id") or str(uuid.uuid4()),
        **answer.headers,
    }
    if answer.is_dropped:
        if transport is not None:
            transport.abort()
        # The connection is gone: nothing of this is sent.
        return web.Response(status=500)
    if answer.keep is None:
        return web.Response(status=answer.status, body=answer.body, headers=headers)
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = len(answer.body)
    await response.prepare(call.request)
    await response.write(answer.body[: answer.keep])
    if transport is not None:
        # Closes after the buffer has been sent: half an answer arrives, then the end.
        transport.close()
    return response
