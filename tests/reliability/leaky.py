"""A service that says every secret it was told back, wherever it can: in words, in headers, in addresses."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

KEY = "smk-Zq81hTb+/7=xkkKEYkk"  # with letters that JSON, URLs and bytes spell in several ways
INPUT = "inSIGNEDin0123456789abcdef"
OUTPUT = "outSIGNEDout0123456789abcdef"
MOVED = "movedSIGNEDmoved0123456789abcdef"
PUT = "putSIGNEDput0123456789abcdef"
PUBLIC = "publicSIGNEDpublic0123456789abcdef"
PASSWORD = "pwSIGNEDpw0123456789"


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (24, 16), (9, 80, 200)).save(file, "PNG")
    return file.getvalue()


@dataclass
class Leaky:
    """How the service behaves, and what it has heard. `other` is another host, which outputs move to."""

    port: int
    other_port: int
    mood: str
    hook_secrets: set[str] = field(default_factory=set)
    hook_urls: set[str] = field(default_factory=set)
    arrived: list[bytes] = field(default_factory=list)  # at the other host, whole
    paths: list[str] = field(default_factory=list)
    created: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The service's address."""
        return f"http://127.0.0.1:{self.port}/v1"

    def tale(self, request: "_Service", body: bytes = b"") -> str:
        """Say everything that should not be said, as one sentence."""
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        signed = f"https://user:{PASSWORD}@cdn.example/out.png?X-Amz-Signature={OUTPUT}&x=1#{MOVED}"
        said = f"{headers!r} Authorization: Bearer {KEY} X-API-Key: {KEY} see {signed} for "
        return said + body.decode("utf-8", "replace") + f" sent to {request.path}"


class _Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    leaky: Leaky

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def reply(self, status: int, body: Any, **headers: str) -> None:
        """Send an answer, the key in a header of it too."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"X-Echo": KEY, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_PUT(self) -> None:
        """Take an upload."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.reply(403 if self.leaky.mood == "put refused" else 200, self.leaky.tale(self).encode())

    def do_POST(self) -> None:
        """Answer creates and presigns as the mood is."""
        leaky, body = self.leaky, self.rfile.read(int(self.headers.get("Content-Length", "0")))
        leaky.paths.append(self.path)
        tale = leaky.tale(self, body)
        if "presign" in self.path:
            base = f"http://127.0.0.1:{leaky.port}"
            put = f"{base}/put?X-Amz-Signature={PUT}"
            public = f"{base}/in.png?Expires=9&Signature={PUBLIC}"
            self.reply(200, {"presigned_url": put, "public_url": public, "required_headers": {}})
            return
        given = json.loads(body)
        if "webhook_secret" in given:
            leaky.hook_secrets.add(given["webhook_secret"])
            leaky.hook_urls.add(given["webhook_url"])
        match leaky.mood:
            case "refuses the key":
                self.reply(401, {"error": tale})
            case "refuses the item":
                self.reply(400, {"error": tale, "details": given})
            case "breaks":
                self.reply(500, {"error": tale})
            case "breaks off":
                self.wfile.write(f"HTTP/1.1 200 {tale}\r\nX-{tale}\r\n".encode())
                self.close_connection = True
            case "moves":
                there = f"http://127.0.0.1:{leaky.other_port}/v1/prediction?key={KEY}&sig={INPUT}"
                self.reply(307, {"error": tale}, Location=there)
            case "makes no sense":
                self.reply(200, tale.encode())
            case _:
                id_ = f"p{len(leaky.created)}"
                leaky.created[id_] = given["input"]
                self.reply(200, {"status": "success", "predictionID": id_, "message": tale})

    def do_GET(self) -> None:
        """Answer polls, lists and downloads as the mood is."""
        leaky, path = self.leaky, urlsplit(self.path)
        leaky.paths.append(path.path)
        tale = leaky.tale(self)
        if path.path.startswith("/out/"):
            assert parse_qs(path.query)["X-Amz-Signature"] == [OUTPUT]
            self._output(tale)
        elif "executions" in path.path:
            self.reply(500 if leaky.mood == "breaks" else 200, {"error": tale, "executions": []})
        elif found := re.fullmatch(r"/v1/prediction/(p\d+)", path.path):
            self._prediction(found[1], tale)
        else:
            self.reply(404, {"error": tale})

    def _output(self, tale: str) -> None:
        leaky = self.leaky
        if leaky.mood == "output breaks":
            self.reply(500, tale.encode())
        elif leaky.mood == "output gone":
            self.reply(403, tale.encode())
        else:
            there = f"http://localhost:{leaky.other_port}/moved.png?X-Amz-Signature={MOVED}"
            self.reply(302, tale.encode(), Location=there)

    def _prediction(self, id_: str, tale: str) -> None:
        leaky = self.leaky
        record = {"id": id_, "input": leaky.created.get(id_, {}), "logs": tale, "metrics": {"cost": 0.01}}
        url = f"http://127.0.0.1:{leaky.port}/out/{id_}.png?X-Amz-Signature={OUTPUT}&Expires=99"
        match leaky.mood:
            case "fails":
                output = {"error_code": "X", "error_message": tale, "retryable": False}
                self.reply(200, {**record, "status": "error", "output": output})
            case "poll breaks":
                self.reply(401, {"error": tale})
            case "odd word":
                self.reply(200, {**record, "status": f"waiting for {KEY} at {url}"})
            case _:
                self.reply(200, {**record, "status": "success", "output": [url]})


class _Other(BaseHTTPRequestHandler):
    leaky: Leaky

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Note all that came, and give a picture."""
        self.leaky.arrived.append(f"{self.requestline}\r\n{self.headers}".encode())
        self.send_response(200)
        self.end_headers()
        self.wfile.write(picture())

    def do_POST(self) -> None:
        """Note all that came."""
        self.leaky.arrived.append(f"{self.requestline}\r\n{self.headers}".encode())
        self.send_response(200)
        self.end_headers()


@contextmanager
def leaking(mood: str) -> Iterator[Leaky]:
    """Serve in a mood, and another host beside it, while the block lasts."""
    service_handler = type("Service", (_Service,), {})
    other_handler = type("Other", (_Other,), {})
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), service_handler) as service,
        ThreadingHTTPServer(("127.0.0.1", 0), other_handler) as other,
    ):
        leaky = Leaky(service.server_port, other.server_port, mood)
        service_handler.leaky = other_handler.leaky = leaky  # type: ignore[attr-defined] # classes made here
        threads = [Thread(target=server.serve_forever) for server in (service, other)]
        for thread in threads:
            thread.start()
        try:
            yield leaky
        finally:
            for server in (service, other):
                server.shutdown()
            for thread in threads:
                thread.join()
