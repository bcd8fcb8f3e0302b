"""Order without raising anything: foreign changes, routes that were deleted, tidying, memory of used decisions."""

from dataclasses import replace

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.evidence import SplitCount
from modelrelease.domain.exposure import REST, uniform
from modelrelease.domain.plan import OnDrift
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import State
from modelrelease.domain.traffic import Target
from modelrelease.engine.actions import Intention
from modelrelease.engine.planner import KEPT_HANDLED
from tests.engine.builders import (
    NOW,
    SAFE,
    SEGMENT,
    UNIT_A,
    UNIT_B,
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
from tests.engine.steps import decide, lowered, order, raises, reasons, records, saved, writes

AT_REST = gen_release(UNIT_A)
FOREIGN = [gen_arms((A, 700), (None, 300)), gen_arms((A, 700), (C, 300)), gen_arms((A, 1000), (None, 0), (B, 0))]


def test_a_candidate_that_somebody_else_lowered_starts_over_and_is_not_raised_again():
    progress = gen_progress(stage=2)
    step = decide(progress, gen_arms((A, 990), (B, 10)))
    assert order(step) == ["Lower", "WriteRecord", "Save"]
    assert lowered(step).target == Target(A, B, ZERO) and step.drifted
    begun = saved(step)
    assert (begun.state, begun.stage, begun.stage_since, begun.exposure) == (State.PREPARING, -1, None, ZERO)
    assert records(step)[0].kind is RecordKind.SUPERSEDED


@pytest.mark.parametrize("foreign", [*FOREIGN, gen_arms((A, 990), (B, 10)), gone()])
def test_with_the_policy_hold_a_foreign_change_holds_and_the_route_is_not_written(foreign):
    plan = gen_plan(on_drift=OnDrift.HOLD)
    step = decide(gen_progress(stage=2, plan=plan), foreign, release=gen_release(plan=plan))
    assert writes(step) == [] and step.drifted and reasons(step) == ["Drifted"]
    again = decide(saved(step), foreign, release=gen_release(plan=plan))
    assert again.actions == () and again.drifted


def test_a_stage_begins_anew_after_a_change_that_was_held():
    """Found by the world: the split counted what came at somebody else's share, and held the stage for ever."""
    plan = gen_plan(on_drift=OnDrift.HOLD)
    release, counted = gen_release(plan=plan), (SplitCount(REST, 500, 9500),)
    held = saved(decide(gen_progress(stage=2, plan=plan), gen_arms((A, 1000), (B, 0)), release=release, split=counted))
    assert (held.stage, held.stage_since) == (2, None)
    restored = saved(decide(held, release=release, split=counted))
    assert (restored.state, restored.stage, restored.stage_since) == (State.OBSERVING, 2, NOW)
    young = decide(restored, release=release, now=at(30), verdicts=(gen_verdict(when=at(30)),))
    assert "MinimumDuration" in reasons(young)
    later = decide(restored, release=release, now=at(60), verdicts=(gen_verdict(when=at(60)),))
    assert raises(later)


@pytest.mark.parametrize("state", [State.SETTLED, State.STOPPED])
@pytest.mark.parametrize("foreign", FOREIGN[:2])
def test_at_rest_a_foreign_change_is_undone_in_favour_of_stable(state, foreign):
    step = decide(gen_progress(state), foreign, release=AT_REST if state is State.SETTLED else None)
    write = lowered(step)
    assert write.target.base == A and write.target.exposure.is_zero and step.drifted


def test_a_route_in_the_hands_of_an_older_release_is_left_alone():
    for state in (State.SETTLED, State.OBSERVING):
        step = decide(gen_progress(state), FOREIGN[0], conflict="held by other")
        assert writes(step) == [] and reasons(step) == ["RouteConflict"]
        assert step.progress.stage_since is None


@pytest.mark.parametrize("state", [State.OBSERVING, State.SETTLED, State.WATCHING, State.STOPPED])
def test_an_adopted_route_that_was_deleted_is_shown_and_waited_for(state):
    step = decide(gen_progress(state), gone(), release=AT_REST if state is State.SETTLED else None)
    assert writes(step) == [] and "gone" in step.drifted


@pytest.mark.parametrize("state", [State.SETTLED, State.WATCHING, State.STOPPED])
def test_an_owned_route_that_was_deleted_is_made_again_with_everything_on_stable(state):
    progress = gen_progress(state)
    step = decide(
        progress, gone(owned=True), release=gen_release(UNIT_A if state is State.SETTLED else None, owned=True)
    )
    (write,) = writes(step)
    assert write.intention is Intention.LAYOUT and write.target == Target(progress.stable) and step.drifted


def test_an_owned_route_that_was_deleted_in_mid_rollout_starts_the_candidate_over():
    step = decide(gen_progress(stage=2), gone(owned=True), release=gen_release(owned=True))
    assert saved(step).state is State.PREPARING and saved(step).stage == -1


def test_at_rest_the_route_is_brought_to_one_arm_and_then_nothing_is_written_any_more():
    settled = gen_progress(State.SETTLED)
    step = decide(settled, gen_route(Target(A, B, ZERO)), release=AT_REST)
    assert order(step) == ["Layout"] and step.drifted is None
    assert decide(settled, release=AT_REST).actions == ()


@pytest.mark.parametrize("state", [State.SETTLED, State.WATCHING, State.STOPPED])
def test_where_everything_is_as_intended_nothing_is_written(state):
    progress = gen_progress(state)
    step = decide(progress, release=AT_REST if state is State.SETTLED else None)
    assert step.actions == () and step.progress == progress


def test_beside_the_safe_backend_nothing_is_written_either():
    safe = gen_progress(State.STOPPED, diverted=A.__class__("", "chat-safe", "safe backend", SAFE))
    step = decide(safe, gen_route(Target(safe.diverted)), release=gen_release(safe_backend=SAFE), ready={A.backend: 0})
    assert step.actions == ()


def test_used_decisions_that_exist_are_never_forgotten():
    """A forgotten Abort would stop, and a forgotten Retry start, what nobody decided about."""
    old = tuple(gen_decision(Action.ABORT, number) for number in range(3 * KEPT_HANDLED))
    progress = gen_progress(entered=0, handled=(*(said.uid for said in old), "uid-of-a-deleted-one"))
    step = decide(progress, decisions=old)
    assert step.progress.state is State.OBSERVING
    assert step.progress.handled == tuple(said.uid for said in old)


def test_drift_of_one_of_two_routes_is_drift():
    progress = gen_progress(stage=1)
    other = gen_arms((A, 1000), (B, 0), name="second")
    step = decide(progress, as_progress(progress), other)
    assert saved(step).state is State.PREPARING


def test_a_pause_at_rest_is_noted_and_keeps_a_new_release_from_its_first_stage():
    pause = gen_decision(Action.PAUSE)
    noted = decide(gen_progress(State.SETTLED), decisions=(pause,))
    assert saved(noted).paused_by == pause.uid
    started = decide(saved(noted), decisions=(pause,))
    assert saved(started).state is State.PREPARING
    held = decide(saved(started), decisions=(pause,))
    assert "Paused" in reasons(held) and held.actions == ()


def test_a_resume_of_nothing_writes_nothing():
    assert decide(gen_progress(State.SETTLED), release=AT_REST, decisions=(gen_decision(Action.RESUME),)).actions == ()


def test_a_segment_rule_that_somebody_removed_is_drift():
    progress = gen_progress(stage=1)
    step = decide(progress, gen_route(Target(A, B, uniform((), 50)), segments=()))
    assert saved(step).state is State.PREPARING and step.drifted
    assert SEGMENT in {segment for segment, _ in progress.exposure.shares}


@pytest.mark.parametrize("state", [State.SETTLED, State.WATCHING])
def test_a_route_that_is_not_as_declared_is_laid_out_anew_at_rest(state):
    watching = {"fallback": A, "stable": B, "watch": gen_watch()} if state is State.WATCHING else {}
    progress = gen_progress(state, **watching)
    stale = replace(as_progress(progress), declared=False)
    release = gen_release(UNIT_B if watching else UNIT_A, owned=True)
    assert order(decide(progress, stale, release=release)) == ["Layout"]
    assert order(decide(progress, as_progress(progress), release=release)) == []
