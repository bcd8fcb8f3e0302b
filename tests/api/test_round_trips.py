"""What is written down is read back the same: status, plans, units, records, durations, times."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelrelease.api.convert import Revision, record_manifest, record_of, revision_manifest, revision_of
from modelrelease.api.plan_codec import plan_from_dict, plan_to_dict, unit_from_dict, unit_to_dict
from modelrelease.api.quantities import duration_of, percent_of, permille_of, seconds_of, time_of, time_text
from modelrelease.api.status import gates_for_status, progress_from_status, status_from_progress
from modelrelease.api.status_schema import MAX_DIGESTS, MAX_OUTCOMES, MAX_TEXT, ModelReleaseStatus
from modelrelease.domain.evidence import Cause
from modelrelease.domain.exposure import Exposure
from modelrelease.domain.plan import Plan
from modelrelease.domain.record import GENESIS, Record, RecordKind
from modelrelease.domain.release import Fault, PastOutcome, Progress, State, Stop
from modelrelease.domain.unit import Backend, Unit, unit_ref
from modelrelease.domain.verdict import Outcome, Verdict
from tests.api import strategies

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)

LARGE = [HealthCheck.too_slow]
"""Plans are large, and the machine may be busy."""


def through_json(value: Any) -> Any:
    """What the API server gives back: JSON, without what is null."""
    return json.loads(json.dumps(value))


@settings(suppress_health_check=LARGE)
@given(strategies.progresses)
def test_a_status_remembers_everything(progress: Progress) -> None:
    assert progress_from_status(through_json(status_from_progress(progress))) == progress


def test_the_strategy_fills_every_field_of_progress() -> None:
    strategy_fields = {field.name for field in dataclasses.fields(Progress)}
    assert strategy_fields == {
        "state", "since", "stable", "candidate", "fallback", "plan", "stage", "stage_since", "rollout_since",
        "exposure", "intent", "watch", "stop", "stopped", "handled", "no_data_since", "stable_ready", "head",
        "outcomes", "paused_by", "diverted", "habits", "proposed_at", "changed_by", "asking", "images",
    }, "a new field of Progress needs a place in status.py, in the schema and in the strategy"  # fmt: skip


@settings(suppress_health_check=LARGE)
@given(strategies.plans)
def test_a_plan_keeps_its_digest(plan: Plan) -> None:
    copy = plan_from_dict(through_json(plan_to_dict(plan)))
    assert copy == plan
    assert copy.digest == plan.digest


@given(strategies.units)
def test_a_unit_keeps_its_digest(unit: Unit) -> None:
    copy = unit_from_dict(through_json(unit_to_dict(unit)))
    assert copy == unit
    assert copy.digest == unit.digest


@settings(suppress_health_check=LARGE)
@given(strategies.units, st.none() | strategies.plans)
def test_a_revision_keeps_unit_and_plan(unit: Unit, plan: Plan | None) -> None:
    manifest = revision_manifest(unit, unit_ref("chat", unit), namespace="a", release="chat", plan=plan, uid="u")
    revision = revision_of(through_json(manifest))
    assert isinstance(revision, Revision)
    assert (revision.unit, revision.plan, revision.ref) == (unit, plan, unit_ref("chat", unit))


@given(st.sampled_from(RecordKind), st.text(max_size=50), st.integers(1, 99_999_999))
def test_a_record_keeps_its_hash(kind: RecordKind, message: str, sequence: int) -> None:
    record = Record(sequence, GENESIS, kind, {"at": time_text(NOW), "message": message, "before": {"*": "1 %"}})
    manifest = through_json(record_manifest(record, namespace="a", release="chat", uid="u"))
    assert record_of(manifest) == record
    manifest["spec"]["body"]["message"] += "!"
    altered = record_of(manifest)
    assert not isinstance(altered, Record)
    assert altered.reason == "RecordAltered"


@given(st.integers(0, 10**9))
def test_durations(seconds: int) -> None:
    assert seconds_of(duration_of(seconds)) == seconds


@given(st.integers(0, 1000))
def test_percents(permille: int) -> None:
    assert permille_of(percent_of(permille)) == permille


@given(strategies.times)
def test_times(moment: datetime) -> None:
    assert time_of(time_text(moment)) == moment
    assert time_text(moment).endswith("Z")


def test_a_time_with_nanoseconds_is_read() -> None:
    assert time_of("2026-11-21T08:00:00.123456789Z") == NOW + timedelta(microseconds=123456)


@pytest.mark.parametrize("text", ["2026-11-21", "2026-11-21T08:00:00", "yesterday", "", "2026-11-21T08:00:00Z\n"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        time_of(text)


@pytest.mark.parametrize("text", ["", "5", "-5m", "1.5h", "1d", "10 m", "10m\n"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds_of(text)


@pytest.mark.parametrize("text", ["", "101", "-1", "0.25", "5%", "1e1", "100.1", ".5", "5\n"])
def test_what_is_no_percent_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a percent"):
        permille_of(text)


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        "Observing",
        {"state": "Dancing"},
        {"observedGeneration": -1, "conditions": []},
        {"state": "Observing", "since": "yesterday"},
        {"state": "Observing", "plan": {"stages": "none"}},
        {"state": "Observing", "plan": {"stages": [], "surprise": 1}},
        {"state": "Observing", "exposure": [{"segment": "*", "percent": "101"}]},
        {"state": "Observing", "stable": {"digest": 5}},
        {"state": "Observing", "record": {"sequence": -1, "hash": ""}},
        {"state": "Observing", "watch": []},
        {"state": ["Observing"]},
    ],
)
def test_a_status_that_does_not_parse_counts_as_forgotten(status: object) -> None:
    assert progress_from_status(status) == Progress()


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([f.alias or n for n, f in ModelReleaseStatus.model_fields.items()]), any_json))
def test_no_status_at_all_raises(status: dict[str, Any]) -> None:
    assert isinstance(progress_from_status({"state": "Observing", **status}), Progress)


def test_a_status_of_a_newer_operator_is_read() -> None:
    status = {**status_from_progress(Progress(state=State.SETTLED)), "newField": {"x": 1}}
    assert progress_from_status(status) == Progress(state=State.SETTLED)


def test_lists_and_texts_stay_within_the_schema() -> None:
    outcome = PastOutcome("v1", "sha256:0", "Reverted", "m" * 9999, NOW)
    stop = Stop("sha256:0", "v1", "GateReverted", "m" * 9999, NOW)
    many = tuple(f"sha256:{number:064x}" for number in range(MAX_DIGESTS + 5))
    status = status_from_progress(Progress(stopped=many, handled=many, outcomes=(outcome,) * 50, stop=stop))
    assert status["stopped"] == list(many[5:]), "the oldest go first"
    assert len(status["handled"]) == MAX_DIGESTS
    assert len(status["outcomes"]) == MAX_OUTCOMES
    assert len(status["stop"]["message"]) == MAX_TEXT


def test_people_can_read_it() -> None:
    status = status_from_progress(Progress(exposure=Exposure((("low", 10), ("*", 5)))))
    assert status["weight"] == "1 % of low, 0.5 % of the rest"
    assert status["exposure"] == [{"segment": "low", "percent": "1"}, {"segment": "*", "percent": "0.5"}]


def test_verdicts_are_shown_with_their_numbers_as_text() -> None:
    verdict = Verdict("errors", Outcome.NO_DATA, "no sample", NOW, Cause.MISSING, "low", (("ratio", 4.9),))
    assert gates_for_status([verdict]) == [
        {
            "name": "errors",
            "segment": "low",
            "outcome": "NoData",
            "cause": "Missing",
            "sentence": "no sample",
            "numbers": {"ratio": "4.9"},
            "at": "2026-11-21T08:00:00.000000Z",
        }
    ]


def test_a_revision_that_claims_another_digest_is_not_followed() -> None:
    unit = Unit("v1", Backend("chat", 80))
    manifest = revision_manifest(unit, unit_ref("chat", unit), namespace="a", release="chat")
    manifest["spec"]["unit"]["backend"]["name"] = "evil"
    found = revision_of(manifest)
    assert isinstance(found, Fault)
    assert found.reason == "DigestMismatch"
    manifest["spec"]["unit"] = {"version": 1}
    unreadable = revision_of(manifest)
    assert isinstance(unreadable, Fault)
    assert unreadable.reason == "RevisionUnreadable"
