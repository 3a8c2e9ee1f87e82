"""Servers that misbehave in one exact way: plain sockets in a thread, and what they were sent."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

Behaviour: TypeAlias = Callable[[socket.socket, bytes], bool]
"""Given a connection and a request's head and body: answer; True keeps the connection open."""


@dataclass
class Server:
    """A listening server: its address and, whole, each request that arrived."""

    port: int
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The service's address on it."""
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Server]:
    """Serve on a free loopback port, each connection in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        thread = threading.Thread(target=_accept, args=(listener, behaviour, server))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _accept(listener: socket.socket, behaviour: Behaviour, server: Server) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, behaviour, server), daemon=True).start()


def _serve(connection: socket.socket, behaviour: Behaviour, server: Server) -> None:
    with connection, suppress(OSError):
        while request := _request(connection):
            server.requests.append(request)
            if not behaviour(connection, request):
                return


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    ]
    while len(body) < (int(lengths[0]) if lengths else 0):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: str, body: bytes = b"{}", *headers: str, keep: bool = False) -> Behaviour:
    """Answer each request with this."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    data = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def behave(connection: socket.socket, _request: bytes) -> bool:
        connection.sendall(data)
        return keep

    return behave


def raw(data: bytes) -> Behaviour:
    """Send these bytes and close."""

    def behave(connection: socket.socket, _request: bytes) -> bool:
        connection.sendall(data)
        return False

    return behave


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
