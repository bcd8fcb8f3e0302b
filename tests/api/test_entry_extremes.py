"""Whatever evidence and demands the API server lets in are judged with a sentence, and nothing breaks the operator."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from modelrelease.api.convert import evidence_of
from modelrelease.api.convert_entry import to_entry
from modelrelease.api.release_entry import EntrySpec
from modelrelease.domain.canonical import canonical, plain
from modelrelease.domain.offline import OfflineEvidence
from modelrelease.governance.entry import assess
from modelrelease.governance.standing import Subject
from tests.api.objects import Json, offline

OWN, STABLE = ("sha256:" + digit * 64 for digit in "cd")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

decimals = st.sampled_from(["0", "-0", "1", "-1", "0.5", "999999999.999999999", "-999999999", "0.000000001"])
cases = st.sampled_from([0, 1, 2, 10, 10**6, 10**12])
times = st.sampled_from(["2026-11-20T08:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
confidences = st.sampled_from(["0.5", "0.95", "0.999999999"])


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """A mapping in which any of the fields may be left out."""
    return st.fixed_dictionaries({}, optional=fields)


def with_(base: Json, fields: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return fields.map(lambda found: {**base, **found})


intervals = st.builds(lambda low, high, sure: {"lower": low, "upper": high, "confidence": sure}, *[decimals] * 3)
better = st.sampled_from(["Higher", "Lower"])
metrics = st.lists(
    with_({"name": "a"}, some(value=decimals, count=cases, total=cases, interval=intervals, better=better)), max_size=2
)
groups = st.lists(
    st.builds(
        lambda name, found: {"dimension": "lang", "group": name, "metrics": found}, st.sampled_from("xy"), metrics
    ),
    max_size=3,
)
checks = st.builds(lambda passed, total: {"passed": passed, "total": total}, cases, cases)
data = st.lists(with_({"name": "d"}, some(collectedUntil=times, checks=checks)), max_size=2)
papers = st.lists(with_({"type": "ReadinessPlan", "uri": "u"}, some(reviewBy=times)), max_size=2)
specs = st.lists(
    with_(
        {"producedAt": "2026-11-20T08:00:00Z"},
        some(
            unitDigest=st.sampled_from([OWN, STABLE]), producedAt=times, expiresAt=times, metrics=metrics,
            subgroups=groups, data=data, references=papers,
        ),
    ),
    max_size=3,
)  # fmt: skip
rules = with_(
    {"dimension": "lang"},
    some(
        groups=st.just(["x", "z"]), min=decimals, max=decimals, confidence=confidences, minSamples=st.just(5),
        maxDisparity=some(difference=decimals, ratio=decimals),
    ),
)  # fmt: skip
gates = with_(
    {"name": "g", "metric": "a"},
    some(
        min=decimals, max=decimals, maxDifference=decimals, confidence=confidences, better=better,
        subgroups=rules.map(lambda rule: [rule]),
    ),
)  # fmt: skip
ages = st.sampled_from(["0s", "999999h"])
entries = with_(
    {"package": ["ReadinessPlan"]},
    some(gates=gates.map(lambda gate: [gate]), maxAge=ages, dataMaxAge=ages, dataLineage=st.booleans()),
)


@settings(max_examples=300, deadline=None)
@given(specs, entries)
def test_nothing_that_is_let_in_breaks_judging(found: list[Json], demanded: Json) -> None:
    entry = to_entry(EntrySpec.model_validate(demanded))
    read = [evidence_of(offline(f"e{number}", **spec)) for number, spec in enumerate(found)]
    evidence = [each for each in read if isinstance(each, OfflineEvidence)]
    for stable in (None, Subject(STABLE, "v1")):
        verdicts = assess(entry, evidence, subject=Subject(OWN, "v2"), stable=stable, now=NOW)
        assert verdicts and all(verdict.sentence for verdict in verdicts)
    assert canonical([plain(entry), *map(plain, evidence)])
