"""A Prometheus of made-up history in a process of its own: `query_range` over counters of two releases, and no more.

Two instances of each release behind a daily cycle of traffic: requests by code, latency buckets, a quality score, cost
and tokens, and one gauge. The candidate has a twentieth of the traffic and is bad in some hours: `INCIDENTS`. Counters
start anew once a week, as those of processes do.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from modelrelease.domain.gate import Matcher, MatchOp
from modelrelease.metrics import promql

DAY_S = 86400
BOUNDS = ("0.05", "0.1", "0.2", "0.3", "0.5", "0.8", "1.2", "2", "3", "5", "10", "+Inf")
SHARES = (0.10, 0.20, 0.25, 0.20, 0.12, 0.07, 0.03, 0.015, 0.008, 0.004, 0.002, 0.001)
REQUESTS_PER_S = {"v1": 47.5, "v2": 2.5}
ERRORS = 0.004
INCIDENTS = ((0.31, 3600.0, "errors"), (0.62, 5400.0, "latency"), (0.86, 2700.0, "errors"))
"""When in the history (0…1), for how long in seconds, and what is bad."""

MANIFEST = """
apiVersion: modelrelease.dev/v1alpha1
kind: ModelRelease
metadata: {name: support-chat, namespace: assistants}
spec:
  unit: {version: v2, backend: {name: support-chat-v2, port: 8080}}
  traffic: {routes: [{name: support-chat}]}
  strategy:
    stages:
    - {name: pilot, exposure: [{percent: "1"}], minDuration: 10m}
    - {name: mixed, exposure: [{percent: "5"}], minDuration: 20m}
    - {name: broad, exposure: [{percent: "20"}], minDuration: 30m}
    - {name: full, exposure: [{percent: "100"}]}
  gates:
  - {name: errors, template: error-rate, against: Stable, maxRatio: "1.5", floor: "0.001"}
  - {name: errors-absolute, template: error-rate, max: "0.02"}
  - {name: latency, template: latency-p95, max: "1.2"}
  - {name: latency-against-stable, template: latency-p95, against: Stable, maxRatio: "1.5"}
  - {name: quality, template: quality-score, against: Stable, maxDifference: "0.02"}
  - {name: cost, template: cost-per-1k-tokens, against: Stable, maxRatio: "1.2"}
---
apiVersion: modelrelease.dev/v1alpha1
kind: GateTemplate
metadata: {name: error-rate, namespace: assistants}
spec:
  kind: Operational
  metric:
    ratio:
      bad: {name: chat_requests_total, matchers: [{label: code, op: Regex, value: "5.."}]}
      total: {name: chat_requests_total}
  arm: [{label: version, value: "${version}"}]
---
apiVersion: modelrelease.dev/v1alpha1
kind: GateTemplate
metadata: {name: latency-p95, namespace: assistants}
spec:
  kind: Operational
  unit: s
  metric: {quantile: {buckets: {name: chat_request_seconds_bucket}, q: "0.95"}}
  arm: [{label: version, value: "${version}"}]
---
apiVersion: modelrelease.dev/v1alpha1
kind: GateTemplate
metadata: {name: quality-score, namespace: assistants}
spec:
  kind: Quality
  metric: {mean: {sum: {name: chat_score_sum}, count: {name: chat_score_count}, low: "0", high: "1"}}
  arm: [{label: version, value: "${version}"}]
---
apiVersion: modelrelease.dev/v1alpha1
kind: GateTemplate
metadata: {name: cost-per-1k-tokens, namespace: assistants}
spec:
  kind: Business
  metric: {cost: {cost: {name: chat_cost_dollars_total}, units: {name: chat_tokens_total}, per: 1000}}
  arm: [{label: version, value: "${version}"}]
"""


@dataclass(frozen=True)
class Series:
    """Labels, `__name__` included, and a value at each step; `whole`: they are whole numbers."""

    labels: dict[str, str]
    values: np.ndarray
    whole: bool


def incidents(start_s: float, days: float) -> tuple[tuple[float, float], ...]:
    """From and to of each incident, Unix seconds."""
    begins = [start_s + round(where * days * DAY_S / 60) * 60 for where, _, _ in INCIDENTS]
    return tuple(
        (begin_s, begin_s + min(length_s, days * DAY_S / 10))
        for begin_s, (_, length_s, _) in zip(begins, INCIDENTS, strict=True)
    )


class History:
    """All series from `start_s` on, at `step_s` seconds."""

    def __init__(self, start_s: float, days: float, step_s: float, seed: int = 1) -> None:
        self.start_s, self.step_s = start_s, step_s
        self.count = round(days * DAY_S / step_s) + 1
        self._rng = np.random.default_rng(seed)
        self._days = days
        self.series = [series for release in REQUESTS_PER_S for pod in "ab" for series in self._pod(release, pod)]
        gauge = 0.1 + 0.02 * np.sin(self._times() / 5000)
        self.series.append(Series({"__name__": "chat_drift_index", "version": "v2"}, gauge, False))

    def answer(self, query: str, start_s: float, end_s: float, step_s: float) -> bytes:
        """The body of a reply; the step must be a multiple of the history's."""
        first = math.ceil((start_s - self.start_s) / self.step_s - 1e-9)
        stride = round(step_s / self.step_s)
        skipped = max(0, -(first // stride)) if first < 0 else 0
        index = np.arange(first + skipped * stride, round((end_s - self.start_s) / self.step_s) + 1, stride)
        index = index[(index >= 0) & (index < self.count)]
        times = (self.start_s + index * self.step_s).tolist()
        stamps = [f'[{at_s:.3f},"' if at_s % 1 else f'[{int(at_s)},"' for at_s in times]
        if "timestamp(" in query:
            rows = [_row({}, stamps, [f"{at_s:g}" if at_s % 1 else str(int(at_s)) for at_s in times])]
        else:
            ((name, matchers, _), *_) = promql.selectors(query, "query")
            rows = [
                _row(series.labels, stamps, _texts(series, index))
                for series in self.series
                if series.labels["__name__"] == name and all(_holds(one, series.labels) for one in matchers)
            ]
        head = b'{"status":"success","data":{"resultType":"matrix","result":['
        return head + b",".join(rows if len(index) else []) + b"]}}"

    def _times(self) -> np.ndarray:
        return self.start_s + self.step_s * np.arange(self.count)

    def _bad(self, what: str) -> np.ndarray:
        times, found = self._times(), np.zeros(self.count, bool)
        for (begin_s, end_s), (_, _, kind) in zip(incidents(self.start_s, self._days), INCIDENTS, strict=True):
            found |= (times > begin_s) & (times <= end_s) & (kind == what)
        return found

    def _pod(self, release: str, pod: str) -> Iterator[Series]:
        rng, count = self._rng, self.count
        day = 1 + 0.6 * np.sin(2 * math.pi * self._times() / DAY_S)
        n = rng.poisson(REQUESTS_PER_S[release] / 2 * self.step_s * day)
        worse = release == "v2"
        rate = ERRORS * (1 + 0.3 * np.sin(self._times() / 40_000)) * np.where(worse & self._bad("errors"), 6.0, 1.0)
        bad = rng.binomial(n, np.minimum(rate, 1.0))
        labels = {"job": "chat", "version": release, "pod": f"chat-{release}-{pod}"}
        for code, amount in (("200", n - bad), ("500", bad)):
            yield self._counter({"__name__": "chat_requests_total", **labels, "code": code}, amount)
        slow = np.where(worse & self._bad("latency"), 3.0, 1.0)[:, None]
        shares = np.array(SHARES) * np.where(np.arange(len(SHARES)) >= 7, slow, 1.0)
        each = rng.poisson(n[:, None] * shares / shares.sum(axis=1, keepdims=True))
        for index, bound in enumerate(BOUNDS):
            bucket = {"__name__": "chat_request_seconds_bucket", **labels, "le": bound}
            yield self._counter(bucket, each[:, : index + 1].sum(axis=1))
        scores = rng.poisson(n * 0.1)
        total = np.clip(0.82 * scores + 0.2 * np.sqrt(scores) * rng.standard_normal(count), 0.0, scores)
        yield self._counter({"__name__": "chat_score_count", **labels}, scores)
        yield self._counter({"__name__": "chat_score_sum", **labels}, total)
        tokens = np.round(n * 350 + 200 * np.sqrt(n) * rng.standard_normal(count)).clip(0)
        yield self._counter({"__name__": "chat_tokens_total", **labels}, tokens)
        dollars = tokens * 4e-6 * np.exp(0.05 * rng.standard_normal(count))
        yield self._counter({"__name__": "chat_cost_dollars_total", **labels}, dollars)

    def _counter(self, labels: dict[str, str], amounts: np.ndarray) -> Series:
        """Running sums that start anew once a week."""
        sums = np.cumsum(amounts)
        week = np.arange(self.count) * self.step_s // (7 * DAY_S)
        begins = np.searchsorted(week, np.unique(week))
        before = np.where(begins > 0, sums[begins - 1], 0)
        return Series(labels, sums - before[week.astype(int)], np.issubdtype(amounts.dtype, np.integer))


def _row(labels: dict[str, str], stamps: list[str], values: list[str]) -> bytes:
    pairs = ",".join([stamp + value + '"]' for stamp, value in zip(stamps, values, strict=True)])
    return f'{{"metric":{json.dumps(labels, separators=(",", ":"))},"values":[{pairs}]}}'.encode()


def _texts(series: Series, index: np.ndarray) -> list[str]:
    values = series.values[index]
    return list(map(str, values.astype(np.int64).tolist())) if series.whole else list(map(repr, values.tolist()))


def _holds(matcher: Matcher, labels: dict[str, str]) -> bool:
    value = labels.get(matcher.label, "")
    if matcher.op in (MatchOp.EQUAL, MatchOp.NOT_EQUAL):
        return (value == matcher.value) == (matcher.op is MatchOp.EQUAL)
    return (re.fullmatch(matcher.value, value) is not None) == (matcher.op is MatchOp.REGEX)


@contextmanager
def served(history: History) -> Iterator[str]:
    """The address of a server in a thread of this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode()).items()}
            found = history.answer(asked["query"], float(asked["start"]), float(asked["end"]), float(asked["step"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@contextmanager
def running(start_s: float, days: float, step_s: float) -> Iterator[str]:
    """The address of a server in a process of its own."""
    argv = [sys.executable, "-m", "benchmarks.synthetic", "--start", str(start_s), "--days", str(days)]
    with subprocess.Popen(
        [*argv, "--step", str(step_s)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main() -> None:
    """Serve until the standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--start", type=float, required=True, help="first step, Unix seconds")
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--step", type=float, default=15.0)
    wanted = parser.parse_args()
    with served(History(wanted.start, wanted.days, wanted.step)) as address:
        print(address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
