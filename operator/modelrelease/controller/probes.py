"""/healthz, /readyz and /metrics on one small server.

kopf's own liveness answers while its loop lives and knows nothing of dead ticks; this one fails when releases have
traffic and no check of them has completed for several periods.
"""

from collections.abc import Callable

from aiohttp import web

from modelrelease.controller.telemetry import Telemetry

Probe = Callable[[], str | None]
"""None when all is well, else one sentence saying what is wrong."""


class Probes:
    """The HTTP server of the operator process. `port` is the one it really listens on."""

    def __init__(self, telemetry: Telemetry, *, healthy: Probe, ready: Probe) -> None:
        self._telemetry, self._healthy, self._ready = telemetry, healthy, ready
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 picks a free one. Raises OSError when the address is taken."""
        app = web.Application()
        app.router.add_get("/healthz", lambda request: self._answer(self._healthy))
        app.router.add_get("/readyz", lambda request: self._answer(self._ready))
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the server."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, probe: Probe) -> web.Response:
        wrong = probe()
        return web.Response(status=503 if wrong else 200, text=(wrong or "ok") + "\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._telemetry.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})
