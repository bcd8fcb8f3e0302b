"""A stand-in for a model server whose quality, speed and reliability can be changed while it runs.

Answers every request with its own name and the release header it was called with, counts by release, and takes orders
on a second port.

Rejected: a real small model. Tests and demos must be able to say exactly how much worse a release gets.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

RELEASE_HEADER = "x-model-release"
NO_RELEASE = "none"
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How requests are answered. Fractions are probabilities per request, drawn independently, 0 to 1."""

    failure_fraction: float = 0.0
    failure_status: int = 500
    wrong_fraction: float = 0.0
    extra_latency_ms: float = 0.0
    tokens_per_answer: int = 100
    dollars_per_1k_tokens: float = 0.002

    def __post_init__(self) -> None:
        for name in ("failure_fraction", "wrong_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if not 0 <= self.extra_latency_ms <= 60_000:
            raise ValueError(f"extra_latency_ms must be between 0 and 60000, not {self.extra_latency_ms}")
        if not 400 <= self.failure_status <= 599:
            raise ValueError(f"failure_status must be between 400 and 599, not {self.failure_status}")

    def changed(self, changes: Mapping[str, Any]) -> Behaviour:
        """A copy with `changes`; ValueError names a field that does not exist."""
        known = {field.name for field in dataclasses.fields(self)}
        unknown = set(changes) - known
        if unknown:
            raise ValueError(f"unknown {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
        return dataclasses.replace(self, **changes)


class ModelServer:
    """The handlers and counters. One behaviour for all, and others for single releases."""

    def __init__(self, name: str, *, behaviour: Behaviour | None = None, seed: int | None = None) -> None:
        self.name = name
        self.default = behaviour or Behaviour()
        self.by_release: dict[str, Behaviour] = {}
        self._random = random.Random(seed)
        self.registry = CollectorRegistry()
        self._requests = self._counter("model_requests", "Requests by release and HTTP code.", "code")
        self._answers = self._counter("model_answers", "Answers by release and whether they were right.", "verdict")
        self._tokens = self._counter("model_tokens", "Tokens generated.")
        self._dollars = self._counter("model_cost_dollars", "What the tokens cost.")
        self._seconds = Histogram(
            "model_request_duration_seconds",
            "Time to answer.",
            ["release"],
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, ["release", *labels], registry=self.registry)

    async def predict(self, request: web.BaseRequest) -> web.Response:
        """One answer, right, wrong or failed as the behaviour of the request's release says."""
        began = time.perf_counter()
        release = request.headers.get(RELEASE_HEADER, "") or NO_RELEASE
        behaviour = self.by_release.get(release, self.default)
        body = await request.read() if request.can_read_body else b""
        if behaviour.extra_latency_ms:
            await asyncio.sleep(behaviour.extra_latency_ms / 1000)
        answer: dict[str, Any] = {"server": self.called(release), "release": release}
        status = 200
        if self._random.random() < behaviour.failure_fraction:
            status = behaviour.failure_status
        else:
            answer |= self.answer(release, behaviour, body)
        self._requests.labels(release, str(status)).inc()
        self._seconds.labels(release).observe(time.perf_counter() - began)
        return web.json_response(answer, status=status)

    def called(self, release: str) -> str:
        """What answers to a release call the server; servers that serve several releases may tell them apart."""
        return self.name

    def answer(self, release: str, behaviour: Behaviour, body: bytes) -> dict[str, Any]:
        """What a request that does not fail gets; servers with a real model look at `body` and override this."""
        verdict = "wrong" if self._random.random() < behaviour.wrong_fraction else "correct"
        self._answers.labels(release, verdict).inc()
        self._tokens.labels(release).inc(behaviour.tokens_per_answer)
        self._dollars.labels(release).inc(behaviour.tokens_per_answer / 1000 * behaviour.dollars_per_1k_tokens)
        return {"verdict": verdict, "tokens": behaviour.tokens_per_answer}

    async def metrics(self, _: web.BaseRequest) -> web.Response:
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def show_behaviour(self, _: web.BaseRequest) -> web.Response:
        releases = {release: dataclasses.asdict(each) for release, each in self.by_release.items()}
        return web.json_response({"default": dataclasses.asdict(self.default), "releases": releases})

    async def change_behaviour(self, request: web.Request) -> web.Response:
        """Change the named fields, for everybody or with `?release=` for one release only."""
        release = request.query.get("release", "")
        try:
            changed = self.by_release.get(release, self.default).changed(await request.json())
        except (ValueError, TypeError) as error:
            return web.Response(status=400, text=str(error))
        if release:
            self.by_release[release] = changed
        else:
            self.default = changed
        return await self.show_behaviour(request)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/", self.predict)
        app.router.add_post("/", self.predict)
        app.router.add_post("/v1/predict", self.predict)
        app.router.add_get("/metrics", self.metrics)
        return app

    def control(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/behaviour", self.show_behaviour)
        app.router.add_put("/behaviour", self.change_behaviour)
        return app


async def serve(server: ModelServer, *, host: str, port: int, control_port: int | None) -> None:
    """Answer until SIGTERM or SIGINT."""
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"the model server listens on loopback only, not on {host}")
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runners = [await _listen(server.application(), host, port)]
    if control_port is not None:
        runners.append(await _listen(server.control(), host, control_port))
    await stopped.wait()
    for runner in runners:
        await runner.cleanup()


async def _listen(app: web.Application, host: str, port: int) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=1024).start()
    return runner
