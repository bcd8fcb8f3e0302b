"""A judge that says something else of the same counts is another version, so that no record is called wrong for it."""

import json

import pytest

from modelrelease.domain.record import NotRejudged
from modelrelease.gates import workings
from modelrelease.gates.workings import differences
from tests.gates.judged import GATES, KEPT, TICKS, body

BODY = json.loads(KEPT.read_text())


def test_the_judge_says_what_its_version_said() -> None:
    why = "the judge has changed: raise gates.workings.JUDGE, then python -m tests.gates.judged"
    assert BODY["judge"] == workings.JUDGE, why
    assert not differences(BODY), why
    fresh = {**body(), "workings": BODY["workings"]}
    assert not differences(fresh), why


def test_what_is_kept_has_something_to_say() -> None:
    outcomes = {verdict["outcome"] for verdict in BODY["verdicts"]}
    assert {"Pass", "Revert", "Undecided"} <= outcomes
    assert {verdict["gate"] for verdict in BODY["verdicts"]} == set(GATES)
    assert TICKS > 60


def test_another_version_s_workings_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workings, "JUDGE", workings.JUDGE + 1)
    with pytest.raises(NotRejudged, match="judged by version"):
        differences(BODY)
