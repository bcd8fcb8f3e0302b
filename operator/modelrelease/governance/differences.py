"""Two plans compared: what differs in words, and what of a new one may apply to a rollout that is under way (R7).

What demands at least as much applies in place. What would loosen the plan, or change the path behind the candidate or
the statistics in the middle of a test, waits: for the next rollout, or for people who approve it.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime

from modelrelease.domain.approval import ApprovalRules
from modelrelease.domain.gate import Gate
from modelrelease.domain.plan import Limits, Plan, Require, Stage
from modelrelease.domain.tier import Governed
from modelrelease.governance.approval_merge import merged as merged_approvals
from modelrelease.governance.approvals import first_full
from modelrelease.governance.approvals import tighter as more_approvals
from modelrelease.governance.effective import Declared
from modelrelease.governance.strictness import at_least_as_strict
from modelrelease.governance.tightening import combined
from modelrelease.governance.tightening import tightens as entry_tightens
from modelrelease.governance.train import merged, narrows

EVER = datetime.min.replace(tzinfo=UTC)
"""Before any freeze: one that is over counts, too, so that no clock is needed to compare two trains."""


def same(one: Plan, other: Plan) -> bool:
    """Whether two plans ask for the same, whatever edition of which policy they were made under."""
    return _bare(one) == _bare(other) and _tier(one) == _tier(other)


def tightened(old: Plan, new: Plan, *, entered: int) -> Plan:
    """`old` with all of `new` that demands at least as much. `entered`: the index of the stage entered last, or -1.

    Never looser than `old` in any respect. What is not known here how to compare stays as it was.
    """
    limits = replace(
        old.limits,
        missing_s=min(old.limits.missing_s, new.limits.missing_s),
        broken_s=min(old.limits.broken_s, new.limits.broken_s),
        revert_capacity_percent=max(old.limits.revert_capacity_percent, new.limits.revert_capacity_percent),
        fresh_s=new.limits.fresh_s,
    )
    found = replace(
        old,
        stages=_stages(old.stages, new.stages, entered),
        gates=_gates(old.gates, new.gates),
        watch_s=max(old.watch_s, new.watch_s),
        limits=limits,
        entry=new.entry if entry_tightens(new.entry, old.entry) else combined(old.entry, new.entry),
        approvals=_approvals(old, new),
        train=new.train if narrows(new.train, old.train, EVER) else merged(old.train, new.train),
    )
    if old.governed is None or new.governed is None:
        return found
    tier = max(old.governed.tier, new.governed.tier, key=lambda tier: tier.rank)
    return replace(found, governed=replace(new.governed, tier=tier, loosening=old.governed.loosening))


def applies_as_a_whole(old: Plan, new: Plan, *, entered: int) -> bool:
    """Whether a rollout can go on under `new` where it stands: the path up to the stage entered last is the same."""
    done = entered + 1
    return _path(new.stages[:done]) == _path(old.stages[:done]) and len(new.stages) >= done


def differences(old: Plan, new: Plan) -> tuple[str, ...]:
    """What `new` asks for other than `old`, one phrase each, for people."""
    return tuple(_differences(old, new))


def _bare(plan: Plan) -> Plan:
    return replace(plan, governed=None)


def _tier(plan: Plan) -> object:
    return plan.governed.tier if isinstance(plan.governed, Governed) else None


def _path(stages: tuple[Stage, ...]) -> list[tuple[object, ...]]:
    return [(stage.name, stage.type, stage.exposure) for stage in stages]


def _stages(old: tuple[Stage, ...], new: tuple[Stage, ...], entered: int) -> tuple[Stage, ...]:
    """Stages may come in ahead of the candidate; each that was there stays and demands at least what it did."""
    known = {stage.name: stage for stage in old}
    kept = [stage for stage in new if stage.name in known]
    if _path(tuple(kept)) != _path(old) or _path(new[: entered + 1]) != _path(old[: entered + 1]):
        by_name = {stage.name: stage for stage in new}
        return tuple(_strictest(stage, by_name.get(stage.name, stage)) for stage in old)
    return tuple(_strictest(known.get(stage.name, stage), stage) for stage in new)


def _strictest(old: Stage, new: Stage) -> Stage:
    proven = Require.PROVEN in (old.require, new.require)
    return replace(
        old,
        min_duration_s=max(old.min_duration_s, new.min_duration_s),
        min_samples=max(old.min_samples, new.min_samples),
        require=Require.PROVEN if proven else Require.NO_HARM,
        approvals=tuple(dict.fromkeys((*old.approvals, *new.approvals))),
        max_duration_s=old.max_duration_s and max(old.max_duration_s, old.min_duration_s, new.min_duration_s),
    )


def _gates(old: tuple[Gate, ...], new: tuple[Gate, ...]) -> tuple[Gate, ...]:
    by_name = {gate.name: gate for gate in new}
    kept = (
        by_name[gate.name] if gate.name in by_name and at_least_as_strict(by_name[gate.name], gate) else gate
        for gate in old
    )
    known = {gate.name for gate in old}
    return (*kept, *(gate for gate in new if gate.name not in known))


def _approvals(old: Plan, new: Plan) -> ApprovalRules:
    """Everybody whom either asks; a GitOps account is trusted only where both trust it."""
    if more_approvals(new.approvals, old.approvals):
        return new.approvals
    both, _ = merged_approvals(old.approvals, new.approvals, full=first_full(new))
    mine, theirs = old.approvals.git_ops, new.approvals.git_ops
    trusted = tuple(each for each in mine if each in theirs) if old.approvals.four_eyes else theirs
    return replace(both, git_ops=trusted)


def _differences(old: Plan, new: Plan) -> Iterator[str]:
    before, after = {stage.name: stage for stage in old.stages}, {stage.name: stage for stage in new.stages}
    yield from (f"stage {name} is gone" for name in before if name not in after)
    yield from (f"stage {name} is new" for name in after if name not in before)
    for name, stage in after.items():
        if name in before:
            yield from (f"stage {name}: {phrase}" for phrase in _fields(before[name], stage))
    gates, others = {gate.name: gate for gate in old.gates}, {gate.name: gate for gate in new.gates}
    yield from (f"gate {name} is gone" for name in gates if name not in others)
    yield from (f"gate {name} is new" for name in others if name not in gates)
    for name, gate in others.items():
        if name in gates and gates[name] != gate:
            strict = at_least_as_strict(gate, gates[name])
            yield f"gate {name} is {'stricter' if strict else 'looser, or measures something else'}"
    if old.watch_s != new.watch_s:
        yield f"watch {_duration(new.watch_s)} instead of {_duration(old.watch_s)}"
    if old.entry != new.entry:
        stricter = entry_tightens(new.entry, old.entry)
        yield f"entry demands {'more' if stricter else 'something else, or less'}"
    if old.approvals != new.approvals:
        more = more_approvals(new.approvals, old.approvals)
        yield f"approvals are {'stricter' if more else 'others, or fewer'}"
    if old.train != new.train:
        yield f"release windows and freezes are {'narrower' if narrows(new.train, old.train, EVER) else 'others'}"
    if old.requests != new.requests:
        yield "it is about other requests (segments, hostnames or pathPrefix)"
    yield from (f"limits: {phrase}" for phrase in _fields(old.limits, new.limits))
    for name in ("on_drift", "on_no_safe_path"):
        if getattr(old, name) != getattr(new, name):
            yield f"{_camel(name)} {getattr(new, name)} instead of {getattr(old, name)}"
    if _tier(old) != _tier(new):
        yield f"tier {_tier(new)} instead of {_tier(old)}"


def _fields(old: Stage | Limits, new: Stage | Limits) -> Iterator[str]:
    for field in fields(old):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after:
            timed = field.name.endswith("_s")
            yield f"{_camel(field.name)} {_said(after, timed=timed)} instead of {_said(before, timed=timed)}"


def _camel(field: str) -> str:
    """A field as users write it, without its unit."""
    first, *others = field.removesuffix("_s").split("_")
    return first + "".join(word.capitalize() for word in others)


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return "".join(f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if count) or "0s"


def _said(value: object, *, timed: bool = False) -> str:
    if timed and isinstance(value, int):
        return _duration(value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def additions(declared: Declared, plan: Plan) -> dict[str, tuple[str, ...]]:
    """What a policy put into a plan, by the name of the stage; "" for all that is not of one stage."""
    own = {written.stage.name: written.stage for written in declared.stages}
    found: dict[str, tuple[str, ...]] = {}
    for stage in plan.stages:
        if stage.name not in own:
            found[stage.name] = ("the whole stage",)
        elif said := tuple(_fields(own[stage.name], stage)):
            found[stage.name] = said
    rest = tuple(_differences(replace(declared.plan, stages=()), replace(plan, stages=(), governed=None)))
    return {**found, **({"": rest} if rest else {})}
