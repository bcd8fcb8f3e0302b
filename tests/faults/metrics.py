"""A proxy in front of Prometheus that does to the answers what broken monitoring does, for each source by itself.

A MetricsSource with address `<url>/<name>` is answered through `faults[name]`; without an entry the true answer passes.
Each fault that really changed an answer is counted, so that a test can assert that it happened.
"""

import http.client
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

Json = dict[str, Any]


class Trouble(StrEnum):
    """What is wrong with a source."""

    UNAVAILABLE = "503"
    HANGING = "hangs"
    WARNING = "partial, with a warning"
    NAN = "NaN"
    EMPTY = "nothing"
    SEVERAL = "several series for one"
    STALE = "no new samples"
    RESETS = "counters start again"


class MetricsProxy(ThreadingHTTPServer):
    """Use as a context manager."""

    daemon_threads = True

    def __init__(self, prometheus_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(prometheus_url).netloc
        self.faults: dict[str, Trouble] = {}
        self.since: dict[str, float] = {}
        self.fired: Counter[str] = Counter()
        self.over = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def address(self, name: str) -> str:
        """What the MetricsSource `name` has as its address."""
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def break_(self, name: str, trouble: Trouble) -> None:
        """From the next answer on."""
        self.since[name] = time.time()
        self.faults[name] = trouble

    def mend(self, name: str) -> None:
        """The truth again."""
        self.faults.pop(name, None)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MetricsProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name, _, path = self.path.lstrip("/").partition("/")
        trouble = self.server.faults.get(name)
        match trouble:
            case Trouble.UNAVAILABLE:
                self.server.fired[name] += 1
                self._reply(503, b"")
                return
            case Trouble.HANGING:
                self.server.fired[name] += 1
                self.server.over.wait(20)
                self.close_connection = True
                return
        status, answer = self._ask(path, body)
        change = _CHANGES.get(trouble) if trouble is not None else None
        if change is not None and status == 200:
            payload = json.loads(answer)
            if change(payload, self.server.since[name]):
                self.server.fired[name] += 1
                answer = json.dumps(payload).encode()
        self._reply(status, answer)

    do_GET = do_POST  # noqa: N815

    def _ask(self, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=10)
        try:
            kind = {"Content-Type": self.headers.get("Content-Type") or "application/x-www-form-urlencoded"}
            connection.request(self.command, f"/{path}", body or None, kind)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 502, b""
        finally:
            connection.close()

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


Change = Callable[[Json, float], bool]
"""Changes an answer in place, given since when; False when there was nothing to change."""


def _points(payload: Json) -> list[list[Any]]:
    found = []
    for series in payload["data"]["result"]:
        found += series.get("values") or [series["value"]]
    return found


def _warning(payload: Json, _: float) -> bool:
    payload["warnings"] = ["remote read: one of two stores did not answer"]
    return True


def _nan(payload: Json, _: float) -> bool:
    points = _points(payload)
    for point in points:
        point[1] = "NaN"
    return bool(points)


def _empty(payload: Json, _: float) -> bool:
    had = bool(payload["data"]["result"])
    payload["data"]["result"] = []
    return had


def _several(payload: Json, _: float) -> bool:
    found = payload["data"]["result"]
    copies = [{**series, "metric": {**series["metric"], "replica": "b"}} for series in found]
    payload["data"]["result"] = found + copies
    return bool(copies)


def _stale(payload: Json, since_s: float) -> bool:
    """Samples end when the trouble began; a value of `timestamp()` is a time itself."""
    changed = False
    for series in payload["data"]["result"]:
        if "values" in series:
            kept = [point for point in series["values"] if point[0] <= since_s]
            changed = changed or len(kept) < len(series["values"])
            series["values"] = kept
    payload["data"]["result"] = [one for one in payload["data"]["result"] if one.get("values", True)]
    return changed


def _resets(payload: Json, _: float) -> bool:
    points = _points(payload)
    for point in points:
        point[1] = str(math.fmod(float(point[1]), 61))
    return bool(points)


_CHANGES: dict[Trouble, Change] = {
    Trouble.WARNING: _warning,
    Trouble.NAN: _nan,
    Trouble.EMPTY: _empty,
    Trouble.SEVERAL: _several,
    Trouble.STALE: _stale,
    Trouble.RESETS: _resets,
}
