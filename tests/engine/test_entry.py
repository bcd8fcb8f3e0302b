"""Offline evidence in the life of a release: nothing enters without it, and what refutes it stops the release."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modelrelease.api.entry_record import entry_differences, judged_again
from modelrelease.domain.approval import ApprovalRole, ApprovalRules
from modelrelease.domain.decision import Action
from modelrelease.domain.entry import Entry, EntryGate, EntryOutcome, SubgroupRule
from modelrelease.domain.offline import Impact, Measurement, OfflineEvidence, Reference, ReferenceType, Subgroup, Suite
from modelrelease.domain.record import GENESIS, Head, NotRejudged, Record, RecordKind
from modelrelease.domain.release import State
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import Backend, Part, PartName, Unit, unit_ref
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.case import Case
from modelrelease.engine.conditions import conditions
from modelrelease.engine.entry import shown_verdicts
from tests.engine.builders import (
    NAME,
    NOW,
    PLAN,
    UNIT_A,
    ZERO,
    A,
    B,
    C,
    as_progress,
    at,
    gen_decision,
    gen_observed,
    gen_plan,
    gen_progress,
    gen_release,
    gen_route,
    gen_verdict,
    gone,
)
from tests.engine.steps import decide, order, raises, reasons, records, saved, writes

ENTRY = Entry(
    (
        EntryGate("accuracy", "accuracy", minimum="0.9", max_difference="0.02"),
        EntryGate("fair", "accuracy", subgroups=(SubgroupRule("language", ("en", "tr"), minimum="0.85"),)),
    ),
    package=(ReferenceType.MODEL_CARD,),
    max_age_s=86400,
)
DEMANDING = gen_plan(entry=ENTRY)
ONE_DEMAND = gen_plan(entry=Entry((EntryGate("accuracy", "accuracy", minimum="0.8"),)))


def evidence(unit: str = B.digest, *, accuracy: int = 95, turkish: int = 90, number: int = 1, **fields: Any):
    groups = tuple(
        Subgroup("language", name, (Measurement("accuracy", count=good, total=100),))
        for name, good in (("en", 97), ("tr", turkish))
    )
    whole = {
        "suite": Suite("golden", "12"),
        "produced_at": NOW - timedelta(hours=1),
        "created_at": NOW - timedelta(hours=1),
        "digest": f"sha256:{number:064x}",
        "metrics": (Measurement("accuracy", count=accuracy, total=100),),
        "subgroups": groups,
        "references": (Reference(ReferenceType.MODEL_CARD, "https://cards.example/2"),),
    }
    uid = fields.pop("uid", f"uid-{number}")
    return OfflineEvidence(uid, f"e{number}", unit, "carol", **{**whole, **fields})


STABLES = evidence(A.digest, accuracy=94, number=9)
GOOD = (evidence(), STABLES)


def entering(*offline: OfflineEvidence, state: State = State.PREPARING, **how: Any):
    """One decision about a candidate that is about to enter its first (or next) stage."""
    progress = gen_progress(state, plan=DEMANDING)
    return decide(progress, release=gen_release(plan=DEMANDING), offline=offline, **how)


def test_with_good_evidence_the_first_stage_is_entered_and_the_record_says_so():
    step = entering(*GOOD)
    assert raises(step)
    said = records(step)[0].body["entry"]
    assert [(each["name"], each["outcome"]) for each in said["verdicts"]] == [
        ("accuracy", "Pass"),
        ("fair", "Pass"),
        ("package", "Pass"),
    ]
    assert [(each["uid"], each["unit"], each["producer"]) for each in said["evidence"]] == [
        ("uid-1", B.digest, "carol"),
        ("uid-9", A.digest, "carol"),
    ]


def test_nobody_is_sent_to_approve_what_evidence_to_come_will_change():
    plan = gen_plan(entry=ENTRY, approvals=ApprovalRules(roles=(ApprovalRole("risk"),)))
    before = gen_progress(State.PREPARING, plan=plan)

    def asked(*offline: OfflineEvidence) -> str:
        step = decide(before, release=gen_release(plan=plan), offline=offline)
        return next(hold.message for hold in step.holds if hold.reason == "AwaitingApproval")

    assert "once the entry evidence is complete" in asked() and "modelrelease approve" not in asked()
    assert asked(*GOOD).endswith("modelrelease approve chat --role risk --reason …")


@pytest.mark.parametrize(
    ("offline", "reason", "says"),
    [
        ((), "EntryEvidenceMissing", "there is no ReleaseEvidence for 2, unit sha256:"),
        ((evidence(C.digest),), "EntryEvidenceMissing", "is about other units"),
        ((evidence(expires_at=NOW), STABLES), "EntryEvidenceExpired", "ReleaseEvidence e1 expired at"),
        ((evidence(), replace(STABLES, metrics=())), "EntryEvidenceIncomplete", "to compare with: submit it"),
        ((evidence(subgroups=()), STABLES), "EntryEvidenceIncomplete", "there is no result for language en"),
        ((evidence(references=()), STABLES), "EntryEvidenceIncomplete", "the package lacks ModelCard"),
    ],
)
@pytest.mark.parametrize("state", [State.PREPARING, State.OBSERVING])
def test_what_is_not_known_holds_every_raise_and_says_what_to_submit(state, offline, reason, says):
    step = entering(*offline, state=state)
    assert not writes(step)
    assert reason in reasons(step)
    hold = next(hold for hold in step.holds if hold.reason == reason)
    assert says in hold.message
    assert f"modelrelease evidence submit --release {NAME}" in hold.message


@pytest.mark.parametrize("state", [State.PREPARING, State.RAISING, State.OBSERVING])
def test_a_failed_entry_gate_takes_the_release_back_in_every_state(state):
    progress = gen_progress(state, plan=DEMANDING)
    step = decide(progress, release=gen_release(plan=DEMANDING), offline=(evidence(turkish=60), STABLES))
    stopped = saved(step)
    assert stopped.state is State.REVERTING
    assert stopped.stop is not None
    assert (stopped.stop.reason, stopped.stop.gate) == ("EntryGateFailed", "fair")
    assert "language tr has 0.6 (60 of 100); at least 0.85 is needed" in stopped.stop.message
    assert order(step)[0] == "Lower"
    assert writes(step)[0].target.stopped == B.digest


def test_a_raise_that_was_decided_is_not_carried_out_once_its_evidence_expired():
    progress = gen_progress(State.RAISING, stage=0, plan=DEMANDING, head=Head(7, GENESIS))
    before = gen_route(Target(A, B, ZERO))
    release = gen_release(plan=DEMANDING)
    assert raises(decide(progress, before, release=release, offline=GOOD))
    late = decide(progress, before, release=release, offline=(evidence(expires_at=NOW), STABLES))
    assert not raises(late)
    assert saved(late).state is State.PREPARING


def test_evidence_in_doubt_lets_nothing_rise_and_the_record_that_was_written_judges_again_the_same():
    doubts = {"uid-1": "carol may not"}
    for state in (State.PREPARING, State.OBSERVING):
        held = entering(*GOOD, state=state, doubts=doubts)
        assert not writes(held)
        assert "EntryEvidenceUnconfirmed" in reasons(held)
        assert not raises(held)
    (record,) = records(entering(*GOOD, evidence(number=2), doubts=doubts))
    kept = {each["uid"]: each.get("doubt") for each in record.body["entry"]["evidence"]}
    assert kept == {"uid-1": "carol may not", "uid-2": None, "uid-9": None}
    assert not entry_differences(json.loads(json.dumps(record.body)))
    shown = json.loads(json.dumps(record.body))
    for each in shown["entry"]["evidence"]:
        each["doubt"] = "carol may not"
    assert entry_differences(shown)


def test_a_revert_does_not_ask_for_evidence():
    verdict = gen_verdict(Outcome.REVERT)
    progress = gen_progress(State.OBSERVING, plan=DEMANDING)
    step = decide(progress, release=gen_release(plan=DEMANDING), verdicts=(verdict,))
    assert saved(step).stop.reason == "GateFailed"
    assert order(step)[0] == "Lower"


def test_the_record_of_the_stop_says_what_the_evidence_said_then():
    progress = gen_progress(State.REVERTING, plan=DEMANDING)
    stop = replace(progress.stop, reason="EntryGateFailed", at=at(-5))
    offline = (evidence(turkish=60), STABLES)
    step = decide(replace(progress, stop=stop), release=gen_release(plan=DEMANDING), offline=offline)
    record = records(step)[0]
    assert record.kind is RecordKind.REVERTED
    assert {each["name"]: each["outcome"] for each in record.body["entry"]["verdicts"]}["fair"] == "Fail"


def test_a_stopped_unit_stays_stopped_until_a_retry_and_a_retry_needs_better_evidence():
    stopped = gen_progress(State.STOPPED, plan=DEMANDING)
    release = gen_release(plan=DEMANDING)
    assert not decide(stopped, release=release, offline=GOOD).actions
    again = saved(decide(stopped, release=release, offline=GOOD, decisions=(gen_decision(Action.RETRY),)))
    assert again.state is State.PREPARING
    bad = (evidence(turkish=60), STABLES)
    assert saved(decide(again, as_progress(again), release=release, offline=bad)).state is State.REVERTING


def test_in_the_last_stage_nothing_more_is_asked():
    progress = gen_progress(State.OBSERVING, stage=3, plan=DEMANDING)
    step = decide(progress, release=gen_release(plan=DEMANDING), offline=())
    assert saved(step).state is State.WATCHING


def test_tighter_demands_apply_in_place_and_looser_ones_start_over():
    progress = gen_progress(State.OBSERVING, plan=DEMANDING)
    gate = replace(ENTRY.gates[0], minimum="0.93")
    tighter = gen_plan(entry=replace(ENTRY, gates=(gate, ENTRY.gates[1]), max_age_s=7200))
    step = decide(progress, release=gen_release(plan=tighter), offline=GOOD)
    assert (saved(step).state, saved(step).plan) == (State.OBSERVING, tighter)
    for looser in (PLAN, gen_plan(entry=replace(ENTRY, package=())), gen_plan(entry=replace(ENTRY, max_age_s=None))):
        step = decide(progress, release=gen_release(plan=looser), offline=GOOD)
        assert saved(step).state is State.PREPARING


def test_a_first_install_waits_for_its_evidence_and_is_compared_with_nothing():
    new = gen_release(plan=DEMANDING, owned=True)
    route = gone(owned=True)
    for offline, reason in (((), "EntryEvidenceMissing"), ((evidence(turkish=60),), "EntryGateFailed")):
        step = decide(gen_progress(State.NEW), route, release=new, offline=offline)
        assert not step.actions
        assert reasons(step) == [reason]
    step = decide(gen_progress(State.NEW), route, release=new, offline=(evidence(),))
    assert saved(step).state is State.INSTALLING
    assert records(step)[0].body["entry"]["unit"] == B.digest


def test_a_first_install_that_its_evidence_refutes_needs_a_person():
    new = gen_release(plan=DEMANDING, owned=True)
    for offline, ready, stalled in (((), "Unknown", False), ((evidence(turkish=60),), "False", True)):
        step = decide(gen_progress(State.NEW), gone(owned=True), release=new, offline=offline)
        found = {each.type: each for each in conditions(new, step, gen_observed(gone(owned=True), offline=offline))}
        assert found["Ready"].status == ready
        assert ("Stalled" in found) == stalled


def test_adoption_is_not_gated():
    release = gen_release(UNIT_A, plan=DEMANDING)
    step = decide(gen_progress(State.NEW), gen_route(), release=release, baseline=UNIT_A.backend)
    assert saved(step).state is State.SETTLED


def test_the_suite_that_the_unit_names_must_be_used_in_its_version():
    fields = (("suite", "golden"), ("version", "13"))
    unit = Unit("2", Backend("model-v2", 8080), ((PartName.EVALUATION, Part(fields)),))
    ref = unit_ref(NAME, unit)
    progress = replace(gen_progress(State.PREPARING, plan=DEMANDING), candidate=ref)
    own = evidence(ref.digest)
    step = decide(progress, as_progress(progress), release=gen_release(unit, plan=DEMANDING), offline=(own, STABLES))
    assert "the unit names golden 13: measure with that" in step.holds[0].message
    right = replace(own, suite=Suite("golden", "13"))
    base = replace(STABLES, suite=Suite("golden", "13"))
    assert raises(decide(progress, release=gen_release(unit, plan=DEMANDING), offline=(right, base)))


def condition_of(progress, *offline, plan=DEMANDING):
    case = Case(gen_release(plan=plan), progress, gen_observed(as_progress(progress), offline=offline), NOW)
    step = decide(progress, release=case.release, offline=offline)
    found = conditions(case.release, step, case.observed, entry=shown_verdicts(case))
    return next((each for each in found if each.type == "EntryEvidence"), None)


def test_the_condition_says_what_is_missing():
    preparing = gen_progress(State.PREPARING, plan=DEMANDING)
    missing = condition_of(preparing)
    assert (missing.status, missing.reason) == ("False", "EntryEvidenceMissing")
    met = condition_of(preparing, *GOOD)
    assert (met.status, met.reason, met.message) == ("True", "Met", "3 demands are met")
    failing = condition_of(gen_progress(State.STOPPED, plan=DEMANDING), evidence(turkish=60), STABLES)
    assert (failing.status, failing.reason) == ("False", "EntryGateFailed")
    assert condition_of(gen_progress(State.SETTLED)) is None


def test_one_demand_that_is_met_is_told_as_one():
    met = condition_of(gen_progress(State.PREPARING, plan=ONE_DEMAND), evidence(), plan=ONE_DEMAND)
    assert (met.status, met.message) == ("True", "1 demand is met")


def test_anybody_can_judge_again_from_the_record_alone():
    """What was said, on which evidence: read back from the record's own JSON and judged once more."""
    (record,) = records(entering(*GOOD))
    body = json.loads(json.dumps(record.body))
    assert Record(record.sequence, record.previous, record.kind, body).hash == record.hash
    assert [each.outcome for each in judged_again(body)] == [EntryOutcome.PASS] * 3
    assert not entry_differences(body)
    body["entry"]["evidence"][0]["content"]["metrics"][0]["count"] = 80
    (difference,) = entry_differences(body)
    assert difference.startswith("entry accuracy: the record says Pass")
    assert "judging again gives Fail" in difference


def test_a_flood_of_evidence_does_not_make_a_record_too_large_to_be_written():
    flood = tuple(evidence(number=100 + number, uid=f"uid-{100 + number}") for number in range(2000))
    (record,) = records(entering(*flood, STABLES))
    said = record.body["entry"]
    assert len(said["evidence"]) == 100 and said["leftOut"] == 1901
    assert len(json.dumps(record.body)) < 100_000
    with pytest.raises(NotRejudged, match="too large to be kept in the record"):
        entry_differences(json.loads(json.dumps(record.body)))


def test_what_was_projected_stands_in_the_record_of_the_end_beside_what_was_observed():
    projected = evidence(impact=(Impact("errors", expected="0.01"),))
    numbers = (("n_c", 100.0), ("y_c", 2.0), ("n_s", 100.0), ("y_s", 1.0))
    verdict = gen_verdict(numbers=numbers)
    for stage, kind in ((0, RecordKind.RAISED), (3, RecordKind.COMPLETED)):
        progress = gen_progress(State.OBSERVING, stage=stage, plan=DEMANDING)
        step = decide(progress, release=gen_release(plan=DEMANDING), offline=(projected, STABLES), verdicts=(verdict,))
        (record,) = records(step)
        assert record.kind is kind
        assert record.body["impact"] == [
            "errors: 0.01 was expected, 0.02 on the candidate against 0.01 on stable: 0.01 more than expected"
        ]


def test_however_much_evidence_there_is_its_record_can_be_written():
    """Else a release could never be raised, or the end of its revert never be recorded."""
    many = [evidence(accuracy=95, number=number) for number in range(10, 310)]
    groups = tuple(Subgroup("language", f"{n:0128}", (Measurement("accuracy", count=1, total=2),)) for n in range(256))
    worst = evidence(number=5000, subgroups=groups)
    demands = tuple(replace(ENTRY.gates[1], name=f"fair-{number}") for number in range(32))
    plan = gen_plan(entry=replace(ENTRY, gates=demands))
    progress = gen_progress(State.REVERTING, plan=plan)
    progress = replace(progress, stop=replace(progress.stop, reason="EntryGateFailed"))
    (ended,) = records(decide(progress, release=gen_release(plan=plan), offline=(*many, STABLES, worst)))
    assert len(json.dumps(ended.body)) < 500_000
    said = ended.body["entry"]
    assert said["verdicts"][0]["sentence"].endswith("; and 248 more")
    assert (len(said["evidence"]), said["leftOut"]) == (100, len(many) + 2 - 100)
    with pytest.raises(NotRejudged, match="cannot be judged again"):
        entry_differences(ended.body)
