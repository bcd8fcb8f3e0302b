"""The collectors of a process and what they make of a history, against a Prometheus that answers from memory."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from modelrelease.controller.evidence import EvidenceService
from modelrelease.controller.history import HistoryWanted, places_of_stable
from modelrelease.controller.telemetry import Telemetry
from modelrelease.domain.gate import Gate
from modelrelease.metrics.answers import Samples
from modelrelease.metrics.source import SourceSettings
from tests.metrics.builders import MemoryPrometheus, absolute, latency_gate, place, ratio_gate
from tests.metrics.fault_server import FaultServer, Handler, fault_server

SCRAPE_S = 15


def answer(prometheus: MemoryPrometheus, handler: Handler) -> None:
    """Answer one query as Prometheus does."""
    at = datetime.fromtimestamp(float(handler.form["time"][0]), UTC)
    found = asyncio.run(prometheus.query(handler.form["query"][0], at))
    assert isinstance(found, Samples)
    result = [
        {"metric": dict(one.labels), "values": [[at_s, str(value)] for at_s, value in one.points]}
        for one in found.series
    ]
    handler.send_json(200, {"status": "success", "data": {"resultType": "matrix", "result": result}})


@contextmanager
def serving(prometheus: MemoryPrometheus) -> Iterator[FaultServer]:
    with fault_server() as server:
        server.respond = lambda handler: answer(prometheus, handler)
        yield server


def wanted(*gates: Gate) -> HistoryWanted:
    return HistoryWanted("shop/chat", "token", gates, places_of_stable((place(),)), datetime.now(UTC))


async def until(told: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not told():
        assert time.monotonic() < deadline, "the history is still being read"
        await asyncio.sleep(0.05)


async def test_a_history_that_no_arithmetic_can_take_holds_nobody_up() -> None:
    """A broken exporter's counter, or a fault of ours: the test learns on the way, and the other gates are known."""
    prometheus, now_s = MemoryPrometheus(), time.time()
    for index in range(200):
        at_s = now_s - 200 * SCRAPE_S + index * SCRAPE_S
        for metric, bad in (("requests_total", 3.0), ("broken_total", 1e308)):
            labels = {"namespace": "shop", "service": "chat-v1"}
            prometheus.put(metric, at_s, 600.0 * index, code="200", **labels)
            prometheus.put(metric, at_s, bad * (index % 2), code="500", **labels)
    gates = (
        latency_gate(rule=absolute("no number")),
        ratio_gate("broken", metric="broken_total"),
        ratio_gate(),
    )
    woken: list[str] = []
    service = EvidenceService(Telemetry(), Path("/nowhere"), woken.append)
    with serving(prometheus) as server:
        service.set_source(SourceSettings("default", server.url, tick_s=0.2, scrape_interval_s=SCRAPE_S))
        service.read_history("shop/chat", wanted(*gates))
        assert service.habits("shop/chat") is None
        await until(lambda: service.habits("shop/chat") is not None and bool(woken))
        await service.close()
    assert [name for name, _ in service.habits("shop/chat") or ()] == ["errors"]
    assert set(woken) == {"shop/chat"}
