"""What happens when nothing is remembered: adopt, install, recover after a lost status."""

from dataclasses import replace

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.exposure import uniform
from modelrelease.domain.plan import OnDrift, Plan
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Fault, Progress, State
from modelrelease.domain.traffic import Acceptance, Target
from tests.engine.builders import (
    PLAN,
    SAFE,
    SEGMENT,
    UNIT_A,
    UNIT_C,
    ZERO,
    A,
    B,
    C,
    gen_arms,
    gen_decision,
    gen_plan,
    gen_progress,
    gen_release,
    gen_route,
    gone,
)
from tests.engine.steps import decide, order, raises, reasons, records, saved, writes

EVERYTHING = uniform((SEGMENT,), 1000)
KNOWN = {"revisions": (A, B, C)}
STARTED, COMPLETED, REVERTED = RecordKind.STARTED, RecordKind.COMPLETED, RecordKind.REVERTED
ADOPTED, WATCHED = RecordKind.ADOPTED, RecordKind.WATCH_COMPLETED
FAULT = Fault("InvalidSpec", "spec.gates[0].max is not a number: write a number")


# ---- adopt


def test_a_backend_equal_to_what_the_route_serves_is_adopted_as_stable_and_recorded_as_ungated():
    step = decide(Progress(), gen_route(), release=gen_release(UNIT_A), baseline=A.backend)
    assert order(step) == ["AddFinalizer", "KeepUnit", "WriteRecord", "Save", "Layout"]
    assert saved(step).stable == A and saved(step).state is State.SETTLED
    (record,) = records(step)
    assert record.kind is RecordKind.ADOPTED and record.body["gated"] is False


def test_another_backend_is_adopted_as_baseline_and_the_spec_then_starts_at_the_first_stage():
    step = decide(Progress(), gen_route(), baseline=A.backend)
    assert saved(step).stable.version == "baseline" and saved(step).stable.backend == A.backend
    following = decide(step.progress, gen_route(Target(step.progress.stable)))
    assert saved(following).candidate == B and saved(following).state is State.PREPARING
    assert following.progress.stage == -1


def test_an_adopted_route_names_the_record_behind_it():
    step = decide(Progress(), gen_route(), release=gen_release(UNIT_A), baseline=A.backend)
    (write,) = writes(step)
    assert write.target.record == "chat-00000008"


def test_a_crash_between_the_status_and_the_layout_of_an_adoption_is_no_drift():
    settled = gen_progress(State.SETTLED, plan=None)
    step = decide(settled, gen_route(), release=gen_release(UNIT_A, gen_plan(on_drift=OnDrift.HOLD)))
    assert order(step) == ["Layout"] and step.drifted is None


def test_what_the_route_serves_cannot_be_read():
    assert reasons(decide(Progress(), gen_route(), baseline=None)) == ["BaselineUnclear"]


def test_a_stopped_unit_is_not_adopted_as_stable_only_because_it_has_the_same_backend():
    step = decide(
        Progress(), gen_route(), release=gen_release(UNIT_A), baseline=A.backend, history={A.digest: REVERTED}
    )
    assert saved(step).stable.digest != A.digest and A.digest in saved(step).stopped


@pytest.mark.parametrize("release", [gen_release(None), gen_release(plan=None), gen_release(faults=(FAULT,))])
def test_an_invalid_spec_touches_nothing(release):
    for route in (gen_route(), gone(owned=True)):
        assert decide(Progress(), route, release=release, baseline=A.backend).actions == ()


def test_the_older_release_on_a_rule_wins():
    assert reasons(decide(Progress(), gen_route(), baseline=A.backend, conflict="held by other")) == ["RouteConflict"]


def test_an_adopted_route_that_does_not_exist_is_waited_for():
    step = decide(Progress(), gone())
    assert step.actions == () and reasons(step) == ["RouteMissing"]


def test_nothing_is_decided_about_routes_that_were_not_read():
    for release in (gen_release(), gen_release(owned=True)):
        step = decide(Progress(), release=release, unread=True)
        assert step.actions == () and reasons(step) == ["RouteUnread"]


# ---- install


def test_with_nothing_served_the_unit_gets_all_traffic_at_once():
    step = decide(Progress(), gone(owned=True), release=gen_release(owned=True))
    assert order(step) == ["AddFinalizer", "KeepUnit", "WriteRecord", "Save", "Layout"]
    assert saved(step).state is State.INSTALLING and writes(step)[0].target == Target(B)


def test_an_install_waits_for_ready_endpoints():
    step = decide(Progress(), gone(owned=True), release=gen_release(owned=True), ready={B.backend: 0})
    assert step.actions == () and reasons(step) == ["CandidateNotReady"]


def test_a_unit_that_is_not_what_its_digest_says_is_not_installed():
    step = decide(Progress(), gone(owned=True), release=gen_release(owned=True), violations=(FAULT,))
    assert step.actions == () and reasons(step) == ["InvalidSpec"]


def test_an_install_is_over_when_the_gateway_accepts_the_route():
    installing = gen_progress(State.INSTALLING, stable=B)
    release = gen_release(owned=True)
    pending = decide(installing, gen_route(Target(B), acceptance=Acceptance.PENDING), release=release)
    assert reasons(pending) == ["RouteNotAccepted"]
    done = decide(installing, gen_route(Target(B)), release=release)
    assert saved(done).state is State.SETTLED


def test_an_edit_replaces_a_unit_that_was_never_served():
    installing = gen_progress(State.INSTALLING, stable=B)
    refused = gen_route(Target(B), acceptance=Acceptance.REFUSED)
    step = decide(installing, refused, release=gen_release(UNIT_C, owned=True))
    assert order(step) == ["KeepUnit", "WriteRecord", "Save", "Raise"]
    assert saved(step).stable == C and saved(step).state is State.INSTALLING


def test_an_edit_after_the_gateway_accepted_the_install_is_a_rollout_and_no_install():
    installing = gen_progress(State.INSTALLING, stable=B)
    step = decide(installing, gen_route(Target(B)), release=gen_release(UNIT_C, owned=True))
    assert saved(step).stable == B and saved(step).state is State.SETTLED


def test_a_lost_status_and_a_lost_route_bring_back_what_the_records_say_was_stable():
    history = {A.digest: ADOPTED, B.digest: STARTED}
    step = decide(Progress(), gone(owned=True), release=gen_release(owned=True), history=history, **KNOWN)
    assert saved(step).stable == A and writes(step)[0].target.base == A


def test_a_stopped_unit_is_not_installed_after_a_lost_status():
    step = decide(Progress(), gone(owned=True), release=gen_release(owned=True), history={B.digest: REVERTED})
    assert step.actions == () and reasons(step) == ["Stopped"]


# ---- recover (lost status)


def recovering(*routes, release=None, **observed):
    return decide(Progress(), *routes, release=release, **{**KNOWN, **observed})


def test_lost_at_rest_the_stable_unit_stays_and_no_weight_is_written():
    step = recovering(gen_route(Target(A)), release=gen_release(UNIT_A), history={A.digest: ADOPTED})
    assert writes(step) == [] and saved(step).stable == A and saved(step).state is State.SETTLED


def test_lost_in_mid_rollout_the_candidate_goes_to_zero_and_starts_over():
    route = gen_route(Target(A, B, uniform((SEGMENT,), 200)))
    step = recovering(route, history={A.digest: ADOPTED, B.digest: STARTED})
    (write,) = writes(step)
    assert order(step)[0] == "Lower" and (write.target.base, write.target.other) == (A, B)
    assert write.target.exposure == ZERO
    assert saved(step).stable == A
    again = decide(step.progress, gen_route(Target(A, B, ZERO)))
    assert saved(again).candidate == B and saved(again).stage == -1


def test_lost_in_mid_rollout_it_recovers_although_the_route_has_no_single_baseline():
    route = gen_route(Target(A, B, uniform((SEGMENT,), 200)), problem="sends traffic to several backends")
    assert saved(recovering(route, history={A.digest: ADOPTED, B.digest: STARTED})).stable == A


def test_lost_in_mid_rollout_with_an_invalid_spec_the_candidate_goes_to_zero_all_the_same():
    route = gen_route(Target(A, B, uniform((SEGMENT,), 200)))
    step = recovering(route, release=gen_release(None, None, faults=(FAULT,)), history={A.digest: ADOPTED})
    assert order(step)[0] == "Lower"


def test_lost_in_the_watch_the_released_unit_stays_and_its_watch_begins_again():
    route = gen_route(Target(A, B, EVERYTHING))
    step = recovering(route, history={A.digest: ADOPTED, B.digest: COMPLETED})
    assert writes(step) == []
    progress = saved(step)
    assert (progress.state, progress.stable, progress.fallback) == (State.WATCHING, B, A)
    assert progress.watch.unit == B and (progress.watch.until - progress.watch.since).total_seconds() == PLAN.watch_s


def test_lost_in_the_watch_beside_a_newer_candidate_that_one_goes_to_zero_and_the_watch_begins_again():
    history = {A.digest: WATCHED, B.digest: COMPLETED, C.digest: STARTED}
    step = recovering(gen_route(Target(B, C, uniform((SEGMENT,), 50))), release=gen_release(UNIT_C), history=history)
    assert writes(step)[0].target.exposure == ZERO and writes(step)[0].target.other == C
    assert (saved(step).state, saved(step).stable, saved(step).fallback) == (State.WATCHING, B, A)


def test_lost_after_a_watch_nothing_is_watched():
    step = recovering(gen_route(Target(B)), history={A.digest: ADOPTED, B.digest: WATCHED})
    assert saved(step).state is State.SETTLED and saved(step).watch is None


def test_lost_after_a_stop_the_unit_stays_stopped_by_record_or_by_mark():
    for facts, mark in (({A.digest: ADOPTED, B.digest: REVERTED}, None), ({A.digest: ADOPTED}, B.digest)):
        step = recovering(gen_route(Target(A, B, ZERO), stopped=mark), history=facts)
        assert saved(step).stopped == (B.digest,)
        following = decide(step.progress, gen_route(Target(A), stopped=mark))
        assert State.PREPARING not in {following.progress.state}


def test_lost_after_a_stop_a_retry_that_was_used_before_does_not_start_it_again():
    retry = gen_decision(Action.RETRY)
    step = recovering(
        gen_route(Target(A, B, ZERO)),
        history={A.digest: ADOPTED, B.digest: REVERTED},
        decisions=(retry,),
        used=(retry.uid,),
    )
    following = decide(step.progress, gen_route(Target(A)), decisions=(retry,))
    assert following.progress.state is State.SETTLED


def test_lost_after_a_retry_the_unit_starts_over():
    history = {A.digest: ADOPTED, B.digest: RecordKind.RETRIED}
    step = recovering(gen_route(Target(A, B, uniform((SEGMENT,), 50))), history=history)
    assert saved(step).stopped == ()


def test_lost_between_the_revert_of_a_watched_unit_and_its_record_the_mark_decides():
    route = gen_route(Target(A, B, ZERO), stopped=B.digest)
    step = recovering(route, history={A.digest: ADOPTED, B.digest: COMPLETED})
    assert saved(step).stable == A and saved(step).stopped == (B.digest,)
    assert all(write.target.base == A for write in writes(step))


def test_a_weight_edited_by_hand_is_not_taken_for_the_truth():
    """Seen elsewhere: a hand-edited weight is adopted, and the rollout jumps to 100 %."""
    history = {A.digest: ADOPTED, B.digest: STARTED}
    for route in (gen_arms((A, 0), (B, 1000)), gen_arms((B, 950), (A, 50)), gen_arms((B, 1000))):
        step = recovering(route, history=history)
        assert saved(step).stable == A
        assert writes(step)[0].target.base == A and not raises(step)


def test_a_unit_that_was_stable_long_ago_and_is_on_its_way_again_is_a_candidate():
    history = {A.digest: COMPLETED, B.digest: STARTED}
    step = recovering(gen_route(Target(A, B, uniform((SEGMENT,), 50))), history=history)
    assert saved(step).stable == A


def test_without_any_record_the_first_arm_is_stable():
    step = recovering(gen_route(Target(A, B, uniform((SEGMENT,), 50))), history={})
    assert saved(step).stable == A and writes(step)[0].target.exposure == ZERO


def test_lost_while_traffic_is_on_the_safe_backend_it_stays_there():
    release = gen_release(safe_backend=SAFE)
    safe = replace(A, digest="", revision="chat-safe", version="safe backend", backend=SAFE)
    history = {A.digest: ADOPTED, B.digest: REVERTED}
    step = recovering(gen_route(Target(safe)), release=release, history=history, ready={A.backend: 0})
    assert saved(step).stable == A and saved(step).diverted == safe and writes(step) == []


@pytest.mark.parametrize("last", [RecordKind.STARTED, RecordKind.RETRIED])
def test_a_retry_said_before_a_stop_of_which_only_the_mark_is_left_does_not_undo_it(last):
    """Found by the world: the status, which knew that the Retry was used up, was lost with the stop."""
    retry = gen_decision(Action.RETRY)
    marked = gen_route(Target(A, B, ZERO), stopped=B.digest)
    step = recovering(marked, history={A.digest: ADOPTED, B.digest: last}, decisions=(retry,))
    following = decide(saved(step), gen_route(Target(A), stopped=B.digest), decisions=(retry,))
    assert following.progress.candidate is None
    again = (retry, gen_decision(Action.RETRY, 2))
    assert saved(decide(saved(step), gen_route(Target(A), stopped=B.digest), decisions=again)).candidate == B


def test_a_retry_said_after_a_recorded_stop_outlives_a_lost_status():
    retry = gen_decision(Action.RETRY)
    marked = gen_route(Target(A, B, ZERO), stopped=B.digest)
    step = recovering(marked, history={A.digest: ADOPTED, B.digest: RecordKind.REVERTED}, decisions=(retry,))
    assert saved(decide(saved(step), gen_route(Target(A), stopped=B.digest), decisions=(retry,))).candidate == B


def test_a_pause_survives_a_lost_status():
    pause = gen_decision(Action.PAUSE)
    step = recovering(gen_route(Target(A)), history={A.digest: ADOPTED}, decisions=(pause,), used=(pause.uid,))
    assert saved(step).paused_by == pause.uid


@pytest.mark.parametrize("plan", [gen_plan(watch_s=0), PLAN])
def test_recovering_twice_is_the_same_as_once(plan: Plan):
    release = gen_release(plan=plan)
    route = gen_route(Target(A, B, EVERYTHING))
    facts = {"history": {A.digest: ADOPTED, B.digest: COMPLETED}, "release": release}
    assert recovering(route, **facts) == recovering(route, **facts)
