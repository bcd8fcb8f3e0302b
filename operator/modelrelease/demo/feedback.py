"""Where people's corrections arrive: each says what a release answered and what was right; counted per release.

Its counters are what the quality gate judges. The answer has long been given when a correction is sent, so no model
can look at it. `Messenger` is the sending side. Rejected: the label as a header of the request itself.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import signal
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from modelrelease.sandbox.load import Sample
from modelrelease.sandbox.models import call

SEND_EVERY_S = 0.2
BATCH = 1000


class FeedbackService:
    """POST `{"corrections": [{"release", "answer", "label"}, …]}` to /feedback; GET /metrics."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        text = "Answers that people checked, by release and whether they were right."
        self._answers = Counter("model_answers", text, ["release", "verdict"], registry=self._registry)

    async def take(self, request: web.Request) -> web.Response:
        """Count each correction."""
        for each in (await request.json())["corrections"]:
            verdict = "correct" if each["answer"] == each["label"] else "wrong"
            self._answers.labels(each["release"], verdict).inc()
        return web.json_response({})

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/feedback", self.take)
        app.router.add_get("/metrics", self.metrics)
        return app


class Messenger:
    """Sends a correction for every answer, a fraction of a second later, in a thread of its own.

    `samples` gives all answers so far; `labels` holds the true digit of each of the load plan's bodies.
    """

    def __init__(self, samples: Callable[[], Sequence[Sample]], labels: Sequence[str], url: str) -> None:
        self._samples, self._labels, self._url = samples, labels, url
        self._sent = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-feedback", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(SEND_EVERY_S):
            fresh = self._samples()[self._sent : self._sent + BATCH]
            corrections = [self._correction(each) for each in fresh if each.answer]
            try:
                call(self._url, method="POST", body={"corrections": corrections})
            except OSError:
                continue  # the same ones again next time
            self._sent += len(fresh)

    def _correction(self, sample: Sample) -> dict[str, Any]:
        return {"release": sample.release, "answer": sample.answer, "label": self._labels[sample.body]}


async def _serve(host: str, port: int) -> None:
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"the feedback service listens on loopback only, not on {host}")
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(FeedbackService().application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    await stopped.wait()
    await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    asyncio.run(_serve(given.host, given.port))


if __name__ == "__main__":
    main()
