"""The live view's server: one page, its events, the pictures of one job, and a stop. It decides nothing.

Every address begins with a token; without it nothing is told, not even what there is, but for the figures
at `/metrics`, which whoever is on this machine may read.
"""

import os
import secrets
import socket
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Protocol, Self
from urllib.parse import unquote

import anyio
import anyio.to_thread
from aiohttp import web

from batchup.core.names import FOLDER
from batchup.edge.live import answers
from batchup.edge.live.access import Guard, is_here
from batchup.edge.live.connections import Listening
from batchup.edge.live.hub import Hub
from batchup.edge.live.streams import send_archive, send_events, send_stored
from batchup.edge.shelves import Content, Shelf, is_plain
from batchup.errors import BatchupError, ConfigProblem
from batchup.settings.hosts import is_wildcard

_STREAMS: Final = (["events"], ["images.zip"])  # a look at how long they are would make all of them
METRICS: Final = "metrics"
LINGER_S: Final = 1.0  # for the pictures that a page shows when it is told of the end


class Shown(Protocol):
    """What a server shows: a job while it runs, or as its runs have left it."""

    @property
    def name(self) -> str:
        """The job's name."""

    @property
    def shelf(self) -> Shelf:
        """Where the job's outputs lie."""

    @property
    def hub(self) -> Hub:
        """What is told to listeners."""

    async def page(self) -> str:
        """Return the page as it is now."""

    async def thumbnail(self, kind: Literal["before", "after"], item_id: str) -> Path | None:
        """Return an item's thumbnail as a file, or None if there is none."""

    async def input_of(self, item_id: str) -> Path | None:
        """Return the local file that an item was made from, or None."""

    def metrics(self) -> str | None:
        """Return how the run stands as text for Prometheus, None where nothing tells."""

    def stop(self) -> bool:
        """Let the run end in order; False where there is none to be stopped from here."""


class LiveServer:
    """Serves something shown while its block lasts; inside, `url` is its address with the token in it.

    Entering raises ConfigProblem where nothing can listen there. Leaving ends all connections within a
    second or so.
    """

    def __init__(self, shown: Shown, host: str, port: int) -> None:
        self.token = secrets.token_urlsafe(24)
        self._shown = shown
        self._guard = Guard(self.token, host)
        self._listening = Listening(self._handle, host, port)

    @property
    def url(self) -> str:
        """Where the page is, for whoever may see it."""
        host = self._listening.host
        name = socket.gethostname() if is_wildcard(host) else host
        return f"http://{_place(name, self._listening.port)}/{self.token}/"

    async def __aenter__(self) -> Self:
        try:
            await self._listening.__aenter__()
        except (OSError, UnicodeError) as problem:  # a name can be no name
            number = getattr(problem, "errno", None) or 0
            why = os.strerror(number) if number > 0 else getattr(problem, "strerror", None) or problem
            place = _place(self._listening.host, self._listening.port)
            raise ConfigProblem(
                f"The live view cannot be served at {place}: {why}.",
                remedy="Give another address; with port 0, `--serve 127.0.0.1:0`, any free one.",
            ) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hub = self._shown.hub
        is_watched = hub.listener_count > 0
        hub.end()
        if is_watched and error is None:
            await anyio.sleep(LINGER_S)
        await self._listening.__aexit__(kind, error, trace)

    # ------------------------------------------------------------ one request

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        first, *segments = _segments(path)
        headers = {name.lower(): value for name, value in request.headers.items()}
        is_scrape = (first, segments) == (METRICS, [])
        if is_scrape:
            refusal = self._guard.scrape_refusal(request.remote or "", request.method, headers)
        else:
            refusal = self._guard.refusal(first, request.method, headers)
        if refusal is not None:
            return answers.words(HTTPStatus.FORBIDDEN, refusal)
        if is_scrape:
            segments = [METRICS]
        else:
            self._listening.connections.trust(request.transport)
        if segments == ["stop"]:
            return self._stop(request.method)
        allowed = ("GET",) if segments in _STREAMS else ("GET", "HEAD")
        if request.method not in allowed:
            words = "It can be read only."
            return answers.words(HTTPStatus.METHOD_NOT_ALLOWED, words, Allow=", ".join(allowed))
        answer = await self._get(request, segments, is_kept="download" in query)
        if is_here(headers.get("host", "")):
            answer.headers.setdefault(*answers.ALONE)
        return answer

    async def _get(
        self, request: web.BaseRequest, segments: list[str], *, is_kept: bool
    ) -> web.StreamResponse:
        match segments:
            case []:
                return answers.words(HTTPStatus.PERMANENT_REDIRECT, "", Location=f"/{self.token}/")
            case [""]:
                return answers.page(await self._shown.page())
            case ["events"]:
                return await send_events(request, self._shown.hub)
            case ["metrics"]:
                return answers.metrics(self._shown.metrics())
            case ["images.zip"]:
                return await send_archive(request, self._shown.name, self._shown.shelf)
            case ["images", *names]:
                found = await anyio.to_thread.run_sync(self._find, names)
                if found is None or isinstance(found, Path):
                    return answers.file(found, is_kept=is_kept)
                return await send_stored(request, found, is_kept=is_kept)
            case ["inputs", item_id]:
                return answers.file(await self._shown.input_of(item_id), is_kept=is_kept)
            case ["thumbnails", "before" | "after" as kind, item_id]:
                return answers.file(await self._shown.thumbnail(kind, item_id), is_kept=False)
            case _:
                return answers.nothing()

    def _find(self, names: list[str]) -> Content | None:
        """Look for an output; a slash spelled within a name leads nowhere."""
        with suppress(BatchupError):  # a bucket that cannot be asked now
            return self._shown.shelf.find("/".join([FOLDER, *names])) if is_plain(names) else None
        return None

    def _stop(self, method: str) -> web.Response:
        if method != "POST":
            return answers.words(HTTPStatus.METHOD_NOT_ALLOWED, "It has to be posted.", Allow="POST")
        if not self._shown.stop():
            return answers.words(HTTPStatus.CONFLICT, "There is no run that can be stopped from here.")
        return answers.words(HTTPStatus.ACCEPTED, "Nothing more is created; what is in flight is finished.")


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _segments(path: str) -> list[str]:
    """Take a path apart, and only then read its parts: a slash spelled `%2F` separates nothing."""
    try:
        return [unquote(part, errors="surrogatepass") for part in path.split("/")[1:]] or [""]
    except UnicodeError:
        return [""]
