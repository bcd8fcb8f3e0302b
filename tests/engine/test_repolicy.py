"""A policy changes in mid-rollout: what is stricter applies at once, the rest waits for people or the next rollout."""

from dataclasses import replace

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.plan import Require
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Fault, State
from modelrelease.domain.tier import Governed, Standing, Tier
from modelrelease.engine.conditions import conditions
from tests.engine.builders import (
    PLAN,
    UNIT_C,
    B,
    as_progress,
    gen_decision,
    gen_gate,
    gen_observed,
    gen_progress,
    gen_stage,
)
from tests.engine.builders import gen_release as release_of
from tests.engine.steps import decide, order, reasons, records, saved, writes

UNDER = Governed(Tier.HIGH, "strict", "sha256:one", "sha256:declared", ("risk",))
EDITED = replace(UNDER, policy_digest="sha256:two")
OLD = replace(PLAN, governed=UNDER)


def edited(**fields):
    """The plan that the edited policy makes of the same release."""
    return replace(OLD, governed=EDITED, **fields)


def slower(seconds: int):
    stages = tuple(replace(stage, min_duration_s=stage.min_duration_s + seconds) for stage in OLD.stages)
    return edited(stages=stages)


def in_stage(index: int = 1, **fields):
    return gen_progress(stage=index, plan=OLD, **fields)


def condition(progress, release, kind):
    step = decide(progress, release=release)
    seen = gen_observed(as_progress(progress))
    return next((found for found in conditions(release, step, seen) if found.type == kind), None)


def approval(plan, number: int = 1, **fields):
    bound = {"plan_digest": plan.digest, "role": "risk", **fields}
    return gen_decision(Action.APPROVE, number, **bound)


def test_an_edition_that_changes_nothing_for_the_plan_is_nothing_to_do():
    for state in (State.PREPARING, State.OBSERVING):
        progress = gen_progress(state, plan=OLD)
        step = decide(progress, release=release_of(plan=edited()))
        assert not records(step) or records(step)[0].kind is RecordKind.RAISED
        assert condition(progress, release_of(plan=edited()), "PolicyPending") is None


@pytest.mark.parametrize(
    "plan",
    [
        slower(60),
        edited(stages=tuple(replace(stage, min_samples=stage.min_samples + 9) for stage in OLD.stages)),
        edited(stages=(*OLD.stages[:-1], replace(OLD.stages[-1], require=Require.PROVEN, approvals=("risk",)))),
        edited(gates=(*OLD.gates, gen_gate("more"))),
        edited(gates=(gen_gate(maximum="0.01"),)),
        edited(watch_s=OLD.watch_s + 60),
        edited(limits=replace(OLD.limits, missing_s=OLD.limits.missing_s - 1)),
        edited(stages=(*OLD.stages[:2], gen_stage("between", 600), *OLD.stages[2:])),
    ],
    ids=["duration", "samples", "proof", "one more gate", "bound", "watch", "patience", "a stage ahead"],
)
def test_what_is_stricter_applies_in_place(plan):
    step = decide(in_stage(), release=release_of(plan=plan))
    assert (saved(step).state, saved(step).stage, saved(step).plan) == (State.OBSERVING, 1, plan)
    (kept,) = records(step)
    assert kept.kind is RecordKind.TIGHTENED and writes(step) == []
    assert kept.body["policy"] == {"name": "strict", "digest": "sha256:two"} and kept.body["tier"] == "High"
    assert kept.body["message"].startswith("ReleasePolicy strict changed: ")
    assert condition(replace(in_stage(), plan=plan), release_of(plan=plan), "PolicyPending") is None


LOOSER = {
    "duration": slower(-1),
    "no gate": edited(gates=()),
    "bound": edited(gates=(gen_gate(maximum="0.5"),)),
    "watch": edited(watch_s=0),
    "fewer stages": edited(stages=OLD.stages[1:]),
    "a stage behind": edited(stages=(gen_stage("before", 5), *OLD.stages)),
    "statistics": edited(limits=replace(OLD.limits, alpha_permille=50)),
    "tier": replace(OLD, governed=replace(EDITED, tier=Tier.LOW)),
}


@pytest.mark.parametrize("plan", LOOSER.values(), ids=LOOSER)
def test_what_is_looser_waits_and_is_told(plan):
    progress, release = in_stage(), release_of(plan=plan)
    step = decide(progress, release=release)
    assert not any(record.kind in (RecordKind.TIGHTENED, RecordKind.SUPERSEDED) for record in records(step))
    assert step.progress.plan == OLD
    told = condition(progress, release, "PolicyPending")
    assert told is not None and told.status == "True" and "the next rollout" in told.message


def test_of_a_mixed_edition_the_stricter_part_applies_and_the_rest_waits():
    plan = replace(slower(60), watch_s=0)
    step = decide(in_stage(), release=release_of(plan=plan))
    assert saved(step).plan.watch_s == OLD.watch_s
    assert saved(step).plan.stages == plan.stages
    told = condition(saved(step), release_of(plan=plan), "PolicyPending")
    assert told is not None and "watch 0s instead of " in told.message
    assert "minDuration" not in told.message


def test_a_loosening_that_the_role_approved_applies_in_place_and_names_who_did():
    plan = edited(watch_s=60)
    step = decide(in_stage(), release=release_of(plan=plan), decisions=(approval(plan),))
    assert (saved(step).plan, saved(step).stage) == (plan, 1) and order(step) == ["WriteRecord", "Save"]
    (kept,) = records(step)
    assert kept.kind is RecordKind.LOOSENED and "approved by ada" in kept.body["message"]
    assert [said["author"] for said in kept.body["decisions"]] == ["ada"]
    assert saved(step).handled[-1] == "uid-approve-1"


@pytest.mark.parametrize(
    "other",
    [
        {"plan_digest": OLD.digest},
        {"role": "owner"},
        {"digest": UNIT_C.digest},
        {"release_uid": "another"},
    ],
    ids=["another plan", "another role", "another unit", "another release"],
)
def test_an_approval_of_something_else_loosens_nothing(other):
    plan = edited(watch_s=60)
    step = decide(in_stage(), release=release_of(plan=plan), decisions=(approval(plan, **other),))
    assert step.progress.plan == OLD


def test_the_role_is_that_of_the_plan_in_force_and_not_of_the_looser_one():
    plan = replace(edited(watch_s=60), governed=replace(EDITED, loosening=("owner",)))
    step = decide(in_stage(), release=release_of(plan=plan), decisions=(approval(plan, role="owner"),))
    assert step.progress.plan == OLD


def test_a_loosening_that_nobody_may_approve_is_for_the_next_rollout_only():
    progress = in_stage()
    progress = replace(progress, plan=replace(OLD, governed=replace(UNDER, loosening=())))
    plan = replace(edited(watch_s=60), governed=replace(EDITED, loosening=()))
    step = decide(progress, release=release_of(plan=plan), decisions=(approval(plan),))
    assert step.progress.plan == progress.plan
    told = condition(progress, release_of(plan=plan), "PolicyPending")
    assert told is not None and "modelrelease approve" not in told.message


def test_an_edit_of_the_release_starts_over_as_ever():
    plan = replace(edited(watch_s=60), governed=replace(EDITED, declared="sha256:other"))
    step = decide(in_stage(), release=release_of(plan=plan))
    assert (saved(step).state, saved(step).candidate, saved(step).plan) == (State.PREPARING, B, plan)


def test_a_tighter_edit_of_the_release_applies_in_place_unless_it_lowers_the_tier():
    tighter = replace(OLD, gates=(gen_gate(maximum="0.01"),), governed=replace(UNDER, declared="sha256:other"))
    step = decide(in_stage(), release=release_of(plan=tighter))
    assert records(step)[0].kind is RecordKind.TIGHTENED and saved(step).stage == 1
    lower = replace(tighter, governed=replace(UNDER, declared="sha256:other", tier=Tier.LOW))
    assert records(decide(in_stage(), release=release_of(plan=lower)))[0].kind is RecordKind.SUPERSEDED


def test_a_release_that_now_asks_for_too_little_is_judged_by_the_policy_and_does_not_rise():
    below = Fault("BelowTier", "spec.gates[0].max: 0.05 is looser; write at most 0.01")
    plan = edited(gates=(gen_gate(maximum="0.01"),))
    step = decide(in_stage(), release=release_of(plan=plan, faults=(below,)))
    assert saved(step).plan == plan
    held = decide(replace(in_stage(), plan=plan), release=release_of(plan=plan, faults=(below,)))
    assert held.actions == () and reasons(held)[0] == "BelowTier"
    other = release_of(plan=plan, faults=(Fault("PolicyAmbiguous", "two policies"),))
    assert decide(in_stage(), release=other).progress.plan == OLD


def test_a_raise_that_is_being_carried_out_is_decided_first():
    progress = gen_progress(State.RAISING, stage=1, plan=OLD)
    step = decide(progress, release=release_of(plan=slower(60)))
    assert not any(record.kind is RecordKind.TIGHTENED for record in records(step))


def test_the_condition_says_whether_the_release_asks_for_what_its_tier_asks_for():
    standing = Standing(Tier.HIGH, ("because",), "strict", "sha256:one")
    satisfied = condition(in_stage(), release_of(plan=OLD, standing=standing), "PolicySatisfied")
    assert satisfied is not None and satisfied.status == "True"
    advised = replace(standing, shortfalls=("spec.gates: add one",))
    short = condition(in_stage(), release_of(plan=OLD, standing=advised), "PolicySatisfied")
    assert short is not None and (short.status, short.message) == ("False", "spec.gates: add one")
    assert condition(in_stage(), release_of(plan=OLD, standing=standing), "PolicyReviewDue") is None
    overdue = replace(standing, overdue="2026-02-28")
    late = condition(in_stage(), release_of(plan=OLD, standing=overdue), "PolicyReviewDue")
    assert late.status == "True" and "strict had to be looked at again by 2026-02-28" in late.message
    built_in = replace(standing, built_in=True)
    assert condition(in_stage(), release_of(plan=OLD, standing=built_in), "PolicySatisfied") is None


def test_a_start_is_recorded_with_tier_reasons_and_policy():
    standing = Standing(Tier.HIGH, ("unit.model changed: at least High",), "strict", "sha256:one")
    step = decide(gen_progress(State.SETTLED), release=release_of(plan=OLD, standing=standing))
    (kept,) = records(step)
    assert kept.kind is RecordKind.STARTED and "in tier High" in kept.body["message"]
    assert kept.body["tierReasons"] == ["unit.model changed: at least High"]
    assert kept.body["policy"] == {"name": "strict", "digest": "sha256:one"}
