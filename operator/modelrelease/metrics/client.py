"""Prometheus through prometheus-api-client, behind the port of `answers`: a pool of threads with own deadlines.

The library is synchronous, retries for seconds, follows redirects, reads bodies of any size and drops warnings. So:
one session per thread that does none of this, a body that is read here, and a deadline on the await besides those on
the socket. Cancelling an await does not stop its thread, so the pool belongs to one source and its queue is bounded: a
source that hangs starves nobody else. The environment's proxies and .netrc are not used.
"""

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.util.retry import Retry

from modelrelease.metrics.answers import Answer, Failed, Prometheus, RawSeries, Samples, clock_ahead_s, interpret
from modelrelease.metrics.source import CredentialError, Credentials, SourceSettings

QUEUE_PER_THREAD = 8
SERVER_SHARE = 0.8
"""Prometheus' own deadline as a share of ours, so that it gives up first and says why."""

_CHUNK_BYTES = 256 * 1024


__all__ = ["Answer", "Failed", "Prometheus", "RawSeries", "Samples", "ThreadedPrometheus", "prometheus"]


def source_label(name: str) -> str:
    """What the reason of each failure begins with."""
    return f"MetricsSource {name}: "


def prometheus(settings: SourceSettings, credentials: Path | None = None) -> "ThreadedPrometheus":
    """A client of one source; `credentials` is the fixed folder that its file names are in."""
    return ThreadedPrometheus(settings, Credentials(credentials) if credentials is not None else None)


class _TooLargeError(Exception):
    """The body is larger than the source's limit."""


class _TooSlowError(Exception):
    """The body did not arrive before the deadline, though each part of it came in time."""


class ThreadedPrometheus:
    """Queries one source. Never raises from `query` except for cancellation; call `close` at the end."""

    def __init__(self, settings: SourceSettings, credentials: Credentials | None = None) -> None:
        self._settings = settings
        self._credentials = credentials
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix=f"prometheus-{settings.name}")
        self._local = threading.local()
        self._room = threading.Semaphore(settings.threads * QUEUE_PER_THREAD)

    async def query(self, promql: str, at: datetime) -> Answer:
        """Evaluate `promql` at a time. Late, refused, broken, unreachable: all are `Failed`, with the source's name."""
        answer = await self._ask(promql, at)
        if isinstance(answer, Failed):
            return replace(answer, reason=f"{source_label(self._settings.name)}{answer.reason}")
        return answer

    async def _ask(self, promql: str, at: datetime) -> Answer:
        if not self._room.acquire(blocking=False):
            return Failed("too many queries are still hanging at this source")
        try:
            work = self._pool.submit(self._send, promql, at.timestamp())
        except RuntimeError:
            self._room.release()
            return Failed("the client was closed")
        work.add_done_callback(lambda _: self._room.release())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(work), self._settings.timeout_s)
        except TimeoutError:
            return Failed(f"no answer within {self._settings.timeout_s:g} s")

    def post(self, path: str, params: Mapping[str, str]) -> tuple[int, bytes] | Failed:
        """Ask another endpoint from the calling thread: status and body, whatever they say.

        Login, deadline and limit are those of a query. Never raises for what Prometheus or the network does.
        """
        limit_s = self._settings.timeout_s
        asked = {**params, "timeout": f"{round(limit_s * SERVER_SHARE * 1000)}ms"}
        try:
            session = self._session()
            self._log_in(session)
            return session.fetch(f"{self._settings.address.rstrip('/')}{path}", asked)
        except CredentialError as error:
            return Failed(str(error))
        except _TooLargeError:
            return Failed(f"the answer is too large: over {self._settings.max_answer_bytes} bytes")
        except (_TooSlowError, requests.Timeout):
            return Failed(f"no answer within {limit_s:g} s")
        except requests.RequestException as error:
            return Failed(f"cannot reach it: {_reason(error)}")

    def close(self) -> None:
        """Drop waiting queries and let threads end as their sockets time out. Returns at once."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _send(self, promql: str, at_s: float) -> Answer:
        try:
            session = self._session()
            self._log_in(session)
            session.begin()
            params = {"time": f"{at_s:.3f}", "timeout": f"{round(self._settings.timeout_s * SERVER_SHARE * 1000)}ms"}
            try:
                session.connect.custom_query(promql, params=params)
            except Exception:
                if session.status is None:
                    raise
            answer = interpret(session.status or 0, session.payload)
            return replace(answer, clock_ahead_s=session.clock_ahead_s) if isinstance(answer, Samples) else answer
        except CredentialError as error:
            return Failed(str(error))
        except _TooLargeError:
            return Failed(f"the answer is larger than {self._settings.max_answer_bytes} bytes", retryable=False)
        except (_TooSlowError, requests.Timeout):
            return Failed(f"no answer within {self._settings.timeout_s:g} s")
        except requests.RequestException as error:
            return Failed(f"cannot reach Prometheus at {self._settings.address}: {_reason(error)}")
        except Exception as error:
            return Failed(f"asking Prometheus failed: {error!r}"[:300])

    def _session(self) -> "_Session":
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = _Session(self._settings)
        return session

    def _log_in(self, session: "_Session") -> None:
        """Read the credentials anew, so that a rotated file is used from the next query on."""
        settings = self._settings
        files = (settings.bearer_token_file, settings.client_cert_file, settings.client_key_file, settings.ca_file)
        if all(file is None for file in files):
            return
        if self._credentials is None:
            raise CredentialError("the source names credential files, but there is no credentials folder")
        if settings.bearer_token_file is not None:
            session.headers["Authorization"] = f"Bearer {self._credentials.text(settings.bearer_token_file)}"
        if settings.client_cert_file is not None and settings.client_key_file is not None:
            cert, key = settings.client_cert_file, settings.client_key_file
            session.cert = (str(self._credentials.path(cert)), str(self._credentials.path(key)))
        if settings.ca_file is not None:
            session.verify = str(self._credentials.path(settings.ca_file))


class _Session(requests.Session):
    """One thread's session: POST with the query in the body, no redirects, a bounded body, the whole reply kept."""

    def __init__(self, settings: SourceSettings) -> None:
        super().__init__()
        self.trust_env = False
        self.status: int | None = None
        self.payload: object = None
        self.clock_ahead_s = 0.0
        self._sent_s = 0.0
        self._settings = settings
        self._deadline_s = 0.0
        self.hooks["response"] = [self._keep]
        self.connect = PrometheusConnect(
            url=settings.address.rstrip("/"),
            session=self,
            retry=Retry(total=0),
            timeout=settings.timeout_s,
            method="POST",
        )

    def begin(self) -> None:
        """Forget the last reply and start the clock of the next."""
        self.status, self.payload, self.clock_ahead_s = None, None, 0.0
        self._sent_s = time.time()
        self._deadline_s = time.monotonic() + self._settings.timeout_s

    def fetch(self, url: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of one POST, not decoded. Raises what `_body` and requests raise."""
        self.begin()
        kept, self.hooks["response"] = self.hooks["response"], []
        try:
            with self.request("POST", url, params=params, timeout=self._settings.timeout_s) as response:
                return response.status_code, self._body(response)
        finally:
            self.hooks["response"] = kept

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send as the library asks, except for what would be unsafe: see the class."""
        if method == "POST":
            options["data"] = options.pop("params", None)
        return super().request(method, url, **{**options, "allow_redirects": False, "stream": True})

    def _body(self, response: requests.Response) -> bytes:
        """All of it, within the source's limit and the deadline."""
        body = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._settings.max_answer_bytes:
                response.close()
                raise _TooLargeError
            if time.monotonic() > self._deadline_s:
                response.close()
                raise _TooSlowError
        return bytes(body)

    def _keep(self, response: requests.Response, **_: Any) -> None:
        date = response.headers.get("Date")
        self.clock_ahead_s = clock_ahead_s(date, sent_s=self._sent_s, received_s=time.time())
        body = self._body(response)
        try:
            payload: Any = json.loads(body)
        except (ValueError, RecursionError):
            payload = None
        self.status, self.payload = response.status_code, payload
        response._content = body if response.status_code != 200 else b""
        response.json = lambda **_: payload if isinstance(payload, dict) else {}  # type: ignore[method-assign]


def _reason(error: requests.RequestException) -> str:
    """The innermost sentence of requests' nested exceptions, without addresses in memory."""
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__ or getattr(inner, "reason", None)) is not None:
        if not isinstance(deeper, BaseException) or deeper is inner:
            break
        inner = deeper
    return str(inner)[:200] or type(inner).__name__
