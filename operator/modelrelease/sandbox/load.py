"""An open-loop load generator: requests leave at a constant rate, whatever the answers do, and each one is recorded.

For loopback only, bounded in time and count. A request that cannot leave because too many are in flight is recorded as
unsent instead of being delayed, so that a slow server cannot hide its slowness.

Rejected: a closed loop of N workers. It sends less when the server gets slow, exactly when the numbers matter.
"""

from __future__ import annotations

import asyncio
import ipaddress
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from modelrelease.sandbox.errors import SandboxError

SEGMENT_HEADER = "x-criticality"
MAX_DURATION_S = 3600.0
MAX_RATE_PER_S = 5000.0
UNSENT = -1
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the requests: `fraction` (0 to 1) of them carry `headers`."""

    fraction: float
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. Times are seconds since the epoch; `answered_at_s` None: no answer.

    `status` is the HTTP code, 0 when the connection failed or timed out, -1 when it was never sent. `server`,
    `release`, `verdict` and `answer` are what the model server said, "" when it said nothing; `segment` is the segment
    header that was sent, and `body` says which of the plan's bodies.
    """

    sent_at_s: float
    answered_at_s: float | None
    status: int
    server: str = ""
    release: str = ""
    segment: str = ""
    verdict: str = ""
    answer: str = ""
    body: int = 0

    @property
    def latency_s(self) -> float | None:
        return None if self.answered_at_s is None else self.answered_at_s - self.sent_at_s


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send. `rate_per_s` requests a second to POST `url`, for at most `duration_s` and `max_requests`.

    `host`: the Host header, "" for the URL's. `headers` go with every request, `mix` with its shares of them, spread
    evenly; `bodies` are sent as JSON, in turn and over again. The segment recorded with a sample is the value of
    `segment_header`.
    """

    url: str
    rate_per_s: float
    duration_s: float = 60.0
    max_requests: int = 1_000_000
    host: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    mix: Sequence[Share] = ()
    bodies: Sequence[Any] = ({"input": "hello"},)
    segment_header: str = SEGMENT_HEADER
    timeout_s: float = 10.0
    max_in_flight: int = 500

    def __post_init__(self) -> None:
        refuse_beyond_loopback(self.url)
        if not 0 < self.rate_per_s <= MAX_RATE_PER_S:
            raise ValueError(f"rate_per_s must be above 0 and at most {MAX_RATE_PER_S:.0f}, not {self.rate_per_s}")
        if not 0 < self.duration_s <= MAX_DURATION_S:
            raise ValueError(f"duration_s must be above 0 and at most {MAX_DURATION_S:.0f}, not {self.duration_s}")
        if sum(share.fraction for share in self.mix) > 1 + 1e-9:
            raise ValueError("the fractions of the mix add up to more than 1")


def refuse_beyond_loopback(url: str) -> None:
    """Raise unless the host of `url` is a literal loopback address: names could point anywhere."""
    host = urlsplit(url).hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback or urlsplit(url).scheme != "http":
        raise SandboxError(f"load goes to http:// and a loopback address such as 127.0.0.1 only, not to {url}")


class Load:
    """`async with Load(plan) as load`: sends in the background until the plan or the block ends."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._samples: list[Sample] = []
        rest = 1 - sum(share.fraction for share in plan.mix)
        self._shares = (*plan.mix, Share(rest, {}))
        self._owed = [0.0] * len(self._shares)
        self._in_flight: set[asyncio.Task[None]] = set()
        self._sender: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._sender = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: Any) -> None:
        await self.stop()

    async def wait(self) -> list[Sample]:
        """Return all samples when the plan is done and every answer is in."""
        if self._sender is not None:
            await self._sender
        return self.samples

    async def stop(self) -> list[Sample]:
        """Send no more, wait for the answers that are still due."""
        self._stopping.set()
        return await self.wait()

    @property
    def samples(self) -> list[Sample]:
        """A copy of what is known so far, in order of answers; safe to read from another thread."""
        return list(self._samples)

    async def _send_all(self) -> None:
        plan = self.plan
        connector = aiohttp.TCPConnector(limit=plan.max_in_flight, keepalive_timeout=30)
        timeout = aiohttp.ClientTimeout(total=plan.timeout_s)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            began = time.monotonic()
            for index in range(min(plan.max_requests, int(plan.duration_s * plan.rate_per_s))):
                if await self._stopped_before(began + index / plan.rate_per_s):
                    break
                self._send(session, {**plan.headers, **self._share()}, index % len(plan.bodies))
            await asyncio.gather(*self._in_flight)

    async def _stopped_before(self, moment: float) -> bool:
        """Wait until `moment` of the monotonic clock; True when told to stop meanwhile."""
        # Also when late: without a pause the answers would never be read.
        await asyncio.sleep(max(0.0, moment - time.monotonic()))
        return self._stopping.is_set()

    def _share(self) -> Mapping[str, str]:
        """The headers of the share that is owed most, so that every stretch of requests is mixed as planned."""
        for index, share in enumerate(self._shares):
            self._owed[index] += share.fraction
        chosen = self._owed.index(max(self._owed))
        self._owed[chosen] -= 1
        return self._shares[chosen].headers

    def _send(self, session: aiohttp.ClientSession, headers: Mapping[str, str], body: int) -> None:
        segment = headers.get(self.plan.segment_header, "")
        if len(self._in_flight) >= self.plan.max_in_flight:
            self._samples.append(Sample(time.time(), None, UNSENT, segment=segment, body=body))
            return
        task = asyncio.create_task(self._request(session, headers, segment, body))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _request(
        self, session: aiohttp.ClientSession, headers: Mapping[str, str], segment: str, body: int
    ) -> None:
        sent_at_s, began = time.time(), time.perf_counter()
        if self.plan.host:
            headers = {**headers, "Host": self.plan.host}
        try:
            async with session.post(
                self.plan.url, headers=headers, json=self.plan.bodies[body], allow_redirects=False
            ) as answer:
                status, said = answer.status, await _json(answer)
            answered_at_s = sent_at_s + (time.perf_counter() - began)
        except (aiohttp.ClientError, TimeoutError, OSError):
            self._samples.append(Sample(sent_at_s, None, NO_ANSWER, segment=segment, body=body))
            return
        words = {key: str(said.get(key, "")) for key in ("server", "release", "verdict", "answer")}
        self._samples.append(Sample(sent_at_s, answered_at_s, status, segment=segment, body=body, **words))


class LoadThread:
    """The same for synchronous code: `with LoadThread(plan) as load`, in a thread and event loop of its own."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._loop: asyncio.AbstractEventLoop | None = None
        self._load: Load | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="sandbox-load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def samples(self) -> list[Sample]:
        return self._load.samples if self._load is not None else []

    def wait(self) -> list[Sample]:
        """Return all samples when the plan is done."""
        self._thread.join()
        return self.samples

    def stop(self) -> list[Sample]:
        if self._load is not None and self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._load._stopping.set)
        return self.wait()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._load = Load(self.plan)
        async with self._load:
            self._started.set()
            await self._load.wait()


def servers_of(samples: Sequence[Sample]) -> Counter[str]:
    """How many successful answers each server gave."""
    return Counter(sample.server for sample in samples if sample.status == 200)


async def _json(answer: aiohttp.ClientResponse) -> Mapping[str, Any]:
    try:
        said = await answer.json(content_type=None)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
