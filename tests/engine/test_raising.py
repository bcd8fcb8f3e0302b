"""Starting a release and raising its exposure: the path, what holds it, what people say, what an edit does."""

from dataclasses import replace

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.evidence import SplitCount
from modelrelease.domain.exposure import REST, Exposure, uniform
from modelrelease.domain.gate import Phase, Scope
from modelrelease.domain.plan import AtMaxDuration, OnDrift, Require
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Fault, State
from modelrelease.domain.traffic import Acceptance, Target
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.planner import plan as ask
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
    gone,
)
from tests.engine.steps import decide, events, lowered, order, raises, reasons, records, saved, writes

FAULT = Fault("InvalidSpec", "spec.unit.model.digest is not a digest: write sha256:…")

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


def test_a_split_that_was_spoilt_unnoticed_is_counted_anew_and_as_long_again():
    """Found by the world: the process died between lowering what a stranger had raised and noting it."""
    spoilt = (SplitCount(REST, 5000, 5000),)
    step = decide(gen_progress(stage=1, entered=-299), split=spoilt)
    assert step.actions == () and reasons(step) == ["SplitMismatch"]
    again = saved(decide(gen_progress(stage=1, entered=-400), split=spoilt))
    assert (again.stage, again.stage_since, again.since) == (1, NOW, at(-400))
    early, late = ({"now": at(age), "verdicts": (gen_verdict(when=at(age)),)} for age in (399, 400))
    assert reasons(decide(again, **early)) == ["MinimumDuration"] and raises(decide(again, **late))
    assert decide(again, split=spoilt, **early).actions == ()
    assert saved(decide(again, split=spoilt, **late)).stage_since == at(400)


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
