"""A proxy between the operator and the API server that does to chosen calls what networks and crashes do.

It speaks plain HTTP on loopback towards the operator and TLS towards the API server, passes tokens and watches
through, and asks a rule about every call that is not a Lease renewal. Each fault that fires is remembered, so that a
test can assert that its faults really happened.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web

MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Fault(StrEnum):
    """What happens to a call."""

    NONE = "none"
    BEFORE_SEND = "before send"
    AFTER_COMMIT = "after commit, before reply"
    AFTER_REPLY = "after reply"
    CONFLICT = "409"
    TOO_MANY = "429"
    SERVER_ERROR = "500"
    HANG = "hang"
    RESET = "connection reset"
    LOST_REPLY = "reply lost"
    HELD = "held up on the way, until `let_go` is set"
    DROPPED_WATCH = "watch dropped"
    SWALLOWED = "event of a half-open watch swallowed"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the operator. `number` counts mutating calls from 1; 0 for reads."""

    method: str
    path: str
    number: int
    watch: bool = False

    @property
    def resource(self) -> str:
        """`<plural>` or `<plural>/<subresource>`, without names; "" for what is no resource."""
        parts = [part for part in self.path.split("/") if part]
        start = 3 if parts[0] == "apis" else 2
        rest = parts[start:]
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            rest = rest[2:]
        return "/".join([*rest[:1], *rest[2:3]])


Rule = Callable[[Call], Fault]


@dataclass
class FaultProxy:
    """Runs in a thread of its own. `kill` is called for the crash faults, at exactly that moment.

    `let_go` ends what HELD calls wait for.
    """

    api_url: str
    ca_file: Path
    kill: Callable[[], None] = lambda: None
    rule: Rule = lambda call: Fault.NONE
    calls: list[Call] = field(default_factory=list)
    fired: list[tuple[Fault, Call]] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def __enter__(self) -> Self:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def drop_watches(self) -> int:
        """Break the connection of every watch that is open; how many there were."""
        watches = list(self._watches.values())
        for request, call in watches:
            self.fired.append((Fault.DROPPED_WATCH, call))
            self._loop.call_soon_threadsafe(_drop, request)
        return len(watches)

    def silence_watches(self, resource: str = "") -> None:
        """Let nothing more through the watches that are open now, as when the other end went away without a word.

        With `resource`, only those of this kind.
        """
        self._silent.update(key for key, (_, call) in self._watches.items() if resource in ("", call.resource))

    def kubeconfig(self, original: Path, to: Path) -> Path:
        """The same kubeconfig, with this proxy as its server."""
        content = yaml.safe_load(original.read_text())
        for cluster in content["clusters"]:
            cluster["cluster"] = {"server": f"http://127.0.0.1:{self.port}"}
        to.write_text(yaml.safe_dump(content))
        return to

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._watches: dict[int, tuple[web.Request, Call]] = {}
        self._silent: set[int] = set()
        context = ssl.create_default_context(cafile=str(self.ca_file))
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as self._session:
            app = web.Application(client_max_size=64 * 2**20)
            app.router.add_route("*", "/{path:.*}", self._handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        mutating = request.method in MUTATING and "/leases" not in request.path
        number = 1 + sum(1 for call in self.calls if call.number) if mutating else 0
        call = Call(request.method, request.path, number, "watch" in request.query)
        self.calls.append(call)
        fault = Fault.NONE if "/leases" in request.path else self.rule(call)
        if fault is not Fault.NONE:
            self.fired.append((fault, call))
        match fault:
            case Fault.BEFORE_SEND:
                self.kill()
                raise ConnectionResetError
            case Fault.CONFLICT | Fault.TOO_MANY | Fault.SERVER_ERROR:
                return _status(int(fault.value))
            case Fault.HANG:
                await asyncio.sleep(30)
                return _status(504)
            case Fault.RESET:
                _drop(request)
                return web.Response(status=500)
            case Fault.HELD:
                await asyncio.to_thread(self.let_go.wait, 300)
        return await self._forward(request, call, fault)

    async def _forward(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
        url = f"{self.api_url}{request.raw_path}"
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=await request.read() or None, allow_redirects=False
            ) as answer:
                if fault is Fault.AFTER_COMMIT:
                    await answer.read()
                    self.kill()
                    raise ConnectionResetError
                if fault is Fault.LOST_REPLY:
                    await answer.read()
                    _drop(request)
                    return web.Response(status=500)
                if call.watch:
                    return await self._pass_on_watch(request, call, answer)
                return await self._pass_on(answer, fault)
        except aiohttp.ClientError:
            return _status(502)

    async def _pass_on(self, answer: aiohttp.ClientResponse, fault: Fault) -> web.StreamResponse:
        body = await answer.read()
        if fault is Fault.AFTER_REPLY:
            self._loop.call_later(0.005, self.kill)
        return web.Response(status=answer.status, body=body, headers=_headers(answer))

    async def _pass_on_watch(
        self, request: web.Request, call: Call, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        reply = web.StreamResponse(status=answer.status, headers=_headers(answer))
        await reply.prepare(request)
        self._watches[id(request)] = request, call
        try:
            async for piece in answer.content.iter_any():
                if id(request) in self._silent:
                    self.fired.append((Fault.SWALLOWED, call))
                else:
                    await reply.write(piece)
        finally:
            del self._watches[id(request)]
            self._silent.discard(id(request))
        return reply


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    skipped = ("transfer-encoding", "content-length", "connection")
    return {k: v for k, v in answer.headers.items() if k.lower() not in skipped}


def _status(code: int) -> web.Response:
    reasons = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 502: "BadGateway", 504: "Timeout"}
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reasons[code],
        "message": "injected by a test",
        "code": code,
    }
    return web.json_response(body, status=code)


def _drop(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
