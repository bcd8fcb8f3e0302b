"""The effective plan: what the release asked for with what its tier asks for in it, and never less than the tier."""

from dataclasses import replace

import pytest

from modelrelease.domain.exposure import REST
from modelrelease.domain.gate import Absolute, AgainstStable, Kind, Phase, Scope
from modelrelease.domain.plan import Limits, Plan, Require
from modelrelease.domain.policy import Demands
from modelrelease.domain.tier import Enforcement, Governed, Tier
from modelrelease.governance.effective import Declared, effective
from tests.governance.builders import (
    HIGH,
    SEGMENTS,
    declared,
    everywhere,
    exposure,
    full,
    gate,
    policy,
    stage,
    tier_stage,
)

SAFE = gate("safety", Absolute("0.01"), template="violations", kind=Kind.SAFETY)
STRICT = gate("errors", Absolute("0.01"))


def made(asked: Declared, *demands: Demands, tier: Tier = Tier.HIGH, **fields) -> tuple[Plan, list[str]]:
    plan, faults = effective(asked, policy(*(demands or (HIGH,)), **fields), tier)
    assert {fault.reason for fault in faults} <= {"BelowTier"}
    return plan, [fault.message for fault in faults]


def path(plan: Plan) -> list[str]:
    return [stage.name for stage in plan.stages]


def test_a_release_that_writes_nothing_gets_the_path_of_its_tier() -> None:
    plan, faults = made(declared(gates=(SAFE,)))
    assert faults == []
    pilot, mixed, last = plan.stages
    assert (pilot.exposure, pilot.min_duration_s, pilot.min_samples) == (exposure(low=10), 3600, 500)
    assert (mixed.exposure, mixed.min_duration_s, mixed.approvals) == (everywhere(50), 1800, ())
    assert (pilot.approvals, last.approvals, last.require) == (("owner",), ("risk",), Require.PROVEN)
    assert plan.watch_s == 72 * 3600
    assert plan.limits == Limits(missing_s=60, broken_s=120, alpha_permille=5)


def test_the_plan_says_under_which_policy_and_for_what_release_it_was_made() -> None:
    asked = declared(gates=(SAFE,))
    plan, _ = made(asked, loosening=("risk",))
    assert plan.governed == Governed(Tier.HIGH, "strict", "sha256:policy", asked.plan.digest, ("risk",))
    assert plan.digest != replace(plan, governed=None).digest


def test_written_stages_get_the_demands_of_their_band() -> None:
    plan, faults = made(
        declared(stage("tiny", exposure(low=5)), stage("some", 30, min_duration_s=7200), full(), gates=(SAFE,))
    )
    assert faults == [] and path(plan) == ["tiny", "some", "full"]
    tiny, some, last = plan.stages
    assert (tiny.min_duration_s, tiny.min_samples, tiny.approvals) == (3600, 500, ("owner",))
    assert (some.min_duration_s, some.min_samples, some.approvals) == (7200, 1000, ())
    assert last.approvals == ("risk",)


def test_a_stage_that_the_release_leaves_out_is_put_in() -> None:
    plan, faults = made(declared(stage("half", 500), full(), gates=(SAFE,)))
    assert faults == [] and path(plan) == ["pilot", "mixed", "half", "full"]
    half = plan.stages[2]
    assert (half.require, half.approvals) == (Require.PROVEN, ("risk",)), "all above 5 % is the last band"


def test_a_stage_for_other_segments_does_not_stand_for_the_tiers() -> None:
    plan, _ = made(declared(stage("vips", exposure(low=10, vip=20)), full(), gates=(SAFE,)))
    assert path(plan) == ["pilot", "vips", "mixed", "full"]


def test_a_path_that_cannot_be_put_in_order_is_refused() -> None:
    _, faults = made(declared(stage("vips", exposure(vip=20)), full(), gates=(SAFE,)))
    assert faults == [
        "spec.strategy.stages: stage vips gives less of segment low than stage pilot, which tier High of ReleasePolicy "
        "strict puts before it; give segment low at least 1 % there"
    ]


def test_a_segment_that_the_tier_names_must_be_declared() -> None:
    asked = replace(declared(gates=(SAFE,)), segments=())
    _, faults = made(asked)
    assert faults == [
        "spec.traffic.segments: tier High of ReleasePolicy strict has a stage for segment low; declare it, such as by "
        "a header that your callers send"
    ]


def test_a_name_that_the_release_uses_elsewhere_is_not_taken_twice() -> None:
    plan, _ = made(declared(stage("pilot", 500), full(), gates=(SAFE,)))
    assert path(plan) == ["pilot-tier1", "mixed", "pilot", "full"]


def test_a_maximum_shorter_than_the_tiers_minimum_is_refused() -> None:
    _, faults = made(declared(stage("pilot", exposure(low=10), max_duration_s=600), full(), gates=(SAFE,)))
    assert faults == [
        "spec.strategy.stages (pilot).maxDuration: 600 s is shorter than the 3600 s that tier High of ReleasePolicy "
        "strict asks for; raise it"
    ]


def test_required_gates_are_added_where_nothing_stands_for_them() -> None:
    plan, faults = made(declared(gates=(SAFE,)))
    assert faults == [] and [gate.name for gate in plan.gates] == ["safety", "errors"]
    assert plan.gates[1] == HIGH.gates[0]


@pytest.mark.parametrize("own", [STRICT, replace(STRICT, name="mine")], ids=["of its name", "of another name"])
def test_a_stricter_gate_of_the_release_stands_for_the_required_one(own) -> None:
    plan, faults = made(declared(gates=(SAFE, own)))
    assert faults == [] and plan.gates == (SAFE, own)


BY = "as gate errors of tier High of ReleasePolicy strict asks"


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (gate("errors", Absolute("0.03")), "max (errors): 0.03 is looser; write at most 0.02"),
        (gate("mine", Absolute("0.03")), "max (mine): 0.03 is looser; write at most 0.02"),
        (
            gate("errors", AgainstStable("1.1")),
            "against (errors): a margin against stable cannot be compared with max or min; write those",
        ),
        (gate("errors", STRICT.rule, template="own"), "template (errors): it measures something else; name template "
         "error-rate"),
        (replace(STRICT, source="mine"), "source (errors): it asks mine; name default"),
        (replace(STRICT, scope=Scope.SEGMENT), "scope (errors): Segment cannot be compared; write Whole"),
        (replace(STRICT, phases=(Phase.STAGE,)), "phases (errors): it is not judged in Watch; add it"),
        (replace(STRICT, warm_up_s=60), "warmUp (errors): 60s leaves out more; write at most 0s"),
    ],
    ids=["bound", "other name", "rule", "template", "source", "scope", "phases", "warm-up"],
)  # fmt: skip
def test_a_gate_that_asks_for_less_is_refused_with_field_and_mend(own, said) -> None:
    plan, faults = made(declared(gates=(own, SAFE)))
    assert faults == [f"spec.gates[0].{said}, {BY}"]
    assert HIGH.gates[0] in plan.gates, "and meanwhile the policy's own is judged by"


def test_another_rule_under_another_name_is_no_counterpart() -> None:
    own = gate("mine", AgainstStable("1.1"))
    plan, faults = made(declared(gates=(own, SAFE)))
    assert faults == [] and plan.gates == (own, SAFE, HIGH.gates[0])


def test_a_kind_that_must_be_there_is_asked_for() -> None:
    _, faults = made(declared(gates=(STRICT,)))
    assert faults == [
        "spec.gates: tier High of ReleasePolicy strict asks for a gate of kind Safety in the stages; add one"
    ]
    _, faults = made(declared(gates=(replace(SAFE, phases=(Phase.WATCH,)),)))
    assert len(faults) == 1, "one for the watch alone comes too late"


@pytest.mark.parametrize(("own", "watch_s"), [(None, 72 * 3600), (3600, 72 * 3600), (100 * 3600, 100 * 3600)])
def test_the_longer_watch_wins(own: int | None, watch_s: int) -> None:
    assert made(declared(gates=(SAFE,), watch_s=own))[0].watch_s == watch_s


def test_a_tier_may_ask_for_a_shorter_watch_than_the_default() -> None:
    assert made(declared(), Demands(Tier.LOW, watch_s=60), tier=Tier.LOW)[0].watch_s == 60


def test_a_tier_includes_the_lower_ones() -> None:
    low = Demands(Tier.LOW, gates=(SAFE,), stages=(tier_stage("all", (REST, 1000), min_duration_s=60),), watch_s=7200)
    plan, faults = made(declared(), Demands(Tier.HIGH, watch_s=3600), low)
    assert faults == [] and plan.watch_s == 7200
    assert SAFE in plan.gates and path(plan) == ["all"]


def test_a_higher_tier_does_not_ask_lower_ones() -> None:
    plan, faults = made(declared(), tier=Tier.LOW)
    assert faults == []
    assert replace(plan, governed=None) == declared().plan


def test_a_policy_that_advises_fills_in_what_is_not_written_and_refuses_nothing() -> None:
    advised = {"enforcement": Enforcement.ADVISE}
    plan, faults = made(declared(gates=()), **advised)
    assert faults == [] and path(plan) == ["pilot", "mixed", "full"] and plan.watch_s == 72 * 3600
    own = declared(stage("half", 500), full(), gates=(), watch_s=60)
    plan, faults = made(own, **advised)
    assert faults == [] and replace(plan, governed=None) == own.plan


def test_where_a_policy_advises_a_segment_that_is_not_there_means_all_traffic() -> None:
    asked = replace(declared(gates=()), segments=())
    plan, _ = made(asked, enforcement=Enforcement.ADVISE)
    assert [share for _, share in plan.stages[0].exposure.shares] == [10]


def test_what_a_stage_leaves_open_comes_from_the_tier() -> None:
    asked = declared(stage("pilot", exposure(low=10), min_duration_s=300), full(), gates=(SAFE,))
    short = replace(HIGH, stages=(replace(HIGH.stages[0], min_duration_s=60), *HIGH.stages[1:]))
    assert made(asked, short)[0].stages[0].min_duration_s == 300
    open_ = replace(asked, stages=(replace(asked.stages[0], open_duration=True), *asked.stages[1:]))
    assert made(open_, short)[0].stages[0].min_duration_s == 60


def test_segments_are_named_in_order() -> None:
    plan, _ = made(declared(gates=(SAFE,)))
    assert [name for name, _ in plan.stages[0].exposure.shares] == [*SEGMENTS, REST]
