"""Over drawn policies and releases: a plan is never looser than its tier, and asking for more never loosens it."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelrelease.domain.tier import Tier
from modelrelease.governance.differences import applies_as_a_whole, differences, same, tightened
from modelrelease.governance.effective import effective
from modelrelease.governance.tightening import tightens
from tests.governance.drawn import falls, gates, implies, looser_than, policies, releases

SLOW = [HealthCheck.too_slow]
"""Policies are large, and the machine may be busy."""


@settings(max_examples=120, suppress_health_check=SLOW)
@given(asked=releases(), policy=policies(), tier=st.sampled_from(Tier))
def test_the_plan_is_never_looser_than_the_tier_nor_than_the_release(asked, policy, tier) -> None:
    plan, faults = effective(asked, policy, tier)
    if any("spec.strategy.stages:" in fault.message for fault in faults):
        return
    kinds = any(" asks for a gate of kind " in fault.message for fault in faults)
    for each in tier.included:
        found = looser_than(plan, policy.of(each))
        names = {one.name for higher in tier.included if higher.rank > each.rank for one in policy.of(higher).gates}
        found = [one for one in found if one.removeprefix("gate ") not in names]
        assert [one for one in found if not (kinds and one.startswith("kind "))] == []
    assert not falls(plan.stages)
    assert len({stage.name for stage in plan.stages}) == len(plan.stages)
    if faults:
        return
    assert tightens(plan.entry, asked.plan.entry)
    assert plan.watch_s >= (asked.plan.watch_s if asked.own_watch else 0)
    for own in asked.plan.gates:
        assert any(implies(one, own) for one in plan.gates)
    by_name = {stage.name: stage for stage in plan.stages}
    for written in asked.stages:
        stage, own = by_name[written.stage.name], written.stage
        assert stage.exposure == own.exposure
        assert written.open_duration or stage.min_duration_s >= own.min_duration_s
        assert written.open_samples or stage.min_samples >= own.min_samples


@settings(max_examples=60, suppress_health_check=SLOW)
@given(asked=releases(), policy=policies(), tier=st.sampled_from(Tier), more=gates)
def test_one_more_gate_takes_none_away(asked, policy, tier, more) -> None:
    if any(one.name == more.name for one in asked.plan.gates):
        return
    before, _ = effective(asked, policy, tier)
    added = replace(asked, plan=replace(asked.plan, gates=(*asked.plan.gates, more)))
    after, faults = effective(added, policy, tier)
    assert faults or all(any(implies(one, old) for one in after.gates) for old in before.gates)


@settings(max_examples=60, suppress_health_check=SLOW)
@given(asked=releases(), policy=policies())
def test_the_tier_of_a_plan_never_changes_what_is_merged_twice(asked, policy) -> None:
    plan, faults = effective(asked, policy, Tier.HIGH)
    if faults:
        return
    again, more = effective(replace(asked, plan=replace(plan, governed=None)), policy, Tier.HIGH)
    assert more == () and again.gates == plan.gates and again.limits == plan.limits


@settings(max_examples=120, suppress_health_check=SLOW)
@given(asked=releases(), policy=policies(), other=policies(), entered=st.integers(-1, 3))
def test_what_applies_in_mid_rollout_is_never_looser_than_what_was(asked, policy, other, entered) -> None:
    old, new = effective(asked, policy, Tier.HIGH)[0], effective(asked, other, Tier.HIGH)[0]
    entered = min(entered, len(old.stages) - 1)
    found = tightened(old, new, entered=entered)
    by_name = {stage.name: stage for stage in found.stages}
    for stage in old.stages:
        now = by_name[stage.name]
        assert now.exposure == stage.exposure
        assert now.min_duration_s >= stage.min_duration_s and now.min_samples >= stage.min_samples
        assert set(stage.approvals) <= set(now.approvals) and now.require >= stage.require
    assert [stage.name for stage in found.stages[: entered + 1]] == [s.name for s in old.stages[: entered + 1]]
    assert all(any(implies(one, gate) for one in found.gates) for gate in old.gates)
    assert tightens(found.entry, old.entry)
    assert found.watch_s >= old.watch_s and found.limits.missing_s <= old.limits.missing_s
    assert found.limits.alpha_permille == old.limits.alpha_permille
    assert applies_as_a_whole(old, found, entered=entered)
    assert same(tightened(found, new, entered=entered), found), "once is enough"
    assert same(tightened(old, old, entered=entered), old) and differences(old, old) == ()
    assert same(found, old) == (not differences(old, found))
