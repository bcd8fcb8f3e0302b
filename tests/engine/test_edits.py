"""The spec is edited in mid-rollout: tighter bounds apply in place, anything else starts over."""

from dataclasses import replace

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.plan import OnDrift
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Fault, State
from modelrelease.domain.traffic import Target
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.raising import only_tighter
from tests.engine.builders import (
    NOW,
    PLAN,
    UNIT_A,
    UNIT_C,
    ZERO,
    A,
    B,
    C,
    gen_arms,
    gen_decision,
    gen_gate,
    gen_plan,
    gen_progress,
    gen_release,
    gen_stage,
    gen_verdict,
    gen_watch,
)
from tests.engine.steps import decide, lowered, order, reasons, records, saved, writes

APPROVED = gen_plan(
    gen_stage("pilot", 10, segment_only=True),
    gen_stage("full", 1000, approvals=("owner", "risk"), min_duration_s=0, min_samples=0),
)
FAULT = Fault("InvalidSpec", "spec.unit.model.digest is not a digest: write sha256:…")


def approve(role: str, number: int = 1, /, **fields):
    return gen_decision(Action.APPROVE, number, **{"role": role, "plan_digest": APPROVED.digest, **fields})


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
        gen_plan(requests="sha256:others"),
    ],
    ids=["looser", "one more gate", "another gate", "no gate", "watch", "stages", "requests"],
)
def test_anything_else_starts_over(plan):
    assert not only_tighter(plan, PLAN, NOW)
    step = decide(gen_progress(stage=1), release=gen_release(plan=plan))
    assert (saved(step).state, saved(step).candidate, saved(step).stage) == (State.PREPARING, B, -1)
    assert lowered(step).target.exposure == ZERO


def test_what_an_edit_changed_is_said():
    tighter = gen_plan(gates=(gen_gate(maximum="0.01"),))
    [record] = records(decide(gen_progress(stage=1), release=gen_release(plan=tighter)))
    assert record.body["message"] == "tighter bounds apply in place: gate errors is stricter"
    [record] = records(decide(gen_progress(stage=1), release=gen_release(plan=gen_plan(watch_s=1))))
    assert "the plan changed by more than tighter bounds: watch" in record.body["message"]


@pytest.mark.parametrize("fresh_s", [10, 240])
def test_another_scrape_interval_of_the_source_starts_nothing_over(fresh_s):
    plan = replace(PLAN, limits=replace(PLAN.limits, fresh_s=fresh_s))
    step = decide(gen_progress(stage=1), release=gen_release(plan=plan))
    assert (saved(step).state, saved(step).stage, saved(step).plan) == (State.OBSERVING, 1, plan)


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


def test_an_edit_waits_while_it_would_send_users_to_a_stable_without_endpoints():
    """Found by the world: the candidate answers, and stable does not."""
    progress = gen_progress(stage=2)
    for release in (gen_release(UNIT_C), gen_release(plan=gen_plan(watch_s=1))):
        step = decide(progress, release=release, ready={A.backend: 0})
        assert step.actions == () and reasons(step) == ["NoSafePath"]
        bad = decide(progress, release=release, ready={A.backend: 0}, verdicts=(gen_verdict(Outcome.REVERT),))
        assert saved(bad).state is State.REVERTING
    unseen = decide(progress, gen_arms((A, 1000), (B, 0)), release=gen_release(UNIT_C), ready={A.backend: 0})
    assert saved(unseen).candidate == C


def test_a_crash_after_the_lowering_of_an_edit_is_no_drift():
    plan = gen_plan(on_drift=OnDrift.HOLD)
    step = decide(gen_progress(plan=plan), gen_arms((A, 1000), (B, 0)), release=gen_release(UNIT_C, plan))
    assert saved(step).candidate == C and step.drifted is None
