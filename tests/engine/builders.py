"""Builders for the engine's values, so that a test says only what it is about.

Everything has a sensible default: a release `chat` that adopts one route with one segment, three units, a plan of four
stages (1 % of the segment, then 5, 20 and 100 % of everything), and good evidence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrelease.domain.decision import CONFIRMED, Action, Decision
from modelrelease.domain.evidence import Cause
from modelrelease.domain.exposure import REST, Exposure, uniform
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Ratio, Series
from modelrelease.domain.plan import Plan, Require, Stage
from modelrelease.domain.record import GENESIS, Head
from modelrelease.domain.release import Intent, Observed, Progress, Release, State, Stop, Watch
from modelrelease.domain.traffic import (
    Acceptance,
    Arm,
    GatewayRef,
    HeaderMatch,
    RouteRef,
    RouteView,
    RuleView,
    Segment,
    Target,
    Traffic,
)
from modelrelease.domain.unit import Backend, Part, PartName, Unit, UnitRef, unit_ref
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.governance.approvals import evidence_digest

NAME, NAMESPACE, UID = "chat", "assistants", "uid-chat"
SEGMENT = "low"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ZERO = uniform((SEGMENT,), 0)


def at(seconds: float) -> datetime:
    """NOW plus seconds."""
    return NOW + timedelta(seconds=seconds)


def gen_unit(version: str = "2", backend: str | None = None, **fields: str) -> Unit:
    """A unit whose backend is named after its version."""
    parts = ((PartName.MODEL, Part(tuple(sorted(fields.items())))),) if fields else ()
    return Unit(version, Backend(backend or f"model-v{version}", 8080), parts)


UNIT_A, UNIT_B, UNIT_C = gen_unit("1"), gen_unit("2"), gen_unit("3")
A, B, C = (unit_ref(NAME, unit) for unit in (UNIT_A, UNIT_B, UNIT_C))
SAFE = Backend("small-model", 8080)


def gen_gate(name: str = "errors", maximum: str = "0.05", **fields: Any) -> Gate:
    """An absolute gate on a ratio of two counters; `against_stable` makes it a comparison."""
    against = fields.pop("against_stable", None)
    rule = AgainstStable(max_ratio=against) if against else Absolute(maximum=maximum)
    return Gate(name, Ratio(Series("bad"), Series("all")), rule, **fields)


def gen_stage(name: str, permille: int, *, segment_only: bool = False, **fields: Any) -> Stage:
    """A stage of 60 s and 100 samples that shows the candidate to a share of everything, or of the segment only."""
    shares = Exposure(((SEGMENT, permille), (REST, 0))) if segment_only else uniform((SEGMENT,), permille)
    return Stage(name, shares, **{"min_duration_s": 60, "min_samples": 100, **fields})


def gen_plan(*stages: Stage, **fields: Any) -> Plan:
    """1 % of the segment → 5 % → 20 % → 100 % with proof, one gate, a watch of ten minutes."""
    default = (
        gen_stage("pilot", 10, segment_only=True),
        gen_stage("mixed", 50),
        gen_stage("broad", 200),
        gen_stage("full", 1000, require=Require.PROVEN, min_duration_s=0, min_samples=0),
    )
    return Plan(stages or default, **{"gates": (gen_gate(),), "watch_s": 600, **fields})


PLAN = gen_plan()


def gen_traffic(**fields: Any) -> Traffic:
    """One adopted route and one segment; `owned` makes it a route of the operator's own."""
    places: dict[str, Any] = {"routes": (RouteRef(NAME, rules=("main",)),)}
    if fields.pop("owned", False):
        places = {"gateways": (GatewayRef("public"),)}
    segment = Segment(SEGMENT, (HeaderMatch("x-criticality", "low"),))
    return Traffic(**{**places, "segments": (segment,), **fields})


def gen_release(unit: Unit | None = UNIT_B, plan: Plan | None = PLAN, **fields: Any) -> Release:
    """The release `chat` that asks for `unit`."""
    traffic = fields.pop("traffic", None) or gen_traffic(
        **{key: fields.pop(key) for key in ("owned", "safe_backend", "delete_owned_route") if key in fields}
    )
    return Release(NAMESPACE, NAME, UID, fields.pop("generation", 1), traffic, unit, plan, **fields)


def gen_progress(state: State = State.OBSERVING, *, stage: int = 0, entered: float = -300, **fields: Any) -> Progress:
    """What the status remembers in a state, with A stable and B on its way where the state has a candidate."""
    plan: Plan = fields.get("plan", PLAN)
    common: dict[str, Any] = {"state": state, "since": at(entered), "stable": A, "exposure": ZERO}
    inside = {"stage": stage, "stage_since": at(entered), "rollout_since": at(-3600), "stable_ready": 3}
    match state:
        case State.NEW:
            common = {}
        case State.PREPARING:
            common |= {"candidate": B, "plan": plan, "stable_ready": 3}
        case State.RAISING:
            intent = Intent(stage, f"{NAME}-00000007", at(-1), "p1")
            common |= {"candidate": B, "plan": plan, "intent": intent, **inside, "stage": stage - 1}
            common |= {"exposure": plan.stages[stage].exposure, "stage_since": at(entered) if stage else None}
        case State.OBSERVING:
            common |= {"candidate": B, "plan": plan, "exposure": plan.stages[stage].exposure, **inside}
        case State.WATCHING:
            common |= {"stable": B, "fallback": A, "plan": plan, "watch": gen_watch(entered)}
        case State.REVERTING | State.STOPPED:
            common |= {"candidate": B, "plan": plan, "stop": gen_stop(entered), "stopped": (B.digest,)}
    return Progress(**{**common, **fields})


def gen_watch(since: float = -300, unit: UnitRef = B, duration: float = 600) -> Watch:
    """The watch of B."""
    return Watch(unit, at(since), at(since + duration))


def gen_stop(when: float = 0, unit: UnitRef = B, reason: str = "GateFailed") -> Stop:
    """A reason why B was stopped."""
    return Stop(unit.digest, unit.version, reason, "gate errors: worse", at(when), "errors")


def gen_verdict(
    outcome: Outcome = Outcome.PASS, gate: str = "errors", *, when: datetime = NOW, **fields: Any
) -> Verdict:
    """A verdict of the gate with a sample five seconds old; with `cause`, no data."""
    cause = Cause(fields.pop("cause")) if "cause" in fields else None
    age = fields.pop("age", 5.0)
    if cause is not None:
        outcome = Outcome.NO_DATA
    newest = None if cause else when - timedelta(seconds=age)
    return Verdict(gate, outcome, f"said {outcome.value}", when, cause=cause, **{"newest": newest, **fields})


def gen_route(
    target: Target | None = None, *, segments: Iterable[str] = (SEGMENT,), name: str = NAME, **fields: Any
) -> RouteView:
    """A route in the form of `target`, accepted by its gateway; None: it serves A and has none of our marks."""
    if target is None:
        rules: tuple[RuleView, ...] = (RuleView("main", REST, (Arm(None, A.backend, 1000),), explicit=False),)
    else:
        shown = (*segments, REST) if target.other else (REST,)
        rules = tuple(RuleView(_rule(segment), segment, _arms(target, segment)) for segment in shown)
    view = RouteView(
        name,
        exists=True,
        uid="uid-route",
        resource_version="100",
        generation=1,
        rules=rules,
        acceptance=Acceptance.ACCEPTED,
        release=f"{NAMESPACE}/{NAME}/{UID}",
    )
    return replace(view, **fields)


def gen_arms(*arms: tuple[UnitRef | None, int], segments: Iterable[str] = (SEGMENT,), **fields: Any) -> RouteView:
    """A route as read whose rules all have these arms and parts per thousand; None is a backend of somebody else's."""
    read = tuple(
        Arm(unit.revision if unit else None, unit.backend if unit else Backend("foreign", 80), share)
        for unit, share in arms
    )
    rules = tuple(RuleView(_rule(segment), segment, read) for segment in (*segments, REST))
    return replace(gen_route(Target(A)), rules=rules, **fields)


def gone(name: str = NAME, *, owned: bool = False) -> RouteView:
    """A route that does not exist."""
    return RouteView(name, exists=False, problem=None if owned else f"HTTPRoute {name} does not exist: create it")


def as_progress(progress: Progress, **fields: Any) -> RouteView:
    """The route in the very form that `progress` intends."""
    match progress.state:
        case State.WATCHING:
            assert progress.fallback and progress.stable
            target = Target(progress.fallback, progress.stable, uniform((SEGMENT,), 1000))
        case State.SETTLED | State.INSTALLING:
            assert progress.stable
            target = Target(progress.stable)
        case _:
            assert progress.stable
            shown = progress.exposure if progress.state in (State.OBSERVING, State.RAISING) else ZERO
            target = Target(progress.stable, progress.candidate, shown)
    return gen_route(target, **fields)


def gen_observed(*routes: RouteView, **fields: Any) -> Observed:
    """Good evidence: the gate passes with fresh data, enough samples, three ready endpoints everywhere."""
    ready: Mapping[Backend, int | None] = {unit.backend: 3 for unit in (A, B, C)} | {SAFE: 2}
    return Observed(
        **{
            "process": "p1",
            "routes": routes,
            "ready": {**ready, **fields.pop("ready", {})},
            "verdicts": (gen_verdict(),),
            "watch_verdicts": (gen_verdict(),),
            "samples": 1000,
            "head": Head(7, GENESIS),
            **fields,
        }
    )


def gen_decision(action: Action, number: int = 1, *, when: float = 0, **fields: Any) -> Decision:
    """A person's decision about B in this release; an approval is for role `owner`, stage `full` and the usual plan."""
    bound: dict[str, Any] = {"release_uid": UID, "digest": B.digest}
    if action in (Action.PAUSE, Action.RESUME):
        bound = {"release_uid": UID}
    if action is Action.APPROVE:
        shown = evidence_digest((), [gate.name for gate in PLAN.gates])
        bound |= {"plan_digest": PLAN.digest, "stage": "full", "role": "owner", "evidence_digest": shown}
    name = f"{action.value.lower()}-{number}"
    said: dict[str, Any] = {"author": "ada", "reason": "because", "created_at": at(when), "identity": CONFIRMED}
    return Decision(**{"uid": f"uid-{name}", "name": name, "action": action, **said, **bound, **fields})


def _rule(segment: str) -> str:
    return "main" if segment == REST else f"main--{segment}"


def _arms(target: Target, segment: str) -> tuple[Arm, ...]:
    if target.other is None:
        return (Arm(target.base.revision, target.base.backend, 1000),)
    share = target.exposure.of(segment)
    return (
        Arm(target.base.revision, target.base.backend, 1000 - share),
        Arm(target.other.revision, target.other.backend, share),
    )
