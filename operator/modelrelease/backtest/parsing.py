"""The reply of `/api/v1/query_range` to arrays on the grid of its steps, without a Python object per sample.

A month at 15 s is nine million samples for six gates. As JSON they take about 0.5 µs each to decode and convert; whole
numbers, which counters and buckets are, take a tenth of that when their digits are read as columns of bytes. Whatever
does not look as Prometheus writes it goes through `json` and comes out the same.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelrelease.backtest.twin.windows import Floats
from modelrelease.metrics.answers import Failed, interpret

_HEAD = b'{"status":"success","data":{"resultType":"matrix","result":['
_METRIC, _VALUES, _END = b'{"metric":', b',"values":[[', b"]]}"
_QUOTE, _ZERO = ord('"'), ord("0")
_EXACT_DIGITS = 15
"""Whole numbers of so many digits are exact as floats, and so are the sums of their digits' values."""


@dataclass(frozen=True, slots=True)
class Grid:
    """`count` steps of `step_s` seconds from `start_s` on, both ends included."""

    start_s: float
    step_s: float
    count: int

    @property
    def end_s(self) -> float:
        """The time of the last step."""
        return self.start_s + (self.count - 1) * self.step_s

    def times(self) -> Floats:
        """All steps, Unix seconds."""
        return self.start_s + self.step_s * np.arange(self.count, dtype=np.float64)

    def part(self, first: int, count: int) -> "Grid":
        """Some neighbouring steps."""
        return Grid(self.start_s + first * self.step_s, self.step_s, count)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One series: its labels, `__name__` included, and its value at each step, NaN where it has none."""

    labels: Mapping[str, str]
    values: Floats


def lines(status: int, body: bytes, grid: Grid) -> list[Line] | Failed:
    """Read a reply: HTTP status and body. Partial data (a reply with warnings) is a failure, as it is for a release."""
    if status == 200 and body.startswith(_HEAD):
        found = _quick(body, grid)
        if found is not None:
            return found
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    if status != 200 or not isinstance(payload, Mapping) or payload.get("status") != "success":
        failed = interpret(status, payload)
        return failed if isinstance(failed, Failed) else Failed("the answer is not Prometheus' JSON")
    if payload.get("warnings"):
        said = "; ".join(map(str, payload["warnings"]))[:300]
        return Failed(f"Prometheus warns: {said}", retryable=not said.startswith("PromQL"))
    try:
        return [_line(row, grid) for row in payload["data"]["result"]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return Failed(f"the answer cannot be read: {error!r}")


def _line(row: Any, grid: Grid) -> Line:
    """One series as `json` decoded it; a native histogram has no values and none are made up."""
    return Line(row["metric"], _placed(row.get("values") or [], grid))


def _placed(samples: Sequence[Any], grid: Grid) -> Floats:
    found = np.full(grid.count, np.nan)
    if samples:
        times = np.array([at_s for at_s, _ in samples], float)
        found[_steps(times, grid)] = [float(value) for _, value in samples]
    return found


def _steps(times: Floats, grid: Grid) -> Any:
    steps = np.rint((times - grid.start_s) / grid.step_s).astype(np.int64)
    if steps.min() < 0 or steps.max() >= grid.count:
        raise ValueError("a sample lies outside of what was asked for")
    return steps


def _quick(body: bytes, grid: Grid) -> list[Line] | None:
    """A reply exactly as Prometheus writes it; None for any other."""
    found: list[Line] = []
    try:
        at = len(_HEAD)
        for labels, first, last in _series(body, at):
            found.append(Line(labels, _values(body[first:last], grid)))
            at = last + len(_END)
    except ValueError:
        return None
    return found if body[at:].strip() == b"]}}" else None


def _series(body: bytes, at: int) -> Iterator[tuple[Mapping[str, str], int, int]]:
    """Labels of each series, and where its samples begin and end; a quote in a label is never a bare one in JSON."""
    while body.startswith(_METRIC, at):
        first = body.index(_VALUES, at)
        last = body.index(b"]]", first)
        if body[last : last + 3] != _END:
            raise ValueError("more than values")
        yield json.loads(body[at + len(_METRIC) : first]), first + len(_VALUES), last
        at = last + len(_END)
        if body[at : at + 1] == b",":
            at += 1


def _values(text: bytes, grid: Grid) -> Floats:
    """Samples as `1700000000,"12"],[1700000015,"13"`."""
    raw = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(raw == _QUOTE)
    begins, ends = quotes[0::2] + 1, quotes[1::2]
    count = len(begins)
    first_s = float(text[: text.index(b",")])
    last_s = float(text[text.rindex(b"[") + 1 : text.rindex(b",")]) if count > 1 else first_s
    if round((last_s - first_s) / grid.step_s) != count - 1:  # some steps lack a sample
        return _placed(json.loads(b"[[" + text + b"]]"), grid)
    found = np.full(grid.count, np.nan)
    first = int(_steps(np.array([first_s, last_s]), grid)[0])
    found[first : first + count] = _numbers(text, raw, begins, ends)
    return found


def _numbers(text: bytes, raw: Any, begins: Any, ends: Any) -> Floats:
    """Each quoted number: whole ones as columns of digits, those of one length at once; others one by one."""
    found, others = np.empty(len(begins)), []
    lengths = ends - begins
    for length in np.unique(lengths):
        chosen = np.flatnonzero(lengths == length)
        digits = raw[begins[chosen][:, None] + np.arange(min(length, _EXACT_DIGITS))] - np.uint8(_ZERO)
        if length <= _EXACT_DIGITS and digits.max() <= 9:
            found[chosen] = digits @ 10.0 ** np.arange(length - 1, -1, -1)
        else:
            others.append(chosen)
    if others:
        pieces, left = text.split(b'"')[1::2], np.concatenate(others)
        found[left] = [float(pieces[at]) for at in left.tolist()]
    return found
