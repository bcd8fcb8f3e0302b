"""Drawn policies and releases, and what it means that a plan is not looser than a tier: written down a second time."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise, product

from hypothesis import strategies as st

from modelrelease.domain.exposure import FULL_PERMILLE, REST, Exposure
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Kind, Phase, Rule
from modelrelease.domain.plan import Plan, Require, Stage
from modelrelease.domain.policy import Demands, Policy, TierStage
from modelrelease.domain.tier import Tier
from modelrelease.governance.effective import Declared
from modelrelease.governance.path import Written
from modelrelease.governance.tightening import looser
from tests.governance.builders import SEGMENTS, exposure, gate, policy
from tests.governance.drawn_entry import entries

NAMES = (*SEGMENTS, REST)
FIGURES = tuple(Decimal(number) / 100 for number in (0, 1, 4, 6, 12, 31))
"""Figures that candidate and stable may show."""

bounds = st.sampled_from(["0.01", "0.05", "0.1", "0.3"])
rules: st.SearchStrategy[Rule] = st.one_of(
    st.builds(Absolute, bounds),
    st.builds(Absolute, bounds, bounds),
    st.builds(AgainstStable, st.sampled_from(["1", "1.5", "3"]), st.none(), st.none() | bounds),
    st.builds(AgainstStable, st.none(), bounds, st.none() | bounds),
)
gates = st.builds(
    gate,
    st.sampled_from(["errors", "answers", "costs"]),
    rules,
    template=st.sampled_from(["error-rate", "wrong-answers"]),
    kind=st.sampled_from(Kind),
    warm_up_s=st.sampled_from([0, 60]),
    phases=st.sampled_from([(Phase.STAGE,), (Phase.WATCH,), tuple(Phase)]),
)
gate_lists = st.lists(gates, max_size=3, unique_by=lambda one: one.name).map(tuple)
shares = st.sampled_from([0, 10, 50, 200, 1000])


@st.composite
def chains(draw: st.DrawFn, most: int, *, rising: bool = False) -> list[Exposure]:
    """Exposures none of which gives less than the one before (`rising`: all give more), and everything in the end."""
    found = [exposure(low=draw(shares), vip=draw(shares), rest=draw(shares)) for _ in range(draw(st.integers(0, most)))]
    chain: list[Exposure] = []
    for each in found:
        before = chain[-1] if chain else exposure()
        chain.append(Exposure(tuple((name, max(before.of(name), each.of(name))) for name in NAMES)))
    chain.append(exposure(low=1000, vip=1000, rest=1000))
    return [one for one in dict.fromkeys(chain) if not one.is_zero] if rising else chain


@st.composite
def demands(draw: st.DrawFn, tier: Tier) -> Demands:
    seconds, some = st.none() | st.integers(0, 5).map(lambda n: n * 600), st.none() | st.integers(0, 500)
    stages = [
        TierStage(
            f"tier{number}",
            top.shares,
            draw(seconds),
            draw(some),
            draw(st.none() | st.sampled_from(Require)),
            tuple(draw(st.sets(st.sampled_from(["owner", "risk"])))),
        )
        for number, top in enumerate(draw(st.just([]) | chains(3, rising=True)))
    ]
    kinds = tuple(draw(st.sets(st.sampled_from(Kind), max_size=1)))
    limits = [draw(seconds) for _ in range(3)]
    odds = [draw(st.none() | st.integers(1, 99)) for _ in range(2)]
    return Demands(tier, draw(gate_lists), kinds, tuple(stages), *limits, *odds, entry=draw(entries))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return policy(*(draw(demands(tier)) for tier in Tier))


@st.composite
def releases(draw: st.DrawFn) -> Declared:
    seconds = st.integers(0, 5).map(lambda n: n * 600)
    written = tuple(
        Written(
            Stage(f"own{number}", top, min_duration_s=draw(seconds), min_samples=draw(st.integers(0, 500))),
            *(draw(st.booleans()) for _ in range(3)),
        )
        for number, top in enumerate(draw(st.just([]) | chains(3)))
    )
    path = tuple(each.stage for each in written) or (Stage("all", exposure(low=1000, vip=1000, rest=1000)),)
    own_watch = draw(st.booleans())
    plan = Plan(path, draw(gate_lists), watch_s=draw(seconds), entry=draw(entries))
    return Declared(plan, SEGMENTS, written, own_watch)


def passes(rule: Rule, candidate: Decimal, stable: Decimal) -> bool:
    """Whether a rule lets a figure of the candidate through."""
    match rule:
        case Absolute(maximum, minimum):
            return (maximum is None or candidate <= Decimal(maximum)) and (
                minimum is None or candidate >= Decimal(minimum)
            )
        case AgainstStable(ratio, difference, floor):
            if floor is not None and candidate <= Decimal(floor):
                return True
            return (ratio is None or candidate <= Decimal(ratio) * stable) and (
                difference is None or candidate <= stable + Decimal(difference)
            )


def implies(one: Gate, other: Gate) -> bool:
    """Whether whatever passes one gate passes the other, at each moment at which that one is judged."""
    return (
        (one.metric, one.arm, one.source, one.scope) == (other.metric, other.arm, other.source, other.scope)
        and set(other.phases) <= set(one.phases)
        and one.warm_up_s <= other.warm_up_s
        and all(
            passes(other.rule, candidate, stable)
            for candidate, stable in product(FIGURES, FIGURES)
            if passes(one.rule, candidate, stable)
        )
    )


def looser_than(plan: Plan, tier: Demands) -> list[str]:
    """In which respects a plan asks for less than a tier; empty when in none."""
    found = [f"gate {one.name}" for one in tier.gates if not any(implies(own, one) for own in plan.gates)]
    found += [f"kind {kind}" for kind in tier.kinds if not any(
        one.kind is kind and Phase.STAGE in one.phases for one in plan.gates)]  # fmt: skip
    if tier.watch_s is not None and plan.watch_s < tier.watch_s:
        found.append("watch")
    if tier.missing_s is not None and plan.limits.missing_s > tier.missing_s:
        found.append("missing")
    if tier.broken_s is not None and plan.limits.broken_s > tier.broken_s:
        found.append("broken")
    if tier.beta_permille is not None and plan.limits.beta_permille > tier.beta_permille:
        found.append("beta")
    found += [f"entry: {said}" for said in looser(plan.entry, tier.entry)]
    return found + (_in_bands(plan.stages, tier.stages) if tier.stages else [])


def falls(stages: tuple[Stage, ...]) -> bool:
    """Whether a share falls from one stage to the next, or the last does not give everything."""
    risen = all(before.exposure.within(after.exposure) for before, after in pairwise(stages))
    return not risen or any(share != FULL_PERMILLE for _, share in stages[-1].exposure.shares)


def _in_bands(stages: tuple[Stage, ...], tier: tuple[TierStage, ...]) -> list[str]:
    """Before more than a tier's stage is given, its band was gone through with its demands."""
    found, below = [], None
    for asked in tier:
        top = Exposure(asked.shares)
        band = [one for one in stages if one.exposure.within(top) and not (below and one.exposure.within(below))]
        below = top
        if not band:
            found.append(f"{asked.name}: nothing in its place")
            continue
        segments = {name for name, share in asked.shares if share}
        if not any({name for name, share in one.exposure.shares if share} == segments for one in band):
            found.append(f"{asked.name}: not for its segments")
        for one in band:
            if asked.min_duration_s is not None and one.min_duration_s < asked.min_duration_s:
                found.append(f"{asked.name}: {one.name} is shorter")
            if asked.min_samples is not None and one.min_samples < asked.min_samples:
                found.append(f"{asked.name}: {one.name} has fewer samples")
            if asked.require is Require.PROVEN and one.require is not Require.PROVEN:
                found.append(f"{asked.name}: {one.name} needs less proof")
        if not set(asked.approvals) <= set(band[0].approvals):
            found.append(f"{asked.name}: entered without approval")
    return found
