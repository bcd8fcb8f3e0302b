"""Units, plans and policies for tests of governance, complete, so that a test says only what it is about."""

from __future__ import annotations

from typing import Any

from modelrelease.api.convert_policy import built_in_policy, policy_of
from modelrelease.domain.exposure import REST, Exposure
from modelrelease.domain.gate import Absolute, Gate, Kind, Matcher, MatchOp, Ratio, Rule, Series
from modelrelease.domain.plan import Plan, Require, Stage
from modelrelease.domain.policy import Demands, Policy, TierStage
from modelrelease.domain.tier import Tier
from modelrelease.domain.unit import Backend, Part, PartName, Unit
from modelrelease.governance.effective import Declared
from modelrelease.governance.path import Written

SEGMENTS = ("low", "vip")

_BUILT_IN = policy_of(built_in_policy(), {})
assert isinstance(_BUILT_IN, Policy)
FLOORS = _BUILT_IN.floors
"""The default floors."""


def part(**fields: str) -> Part:
    return Part(tuple(sorted(fields.items())))


def unit(*, backend: Backend, version: str = "v", **parts: Part) -> Unit:
    return Unit(version, backend, tuple((PartName(name), parts[name]) for name in PartName if name in parts))


def gate(name: str = "errors", rule: Rule | None = None, *, template: str = "error-rate", **fields: Any) -> Gate:
    """A share of bad requests of one template; `template` also names the series."""
    metric = Ratio(Series(f"{template}_bad"), Series(f"{template}_total"))
    arm = (Matcher("service", MatchOp.EQUAL, "${service}"),)
    return Gate(name, metric, rule or Absolute("0.05"), arm, template=template, **fields)


def exposure(*, low: int = 0, vip: int = 0, rest: int = 0) -> Exposure:
    return Exposure((("low", low), ("vip", vip), (REST, rest)))


def everywhere(permille: int) -> Exposure:
    return exposure(low=permille, vip=permille, rest=permille)


def stage(name: str, where: Exposure | int, **fields: Any) -> Stage:
    return Stage(name, everywhere(where) if isinstance(where, int) else where, **fields)


def full(**fields: Any) -> Stage:
    return stage("full", 1000, **{"require": Require.PROVEN, **fields})


def tier_stage(name: str, *shares: tuple[str, int], **fields: Any) -> TierStage:
    return TierStage(name, shares, **fields)


def declared(
    *stages: Stage, gates: tuple[Gate, ...] = (gate(),), watch_s: int | None = None, **fields: Any
) -> Declared:
    """What a release asked for; without stages it leaves its path to others."""
    path = stages or (stage("pilot", 10, min_duration_s=300), full())
    plan = Plan(path, gates, watch_s=86400 if watch_s is None else watch_s)
    return Declared(plan, SEGMENTS, tuple(map(Written, stages)), watch_s is not None, **fields)


def policy(*demands: Demands, **fields: Any) -> Policy:
    return Policy("strict", "sha256:policy", floors=FLOORS, demands=demands, **fields)


HIGH = Demands(
    Tier.HIGH,
    gates=(gate("errors", Absolute("0.02")),),
    kinds=(Kind.SAFETY,),
    stages=(
        tier_stage("pilot", ("low", 10), min_duration_s=3600, min_samples=500, approvals=("owner",)),
        tier_stage("mixed", (REST, 50), min_duration_s=1800, min_samples=1000),
        tier_stage("full", (REST, 1000), require=Require.PROVEN, approvals=("risk",)),
    ),
    watch_s=72 * 3600,
    missing_s=60,
    alpha_permille=5,
)
"""A high tier with something in each respect."""
