"""Load stays on loopback, within its bounds, at its mix; model servers behave as told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from modelrelease.sandbox.errors import SandboxError
from modelrelease.sandbox.load import NO_ANSWER, UNSENT, Load, Plan, Share, refuse_beyond_loopback
from modelrelease.sandbox.modelserver import Behaviour, ModelServer, serve


@pytest.fixture
async def model() -> AsyncIterator[tuple[ModelServer, str]]:
    server = ModelServer("m", seed=1)
    runner = web.AppRunner(server.application(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield server, f"http://{host}:{port}/v1/predict"
    await runner.cleanup()


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/", "http://example.com/", "http://localhost/", "https://127.0.0.1/", "http://0.0.0.0/", "x"],
)
def test_anything_but_a_literal_loopback_address_is_refused(url: str) -> None:
    with pytest.raises(SandboxError, match="loopback"):
        Plan(url, 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:80/", "http://127.96.1.2:8080/v1", "http://[::1]:8080/"])
def test_loopback_addresses_are_accepted(url: str) -> None:
    refuse_beyond_loopback(url)


@pytest.mark.parametrize("fields", [{"rate_per_s": 0}, {"rate_per_s": 1e6}, {"duration_s": 1e6}])
def test_load_without_bounds_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Plan("http://127.0.0.1/", **{"rate_per_s": 1.0, **fields})


async def test_every_stretch_of_requests_is_mixed_as_planned(model: tuple[ModelServer, str]) -> None:
    mix = [Share(0.3, {"x-criticality": "low", "x-model-release": "v2"}), Share(0.2, {"x-criticality": "high"})]
    async with Load(Plan(model[1], 1000, max_requests=100, headers={"x-model-release": "v1"}, mix=mix)) as load:
        samples = await load.wait()

    assert Counter((sample.segment, sample.release) for sample in samples) == {
        ("low", "v2"): 30,
        ("high", "v1"): 20,
        ("", "v1"): 50,
    }
    assert {(sample.status, sample.server) for sample in samples} == {(200, "m")}


async def test_a_slow_server_does_not_slow_the_sending(model: tuple[ModelServer, str]) -> None:
    model[0].default = Behaviour(extra_latency_ms=60_000)
    async with Load(Plan(model[1], 1000, max_requests=20, max_in_flight=5, timeout_s=4)) as load:
        samples = await load.wait()

    assert Counter(sample.status for sample in samples) == {NO_ANSWER: 5, UNSENT: 15}


async def test_stopping_keeps_what_was_sent(model: tuple[ModelServer, str]) -> None:
    async with Load(Plan(model[1], 100, duration_s=3600)) as load:
        await asyncio.sleep(0.2)

    assert {sample.status for sample in load.samples} == {200}
    assert len(load.samples) < 1000


async def test_a_release_can_be_worse_than_the_others(model: tuple[ModelServer, str]) -> None:
    server, url = model
    server.by_release["v2"] = Behaviour(failure_fraction=1.0, failure_status=503)
    async with Load(Plan(url, 1000, max_requests=20, mix=[Share(0.5, {"x-model-release": "v2"})])) as load:
        samples = await load.wait()

    assert Counter((sample.release, sample.status) for sample in samples) == {("none", 200): 10, ("v2", 503): 10}
    assert server.registry.get_sample_value("model_requests_total", {"release": "v2", "code": "503"}) == 10
    assert server.registry.get_sample_value("model_tokens_total", {"release": "none"}) == 1000
    assert server.registry.get_sample_value("model_request_duration_seconds_count", {"release": "v2"}) == 10


@pytest.mark.parametrize(
    "changes", [{"failure_fraction": 1.5}, {"extra_latency_ms": -1}, {"failure_status": 200}, {"speed": 1}]
)
def test_impossible_behaviour_is_refused_by_field_name(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Behaviour().changed(changes)


async def test_model_servers_listen_on_loopback_only() -> None:
    with pytest.raises(ValueError, match="loopback"):
        await serve(ModelServer("m"), host="0.0.0.0", port=1, control_port=None)
