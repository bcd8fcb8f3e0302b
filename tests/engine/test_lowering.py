"""Taking traffic back: stop conditions, where it goes, git reverts, drift upwards, deletion. Nothing may delay it."""

from dataclasses import replace

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.exposure import NOTHING, REST, Exposure, uniform
from modelrelease.domain.plan import OnDrift, OnNoSafePath
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Fault, Progress, State
from modelrelease.domain.traffic import Acceptance, Target, Traffic
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.actions import Intention
from tests.engine.builders import (
    NOW,
    PLAN,
    SAFE,
    SEGMENT,
    UNIT_A,
    UNIT_C,
    ZERO,
    A,
    B,
    C,
    as_progress,
    at,
    gen_arms,
    gen_decision,
    gen_plan,
    gen_progress,
    gen_release,
    gen_route,
    gen_verdict,
    gen_watch,
    gone,
)
from tests.engine.steps import decide, events, lowered, order, reasons, records, saved, writes

BAD = (gen_verdict(Outcome.REVERT),)
FAULT = Fault("InvalidSpec", "spec.gates[0].max is not a number: write a number")
ON_THE_WAY = [State.PREPARING, State.RAISING, State.OBSERVING]
SAFE_UNIT = replace(A, digest="", revision="chat-safe", version="safe backend", backend=SAFE)


def on_the_way(state: State, **fields) -> Progress:
    return gen_progress(state, **({} if state is State.PREPARING else {"stage": 1}), **fields)


# ---- stop conditions


@pytest.mark.parametrize("state", ON_THE_WAY)
@pytest.mark.parametrize("decision", [None, Action.ABORT, Action.REJECT])
def test_a_stop_condition_takes_everything_back_first_and_marks_the_route(state, decision):
    said = {"decisions": (gen_decision(decision, role="owner"),)} if decision else {"verdicts": BAD}
    asks = gen_plan(*PLAN.stages[:-1], replace(PLAN.stages[-1], approvals=("owner",)))
    step = decide(on_the_way(state, plan=asks), release=gen_release(plan=asks), **said)
    assert order(step) == ["Lower", "Save"]
    assert lowered(step).target == Target(A, B, ZERO, stopped=B.digest)
    assert (saved(step).state, saved(step).intent) == (State.REVERTING, None)
    assert B.digest in saved(step).stopped
    assert events(step) == ["Reverting"]


@pytest.mark.parametrize("state", ON_THE_WAY)
def test_nothing_delays_a_revert(state):
    """No pause, fault, conflict, missing approval, drift, missing sample or minimum duration (R17, S6)."""
    progress = on_the_way(state, paused_by="uid-pause-1", entered=0)
    pause, resume = gen_decision(Action.PAUSE), gen_decision(Action.RESUME, 2)
    for route in (as_progress(progress), gen_arms((A, 100), (B, 900)), gen_arms((A, 1000), (B, 0))):
        step = decide(
            progress,
            replace(route, acceptance=Acceptance.REFUSED),
            release=gen_release(None, None, faults=(FAULT,)),
            verdicts=(*BAD, gen_verdict(gate="slow", cause="SourceDown")),
            decisions=(pause, resume),
            conflict="held by other",
            violations=(FAULT,),
            samples=None,
        )
        assert order(step) == ["Lower", "Save"] and saved(step).state is State.REVERTING


def test_a_revert_needs_no_record_and_the_record_follows_once_the_candidate_is_at_zero():
    step = decide(gen_progress(), verdicts=BAD)
    assert records(step) == []
    reverting = saved(step)
    following = decide(reverting, gen_route(Target(A, B, ZERO), stopped=B.digest))
    assert order(following) == ["WriteRecord", "Save"]
    (record,) = records(following)
    assert record.kind is RecordKind.REVERTED and record.body["reason"] == "GateFailed"
    assert record.body["gate"] == "errors" and record.body["stopped"]["digest"] == B.digest
    assert saved(following).state is State.STOPPED and saved(following).outcomes[0].outcome == "Reverted"


def test_an_abort_is_recorded_with_who_and_why():
    abort = gen_decision(Action.ABORT)
    reverting = saved(decide(gen_progress(), decisions=(abort,)))
    assert abort.uid in reverting.handled
    step = decide(reverting, gen_route(Target(A, B, ZERO), stopped=B.digest), decisions=(abort,))
    assert records(step)[0].kind is RecordKind.ABORTED
    assert [(said["uid"], said["author"]) for said in records(step)[0].body["decisions"]] == [(abort.uid, "ada")]


@pytest.mark.parametrize("other", [{"digest": C.digest}, {"release_uid": "uid-other"}])
def test_an_abort_of_something_else_stops_nothing(other):
    assert decide(gen_progress(entered=0), decisions=(gen_decision(Action.ABORT, **other),)).actions == ()


def test_a_revert_that_did_not_reach_the_route_is_written_again():
    reverting = gen_progress(State.REVERTING)
    step = decide(reverting, gen_route(Target(A, B, PLAN.stages[1].exposure)))
    assert lowered(step).target == Target(A, B, ZERO, stopped=B.digest) and step.progress.state is State.REVERTING


def test_a_revert_is_not_recorded_before_the_gateway_confirms_it_or_half_a_minute_is_over():
    reverting = gen_progress(State.REVERTING, entered=-10)
    pending = gen_route(Target(A, B, ZERO), acceptance=Acceptance.PENDING)
    assert decide(reverting, pending).actions == ()
    assert saved(decide(reverting, pending, now=at(30))).state is State.STOPPED


def test_a_crash_after_the_route_was_lowered_continues_the_revert():
    for state in ON_THE_WAY:
        progress = on_the_way(state)
        step = decide(progress, gen_route(Target(A, B, ZERO), stopped=B.digest))
        assert saved(step).state is State.REVERTING and saved(step).stop.reason == "Stopped"


def test_a_revert_begun_anew_after_a_crash_still_says_its_reason():
    step = decide(gen_progress(), gen_route(Target(A, B, ZERO), stopped=B.digest), verdicts=BAD)
    assert saved(step).stop.reason == "GateFailed" and saved(step).stop.gate == "errors"


def test_the_mark_of_another_unit_stops_nothing():
    assert writes(decide(gen_progress(), as_progress(gen_progress(), stopped=C.digest)))[0].intention is Intention.RAISE


def test_a_raise_that_the_gateway_refuses_or_does_not_confirm_in_time_is_taken_back():
    raising = gen_progress(State.RAISING, stage=1)
    for acceptance in (Acceptance.REFUSED, Acceptance.PENDING):
        view = as_progress(raising, acceptance=acceptance, acceptance_message="no such backend")
        assert decide(raising, view, now=at(58)).actions == ()
        step = decide(raising, view, now=at(59))
        assert saved(step).stop.reason == "RouteNotAccepted" and "no such backend" in saved(step).stop.message


def test_a_revert_with_no_route_read_is_remembered_and_not_called_done():
    """An edit that breaks spec.traffic must not make the revert of a candidate look finished."""
    blind = gen_release(None, None, traffic=Traffic(), faults=(FAULT,))
    step = decide(gen_progress(), release=blind, unread=True, verdicts=BAD)
    assert saved(step).state is State.REVERTING and B.digest in saved(step).stopped
    following = decide(saved(step), release=blind, unread=True)
    assert following.actions == () and reasons(following) == ["RouteUnread"]


def test_a_route_that_cannot_be_steered_any_more_is_lowered_as_long_as_the_candidate_has_a_share_there():
    reverting = gen_progress(State.REVERTING)
    odd = gen_route(Target(A, B, PLAN.stages[1].exposure), problem="no rule named main")
    assert order(decide(reverting, odd)) == ["Lower"]
    empty = gen_route(Target(A, B, ZERO), problem="no rule named main")
    assert saved(decide(reverting, empty)).state is State.STOPPED


def test_a_deleted_route_has_no_candidate_traffic():
    assert saved(decide(gen_progress(State.REVERTING), gone())).state is State.STOPPED


# ---- where the traffic goes


def stop_without_stable(on_no_safe_path=OnNoSafePath.CANDIDATE, *, safe=None, **ready):
    plan = gen_plan(on_no_safe_path=on_no_safe_path)
    release = gen_release(plan=plan, **({"safe_backend": SAFE} if safe is not None else {}))
    counts = {A.backend: 0, SAFE: safe, **{{"b": B.backend}[key]: value for key, value in ready.items()}}
    return decide(gen_progress(stage=1, plan=plan), release=release, ready=counts, verdicts=BAD), release


@pytest.mark.parametrize("ready", [1, 5, None])
def test_a_revert_goes_to_stable_if_it_has_any_endpoint_or_the_cluster_cannot_tell(ready):
    step = decide(gen_progress(), ready={A.backend: ready}, verdicts=BAD)
    assert lowered(step).target.base == A


def test_where_stable_has_no_endpoint_a_revert_goes_to_the_safe_backend():
    step, _ = stop_without_stable(safe=2)
    assert lowered(step).target == Target(SAFE_UNIT, stopped=B.digest)
    assert saved(step).diverted == SAFE_UNIT and saved(step).exposure.is_zero


def test_the_policy_decides_where_neither_stable_nor_the_safe_backend_is_ready():
    step, _ = stop_without_stable(safe=0)
    held = lowered(step).target
    assert held.other == B and held.exposure == PLAN.stages[1].exposure and held.stopped == B.digest
    assert reasons(step) == ["NoSafePath"] and saved(step).exposure == PLAN.stages[1].exposure
    step, _ = stop_without_stable(OnNoSafePath.STABLE, safe=0)
    assert lowered(step).target == Target(A, B, ZERO, stopped=B.digest)


def test_a_candidate_without_endpoints_is_not_the_less_bad_side():
    step, _ = stop_without_stable(b=0)
    assert lowered(step).target == Target(A, B, ZERO, stopped=B.digest)


def test_a_revert_held_for_want_of_a_safe_path_happens_as_soon_as_there_is_one():
    step, release = stop_without_stable()
    reverting, route = saved(step), gen_route(Target(A, B, PLAN.stages[1].exposure), stopped=B.digest)
    waiting = decide(reverting, route, release=release, ready={A.backend: 0})
    assert waiting.actions == () and reasons(waiting) == ["NoSafePath"]
    done = decide(reverting, route, release=release)
    assert lowered(done).target == Target(A, B, ZERO, stopped=B.digest)


def test_a_held_revert_never_raises_what_somebody_else_lowered():
    plan = gen_plan()
    step = decide(gen_progress(stage=2, plan=plan), gen_arms((A, 990), (B, 10)), ready={A.backend: 0}, verdicts=BAD)
    assert lowered(step).target.exposure.within(uniform((SEGMENT,), 10))


def diverted(state=State.STOPPED, **fields) -> Progress:
    return gen_progress(state, diverted=SAFE_UNIT, **fields)


@pytest.mark.parametrize("state", [State.STOPPED, State.SETTLED])
def test_traffic_returns_from_the_safe_backend_to_stable_once_stable_is_ready(state):
    step = decide(diverted(state), gen_route(Target(SAFE_UNIT)), release=gen_release(safe_backend=SAFE))
    assert lowered(step).target.base == A and lowered(step).target.exposure == ZERO
    assert saved(step).diverted is None


@pytest.mark.parametrize("ready", [0, None])
def test_traffic_stays_on_the_safe_backend_while_stable_is_not_known_to_be_ready(ready):
    release = gen_release(safe_backend=SAFE)
    step = decide(diverted(), gen_route(Target(SAFE_UNIT)), release=release, ready={A.backend: ready})
    assert step.actions == ()


def test_nothing_new_starts_while_traffic_is_on_the_safe_backend():
    release = gen_release(UNIT_C, safe_backend=SAFE)
    step = decide(diverted(), gen_route(Target(SAFE_UNIT)), release=release, ready={A.backend: 0})
    assert step.actions == () and reasons(step) == ["NoSafePath"]


def test_a_git_revert_while_traffic_is_on_the_safe_backend_does_not_send_it_to_a_dead_stable():
    release = gen_release(UNIT_A, safe_backend=SAFE)
    step = decide(diverted(), gen_route(Target(SAFE_UNIT)), release=release, ready={A.backend: 0})
    assert writes(step) == [] and saved(step).state is State.SETTLED and saved(step).diverted == SAFE_UNIT


# ---- git revert


@pytest.mark.parametrize("state", ON_THE_WAY)
def test_a_git_revert_to_stable_goes_back_at_once_without_a_canary(state):
    step = decide(on_the_way(state, paused_by="uid-pause-1"), release=gen_release(UNIT_A))
    assert order(step) == ["Lower", "WriteRecord", "Save"]
    assert lowered(step).target == Target(A, B, ZERO)
    assert (saved(step).state, saved(step).candidate) == (State.SETTLED, None)
    assert records(step)[0].kind is RecordKind.WITHDRAWN and B.digest not in saved(step).stopped


def test_a_git_revert_wins_against_somebody_who_keeps_raising_the_candidate():
    step = decide(gen_progress(), gen_arms((A, 100), (B, 900)), release=gen_release(UNIT_A))
    assert lowered(step).target.exposure == ZERO and saved(step).state is State.SETTLED


def test_a_git_revert_does_not_send_traffic_to_a_stable_without_endpoints():
    for ready, moved in ((0, False), (1, True), (None, True)):
        step = decide(gen_progress(), release=gen_release(UNIT_A), ready={A.backend: ready})
        assert bool(writes(step)) is moved
        assert reasons(step) == ([] if moved else ["NoSafePath"])


def test_a_git_revert_after_a_stop_settles_without_any_route_write():
    step = decide(gen_progress(State.STOPPED), release=gen_release(UNIT_A))
    assert order(step) == ["Save"] and saved(step).state is State.SETTLED and saved(step).stopped == (B.digest,)


# ---- drift upwards


@pytest.mark.parametrize("on_drift", OnDrift)
@pytest.mark.parametrize("state", [*ON_THE_WAY, State.STOPPED])
def test_a_share_that_somebody_else_raised_is_lowered_at_once_whatever_the_policy(state, on_drift):
    plan = gen_plan(on_drift=on_drift)
    progress = on_the_way(state, plan=plan) if state in ON_THE_WAY else gen_progress(state, plan=plan)
    intended = {State.OBSERVING: PLAN.stages[1], State.RAISING: PLAN.stages[0]}.get(state)
    intended = intended.exposure if intended else ZERO
    step = decide(progress, gen_arms((A, 100), (B, 900)), release=gen_release(plan=plan))
    assert lowered(step).target.exposure == intended and step.drifted
    assert step.progress.state is state and reasons(step) == ["Drifted"]
    if state is State.OBSERVING:
        assert saved(step).stage_since == NOW, "its samples were counted at another share"


def test_a_raise_that_is_only_decided_is_not_carried_out_by_lowering_somebody_elses_change():
    raising = gen_progress(State.RAISING, stage=1)
    step = decide(raising, gen_arms((A, 700), (B, 300)))
    assert lowered(step).target.exposure == PLAN.stages[0].exposure


def test_lowering_one_segment_does_not_raise_another():
    progress = gen_progress(stage=1)
    mixed = gen_route(Target(A, B, Exposure(((SEGMENT, 900), (REST, 10)))))
    assert lowered(decide(progress, mixed)).target.exposure == Exposure(((SEGMENT, 50), (REST, 10)))


def test_a_stopped_unit_raised_by_hand_beside_the_safe_backend_is_lowered():
    plan = gen_plan(on_drift=OnDrift.HOLD)
    release = gen_release(plan=plan, safe_backend=SAFE)
    step = decide(diverted(plan=plan), gen_arms((SAFE_UNIT, 500), (B, 500)), release=release, ready={A.backend: 0})
    assert lowered(step).target == Target(SAFE_UNIT, exposure=ZERO)


# ---- deletion


def deleting(**fields):
    return gen_release(deleting=True, **fields)


@pytest.mark.parametrize("state", [*ON_THE_WAY, State.REVERTING, State.STOPPED])
def test_deletion_takes_the_candidate_back_before_the_finalizer_goes(state):
    progress = on_the_way(state) if state in ON_THE_WAY else gen_progress(state)
    step = decide(progress, gen_arms((A, 900), (B, 100)), release=deleting())
    assert order(step) == ["Lower", "RemoveFinalizer"]
    assert lowered(step).target == Target(A, B, ZERO)


@pytest.mark.parametrize("state", [State.NEW, State.INSTALLING, State.SETTLED, State.WATCHING])
def test_deletion_where_no_candidate_has_traffic_only_lets_go(state):
    progress = gen_progress(state)
    route = gen_route() if state is State.NEW else as_progress(progress)
    assert order(decide(progress, route, release=deleting())) == ["RemoveFinalizer"]


@pytest.mark.parametrize("state", State)
def test_deletion_waits_for_no_prometheus_no_gateway_no_person_and_no_spec(state):
    progress = gen_progress(state, paused_by="uid-pause-1" if state is not State.NEW else None)
    release = deleting(unit=None, plan=None, faults=(FAULT,))
    for route in (gone(), replace(gen_route(), acceptance=Acceptance.REFUSED)):
        step = decide(progress, route, release=release, verdicts=(), samples=None, conflict="held by other")
        assert order(step) == ["RemoveFinalizer"] and step.progress.state is State.DELETED


def test_deletion_after_a_lost_status_takes_the_candidate_back_all_the_same():
    route = gen_route(Target(A, B, PLAN.stages[2].exposure))
    history = {A.digest: RecordKind.ADOPTED, B.digest: RecordKind.STARTED}
    step = decide(Progress(), route, release=deleting(), revisions=(A, B), history=history)
    assert order(step) == ["Lower", "RemoveFinalizer"] and lowered(step).target == Target(A, B, ZERO)


def test_deletion_waits_until_the_routes_were_read():
    for release in (deleting(), deleting(traffic=Traffic(), faults=(FAULT,))):
        step = decide(gen_progress(), release=release, unread=True)
        assert step.actions == () and reasons(step) == ["RouteUnread"]
    settled = decide(gen_progress(State.SETTLED), release=deleting(traffic=Traffic()), unread=True)
    assert order(settled) == ["RemoveFinalizer"]


def test_deletion_goes_to_the_safe_backend_where_stable_is_dead_and_waits_for_nobody():
    ready = {A.backend: 0}
    step = decide(gen_progress(), release=deleting(safe_backend=SAFE), ready=ready)
    assert lowered(step).target.base == SAFE_UNIT and order(step)[-1] == "RemoveFinalizer"
    step = decide(gen_progress(), release=deleting(), ready=ready)
    assert lowered(step).target == Target(A, B, ZERO) and order(step)[-1] == "RemoveFinalizer"


def test_an_owned_route_goes_only_where_the_release_says_so():
    progress = gen_progress(State.SETTLED)
    for asked in (False, True):
        release = deleting(owned=True, delete_owned_route=asked)
        assert ("DeleteOwnedRoutes" in order(decide(progress, release=release))) is asked
    adopted = deleting(delete_owned_route=True)
    assert "DeleteOwnedRoutes" not in order(decide(progress, release=adopted))


def test_an_object_without_our_finalizer_is_left_alone():
    assert decide(gen_progress(), release=deleting(finalizer=False), verdicts=BAD).actions == ()


def test_deletion_in_the_middle_of_a_watch_keeps_the_released_unit():
    progress = gen_progress(stable=B, candidate=C, fallback=A, watch=gen_watch())
    step = decide(progress, release=deleting(unit=UNIT_C))
    assert lowered(step).target == Target(B, C, ZERO)


def test_an_exposure_of_nothing_is_zero():
    assert NOTHING.is_zero and ZERO.is_zero and str(ZERO) == "0 %"
