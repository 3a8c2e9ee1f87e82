"""The live view's answers: each with the headers that keep what it shows where it belongs."""

from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

from batchup.edge.live.files import disposition, type_of
from batchup.edge.metrics.exposition import CONTENT_TYPE

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "batchup",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What every answer says."""

ALONE: Final = ("Cross-Origin-Opener-Policy", "same-origin")
"""What an answer says besides, where a browser heeds it: elsewhere it complains of it."""

PICTURES_ALONE: Final = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; sandbox"
}
"""What an answer says besides that is no page."""

# What the page itself cannot say; the rest of its policy is in it.
_NO_FRAME: Final = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def words(status: HTTPStatus, text: str, **headers: str) -> web.Response:
    """Answer with a sentence for a person."""
    return web.Response(status=status, text=f"{text}\n", headers={**HEADERS, **PICTURES_ALONE, **headers})


def nothing() -> web.Response:
    """Answer that there is no such thing."""
    return words(HTTPStatus.NOT_FOUND, "There is nothing here.")


def page(text: str) -> web.Response:
    """Answer with a page."""
    policy = {"Content-Security-Policy": _NO_FRAME}
    return web.Response(text=text, content_type="text/html", headers={**HEADERS, **policy})


def metrics(text: str | None) -> web.Response:
    """Answer with figures for Prometheus, if there are some; nobody holds a connection for the next ones."""
    if text is None:
        return nothing()
    headers = {**HEADERS, **PICTURES_ALONE, "Content-Type": CONTENT_TYPE}
    answer = web.Response(body=text.encode(), headers=headers)
    answer.force_close()
    return answer


def file(path: Path | None, *, is_kept: bool) -> web.StreamResponse:
    """Answer with a file, if there is one: shown by the browser, or kept under its name."""
    if path is None:
        return nothing()
    headers = {**HEADERS, **PICTURES_ALONE, "Content-Type": type_of(path)}
    if is_kept:
        headers["Content-Disposition"] = disposition(path.name)
    return web.FileResponse(path, headers=headers)
