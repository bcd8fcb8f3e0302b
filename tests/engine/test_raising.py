"""Starting a release and raising its exposure: the path, what holds it, what people say, what an edit does."""

from dataclasses import replace

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.evidence import SplitCount
from modelrelease.domain.exposure import REST, Exposure, uniform
from modelrelease.domain.gate import Phase, Scope
from modelrelease.domain.plan import AtMaxDuration, OnDrift, Require
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Fault, Progress, State
from modelrelease.domain.traffic import Acceptance, Target
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.planner import plan as ask
from modelrelease.engine.raising import only_tighter
from tests.engine.builders import (
    NOW,
    PLAN,
    SEGMENT,
    UID,
    UNIT_A,
    UNIT_B,
    UNIT_C,
    ZERO,
    A,
    B,
    C,
    as_progress,
    at,
    gen_arms,
    gen_decision,
    gen_gate,
    gen_observed,
    gen_plan,
    gen_progress,
    gen_release,
    gen_route,
    gen_stage,
    gen_verdict,
    gen_watch,
    gone,
)
from tests.engine.steps import decide, events, lowered, order, raises, reasons, records, saved, writes

APPROVED = gen_plan(
    gen_stage("pilot", 10, segment_only=True),
    gen_stage("full", 1000, approvals=("owner", "risk"), min_duration_s=0, min_samples=0),
)
FAULT = Fault("InvalidSpec", "spec.unit.model.digest is not a digest: write sha256:…")


def approve(role: str, number: int = 1, /, **fields):
    return gen_decision(Action.APPROVE, number, **{"role": role, "plan_digest": APPROVED.digest, **fields})


# ---- start


def test_a_changed_unit_starts_before_the_first_stage_with_no_share():
    step = decide(gen_progress(State.SETTLED))
    assert order(step) == ["AddFinalizer", "KeepUnit", "WriteRecord", "Save", "Layout"]
    assert (saved(step).state, saved(step).candidate, saved(step).stage) == (State.PREPARING, B, -1)
    assert writes(step)[0].target == Target(A, B, ZERO)
    assert records(step)[0].kind is RecordKind.STARTED


@pytest.mark.parametrize(
    "changes",
    [{"unit": UNIT_A}, {"unit": None}, {"plan": None}, {"faults": (FAULT,)}],
    ids=["stable unit", "no unit", "no plan", "faults"],
)
def test_what_does_not_start(changes):
    assert decide(gen_progress(State.SETTLED), release=gen_release(**changes)).actions == ()


def test_a_route_that_another_release_holds_starts_nothing():
    assert decide(gen_progress(State.SETTLED), conflict="held by other").actions == ()


def test_a_stopped_unit_starts_again_only_by_a_retry_for_this_unit():
    stopped = gen_progress(State.STOPPED)
    assert decide(stopped).actions == ()
    for wrong in ({"digest": C.digest}, {"digest": None}, {"release_uid": "uid-other"}):
        assert decide(stopped, decisions=(gen_decision(Action.RETRY, **wrong),)).actions == ()
    step = decide(stopped, decisions=(gen_decision(Action.RETRY),))
    assert saved(step).state is State.PREPARING and saved(step).stopped == ()
    assert records(step)[0].kind is RecordKind.RETRIED
    assert [said["author"] for said in records(step)[0].body["decisions"]] == ["ada"]


def test_a_retry_starts_a_unit_once():
    retry = gen_decision(Action.RETRY)
    assert decide(gen_progress(State.STOPPED, handled=(retry.uid,)), decisions=(retry,)).actions == ()


def test_two_retries_said_together_start_a_unit_once():
    twice = (gen_decision(Action.RETRY, 1), gen_decision(Action.RETRY, 2))
    step = decide(gen_progress(State.STOPPED), decisions=twice)
    assert set(saved(step).handled) == {said.uid for said in twice}


def test_a_retry_said_before_the_stop_is_used_up_by_the_stop():
    """Otherwise a failed unit starts again by itself (S14)."""
    early = gen_decision(Action.RETRY)
    step = decide(gen_progress(), verdicts=(gen_verdict(Outcome.REVERT),), decisions=(early,))
    assert early.uid in saved(step).handled


def test_a_retry_lifts_the_mark_before_the_status_says_that_the_unit_is_on_its_way():
    stopped = gen_progress(State.STOPPED)
    step = decide(stopped, as_progress(stopped, stopped=B.digest), decisions=(gen_decision(Action.RETRY),))
    assert order(step)[:5] == ["AddFinalizer", "KeepUnit", "Layout", "WriteRecord", "Save"]
    assert writes(step)[0].target.stopped == ""


def test_a_newer_unit_starts_after_a_stop_without_a_retry():
    step = decide(gen_progress(State.STOPPED), release=gen_release(UNIT_C))
    assert saved(step).candidate == C and saved(step).stopped == (B.digest,)


# ---- prepare


def test_the_first_stage_waits_for_the_layout():
    preparing = gen_progress(State.PREPARING)
    step = decide(preparing, gen_route(Target(A)))
    assert order(step) == ["Layout"] and writes(step)[0].target == Target(A, B, ZERO)


def test_the_pilot_shows_the_candidate_to_the_segment_only():
    step = decide(gen_progress(State.PREPARING))
    assert order(step) == ["WriteRecord", "Save", "Raise"]
    assert writes(step)[0].target.exposure == Exposure(((SEGMENT, 10), (REST, 0)))


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        ({"verdicts": ()}, "EvidenceMissing"),
        ({"verdicts": (gen_verdict(cause="SourceDown"),)}, "EvidenceSourceDown"),
        ({"verdicts": (gen_verdict(cause="Broken"),)}, "EvidenceBroken"),
        ({"verdicts": (gen_verdict(when=at(-120)),)}, "EvidenceStale"),
        ({"ready": {B.backend: 0}}, "CandidateNotReady"),
        ({"ready": {A.backend: 2}}, "RevertCapacity"),
        ({"violations": (FAULT,)}, "InvalidSpec"),
        ({"conflict": "held by other"}, "RouteConflict"),
        ({"unread": True}, "RouteUnread"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_holds_before_the_first_stage(observed, reason):
    step = decide(gen_progress(State.PREPARING), **observed)
    assert reason in reasons(step) and step.actions == ()


def test_no_samples_of_a_candidate_without_traffic_do_not_hold_the_first_stage():
    for cause in ("Missing", "InsufficientTraffic"):
        assert raises(decide(gen_progress(State.PREPARING), verdicts=(gen_verdict(cause=cause),), samples=None))


def test_a_release_without_gates_never_gets_traffic():
    plan = gen_plan(gates=())
    step = decide(gen_progress(State.PREPARING, plan=plan), release=gen_release(plan=plan), verdicts=())
    assert "NoGates" in reasons(step) and not raises(step)


def test_gates_of_the_watch_alone_do_not_count_as_measuring_the_stages():
    plan = gen_plan(gates=(gen_gate(phases=(Phase.WATCH,)),))
    step = decide(gen_progress(State.PREPARING, plan=plan), release=gen_release(plan=plan), verdicts=())
    assert "NoGates" in reasons(step)


def test_a_gate_of_the_watch_alone_does_not_hold_the_stages():
    plan = gen_plan(gates=(gen_gate(), gen_gate("drift", phases=(Phase.WATCH,))))
    for state in (State.PREPARING, State.OBSERVING):
        assert raises(decide(gen_progress(state, plan=plan), release=gen_release(plan=plan)))


def test_traffic_that_somebody_else_moved_before_the_first_stage_goes_back_to_stable():
    """A unit that was given up must not keep a share that nobody judges."""
    preparing = gen_progress(State.PREPARING)
    for foreign in (gen_arms((A, 900), (C, 100)), gen_arms((A, 900), (None, 100))):
        step = decide(preparing, foreign)
        assert lowered(step).target == Target(A, B, ZERO) and step.drifted
    plan = gen_plan(on_drift=OnDrift.HOLD)
    held = decide(gen_progress(State.PREPARING, plan=plan), foreign, release=gen_release(plan=plan))
    assert held.actions == () and held.drifted


# ---- advance


@pytest.mark.parametrize(("stage", "permille"), [(0, 50), (1, 200), (2, 1000)])
def test_a_good_stage_leads_to_the_next_one(stage, permille):
    step = decide(gen_progress(stage=stage))
    assert order(step) == ["WriteRecord", "Save", "Raise"]
    assert writes(step)[0].target.exposure == uniform((SEGMENT,), permille)
    assert saved(step).intent.stage == stage + 1 and saved(step).stage == stage


def test_a_raise_names_its_record_on_the_route_and_the_record_says_why():
    step = decide(gen_progress())
    (record,) = records(step)
    assert writes(step)[0].target.record == saved(step).intent.record == "chat-00000008"
    assert record.kind is RecordKind.RAISED and record.sequence == 8
    assert record.body["before"] == {SEGMENT: "1 %", REST: "0 %"}
    assert record.body["after"] == {SEGMENT: "5 %", REST: "5 %"}
    assert record.body["samples"] == 1000 and record.body["plan"] == PLAN.digest
    assert [said["outcome"] for said in record.body["verdicts"]] == ["Pass"]


def test_a_stage_begins_when_the_gateway_accepts_the_route():
    raising = gen_progress(State.RAISING, stage=1)
    pending = decide(raising, as_progress(raising, acceptance=Acceptance.PENDING))
    assert reasons(pending) == ["RouteNotAccepted"] and pending.wake_at == at(59)
    step = decide(raising)
    assert (saved(step).state, saved(step).stage, saved(step).stage_since) == (State.OBSERVING, 1, NOW)
    assert events(step) == ["StageEntered"]


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        ({"samples": 99}, "InsufficientTraffic"),
        ({"samples": None}, "InsufficientTraffic"),
        ({"verdicts": ()}, "EvidenceMissing"),
        ({"verdicts": (gen_verdict(gate="other"),)}, "EvidenceMissing"),
        ({"verdicts": (gen_verdict(cause="Missing"),)}, "EvidenceMissing"),
        ({"verdicts": (gen_verdict(cause="Broken"),)}, "EvidenceBroken"),
        ({"verdicts": (gen_verdict(cause="InsufficientTraffic"),)}, "EvidenceInsufficientTraffic"),
        ({"verdicts": (gen_verdict(cause="SourceDown"),)}, "EvidenceSourceDown"),
        ({"verdicts": (gen_verdict(Outcome.NO_DATA),)}, "EvidenceMissing"),
        ({"verdicts": (gen_verdict(age=31),)}, "EvidenceStale"),
        ({"verdicts": (gen_verdict(age=-3600),)}, "EvidenceStale"),
        ({"verdicts": (gen_verdict(newest=None),)}, "EvidenceStale"),
        ({"ready": {B.backend: 0}}, "CandidateNotReady"),
        ({"ready": {A.backend: 2}}, "RevertCapacity"),
        ({"violations": (FAULT,)}, "InvalidSpec"),
        ({"conflict": "held by other"}, "RouteConflict"),
        ({"unread": True}, "RouteUnread"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_holds_a_stage(observed, reason):
    step = decide(gen_progress(), **observed)
    assert reason in reasons(step) and step.actions == ()


def test_a_route_that_its_gateway_does_not_accept_holds():
    progress = gen_progress()
    for acceptance in (Acceptance.PENDING, Acceptance.REFUSED):
        assert reasons(decide(progress, as_progress(progress, acceptance=acceptance))) == ["RouteNotAccepted"]


def test_the_minimum_duration_holds_and_says_until_when():
    step = decide(gen_progress(entered=-59))
    assert reasons(step) == ["MinimumDuration"] and step.wake_at == at(1)
    assert raises(decide(gen_progress(entered=-60)))


def test_an_endpoint_count_that_the_cluster_cannot_tell_does_not_hold():
    assert raises(decide(gen_progress(), ready={A.backend: None, B.backend: None}))


def test_one_bad_segment_stops_the_release_and_one_silent_segment_holds_it():
    plan = gen_plan(gates=(gen_gate(scope=Scope.SEGMENT),))
    progress, release = gen_progress(stage=1, plan=plan), gen_release(plan=plan)
    good = gen_verdict(segment=REST)
    assert raises(decide(progress, release=release, verdicts=(good, gen_verdict(segment=SEGMENT))))
    bad = decide(progress, release=release, verdicts=(good, gen_verdict(Outcome.REVERT, segment=SEGMENT)))
    assert saved(bad).state is State.REVERTING
    assert reasons(decide(progress, release=release, verdicts=(good,))) == ["EvidenceMissing"]


def test_a_segment_that_does_not_see_the_candidate_yet_needs_no_verdict():
    plan = gen_plan(gates=(gen_gate(scope=Scope.SEGMENT),))
    verdicts = (gen_verdict(segment=SEGMENT), gen_verdict(segment=REST, cause="Missing"))
    assert raises(decide(gen_progress(plan=plan), release=gen_release(plan=plan), verdicts=verdicts))


def test_proof_is_needed_only_for_the_stage_that_asks_for_it():
    undecided = (gen_verdict(Outcome.UNDECIDED),)
    assert raises(decide(gen_progress(stage=1), verdicts=undecided))
    assert reasons(decide(gen_progress(stage=2), verdicts=undecided)) == ["NotProven"]
    both = gen_plan(gates=(gen_gate(), gen_gate("cost")))
    half = (gen_verdict(), gen_verdict(Outcome.UNDECIDED, "cost"))
    step = decide(gen_progress(stage=2, plan=both), release=gen_release(plan=both), verdicts=half)
    assert reasons(step) == ["NotProven"]


def test_a_split_that_does_not_fit_the_route_holds():
    for counts in ((0, 5000), (2500, 2500)):
        assert reasons(decide(gen_progress(stage=1), split=(SplitCount(REST, *counts),))) == ["SplitMismatch"]
    assert raises(decide(gen_progress(stage=1), split=(SplitCount(REST, 250, 4750),)))


# ---- approvals


def decide_full(*decisions, **observed):
    return decide(gen_progress(plan=APPROVED), release=gen_release(plan=APPROVED), decisions=decisions, **observed)


def test_a_stage_waits_for_each_role():
    assert reasons(decide_full()) == ["AwaitingApproval"]
    assert reasons(decide_full(approve("owner"))) == ["AwaitingApproval"]
    step = decide_full(approve("owner"), approve("risk", 2))
    assert raises(step)
    assert {said["uid"] for said in records(step)[0].body["decisions"]} == {"uid-approve-1", "uid-approve-2"}
    assert {"uid-approve-1", "uid-approve-2"} <= set(saved(step).handled)


@pytest.mark.parametrize(
    "other",
    [
        {"digest": C.digest},
        {"digest": None},
        {"plan_digest": PLAN.digest},
        {"plan_digest": None},
        {"stage": "pilot"},
        {"stage": None},
        {"release_uid": "uid-of-another-object"},
        {"release_uid": None},
        {"role": "owner"},
    ],
    ids=lambda value: "-".join(value),
)
def test_an_approval_counts_only_for_the_release_unit_plan_stage_and_role_that_it_names(other):
    assert reasons(decide_full(approve("owner"), approve("risk", 2, **other))) == ["AwaitingApproval"]


def test_a_used_approval_does_not_count_again():
    progress = gen_progress(plan=APPROVED, handled=("uid-approve-1",))
    step = decide(progress, release=gen_release(plan=APPROVED), decisions=(approve("owner"), approve("risk", 2)))
    assert reasons(step) == ["AwaitingApproval"]


def test_approvals_replace_no_evidence():
    assert not raises(decide_full(approve("owner"), approve("risk", 2), verdicts=(gen_verdict(cause="Missing"),)))


# ---- promote, pause, resume


def test_promote_shortens_waiting_and_nothing_else():
    promote = gen_decision(Action.PROMOTE, stage="pilot")
    young = gen_progress(entered=-1)
    step = decide(young, decisions=(promote,))
    assert raises(step) and promote.uid in saved(step).handled
    for held in ({"samples": 0}, {"verdicts": (gen_verdict(cause="Broken"),)}, {"ready": {A.backend: 0}}):
        assert not raises(decide(young, decisions=(promote,), **held))
    waiting = gen_progress(entered=-1, plan=APPROVED)
    step = decide(waiting, release=gen_release(plan=APPROVED), decisions=(promote,))
    assert reasons(step) == ["AwaitingApproval"]


@pytest.mark.parametrize(
    "other", [{"digest": C.digest}, {"digest": None}, {"stage": "mixed"}, {"release_uid": "other"}]
)
def test_promote_is_for_one_unit_and_the_present_stage(other):
    step = decide(gen_progress(entered=-1), decisions=(gen_decision(Action.PROMOTE, **other),))
    assert reasons(step) == ["MinimumDuration"]


def test_a_pause_is_recorded_with_who_and_why_and_holds():
    pause = gen_decision(Action.PAUSE)
    step = decide(gen_progress(), decisions=(pause,))
    assert records(step)[0].kind is RecordKind.PAUSED and saved(step).paused_by == pause.uid
    following = decide(saved(step), decisions=(pause,))
    assert reasons(following) == ["Paused"] and following.actions == ()
    assert "ada" in following.holds[0].message and "because" in following.holds[0].message


def test_a_resume_is_recorded_and_lets_the_release_go_on():
    pause, resume = gen_decision(Action.PAUSE), gen_decision(Action.RESUME, when=1)
    paused = gen_progress(paused_by=pause.uid, handled=(pause.uid,))
    step = decide(paused, decisions=(pause, resume))
    assert records(step)[0].kind is RecordKind.RESUMED and saved(step).paused_by is None
    assert raises(decide(saved(step), decisions=(pause, resume)))


def test_only_a_resume_ends_a_pause():
    pause, old = gen_decision(Action.PAUSE, when=1), gen_decision(Action.RESUME, when=0)
    step = decide(gen_progress(), decisions=(pause, old))
    assert saved(step).paused_by == pause.uid
    for left in ((), (old,)):
        after_deletion = decide(saved(step), decisions=left)
        assert reasons(after_deletion) == ["Paused"] and after_deletion.actions == ()


def test_a_pause_holds_in_every_waiting_state():
    for state in (State.PREPARING, State.OBSERVING):
        assert "Paused" in reasons(decide(gen_progress(state, paused_by="uid-pause-1")))
    last = gen_progress(stage=3, paused_by="uid-pause-1")
    assert "Paused" in reasons(decide(last))


# ---- intents


def unconfirmed(**fields) -> Progress:
    return gen_progress(State.RAISING, stage=1, **fields)


BEFORE_RAISE = gen_route(Target(A, B, PLAN.stages[0].exposure))


def test_a_raise_that_was_not_written_is_written_again_by_the_same_process_while_its_evidence_is_fresh():
    step = decide(unconfirmed(), BEFORE_RAISE)
    assert order(step) == ["Raise"]
    assert writes(step)[0].target.record == "chat-00000007"
    assert writes(step)[0].target.exposure == PLAN.stages[1].exposure


def test_an_intent_is_void_in_another_process_and_recorded_as_such():
    step = decide(unconfirmed(), BEFORE_RAISE, process="p2")
    assert not raises(step)
    assert records(step)[0].kind is RecordKind.INTENT_VOID
    assert records(step)[0].body["intent"] == "chat-00000007"
    assert (saved(step).state, saved(step).intent, saved(step).exposure) == (
        State.OBSERVING,
        None,
        PLAN.stages[0].exposure,
    )


def test_an_intent_is_void_once_its_evidence_is_stale():
    step = decide(unconfirmed(), BEFORE_RAISE, now=at(60), verdicts=(gen_verdict(when=at(60)),))
    assert records(step)[0].kind is RecordKind.INTENT_VOID


def test_a_void_intent_before_the_first_stage_leads_back_to_preparing():
    step = decide(gen_progress(State.RAISING, stage=0), gen_route(Target(A, B, ZERO)), process="p2")
    assert saved(step).state is State.PREPARING and saved(step).exposure == ZERO


def test_an_intent_carried_out_before_a_crash_is_confirmed_by_the_next_process():
    step = decide(unconfirmed(), process="p2")
    assert saved(step).state is State.OBSERVING and saved(step).stage == 1


def test_a_raise_is_not_written_again_over_somebody_elses_change():
    """A person who takes the candidate's traffic away by hand must not see it raised a second later (S8)."""
    for foreign in (gen_arms((A, 1000), (B, 0)), gen_arms((A, 700), (None, 300))):
        step = decide(unconfirmed(), foreign)
        assert not raises(step) and records(step)[0].kind is RecordKind.INTENT_VOID


@pytest.mark.parametrize(
    "held",
    [
        {"paused_by": "uid-pause-1"},
        {"observed": {"ready": {B.backend: 0}}},
        {"observed": {"ready": {A.backend: 0}}},
        {"observed": {"verdicts": (gen_verdict(cause="Broken"),)}},
        {"observed": {"violations": (FAULT,)}},
        {"release": gen_release(faults=(FAULT,))},
    ],
    ids=["paused", "candidate gone", "stable gone", "no data", "not intact", "invalid spec"],
)
def test_a_raise_is_not_written_again_once_something_holds(held):
    progress = unconfirmed(paused_by=held.get("paused_by"))
    step = decide(progress, BEFORE_RAISE, release=held.get("release"), **held.get("observed", {}))
    assert not raises(step) and records(step)[0].kind is RecordKind.INTENT_VOID


def test_of_two_routes_one_raised_already_the_other_follows():
    raising = unconfirmed()
    step = decide(raising, as_progress(raising), replace(BEFORE_RAISE, name="second"))
    assert order(step) == ["Raise"]


def test_of_two_routes_one_raised_already_a_void_intent_lowers_both():
    raising = unconfirmed()
    step = decide(raising, as_progress(raising), replace(BEFORE_RAISE, name="second"), process="p2")
    assert order(step) == ["Lower", "WriteRecord", "Save"]
    assert writes(step)[0].target.exposure == PLAN.stages[0].exposure


# ---- complete


def test_the_last_stage_makes_the_candidate_stable_and_begins_the_watch():
    step = decide(gen_progress(stage=3))
    assert order(step) == ["WriteRecord", "Save"]
    done = saved(step)
    assert (done.state, done.stable, done.fallback, done.candidate) == (State.WATCHING, B, A, None)
    assert done.watch.until == at(600) and records(step)[0].kind is RecordKind.COMPLETED


def test_without_a_watch_the_release_is_settled():
    plan = gen_plan(watch_s=0)
    step = decide(gen_progress(stage=3, plan=plan), release=gen_release(plan=plan))
    assert (saved(step).state, saved(step).fallback, saved(step).watch) == (State.SETTLED, None, None)


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        ({"verdicts": (gen_verdict(cause="Missing"),)}, "EvidenceMissing"),
        ({"violations": (FAULT,)}, "InvalidSpec"),
        ({"conflict": "held by other"}, "RouteConflict"),
    ],
)
def test_what_holds_completion(observed, reason):
    assert reasons(decide(gen_progress(stage=3), **observed)) == [reason]


def test_a_route_that_says_100_percent_and_sends_half_to_stable_does_not_complete():
    step = decide(gen_progress(stage=3), split=(SplitCount(REST, 500, 500),))
    assert reasons(step) == ["SplitMismatch"]


def test_at_100_percent_a_comparison_with_stable_is_not_waited_for():
    plan = gen_plan(gates=(gen_gate(), gen_gate("slow", against_stable="1.5")))
    verdicts = (gen_verdict(), gen_verdict(gate="slow", cause="Missing", comparative=True))
    step = decide(gen_progress(stage=3, plan=plan), release=gen_release(plan=plan), verdicts=verdicts)
    assert saved(step).state is State.WATCHING


def test_a_segment_at_100_percent_alone_is_not_compared_with_stable_but_the_rest_is():
    first = replace(gen_stage("pilot", 50), exposure=Exposure(((SEGMENT, 1000), (REST, 50))))
    plan = gen_plan(first, gen_stage("full", 1000), gates=(gen_gate(against_stable="1.5", scope=Scope.SEGMENT),))
    progress, release = gen_progress(plan=plan), gen_release(plan=plan)
    idle = gen_verdict(segment=SEGMENT, cause="InsufficientTraffic", comparative=True)
    judged = gen_verdict(segment=REST, comparative=True)
    assert raises(decide(progress, release=release, verdicts=(idle, judged)))
    missing = replace(judged, outcome=Outcome.NO_DATA)
    assert not raises(decide(progress, release=release, verdicts=(idle, missing)))


# ---- spec edits


@pytest.mark.parametrize("state", [State.PREPARING, State.RAISING, State.OBSERVING])
def test_another_unit_in_mid_rollout_starts_at_the_first_stage(state):
    progress = gen_progress(state, stage=1) if state is not State.PREPARING else gen_progress(state)
    step = decide(progress, release=gen_release(UNIT_C))
    begun = saved(step)
    assert (begun.state, begun.candidate, begun.stage, begun.exposure) == (State.PREPARING, C, -1, ZERO)
    assert records(step)[0].kind is RecordKind.SUPERSEDED
    if state is not State.PREPARING:
        assert order(step) == ["Lower", "KeepUnit", "WriteRecord", "Save"]
        assert writes(step)[0].target == Target(A, B, ZERO)


def test_only_tighter_bounds_apply_in_place():
    tighter = gen_plan(gates=(gen_gate(maximum="0.01"),))
    step = decide(gen_progress(stage=1), release=gen_release(plan=tighter))
    assert (saved(step).state, saved(step).stage, saved(step).plan) == (State.OBSERVING, 1, tighter)
    assert records(step)[0].kind is RecordKind.TIGHTENED and writes(step) == []


@pytest.mark.parametrize(
    "plan",
    [
        gen_plan(gates=(gen_gate(maximum="0.10"),)),
        gen_plan(gates=(gen_gate(maximum="0.01"), gen_gate("more"))),
        gen_plan(gates=(gen_gate(name="renamed"),)),
        gen_plan(gates=()),
        gen_plan(watch_s=1),
        gen_plan(gen_stage("full", 1000)),
    ],
    ids=["looser", "one more gate", "another gate", "no gate", "watch", "stages"],
)
def test_anything_else_starts_over(plan):
    assert not only_tighter(plan, PLAN)
    step = decide(gen_progress(stage=1), release=gen_release(plan=plan))
    assert (saved(step).state, saved(step).candidate, saved(step).stage) == (State.PREPARING, B, -1)
    assert lowered(step).target.exposure == ZERO


def test_a_tightening_makes_earlier_approvals_void():
    tighter = replace(APPROVED, gates=(gen_gate(maximum="0.01"),))
    progress = gen_progress(plan=tighter)
    step = decide(progress, release=gen_release(plan=tighter), decisions=(approve("owner"), approve("risk", 2)))
    assert reasons(step) == ["AwaitingApproval"]


def test_a_spec_with_faults_changes_nothing_and_the_candidate_is_judged_on():
    for release in (gen_release(None, None, faults=(FAULT,)), gen_release(UNIT_C, faults=(FAULT,))):
        progress = gen_progress(stage=1)
        held = decide(progress, release=release)
        assert held.actions == () and reasons(held)[0] == "InvalidSpec"
        bad = decide(progress, release=release, verdicts=(gen_verdict(Outcome.REVERT),))
        assert saved(bad).state is State.REVERTING and lowered(bad).target.exposure == ZERO


def test_an_edit_to_a_unit_that_was_stopped_before_gives_up_the_candidate_and_starts_nothing():
    step = decide(gen_progress(stopped=(C.digest,)), release=gen_release(UNIT_C))
    assert (saved(step).state, saved(step).candidate) == (State.SETTLED, None)
    assert lowered(step).target == Target(A, B, ZERO)
    assert C.digest in saved(step).stopped


def test_an_edit_to_a_stopped_unit_during_a_watch_leaves_the_watch_open():
    progress = gen_progress(stable=B, candidate=C, fallback=A, watch=gen_watch(), stopped=("sha256:d",))
    other = gen_release(UNIT_A)
    step = decide(replace(progress, stopped=(A.digest,), fallback=replace(A, digest="sha256:old")), release=other)
    assert saved(step).state is State.WATCHING and saved(step).watch == gen_watch()


def test_a_crash_after_the_lowering_of_an_edit_is_no_drift():
    plan = gen_plan(on_drift=OnDrift.HOLD)
    step = decide(gen_progress(plan=plan), gen_arms((A, 1000), (B, 0)), release=gen_release(UNIT_C, plan))
    assert saved(step).candidate == C and step.drifted is None


# ---- maximum duration


@pytest.mark.parametrize("at_max", AtMaxDuration)
def test_an_undecided_stage_at_its_maximum_duration(at_max):
    stages = (
        gen_stage("pilot", 10, max_duration_s=200, at_max_duration=at_max),
        gen_stage("full", 1000, require=Require.PROVEN),
    )
    plan = gen_plan(*stages)
    undecided = {"verdicts": (gen_verdict(Outcome.UNDECIDED),), "release": gen_release(plan=plan)}
    step = decide(gen_progress(plan=plan), **undecided)
    if at_max is AtMaxDuration.REVERT:
        assert saved(step).stop.reason == "Undecided"
    else:
        assert reasons(step) == ["NotProven"]
    assert reasons(decide(gen_progress(plan=plan, entered=-100), **undecided)) == ["NotProven"]


def test_a_stage_that_only_waits_for_a_person_is_not_undecided():
    stage = gen_stage("pilot", 10, max_duration_s=200, at_max_duration=AtMaxDuration.REVERT)
    plan = gen_plan(stage, gen_stage("full", 1000, approvals=("owner",)))
    step = decide(gen_progress(plan=plan), release=gen_release(plan=plan))
    assert reasons(step) == ["AwaitingApproval"]


def test_the_same_question_has_the_same_answer():
    progress = gen_progress()
    args = (gen_release(UNIT_B), progress, gen_observed(as_progress(progress)), NOW)
    assert ask(*args) == ask(*args)


def test_an_owned_route_that_is_gone_before_the_first_stage_is_made_again():
    step = decide(gen_progress(State.PREPARING), gone(owned=True), release=gen_release(owned=True))
    assert order(step) == ["Layout"]
    adopted = decide(gen_progress(State.PREPARING), gone())
    assert adopted.actions == () and reasons(adopted) == ["RouteUnusable"]


def test_decisions_are_for_this_release_object():
    abort = gen_decision(Action.ABORT, release_uid="uid-of-an-older-object")
    assert decide(gen_progress(), decisions=(abort,)).progress.state is State.RAISING
    assert abort.release_uid != UID
