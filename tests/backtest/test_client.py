"""Ranges are asked for in order, in halves where they are too much, and never beyond their deadline."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelrelease.backtest.client import FEWEST_POINTS, Piece, RangeClient, ask_all, range_client
from modelrelease.backtest.parsing import Grid
from modelrelease.metrics.answers import Failed
from modelrelease.metrics.source import SourceSettings
from tests.metrics.fault_server import FaultServer, Handler, fault_server

GRID = Grid(1_700_000_000.0, 15.0, 4000)
WHOLE = Piece(0, "up", 0, 4000)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


def client(server: FaultServer, *, timeout_s: float = 5.0, max_answer_bytes: int = 1 << 20) -> RangeClient:
    return range_client(SourceSettings("default", server.url), timeout_s=timeout_s, max_answer_bytes=max_answer_bytes)


def asked(handler: Handler) -> tuple[float, float, float]:
    start, end, step = (float(handler.form[name][0]) for name in ("start", "end", "step"))
    return start, end, step


def answer(handler: Handler) -> None:
    """One series that counts the steps."""
    start, end, step = asked(handler)
    count = round((end - start) / step) + 1
    values = [[start + index * step, str(round((start - GRID.start_s) / step) + index)] for index in range(count)]
    result = [{"metric": {"__name__": "up"}, "values": values}]
    handler.send_json(200, {"status": "success", "data": {"resultType": "matrix", "result": result}})


def values_of(reply_parts: Iterator[object]) -> list[float]:
    found: list[float] = []
    for _, read in reply_parts:  # type: ignore[misc]
        assert not isinstance(read, Failed), read
        found += read[0].values.tolist()
    return found


def test_a_range_is_asked_for_with_its_step_and_a_deadline_of_the_server(server: FaultServer) -> None:
    server.respond = answer
    reply = client(server).ask(WHOLE, GRID)
    assert values_of(reply.lines(GRID)) == [float(step) for step in range(4000)]
    ((path, _, form),) = server.requests
    assert path == "/api/v1/query_range"
    assert form == {
        "query": ["up"],
        "start": ["1700000000.000"],
        "end": ["1700059985.000"],
        "step": ["15"],
        "timeout": ["4000ms"],
    }


def test_what_is_too_large_is_asked_for_in_halves_and_put_together(server: FaultServer) -> None:
    server.respond = answer
    reply = client(server, max_answer_bytes=30_000).ask(WHOLE, GRID)
    assert values_of(reply.lines(GRID)) == [float(step) for step in range(4000)]
    assert len(reply.parts) > 1


def test_too_many_samples_for_the_server_are_asked_for_in_halves(server: FaultServer) -> None:
    def respond(handler: Handler) -> None:
        start, end, step = asked(handler)
        if (end - start) / step > 1100:
            error = "query processing would load too many samples into memory in query execution"
            handler.send_json(422, {"status": "error", "errorType": "execution", "error": error})
        else:
            answer(handler)

    server.respond = respond
    reply = client(server).ask(WHOLE, GRID)
    assert [part.count for part, _, _ in reply.parts] == [1000] * 4
    assert values_of(reply.lines(GRID)) == [float(step) for step in range(4000)]


def test_a_query_that_is_refused_is_asked_once(server: FaultServer) -> None:
    server.respond = lambda handler: handler.send_json(400, {"status": "error", "error": "parse error"})
    reply = client(server).ask(WHOLE, GRID)
    assert reply.failed is not None
    assert "parse error" in reply.failed.reason
    assert len(server.requests) == 1


def test_halving_ends(server: FaultServer) -> None:
    server.respond = lambda handler: handler.send_json(422, {"status": "error", "error": "too many samples"})
    reply = client(server).ask(WHOLE, GRID)
    assert reply.failed is not None
    assert len(server.requests) <= 10
    start, end, step = (float(server.requests[-1][2][name][0]) for name in ("start", "end", "step"))
    assert (end - start) / step <= 2 * FEWEST_POINTS


def test_a_server_that_hangs_is_given_up_on(server: FaultServer) -> None:
    server.respond = lambda handler: server.over.wait(30)
    reply = client(server, timeout_s=0.2).ask(WHOLE, GRID)
    assert reply.failed is not None
    assert reply.failed.reason == "no answer within 0.2 s"
    assert len(server.requests) == 3


def test_nobody_there_is_said_in_a_few_words() -> None:
    nobody = range_client(SourceSettings("default", "http://127.0.0.1:9"), timeout_s=1.0, max_answer_bytes=1000)
    failed = nobody.ask(WHOLE, GRID).failed
    assert failed is not None
    assert failed.reason.startswith("cannot reach it: ")
    assert len(failed.reason) < 100


def test_a_redirect_is_not_followed(server: FaultServer) -> None:
    server.respond = lambda handler: handler.send(302, b"", Location="http://127.0.0.1:9/")
    ((_, failed),) = client(server).ask(WHOLE, GRID).lines(GRID)
    assert isinstance(failed, Failed)
    assert "redirects" in failed.reason


def test_the_token_is_sent(server: FaultServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    server.respond = answer
    settings = SourceSettings("default", server.url, bearer_token_file="token")
    range_client(settings, tmp_path, timeout_s=5.0, max_answer_bytes=1 << 20).ask(WHOLE, GRID)
    assert server.requests[0][1]["Authorization"] == "Bearer secret"
    reply = range_client(settings, tmp_path / "none", timeout_s=5.0, max_answer_bytes=1 << 20).ask(WHOLE, GRID)
    assert reply.failed is not None
    assert "token" in reply.failed.reason


def test_replies_come_in_order_and_some_are_asked_for_ahead(server: FaultServer) -> None:
    first_may_answer = threading.Event()

    def respond(handler: Handler) -> None:
        if handler.form["query"] == ["q0"]:
            first_may_answer.wait(10)
        if handler.form["query"] == ["q3"]:
            first_may_answer.set()
        answer(handler)

    server.respond = respond
    asks = [(client(server), Piece(number, f"q{number}", 0, 3)) for number in range(20)]
    replies = list(ask_all(asks, GRID, threads=2))
    assert [reply.piece.key for reply in replies] == list(range(20))


def test_a_bug_of_ours_does_not_hang(server: FaultServer) -> None:
    class Broken(RangeClient):
        def ask(self, piece: Piece, grid: Grid, *, halvings: int = 0) -> object:  # type: ignore[override]
            raise ZeroDivisionError

    broken = Broken(SourceSettings("default", server.url))
    (reply,) = ask_all([(broken, WHOLE)], GRID, threads=1)
    assert reply.failed is not None
    assert "ZeroDivisionError" in reply.failed.reason


def test_answers_are_compressed_on_the_way(server: FaultServer) -> None:
    server.respond = answer
    client(server).ask(Piece(0, "up", 0, 2), GRID)
    assert "gzip" in server.requests[0][1]["Accept-Encoding"]
    assert json.dumps(server.requests[0][2])
