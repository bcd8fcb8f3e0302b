"""The port to Prometheus: one query in, samples or a failure out, and the reading of a reply as a pure function.

An answer is never an exception, because an exception is what somebody forgets. Rejected: returning the library's
lists; they carry neither warnings nor the result's type, so that partial data looks clean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

Point = tuple[float, float]
"""Time of the sample in Unix seconds, and its value (NaN and infinities included)."""


@dataclass(frozen=True, slots=True)
class RawSeries:
    """One series as answered: its labels, `__name__` included, and its samples, oldest first."""

    labels: Mapping[str, str]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """A complete answer. A non-empty `warnings` means that it may be partial or wrong: never to be counted.

    `clock_ahead_s`: by so much the server's clock is at least ahead of ours (negative: behind), in seconds.
    """

    series: tuple[RawSeries, ...]
    warnings: tuple[str, ...] = ()
    clock_ahead_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer. `retryable`: the source's fault, the same query may work later; otherwise the query is at fault."""

    reason: str
    retryable: bool = True


Answer = Samples | Failed


class Prometheus(Protocol):
    """What the collector needs of a Prometheus. Implementations never raise, except for cancellation."""

    async def query(self, promql: str, at: datetime) -> Answer:
        """Evaluate an instant query at a time (aware)."""
        ...


def interpret(status: int, payload: object) -> Answer:
    """Read the reply of `/api/v1/query`: HTTP status and decoded JSON (None: the body was no JSON)."""
    body = payload if isinstance(payload, Mapping) else {}
    if status != 200 or body.get("status") != "success":
        return _failure(status, body)
    data = body.get("data")
    try:
        series = _series(data["resultType"], data["result"]) if isinstance(data, Mapping) else None
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return Failed(f"the answer cannot be read: {error!r}")
    if series is None:
        return Failed("the answer has no vector, matrix or scalar in it", retryable=False)
    return Samples(series, tuple(str(warning) for warning in body.get("warnings") or ()))


def clock_ahead_s(date: str | None, *, sent_s: float, received_s: float) -> float:
    """By how much the clock that wrote a reply's `Date` is at least ahead of ours; 0 where that is not known.

    `Date` has whole seconds, cut off; the reply was written at some time between sending and receiving.
    """
    try:
        date_s = parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        date_s = None
    if date_s is None:
        return 0.0
    return max(0.0, date_s - received_s) + min(0.0, date_s + 1 - sent_s)


def _failure(status: int, body: Mapping[Any, Any]) -> Failed:
    said = str(body.get("error") or "")[:300]
    match status:
        case 400 | 422:
            return Failed(f"Prometheus refuses the query: {said or f'HTTP {status}'}", retryable=False)
        case 401 | 403:
            return Failed(f"Prometheus refuses the credentials (HTTP {status})")
        case status if 300 <= status < 400:
            return Failed(f"the address redirects (HTTP {status}); write the final address into the source")
        case 200:
            return Failed(f"the answer is not Prometheus' JSON{': ' + said if said else ''}")
        case _:
            return Failed(f"HTTP {status}{': ' + said if said else ''}")


def _series(kind: str, result: Any) -> tuple[RawSeries, ...] | None:
    match kind:
        case "matrix":
            return tuple(_row(row, row.get("values")) for row in result)
        case "vector":
            return tuple(_row(row, [row["value"]] if "value" in row else None) for row in result)
        case "scalar":
            return (RawSeries({}, ((float(result[0]), float(result[1])),)),)
        case _:
            return None


def _row(row: Any, values: Any) -> RawSeries:
    if values is None:  # a native histogram, which no metric type here reads
        return RawSeries(row["metric"], ())
    return RawSeries(row["metric"], tuple([(at, float(value)) for at, value in values]))
