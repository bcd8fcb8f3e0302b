"""The quick reading of a reply says what reading it as JSON says, and nothing partial is ever counted."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.backtest import parsing
from modelrelease.backtest.parsing import Grid, Line, lines
from modelrelease.metrics.answers import Failed

GRID = Grid(1_700_000_000.0, 15.0, 12)

numbers = st.one_of(
    st.integers(0, 10**18).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["NaN", "+Inf", "-Inf", "0", "1e+300", "007"]),
)
labels = st.dictionaries(st.sampled_from(["__name__", "pod", "le", 'a"]]}', ',"values":[[']), st.text(max_size=8))
series = st.tuples(labels, st.lists(st.tuples(st.integers(0, GRID.count - 1), numbers), max_size=12))


def body(
    rows: list[tuple[dict[str, str], list[tuple[int, str]]]], *, separators: tuple[str, str] = (",", ":")
) -> bytes:
    """A reply as Prometheus writes it; each series' samples in order, one per step."""
    result = []
    for metric, samples in rows:
        values = [[_stamp(step), value] for step, value in sorted(dict(samples).items())]
        result.append({"metric": metric, "values": values})
    payload = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return json.dumps(payload, separators=separators, ensure_ascii=False).encode()


def _stamp(step: int) -> float:
    at_s = GRID.start_s + step * GRID.step_s
    return int(at_s) if at_s == int(at_s) else at_s


def by_json(raw: bytes) -> list[Line]:
    """The slow way."""
    return [parsing._line(row, GRID) for row in json.loads(raw)["data"]["result"]]


@given(st.lists(series, max_size=4))
def test_a_reply_is_read_as_json_would(rows: list[Any]) -> None:
    raw = body([row for row in rows if row[1]])
    found = lines(200, raw, GRID)
    assert not isinstance(found, Failed)
    assert parsing._quick(raw, GRID) is not None or not rows
    wanted = by_json(raw)
    assert [line.labels for line in found] == [line.labels for line in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values)


@given(st.lists(series, max_size=3))
def test_white_space_changes_nothing(rows: list[Any]) -> None:
    rows = [row for row in rows if row[1]]
    found, wanted = lines(200, body(rows, separators=(", ", ": ")), GRID), by_json(body(rows))
    assert not isinstance(found, Failed)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values)


def test_missing_steps_are_nan() -> None:
    (line,) = lines(200, body([({"a": "b"}, [(1, "5"), (2, "6"), (9, "12.5")])]), GRID)  # type: ignore[misc]
    assert line.values[[1, 2, 9]].tolist() == [5, 6, 12.5]
    assert np.isnan(np.delete(line.values, [1, 2, 9])).all()


def test_fractions_of_seconds_in_times_are_read() -> None:
    grid = Grid(1_700_000_000.25, 0.5, 4)
    values = [[1_700_000_000.25, "1"], [1_700_000_000.75, "2"], [1_700_000_001.25, "3"]]
    payload = {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}}
    (line,) = lines(200, json.dumps(payload, separators=(",", ":")).encode(), grid)  # type: ignore[misc]
    assert line.values[:3].tolist() == [1, 2, 3]
    assert math.isnan(line.values[3])


@pytest.mark.parametrize(
    ("status", "raw", "said"),
    [
        (200, b'{"status":"success","data":{"resultType":"matrix","result":[', "not Prometheus' JSON"),
        (200, b"<html>", "not Prometheus' JSON"),
        (200, b'{"status":"success","warnings":["no"],"data":{"resultType":"matrix","result":[]}}', "warns: no"),
        (200, body([({}, [(0, "1")])])[:-1] + b',"warnings":["part is missing"]}', "warns: part is missing"),
        (200, body([({}, [(0, "1")])]).replace(b"1700000000", b"1600000000"), "lies outside of what was asked"),
        (200, body([({}, [(0, "x")])]), "cannot be read"),
        (422, b'{"status":"error","error":"query processing would load too many samples"}', "too many samples"),
        (401, b"", "credentials"),
        (503, b"", "HTTP 503"),
    ],
)
def test_what_is_no_whole_answer_is_a_failure(status: int, raw: bytes, said: str) -> None:
    found = lines(status, raw, GRID)
    assert isinstance(found, Failed)
    assert said in found.reason


def test_a_native_histogram_has_no_values() -> None:
    row = {"metric": {"a": "b"}, "histograms": [[1_700_000_000, {"count": "3"}]]}
    payload = {"status": "success", "data": {"resultType": "matrix", "result": [row]}}
    (line,) = lines(200, json.dumps(payload, separators=(",", ":")).encode(), GRID)  # type: ignore[misc]
    assert np.isnan(line.values).all()


def test_no_series_is_an_answer() -> None:
    assert lines(200, body([]), GRID) == []
