"""The adapter against a server in trouble: whatever happens, the answer is a value."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelrelease.metrics.answers import Failed, RawSeries, Samples, clock_ahead_s
from modelrelease.metrics.client import prometheus
from modelrelease.metrics.source import SourceSettings
from tests.metrics.builders import START
from tests.metrics.fault_server import FaultServer, Handler, fault_server

EMPTY = {"status": "success", "data": {"resultType": "matrix", "result": []}}


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


def settings(server: FaultServer, **changes: Any) -> SourceSettings:
    return SourceSettings("faulty", server.url, **{"timeout_s": 20.0, "threads": 2, **changes})


async def ask(server: FaultServer, folder: Path | None = None, **changes: Any) -> Samples | Failed:
    client = prometheus(settings(server, **changes), folder)
    try:
        return await client.query('up{job="x"}[5s]', START)
    finally:
        client.close()


async def refusal(server: FaultServer, *, retryable: bool = True, **changes: Any) -> str:
    answer = await ask(server, **changes)
    assert isinstance(answer, Failed), answer
    assert answer.retryable is retryable, answer
    return answer.reason


async def test_a_matrix_is_read_with_times_values_and_warnings(server: FaultServer) -> None:
    row = {"metric": {"__name__": "up"}, "values": [[1.5, "2"], [2.5, "NaN"], [3.5, "+Inf"]]}
    payload = {"status": "success", "warnings": ["half"], "data": {"resultType": "matrix", "result": [row]}}
    server.respond = lambda handler: handler.send_json(200, payload)
    answer = await ask(server)
    assert isinstance(answer, Samples)
    assert answer.warnings == ("half",)
    assert answer.series[0].labels == {"__name__": "up"}
    assert answer.series[0].points[0] == (1.5, 2.0)
    assert str(answer.series[0].points[1:]) == "((2.5, nan), (3.5, inf))"


async def test_the_query_travels_in_the_body_with_a_deadline_for_the_server(server: FaultServer) -> None:
    server.respond = lambda handler: handler.send_json(200, EMPTY)
    assert await ask(server) == Samples(())
    path, _, form = server.requests[0]
    assert path == "/api/v1/query"
    assert form == {"query": ['up{job="x"}[5s]'], "time": [f"{START.timestamp():.3f}"], "timeout": ["16000ms"]}


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503])
async def test_an_http_error_is_the_sources_fault_and_is_not_retried(server: FaultServer, status: int) -> None:
    server.respond = lambda handler: handler.send(status, b"<html>")
    assert str(status) in await refusal(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_query_is_the_querys_fault(server: FaultServer, status: int) -> None:
    body = {"status": "error", "errorType": "bad_data", "error": "parse error"}
    server.respond = lambda handler: handler.send_json(status, body)
    assert "parse error" in await refusal(server, retryable=False)


async def test_redirects_are_not_followed(server: FaultServer) -> None:
    server.respond = lambda handler: handler.send(302, b"", Location=f"{server.url}/elsewhere")
    assert "redirects" in await refusal(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"status":"success"}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{}, "values":[[1]]}]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":7}}',
        b'{"status":"success","data":{"resultType":"matrix"}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}',
        b"[" * 100_000,
    ],
)
async def test_a_broken_body_is_a_failure(server: FaultServer, body: bytes) -> None:
    server.respond = lambda handler: handler.send(200, body)
    assert isinstance(await ask(server), Failed)


async def test_an_error_in_a_body_with_status_200_is_a_failure(server: FaultServer) -> None:
    server.respond = lambda handler: handler.send_json(200, {"status": "error", "error": "odd"})
    assert "odd" in await refusal(server)


async def test_a_string_result_is_the_querys_fault(server: FaultServer) -> None:
    data = {"status": "success", "data": {"resultType": "string", "result": [1, "x"]}}
    server.respond = lambda handler: handler.send_json(200, data)
    await refusal(server, retryable=False)


async def test_native_histograms_show_as_a_series_without_points(server: FaultServer) -> None:
    result = [{"metric": {"a": "b"}, "histograms": [[1, {"count": "3"}]]}]
    data = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    server.respond = lambda handler: handler.send_json(200, data)
    assert await ask(server) == Samples((RawSeries({"a": "b"}, ()),))


async def test_a_body_over_the_limit_is_not_read_to_its_end(server: FaultServer) -> None:
    body = gzip.compress(json.dumps({**EMPTY, "padding": "x" * 5_000_000}).encode())
    server.respond = lambda handler: handler.send(200, body, **{"Content-Encoding": "gzip"})
    assert "larger than" in await refusal(server, retryable=False, max_answer_bytes=1_000_000)


def hang(handler: Handler) -> None:
    handler.server.over.wait(30)  # type: ignore[attr-defined]


def drip(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not handler.server.over.wait(0.02):  # type: ignore[attr-defined]
        handler.wfile.write(b" " * 1000)


@pytest.mark.parametrize("respond", [hang, drip])
async def test_a_source_that_hangs_or_drips_fails_at_the_deadline(server: FaultServer, respond: Any) -> None:
    server.respond = respond
    assert await refusal(server, timeout_s=0.2) == "MetricsSource faulty: no answer within 0.2 s"


async def test_a_hanging_source_refuses_more_than_its_queue_and_harms_no_other(server: FaultServer) -> None:
    server.respond = hang
    stuck = prometheus(settings(server, threads=1, timeout_s=0.5))
    answers = await asyncio.gather(*(stuck.query("up[5s]", START) for _ in range(20)))
    reasons = [answer.reason for answer in answers if isinstance(answer, Failed)]
    assert len(reasons) == 20
    assert any("still hanging" in reason for reason in reasons)
    with fault_server() as healthy:
        healthy.respond = lambda handler: handler.send_json(200, EMPTY)
        assert await ask(healthy) == Samples(())
    stuck.close()
    assert isinstance(await stuck.query("up[5s]", START), Failed)


async def test_a_connection_that_breaks_or_is_refused_is_a_failure(server: FaultServer) -> None:
    server.respond = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    assert "cannot reach" in await refusal(server)
    nobody = prometheus(SourceSettings("nobody", "http://127.0.0.1:9", timeout_s=0.5))
    answer = await nobody.query("up[5s]", START)
    assert isinstance(answer, Failed)
    assert "refused" in answer.reason
    nobody.close()


async def test_cancelling_does_not_wait_for_the_source(server: FaultServer) -> None:
    server.respond = hang
    client = prometheus(settings(server, timeout_s=20))
    task = asyncio.create_task(client.query("up[5s]", START))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.over.set()
    client.close()


async def test_a_rotated_token_is_used_at_once(server: FaultServer, tmp_path: Path) -> None:
    server.respond = lambda handler: handler.send_json(200, EMPTY)
    client = prometheus(settings(server, bearer_token_file="token", threads=1), tmp_path)
    answer = await client.query("up[5s]", START)
    assert isinstance(answer, Failed)
    assert "token" in answer.reason
    for token in ("first", "second"):
        (tmp_path / "token").write_text(f"{token}\n")
        assert await client.query("up[5s]", START) == Samples(())
    assert [headers["Authorization"] for _, headers, _ in server.requests] == ["Bearer first", "Bearer second"]
    client.close()


async def test_a_credential_that_leads_out_of_the_folder_is_refused(server: FaultServer, tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (tmp_path / "other").write_text("secret")
    (folder / "token").symlink_to(tmp_path / "other")
    answer = await ask(server, folder, bearer_token_file="token")
    assert isinstance(answer, Failed)
    assert "leads out" in answer.reason
    assert not server.requests


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "prometheus:9090"},
        {"address": "file:///etc/passwd"},
        {"address": "http://user:secret@prometheus"},
        {"address": "http://prometheus?x=1"},
        {"bearer_token_file": "../token"},
        {"ca_file": "/etc/passwd"},
        {"client_cert_file": "cert"},
        {"tick_s": 0.0},
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="x:"):
        SourceSettings(**{"name": "x", "address": "http://prometheus", **changes})


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [
        pytest.param("Sat, 21 Nov 2026 12:00:00 GMT", 0.0, id="within what was asked"),
        pytest.param("Sat, 21 Nov 2026 12:00:01 GMT", 0.0, id="cut off to whole seconds"),
        pytest.param("Sat, 21 Nov 2026 12:03:00 GMT", 178.5, id="ahead, at least"),
        pytest.param("Sat, 21 Nov 2026 11:57:00 GMT", -179.25, id="behind, at least"),
        pytest.param("yesterday", 0.0, id="no date"),
        pytest.param(None, 0.0, id="none"),
    ],
)
def test_how_far_off_a_server_clock_is(date: str | None, ahead_s: float) -> None:
    noon_s = 1795262400.0
    assert clock_ahead_s(date, sent_s=noon_s + 0.25, received_s=noon_s + 1.5) == pytest.approx(ahead_s)
