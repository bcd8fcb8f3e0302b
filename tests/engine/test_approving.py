"""Approvals as rules of a plan: who is asked, whose word counts, who decides last, and what ends a release."""

from dataclasses import replace

import pytest

from modelrelease.domain.approval import ApprovalRole, ApprovalRules, Asking, AtWindowEnd, GitOpsAccount
from modelrelease.domain.decision import Action, Identity, Standing
from modelrelease.domain.plan import Require
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import State
from modelrelease.domain.traffic import Target
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.approving import changers, refused
from modelrelease.engine.case import Case
from tests.engine.builders import (
    NOW,
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
    gen_stage,
    gen_verdict,
)
from tests.engine.steps import decide, events, raises, reasons, records, saved

FULL = gen_stage("full", 1000, min_duration_s=0, min_samples=0)


def matrix(*roles: ApprovalRole, **rules):
    """Two stages, and these roles."""
    return gen_plan(gen_stage("pilot", 10, segment_only=True), FULL, approvals=ApprovalRules(roles=roles, **rules))


RISK = ApprovalRole("risk", ("full",))
OWNER = ApprovalRole("owner", accountable=True)
BOTH = matrix(RISK, OWNER)


def approve(role: str, number: int = 1, /, plan=BOTH, **fields):
    return gen_decision(Action.APPROVE, number, **{"role": role, "plan_digest": plan.digest, **fields})


def in_pilot(*decisions, plan=BOTH, observed=None, release=None, **progress):
    """The stage before `full`, where nothing but approvals is missing and people have been asked."""
    before = gen_progress(**{"plan": plan, "asking": Asking(1, at(-60)), "proposed_at": at(-3600), **progress})
    return decide(before, release=release or gen_release(plan=plan), decisions=decisions, **(observed or {}))


def why(*decisions, plan=BOTH, observed=None, **progress) -> list[str]:
    before = gen_progress(**{"plan": plan, "proposed_at": at(-3600), **progress})
    seen = gen_observed(as_progress(before), decisions=decisions, **(observed or {}))
    return [refusal.why for refusal in refused(Case(gen_release(plan=plan), before, seen, NOW))]


# ---- who is asked


def test_the_accountable_role_is_asked_before_everything_and_its_word_comes_last():
    risk, owner = approve("risk", when=-20), approve("owner", 2, when=-10)
    assert reasons(in_pilot(risk)) == ["AwaitingApproval"]
    assert "owner (last)" in in_pilot(risk).holds[0].message
    assert raises(in_pilot(risk, owner))
    for when in (-30, -20):
        assert reasons(in_pilot(risk, approve("owner", 3, when=when))) == ["AwaitingApproval"]
    early = approve("owner", 3, when=-20)
    assert why(risk, early) == [
        "owner decides last: approve again once the others have: "
        "modelrelease approve chat --role owner --stage full --reason …"
    ]
    assert raises(in_pilot(risk, early, owner))


def test_a_role_without_stages_is_asked_once_before_any_user_sees_the_candidate():
    plan = matrix(ApprovalRole("risk"), OWNER)
    at_the_door = gen_progress(State.PREPARING, plan=plan, asking=Asking(0, at(-60)))
    release = gen_release(plan=plan)
    assert reasons(decide(at_the_door, release=release)) == ["AwaitingApproval"]
    whole = approve("risk", plan=plan, stage=None)
    assert raises(decide(at_the_door, release=release, decisions=(whole,)))
    for_a_stage = approve("risk", 2, plan=plan, stage="pilot")
    assert reasons(decide(at_the_door, release=release, decisions=(for_a_stage,))) == ["AwaitingApproval"]
    assert reasons(in_pilot(whole, plan=plan)) == ["AwaitingApproval"]
    assert "risk" not in in_pilot(whole, plan=plan).holds[0].message.split("modelrelease")[0]


def test_people_are_asked_once_and_only_when_nothing_else_is_missing():
    plan = matrix(RISK, OWNER, window_s=600, notify=("risk-team",))
    waiting = in_pilot(plan=plan, asking=None, entered=-1)
    assert "MinimumDuration" in reasons(waiting) and not events(waiting)
    asked = in_pilot(plan=plan, asking=None)
    assert events(asked) == ["ApprovalRequested"] and saved(asked).asking == Asking(1, NOW)
    message = asked.actions[-1].message
    assert "risk-team" in message and "12:10:00Z (then still held)" in message
    assert in_pilot(plan=plan).actions == ()
    elsewhere = in_pilot(plan=plan, asking=Asking(0, at(-60)))
    assert saved(elsewhere).asking == Asking(1, NOW)


def test_more_approvals_apply_in_mid_rollout_and_fewer_start_over():
    stricter = matrix(RISK, OWNER, four_eyes=True)
    asking = in_pilot(plan=BOTH, release=gen_release(plan=stricter, changed_by=("cy",)))
    assert (saved(asking).plan, saved(asking).asking, saved(asking).changed_by) == (stricter, None, ("cy",))
    fewer = in_pilot(plan=BOTH, release=gen_release(plan=matrix(OWNER)))
    assert (saved(fewer).state, saved(fewer).stage) == (State.PREPARING, -1)


# ---- what counts


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"release_uid": "uid-other"}, "another ModelRelease object"),
        ({"digest": C.digest}, "is about unit"),
        ({"plan_digest": "sha256:other"}, "is about plan"),
        ({"stage": "pilot"}, "it is for stage pilot and stage full is waited for"),
        ({"stage": None}, "it is for the whole release"),
        ({"evidence_digest": "sha256:other"}, "the evidence that was shown is not what there is now"),
        ({"evidence_digest": None}, "the evidence that was shown is not what there is now"),
        ({"created_at": at(-3602)}, "before this was proposed"),
        ({"expires_at": at(-1)}, "it ran out at 2026-03-01 11:59:59Z"),
        ({"identity": Identity(Standing.REFUSED, "ada may not")}, "ada may not"),
        ({"role": "canteen"}, "no stage asks for the role canteen: asked are risk, owner"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_does_not_count_raises_nothing_and_says_why(other, says):
    wrong = approve("risk", **{"when": -20, **other})
    assert reasons(in_pilot(wrong, approve("owner", 2, when=-10))) == ["AwaitingApproval"]
    assert says in why(wrong)[0]


def test_an_author_that_is_not_confirmed_yet_raises_nothing_and_is_not_told():
    unchecked = approve("risk", when=-20, identity=Identity())
    assert reasons(in_pilot(unchecked, approve("owner", 2, when=-10))) == ["AwaitingApproval"]
    assert not any("risk" in each.split(":")[0] for each in why(unchecked))


def test_an_approval_counts_as_long_as_the_plan_says():
    plan = matrix(RISK, OWNER, valid_for_s=300)
    said = approve("risk", plan=plan, when=-299), approve("owner", 2, plan=plan, when=-10)
    assert raises(in_pilot(*said, plan=plan))
    old = approve("risk", plan=plan, when=-300), said[1]
    assert reasons(in_pilot(*old, plan=plan)) == ["AwaitingApproval"]


@pytest.mark.parametrize("action", [Action.PROMOTE, Action.RESUME, Action.RETRY])
@pytest.mark.parametrize("standing", [Standing.UNCHECKED, Standing.REFUSED])
def test_nothing_rises_on_what_an_unknown_author_said(action, standing):
    said = gen_decision(action, identity=Identity(standing, "who?"), stage="pilot")
    match action:
        case Action.PROMOTE:
            assert reasons(decide(gen_progress(entered=-1), decisions=(said,))) == ["MinimumDuration"]
        case Action.RESUME:
            assert "Paused" in reasons(decide(gen_progress(paused_by="uid-pause-1"), decisions=(said,)))
        case Action.RETRY:
            stopped = gen_progress(State.STOPPED)
            assert decide(stopped, decisions=(said,)).actions == ()


def test_an_unknown_authors_resume_does_not_undo_a_pause():
    pause, forged = gen_decision(Action.PAUSE, when=-10), gen_decision(Action.RESUME, identity=Identity())
    assert saved(decide(gen_progress(), decisions=(pause, forged))).paused_by == pause.uid


def test_a_stop_uses_up_a_retry_of_an_author_who_is_confirmed_later():
    retry = gen_decision(Action.RETRY, identity=Identity())
    step = decide(gen_progress(), decisions=(retry,), verdicts=(gen_verdict(Outcome.REVERT),))
    assert retry.uid in saved(step).handled


# ---- four eyes

EYES = matrix(RISK, OWNER, four_eyes=True)
STAMPED = {"stamped_since": at(-7200)}


def eyes(*decisions, observed=STAMPED, **progress):
    return in_pilot(*decisions, plan=EYES, observed=observed, **progress)


def test_nobody_approves_what_they_changed():
    said = [approve("risk", plan=EYES, author="ada", when=-20), approve("owner", 2, plan=EYES, author="bo", when=-10)]
    assert raises(eyes(*said, changed_by=("cy",)))
    assert reasons(eyes(*said, changed_by=("ada",))) == ["AwaitingApproval"]
    assert reasons(eyes(*said, changed_by=("cy", "bo"))) == ["AwaitingApproval"]
    found = why(said[0], plan=EYES, observed=STAMPED, changed_by=("ada",))
    assert found == ["ada changed this release, and four eyes are asked: somebody else must approve"]


@pytest.mark.parametrize(
    ("observed", "changed_by"),
    [(STAMPED, ("",)), (STAMPED, ()), ({}, ("cy",)), ({"stamped_since": at(-60)}, ("cy",))],
    ids=["GitOps", "nobody known", "not stamped", "stamped since later"],
)
def test_where_who_changed_it_is_not_known_two_people_must_approve(observed, changed_by):
    alone = [approve("risk", plan=EYES, when=-20), approve("owner", 2, plan=EYES, when=-10)]
    held = eyes(*alone, observed=observed, changed_by=changed_by)
    assert reasons(held) == ["AwaitingApproval"] and "second person" in held.holds[0].message
    second = approve("risk", 3, plan=EYES, author="bo", when=-15)
    step = eyes(*alone, second, observed=observed, changed_by=changed_by)
    assert raises(step)
    assert {said["author"] for said in records(step)[0].body["decisions"]} == {"ada", "bo"}


def test_who_changed_it_is_kept_from_the_start_and_grows_with_each_edit():
    release = gen_release(changed_by=("ada", "bo"))
    begun = saved(decide(gen_progress(State.SETTLED, stable=C), release=release))
    assert (begun.changed_by, begun.proposed_at) == (("ada", "bo"), NOW)
    edited = gen_release(plan=gen_plan(watch_s=60), changed_by=("cy",))
    assert saved(decide(begun, release=edited)).changed_by == ("ada", "bo", "cy")


def test_programs_are_nobody_unless_the_policy_trusts_an_annotation():
    rules = ApprovalRules(git_ops=(GitOpsAccount("argo", "example.com/author"), GitOpsAccount("flux")))
    plan = gen_plan(approvals=rules)
    for account, annotations, expected in (
        ("argo", {"example.com/author": "ada"}, "ada"),
        ("argo", {}, ""),
        ("flux", {"example.com/author": "ada"}, ""),
        ("system:serviceaccount:argocd:controller", {}, ""),
        ("bo", {"example.com/author": "ada"}, "bo"),
    ):
        release = gen_release(changed_by=(account,), annotations=annotations)
        assert changers(release, plan) == (expected,)
    assert changers(gen_release(), plan) == ("",)


# ---- the end


def test_a_rejection_in_a_role_that_is_asked_ends_the_release():
    no = gen_decision(Action.REJECT, role="risk", author="cy", reason="the tone")
    step = in_pilot(no)
    assert saved(step).state is State.REVERTING and B.digest in saved(step).stopped
    assert (saved(step).stop.reason, saved(step).stop.message) == ("Rejected", "rejected by cy as risk: the tone")
    assert no.uid in saved(step).handled


def test_a_rejection_in_a_role_that_nobody_asks_ends_nothing_and_is_told():
    no = gen_decision(Action.REJECT, role="canteen")
    assert in_pilot(no).actions == ()
    assert why(no) == ["no stage asks for the role canteen: asked are risk, owner"]


def test_a_rejection_needs_no_confirmed_author():
    step = in_pilot(gen_decision(Action.REJECT, role="risk", identity=Identity()))
    assert saved(step).stop.reason == "Rejected"


@pytest.mark.parametrize("end", list(AtWindowEnd))
def test_an_approval_window_ends_as_the_plan_says(end):
    plan = matrix(RISK, OWNER, window_s=60, at_window_end=end)
    before = in_pilot(plan=plan, asking=Asking(1, at(-59)))
    assert reasons(before) == ["AwaitingApproval"]
    after = in_pilot(plan=plan, asking=Asking(1, at(-60)))
    if end is AtWindowEnd.HOLD:
        assert reasons(after) == ["AwaitingApproval"] and after.actions == ()
        return
    assert before.wake_at == at(1)
    assert saved(after).stop.reason == "Rejected" and "not approved in time by risk, owner" in saved(after).stop.message
    answered = approve("risk", plan=plan, when=-40), approve("owner", 2, plan=plan, when=-30)
    assert raises(in_pilot(*answered, plan=plan, asking=Asking(1, at(-60))))
    unchecked = tuple(replace(said, identity=Identity()) for said in answered)
    assert reasons(in_pilot(*unchecked, plan=plan, asking=Asking(1, at(-60)))) == ["AwaitingApproval"]


# ---- what was said for a raise that did not happen


def test_approvals_of_a_raise_that_raised_nothing_count_again_for_the_very_same_raise():
    promote = gen_decision(Action.PROMOTE, 3, stage="pilot")
    said = (approve("risk", when=-20), approve("owner", 2, when=-10), promote)
    raising = saved(in_pilot(*said))
    uids = {each.uid for each in said}
    assert raising.state is State.RAISING and uids <= set(raising.handled) and set(raising.intent.decisions) == uids
    where_it_was = as_progress(gen_progress(plan=BOTH))
    how = {"release": gen_release(plan=BOTH), "decisions": said}
    void = decide(raising, where_it_was, process="p2", **how)
    assert records(void)[0].kind is RecordKind.INTENT_VOID and set(records(void)[0].body["returned"]) == uids
    back = saved(void)
    assert back.state is State.OBSERVING and not uids & set(back.handled)
    again = decide(back, where_it_was, process="p2", **how)
    assert raises(again) and {each["uid"] for each in records(again)[0].body["decisions"]} == uids
    for other in (replace(BOTH, watch_s=1), matrix(RISK, OWNER, valid_for_s=300)):
        elsewhere = decide(replace(back, plan=other), process="p2", **{**how, "release": gen_release(plan=other)})
        assert reasons(elsewhere) == ["AwaitingApproval"]


def test_approvals_of_a_raise_that_did_raise_something_are_used_up():
    said = (approve("risk", when=-20), approve("owner", 2, when=-10))
    raising = saved(in_pilot(*said))
    how = {"release": gen_release(plan=BOTH), "decisions": said}
    raised = as_progress(raising)
    one_of_two = (raised, gen_route(Target(A, B, BOTH.stages[0].exposure), name="second"))
    void = decide(raising, *one_of_two, process="p2", **how)
    assert records(void)[0].kind is RecordKind.INTENT_VOID and "returned" not in records(void)[0].body
    assert {each.uid for each in said} <= set(saved(void).handled)


# ---- accepted risks

PROVEN = gen_plan(
    gen_stage("pilot", 10, segment_only=True),
    gen_stage("broad", 200, require=Require.PROVEN),
    replace(FULL, require=Require.NO_HARM),
)
OPEN = {"verdicts": (gen_verdict(Outcome.UNDECIDED),)}


def accept(number: int = 1, **fields):
    bound = {"stage": "broad", "gate": "errors", "expires_at": at(60)}
    return gen_decision(Action.ACCEPT_RISK, number, **{**bound, **fields})


def test_an_accepted_risk_lets_an_undecided_gate_count_once_and_never_a_failing_one():
    said = accept()
    assert reasons(in_pilot(plan=PROVEN, observed=OPEN)) == ["NotProven"]
    step = in_pilot(said, plan=PROVEN, observed=OPEN)
    assert raises(step) and said.uid not in saved(step).handled
    assert said.uid in {named["uid"] for named in records(step)[0].body["decisions"]}
    blind = in_pilot(said, plan=PROVEN, observed={"verdicts": (gen_verdict(cause="InsufficientTraffic"),)})
    assert not raises(blind)
    worse = in_pilot(said, plan=PROVEN, observed={"verdicts": (gen_verdict(Outcome.REVERT),)})
    assert saved(worse).state is State.REVERTING


@pytest.mark.parametrize(
    "other",
    [{"gate": "slow"}, {"stage": "full"}, {"digest": C.digest}, {"release_uid": "uid-other"}, {"expires_at": NOW},
     {"identity": Identity()}],
    ids=lambda value: next(iter(value)),
)  # fmt: skip
def test_an_accepted_risk_is_for_one_gate_one_stage_and_one_unit_for_a_time(other):
    assert reasons(in_pilot(accept(**other), plan=PROVEN, observed=OPEN)) == ["NotProven"]


def test_what_was_raised_on_an_accepted_risk_goes_no_further_after_its_end():
    over = accept(expires_at=at(-1))
    in_broad = {"plan": PROVEN, "stage": 1, "entered": -300}
    assert raises(in_pilot(accept(), observed=OPEN, **in_broad))
    assert reasons(in_pilot(over, observed=OPEN, **in_broad)) == ["RiskAcceptanceEnded"]
    assert raises(in_pilot(over, **in_broad))
    again = accept(2, stage="full")
    step = in_pilot(over, again, observed=OPEN, **in_broad)
    assert raises(step)
    assert [named["uid"] for named in records(step)[0].body["decisions"]] == [again.uid]
