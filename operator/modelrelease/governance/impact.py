"""Projected impact beside what is observed: what a live gate's figure should have become, and what it became (R39).

It informs and decides nothing: a projection that was missed is a question for people, a bound that was broken is the
gate's business.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from modelrelease.domain.gate import Cost, Gate, Quantile, Value
from modelrelease.domain.offline import Impact, OfflineEvidence
from modelrelease.governance.readings import number

Numbers = Mapping[str, float]
"""The numbers of one verdict: events `n` and summed `y` of candidate (c) and stable (s), or one `value`."""


@dataclass(frozen=True, slots=True)
class ImpactSeen:
    """One projection and what was observed, in a sentence; None where it is not measured."""

    gate: str
    sentence: str
    candidate: float | None = None
    stable: float | None = None


def projections(evidence: Iterable[OfflineEvidence], unit_digest: str) -> tuple[Impact, ...]:
    """What evidence of a unit projects, the newest word on each gate."""
    found: dict[str, Impact] = {}
    for each in sorted(evidence, key=lambda each: (each.produced_at, each.uid)):
        if each.unit_digest == unit_digest:
            found |= {impact.gate: impact for impact in each.impact}
    return tuple(found.values())


def seen(projected: Iterable[Impact], gates: Iterable[Gate], numbers: Mapping[str, list[Numbers]]) -> list[ImpactSeen]:
    """Each projection with what the gate of its name measured; `numbers` by gate, one per segment."""
    known = {gate.name: gate for gate in gates}
    return [_seen(impact, known.get(impact.gate), numbers.get(impact.gate, [])) for impact in projected]


def _seen(impact: Impact, gate: Gate | None, numbers: list[Numbers]) -> ImpactSeen:
    unit = f" {impact.unit}" if impact.unit else ""
    if impact.expected is not None:
        projected = f"{impact.gate}: {impact.expected}{unit} was expected"
    else:
        projected = f"{impact.gate}: a change by {impact.change}{unit} was expected"
    if gate is None:
        return ImpactSeen(impact.gate, f"{projected}; the release has no gate of this name that would measure it")
    if isinstance(gate.metric, Quantile):
        return ImpactSeen(impact.gate, f"{projected}; a quantile gate counts what lies above its bound, not the figure")
    ours, theirs = (_figure(gate, numbers, arm) for arm in ("c", "s"))
    if ours is None:
        return ImpactSeen(impact.gate, f"{projected}; nothing was observed yet")
    facts = f"{_text(ours)} on the candidate" + (f" against {_text(theirs)} on stable" if theirs is not None else "")
    if impact.expected is not None:
        off = ours - float(impact.expected)
        return ImpactSeen(impact.gate, f"{projected}, {facts}: {_apart(off)}", ours, theirs)
    if theirs is None:
        return ImpactSeen(impact.gate, f"{projected}; {facts}, and nothing to compare it with", ours)
    return ImpactSeen(impact.gate, f"{projected}, by {_text(ours - theirs)} observed ({facts})", ours, theirs)


def _figure(gate: Gate, numbers: list[Numbers], arm: str) -> float | None:
    if isinstance(gate.metric, Value):
        return next((each["value"] for each in numbers if "value" in each), None) if arm == "c" else None
    events, summed = (sum(each.get(f"{name}_{arm}", 0.0) for each in numbers) for name in ("n", "y"))
    if events <= 0:
        return None
    return summed / events * (gate.metric.per if isinstance(gate.metric, Cost) else 1)


def _text(value: float) -> str:
    return number(Decimal(repr(value)))


def _apart(off: float) -> str:
    return f"{_text(abs(off))} {'more' if off > 0 else 'less'} than expected" if off else "as expected"
