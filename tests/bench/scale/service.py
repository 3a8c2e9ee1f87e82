"""A service that answers at once and says when it was first asked, in this process; no judge of limits."""

import json
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Self

from PIL import Image


class Service:
    """Listens on a free port of this machine until it is left."""

    def __init__(self) -> None:
        self.first_at: float | None = None
        self.create_at: float | None = None
        self.on_first: Callable[[], None] = lambda: None  # called before the first request is answered
        self.creates = 0
        self.inputs: dict[str, Any] = {}
        picture = BytesIO()
        Image.new("RGB", (8, 8)).save(picture, "PNG")
        self.picture = picture.getvalue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address on this machine."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def forget(self) -> None:
        """Forget what was asked until now."""
        self.first_at = self.create_at = None
        self.creates = 0

    def meet(self) -> None:
        """Take note of a request."""
        if self.first_at is None:
            self.first_at = time.monotonic()
            self.on_first()

    def create(self, body: bytes) -> Any:
        """Accept a prediction."""
        self.create_at = self.create_at or time.monotonic()
        self.creates += 1
        id_ = str(uuid.uuid4())
        self.inputs[id_] = json.loads(body)["input"]
        return {"status": "success", "predictionID": id_}

    def poll(self, id_: str) -> Any:
        """Say that a prediction is done."""
        metrics = {"predict_time": 1.0, "cost": 0.01}
        output = f"{self.url}/outputs/{id_}.png"
        return {
            "id": id_,
            "input": self.inputs[id_],
            "status": "success",
            "output": output,
            "metrics": metrics,
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                service.meet()
                if self.path.startswith("/outputs/"):
                    self._say(200, service.picture, "image/png")
                elif self.path.startswith("/v1/prediction/"):
                    self._tell(service.poll(self.path.rsplit("/", 1)[1]))
                else:
                    self._say(404, b"{}", "application/json")

            def do_POST(self) -> None:
                service.meet()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._tell(service.create(body))

            def _tell(self, answer: Any) -> None:
                self._say(200, json.dumps(answer).encode(), "application/json")

            def _say(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
