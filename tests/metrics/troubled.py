"""Releases in the window whose arms behave alike while something goes wrong with what Prometheus holds of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from modelrelease.domain.evidence import Cause
from modelrelease.domain.gate import AgainstStable, Gate, Quantile, Series, Value
from modelrelease.domain.verdict import Outcome
from tests.metrics.builders import BY_SERVICE, absolute, ratio_gate
from tests.metrics.window import JUDGED, Page, Watched

RATE_S = 50
TROUBLE_S = 6.0
"""After so long in the window the trouble begins."""

AGAINST = AgainstStable(max_ratio="1.5")
ERRORS = ratio_gate("errors", rule=AGAINST)
LATENCY = Gate("latency", Quantile(Series("duration_seconds_bucket"), "0.95"), AGAINST, BY_SERVICE)
NO_DATA = (Outcome.NO_DATA,)

Count = Callable[[float, float], float | None]
"""Age of everything and seconds in the window to what a counter shows; None: it is not there."""


def value(query: str) -> Gate:
    return Gate("value", Value(query), absolute("0.5"))


def steady(age_s: float, _: float) -> float | None:
    return int(RATE_S * age_s)


def later(change: Callable[[float, float], float | None]) -> Count:
    """`change(count, seconds since the trouble began)` from TROUBLE_S on."""
    return lambda age_s, now_s: (
        int(RATE_S * age_s) if now_s < TROUBLE_S else change(int(RATE_S * age_s), now_s - TROUBLE_S)
    )


def restarted(_: float, since_s: float) -> float:
    return int(RATE_S * since_s)


def born(_: float, now_s: float) -> float | None:
    return None if now_s < TROUBLE_S else int(RATE_S * (now_s - TROUBLE_S))


@dataclass(frozen=True)
class Trouble:
    """One row: which gate, what is said in the end, and how both arms are shown. `late_s`: age of their samples."""

    gate: Gate
    outcomes: tuple[Outcome, ...]
    cause: Cause | None
    words: str
    candidate: Count = steady
    stable: Count = steady
    bounds: tuple[str, str] = ("0.1", "0.1")
    late_s: float | None = None
    ago_s: float = 0.0
    fresh_s: float = 30.0

    def text(self, namespace: str, age_s: float, now_s: float) -> str:
        counts = [self.candidate(age_s, now_s), self.stable(age_s, now_s)]
        lines = []
        for service, count, bound in zip(("chat-v2", "chat-v1"), counts, self.bounds, strict=True):
            labels = f'namespace="{namespace}",service="{service}"'
            lines += [] if count is None else _lines(labels, count, bound)
        lines += [f'drift_index{{namespace="{namespace}",pod="{pod}"}} 0.2' for pod in "ab"]
        at = "" if self.late_s is None else f" {round((time.time() - self.late_s) * 1000)}"
        return "".join(f"{line}{at}\n" for line in lines)


def _lines(labels: str, count: float, bound: str) -> list[str]:
    failed = count / 100 if count != count else count // 100
    slow = failed * 5
    parts = {"200": count - failed, "500": failed}
    lines = [f'requests_total{{{labels},code="{code}"}} {_written(part)}' for code, part in parts.items()]
    shares = {"0.01": count - 2 * slow, bound: count - slow, "+Inf": count}
    return lines + [f'duration_seconds_bucket{{{labels},le="{le}"}} {_written(n)}' for le, n in shares.items()]


def _written(number: float) -> str:
    return "NaN" if number != number else str(number)


TROUBLES: Mapping[str, Trouble] = {
    "trouble-none": Trouble(ERRORS, JUDGED, None, "on the candidate against"),
    "trouble-stale": Trouble(
        ERRORS, NO_DATA, Cause.MISSING, "s ago (requests_total{", late_s=360, ago_s=600, fresh_s=60
    ),
    "trouble-stale-since-before": Trouble(ERRORS, NO_DATA, Cause.MISSING, "no series matches", late_s=360),
    "trouble-candidate-restarts": Trouble(ERRORS, JUDGED, None, "on the candidate", candidate=later(restarted)),
    "trouble-stable-restarts": Trouble(ERRORS, JUDGED, None, "on the candidate", stable=later(restarted)),
    "trouble-histogram-restarts": Trouble(LATENCY, JUDGED, None, "over 0.1", candidate=later(restarted)),
    "trouble-candidate-born": Trouble(ERRORS, JUDGED, None, "on the candidate against", candidate=born),
    "trouble-nan": Trouble(
        ERRORS, NO_DATA, Cause.BROKEN, "value is nan (candidate)", candidate=later(lambda *_: float("nan"))
    ),
    "trouble-buckets": Trouble(LATENCY, NO_DATA, Cause.BROKEN, "different buckets", bounds=("0.2", "0.1")),
    "trouble-gone": Trouble(
        ERRORS,
        *(NO_DATA, Cause.MISSING, "last sample of the candidate"),
        candidate=later(lambda *_: None),
        stable=later(lambda *_: None),
        fresh_s=5,
    ),
    "trouble-two-series": Trouble(value("drift_index"), NO_DATA, Cause.BROKEN, "gives 2 series where one is meant"),
    "trouble-empty-value": Trouble(value("max(no_such_series)"), NO_DATA, Cause.MISSING, "gives nothing"),
    "trouble-odd-query": Trouble(
        value("quantile(2, drift_index)"), NO_DATA, Cause.BROKEN, "Prometheus warns: PromQL warning: quantile value"
    ),
    "trouble-many-to-many": Trouble(
        value("sum(drift_index + on (namespace) drift_index)"), NO_DATA, Cause.BROKEN, "Prometheus refuses the query"
    ),
    "trouble-division-by-zero": Trouble(
        value("sum(drift_index) / (sum(drift_index) - sum(drift_index))"), NO_DATA, Cause.BROKEN, "gives inf"
    ),
    "trouble-value-is-fine": Trouble(value("max(drift_index)"), JUDGED, None, "0.2"),
}


def releases() -> list[Watched]:
    return [
        Watched(
            name,
            (row.gate,),
            {"namespace": name, "service": "chat-v2"},
            {"namespace": name, "service": "chat-v1"},
            row.ago_s,
            row.fresh_s,
        )
        for name, row in TROUBLES.items()
    ]


def pages() -> Iterator[Page]:
    for name, row in TROUBLES.items():
        yield Page(f"/{name}", partial(row.text, name))
