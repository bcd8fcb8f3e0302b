"""A small HTTP server that answers like a Prometheus in trouble."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

Respond = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Hands each request to the server's current `respond`."""

    protocol_version = "HTTP/1.1"
    clock_ahead_s = 0.0

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(int((timestamp or time.time()) + self.clock_ahead_s))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        server: FaultServer = self.server  # type: ignore[assignment]
        self.form = parse_qs(body)
        server.requests.append((self.path, dict(self.headers), self.form))
        server.respond(self)

    do_GET = do_POST  # noqa: N815

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, status: int, payload: object, **headers: str) -> None:
        self.send(status, json.dumps(payload).encode(), **headers)

    def log_message(self, format: str, *args: object) -> None:
        pass


class FaultServer(ThreadingHTTPServer):
    """Set `respond` to what the next requests shall get; `over` is set at the end, so that hanging handlers leave."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, dict[str, str], dict[str, list[str]]]] = []
        self.respond: Respond = lambda handler: handler.send(500, b"")
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what these tests are about."""


@contextmanager
def fault_server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
