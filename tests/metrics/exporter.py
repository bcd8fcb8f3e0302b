"""A scrape target whose counters the test sets, with any label values."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.metrics.fault_server import FaultServer, Handler, fault_server

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Exporter:
    """Counters by name and labels, served as Prometheus' text format."""

    def __init__(self, server: FaultServer) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        server.respond = self._respond

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def scrapes(self) -> int:
        return len(self._server.requests)

    def set(self, name: str, value: float, **labels: str) -> None:
        with self._lock:
            self._values[name, tuple(sorted(labels.items()))] = value

    def drop(self, name: str, **labels: str) -> None:
        with self._lock:
            del self._values[name, tuple(sorted(labels.items()))]

    def _respond(self, handler: Handler) -> None:
        with self._lock:
            lines = [self._line(name, labels, value) for (name, labels), value in self._values.items()]
        handler.send(200, ("\n".join(lines) + "\n").encode(), **{"Content-Type": "text/plain; version=0.0.4"})

    @staticmethod
    def _line(name: str, labels: tuple[tuple[str, str], ...], value: float) -> str:
        inside = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels)
        return f"{name}{{{inside}}} {str(value).replace('nan', 'NaN').replace('inf', '+Inf')}"


@contextmanager
def exporter() -> Iterator[Exporter]:
    with fault_server() as server:
        yield Exporter(server)
