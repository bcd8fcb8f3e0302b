"""A first install whose plan asks people: nobody sees the unit before they said yes (S2)."""

from dataclasses import replace

import pytest

from modelrelease.domain.approval import ApprovalRole, ApprovalRules, Asking, AtWindowEnd
from modelrelease.domain.decision import Action, Identity
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Fault, Progress, State
from modelrelease.domain.traffic import Acceptance, Target
from modelrelease.engine.approving import refused
from modelrelease.engine.case import Case
from modelrelease.engine.conditions import conditions
from tests.engine.builders import (
    NOW,
    UNIT_C,
    B,
    C,
    at,
    gen_decision,
    gen_observed,
    gen_plan,
    gen_progress,
    gen_release,
    gen_route,
    gen_stage,
    gone,
)
from tests.engine.steps import decide, events, order, reasons, records, saved

PILOT = gen_stage("pilot", 10, segment_only=True, approvals=("on-call",))
FULL = gen_stage("full", 1000, min_duration_s=0, min_samples=0)
ROLES = (ApprovalRole("risk"), ApprovalRole("platform", ("full",)), ApprovalRole("owner", accountable=True))
PLAN = gen_plan(PILOT, FULL, approvals=ApprovalRules(roles=ROLES))
ASKED = ("risk", "on-call", "platform", "owner")


def asked(plan=PLAN, **fields) -> Progress:
    """Everything is ready but what people have to say, and they were asked a minute ago."""
    return replace(
        Progress(),
        candidate=B,
        plan=plan,
        proposed_at=at(-600),
        asking=Asking(0, at(-60)),
        changed_by=("ada",),
        **fields,
    )


def approve(role: str, number: int, /, **fields):
    given = {"role": role, "plan_digest": PLAN.digest, "stage": None, "when": -40 + number, **fields}
    return gen_decision(Action.APPROVE, number, **given)


EVERYBODY = tuple(approve(role, number) for number, role in enumerate(ASKED))


def installing(progress=None, *said, plan=PLAN, unit=None, **observed):
    release = gen_release(*([unit] if unit else []), plan=plan, owned=True, changed_by=("ada",))
    return decide(progress or asked(plan), gone(owned=True), release=release, decisions=said, **observed)


def test_it_is_proposed_and_kept_before_anybody_is_asked():
    step = installing(Progress())
    assert order(step) == ["KeepUnit", "Save"] and saved(step).state is State.NEW
    assert (saved(step).candidate, saved(step).plan, saved(step).proposed_at) == (B, PLAN, NOW)
    asking = installing(saved(step))
    assert events(asking) == ["ApprovalRequested"] and saved(asking).asking == Asking(0, NOW)
    message = installing(saved(asking)).holds[0].message
    assert message.startswith("the first install waits for approval by risk, on-call, platform, owner (last)")


@pytest.mark.parametrize("missing", range(len(ASKED)))
def test_every_role_of_the_plan_is_asked_and_none_may_be_missing(missing):
    said = [decision for number, decision in enumerate(EVERYBODY) if number != missing]
    step = installing(None, *said)
    assert not step.actions and reasons(step) == ["AwaitingApproval"]


def test_it_is_installed_once_everybody_has_approved_and_the_record_names_them():
    step = installing(None, *EVERYBODY)
    assert order(step) == ["AddFinalizer", "KeepUnit", "WriteRecord", "Save", "Layout"]
    assert saved(step).state is State.INSTALLING and saved(step).asking is None
    body = records(step)[0].body
    assert [each["role"] for each in body["decisions"]] == list(ASKED) and body["plan"] == PLAN.digest
    assert {decision.uid for decision in EVERYBODY} <= set(saved(step).handled)


@pytest.mark.parametrize(
    "other",
    [
        {"digest": C.digest},
        {"release_uid": "uid-other"},
        {"plan_digest": "sha256:other"},
        {"evidence_digest": "sha256:other"},
        {"stage": "full"},
        {"created_at": at(-602)},
        {"identity": Identity()},
    ],
    ids=lambda value: next(iter(value)),
)
def test_an_approval_of_something_else_or_by_nobody_knows_whom_installs_nothing(other):
    wrong = approve("risk", 0, **other)
    assert not installing(None, wrong, *EVERYBODY[1:]).actions
    if "identity" not in other:
        seen = gen_observed(gone(owned=True), decisions=(wrong, *EVERYBODY[1:]))
        told = refused(Case(gen_release(plan=PLAN, owned=True), asked(), seen, NOW))
        assert wrong in [each.decision for each in told]


def test_another_unit_or_plan_is_asked_about_anew_and_whoever_wrote_the_one_before_stays_known():
    changed = installing(asked(), *EVERYBODY, unit=UNIT_C)
    assert order(changed) == ["KeepUnit", "Save"]
    assert (saved(changed).candidate, saved(changed).asking, saved(changed).proposed_at) == (C, None, NOW)
    stricter = replace(PLAN, approvals=replace(PLAN.approvals, four_eyes=True))
    again = installing(replace(asked(), changed_by=("bo",)), *EVERYBODY, plan=stricter)
    assert order(again) == ["KeepUnit", "Save"] and saved(again).changed_by == ("bo", "ada")


def test_nobody_installs_what_they_wrote():
    plan = replace(PLAN, approvals=replace(PLAN.approvals, four_eyes=True))
    said = [replace(each, plan_digest=plan.digest) for each in EVERYBODY]
    known = {"plan": plan, "stamped_since": at(-3600)}
    assert not installing(asked(plan), *(replace(each, author="ada") for each in said), **known).actions
    assert not installing(asked(plan), *(replace(each, author="bo") for each in said), plan=plan).actions
    assert saved(installing(asked(plan), *(replace(each, author="bo") for each in said), **known))


def test_people_are_asked_only_when_nothing_else_is_missing():
    assert reasons(installing(replace(asked(), asking=None), ready={B.backend: 0})) == ["CandidateNotReady"]
    waiting = installing(replace(asked(), asking=None), violations=(Fault("InvalidSpec", "a ConfigMap is not there"),))
    assert not events(waiting) and reasons(waiting) == ["InvalidSpec", "AwaitingApproval"]


def test_a_rejection_ends_it_for_this_unit():
    no = gen_decision(Action.REJECT, 9, role="risk", author="rita", reason="no red-team report")
    step = installing(None, *EVERYBODY, no)
    assert order(step) == ["WriteRecord", "Save"] and events(step) == ["Aborted"]
    (record,) = records(step)
    assert record.kind is RecordKind.ABORTED and record.body["reason"] == "Rejected"
    assert saved(step).candidate is None and saved(step).state is State.NEW
    after = installing(saved(step), *EVERYBODY, history={B.digest: RecordKind.ABORTED})
    assert not after.actions and reasons(after) == ["Stopped"] and "no red-team report" in after.holds[0].message
    found = {each.type: each.status for each in conditions(gen_release(owned=True), after, gen_observed())}
    assert (found["Ready"], found["Stalled"]) == ("False", "True")
    assert order(installing(saved(step), unit=UNIT_C, history={B.digest: RecordKind.ABORTED})) == ["KeepUnit", "Save"]


def test_a_person_who_aborts_ends_it_too():
    no = gen_decision(Action.ABORT, 9, author="rita", reason="the wrong region")
    step = installing(None, *EVERYBODY, no)
    assert records(step)[0].body["reason"] == "Aborted" and saved(step).stop.message.endswith("the wrong region")


def test_a_retry_asks_everybody_again_and_one_that_was_said_before_does_not():
    no = gen_decision(Action.REJECT, 9, role="risk", author="rita")
    again = gen_decision(Action.RETRY, 10)
    ended = saved(installing(None, no, again))
    history = {B.digest: RecordKind.ABORTED}
    assert reasons(installing(ended, again, history=history)) == ["Stopped"]
    assert reasons(installing(Progress(), again, history=history, used=(again.uid,))) == ["Stopped"]
    later = gen_decision(Action.RETRY, 11, author="bo", reason="the report is there")
    step = installing(ended, later, *EVERYBODY, history=history)
    assert order(step) == ["WriteRecord", "Save"] and records(step)[0].kind is RecordKind.RETRIED
    assert saved(step).stop is None and B.digest not in saved(step).stopped
    anew = installing(saved(step), *EVERYBODY, history={B.digest: RecordKind.RETRIED})
    assert order(anew) == ["KeepUnit", "Save"] and saved(anew).proposed_at == NOW
    assert saved(installing(saved(anew), *EVERYBODY)).state is State.NEW


def test_a_crash_after_the_record_of_a_rejection_leaves_nothing_to_approve():
    step = installing(None, *EVERYBODY, history={B.digest: RecordKind.ABORTED})
    assert order(step) == ["Save"] and saved(step).candidate is None


def test_nobody_answered_in_time():
    rules = replace(PLAN.approvals, window_s=30, at_window_end=AtWindowEnd.REJECT)
    plan = replace(PLAN, approvals=rules)
    assert events(installing(asked(plan), plan=plan)) == ["Aborted"]


def test_what_was_let_in_before_is_served_again_without_asking():
    known = {"revisions": (B,), "history": {B.digest: RecordKind.ADOPTED}}
    assert saved(installing(Progress(), **known)).state is State.INSTALLING


def test_a_unit_that_waits_for_its_gateway_is_not_replaced_by_one_that_nobody_approved():
    waiting = gen_progress(State.INSTALLING, stable=B)
    refused_route = gen_route(Target(B), acceptance=Acceptance.REFUSED)
    step = decide(waiting, refused_route, release=gen_release(UNIT_C, plan=PLAN, owned=True))
    assert not step.actions and reasons(step) == ["RouteNotAccepted"]
