"""A real proxy and a real TLS server, in threads, and a certificate authority that nobody knows yet."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_CA = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 2"
_CA_MORE = ["-subj", "/CN=a private authority", "-addext", "keyUsage=critical,keyCertSign"]
_REQUEST = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout tls.key -out tls.csr"
_SIGN = "x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out tls.pem"


def make_certificates(folder: Path, host: str) -> None:
    """Make an authority, `ca.pem`, and a certificate of its for a host, `tls.pem` and `tls.key`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here, which makes the certificates")
    (folder / "names").write_text(f"subjectAltName=DNS:{host}\n")
    for words, more in ((_CA, _CA_MORE), (_REQUEST, ["-subj", f"/CN={host}"]), (_SIGN, [])):
        subprocess.run([openssl, *words.split(), *more], cwd=folder, check=True, capture_output=True)


@contextmanager
def tls_front(folder: Path, port: int) -> Iterator[int]:
    """Serve TLS with the certificate in `folder` in front of a plain port; gives the port it listens at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.pem", folder / "tls.key")

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            _join(inner, socket.create_connection(("127.0.0.1", port)))

    with _listening(serve) as own:
        yield own


@dataclass
class Proxy:
    """A proxy: its address, and the head of each request that it got."""

    url: str = ""
    heads: list[bytes] = field(default_factory=list)


@contextmanager
def proxy(tls_port: int, plain_port: int) -> Iterator[Proxy]:
    """Serve as a proxy to which every host is on this machine: by CONNECT at one port, plain at the other."""
    made = Proxy()

    def serve(connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(65536)
            if not part:
                return
            head += part
        made.heads.append(head)
        if head.startswith(b"CONNECT "):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            _join(connection, socket.create_connection(("127.0.0.1", tls_port)))
        else:
            behind = socket.create_connection(("127.0.0.1", plain_port))
            behind.sendall(head)
            _join(connection, behind)

    with _listening(serve) as port:
        made.url = f"http://user:proxy-password@127.0.0.1:{port}"
        yield made


@contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                serve(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=one, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _join(one: socket.socket, other: socket.socket) -> None:
    """Pass on what each side sends until one of them ends."""
    with other:
        thread = threading.Thread(target=_pass_on, args=(other, one), daemon=True)
        thread.start()
        _pass_on(one, other)
        thread.join(5)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
