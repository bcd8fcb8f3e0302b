"""`spec.strategy`, `spec.train` and `spec.gates` to the effective plan, with every default filled in.

Defaults are here and not in the CRD, so that what a person left out stays visibly left out and a policy can fill it.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from modelrelease.api.convert_entry import entry_of
from modelrelease.api.convert_gates import Templates, gates_of
from modelrelease.api.convert_stages import default_stages, order_faults, stage_faults, stages_of
from modelrelease.api.convert_traffic import requests_digest, segments_of
from modelrelease.api.convert_train import train_of
from modelrelease.api.faults import faults_of
from modelrelease.api.quantities import seconds_of
from modelrelease.api.release_approvals import ApprovalsSpec, approval_faults, approvals_of
from modelrelease.api.release_strategy import GateSpec, NoDataSpec, StrategySpec
from modelrelease.api.release_traffic import TrafficSpec
from modelrelease.domain.entry import Entry
from modelrelease.domain.plan import Limits, Plan
from modelrelease.domain.release import Fault
from modelrelease.governance.effective import Declared
from modelrelease.governance.path import Written

DEFAULT_WATCH_S = 24 * 3600

_GATES: TypeAdapter[list[GateSpec]] = TypeAdapter(list[GateSpec])


def declared_of(spec: Mapping[str, Any], plan: Plan) -> Declared:
    """What `spec` asked for itself, where `plan` is what `plan_of` made of it: which stages and fields were written."""
    strategy = StrategySpec.model_validate(spec.get("strategy") or {})
    written = tuple(
        Written(stage, said.min_duration is None, said.min_samples is None, said.require is None)
        for stage, said in zip(plan.stages, strategy.stages or (), strict=False)
    )
    return Declared(plan, tuple(segments_of(spec)), written, own_watch=strategy.watch is not None)


def plan_of(spec: Mapping[str, Any], templates: Templates) -> Plan | tuple[Fault, ...]:
    """The effective plan, or what is wrong with stages, gates and limits."""
    try:
        traffic = TrafficSpec.model_validate(spec.get("traffic"))
    except ValidationError as error:
        return faults_of(error, "spec.traffic")
    faults: list[Fault] = []
    train = train_of(spec.get("train"))
    if isinstance(train, tuple):
        faults += train
    strategy, gates = StrategySpec(), list[GateSpec]()
    try:
        strategy = StrategySpec.model_validate(spec.get("strategy") or {})
    except ValidationError as error:
        faults += faults_of(error, "spec.strategy")
    approvals: ApprovalsSpec | None = None
    try:
        approvals = ApprovalsSpec.model_validate(spec["approvals"]) if spec.get("approvals") else None
    except ValidationError as error:
        faults += faults_of(error, "spec.approvals")
    try:
        gates = _GATES.validate_python(spec.get("gates") or [])
    except ValidationError as error:
        faults += faults_of(error, "spec.gates")
    entry = entry_of(spec.get("entry"), "spec.entry")
    if not isinstance(entry, Entry):
        faults += entry
    if faults or not isinstance(entry, Entry) or isinstance(train, tuple):
        return tuple(faults)
    segments = segments_of(spec)
    stages = stages_of(strategy.stages or default_stages(segments), segments, gated=bool(gates))
    judged, gate_faults = gates_of(gates, templates)
    faults += [*stage_faults(strategy.stages or [], segments), *order_faults(stages, segments), *gate_faults]
    faults += approval_faults(approvals, stages)
    if faults:
        return tuple(faults)
    return Plan(
        stages=stages,
        gates=judged,
        watch_s=seconds_of(strategy.watch.duration) if strategy.watch else DEFAULT_WATCH_S,
        limits=_limits(strategy.no_data or NoDataSpec(), traffic.revert_capacity_percent),
        on_drift=traffic.on_drift,
        on_no_safe_path=traffic.on_no_safe_path,
        entry=entry,
        train=train,
        approvals=approvals_of(approvals),
        requests=requests_digest(traffic),
    )


def _limits(no_data: NoDataSpec, revert_capacity_percent: int) -> Limits:
    return Limits(
        missing_s=seconds_of(no_data.missing),
        broken_s=seconds_of(no_data.broken),
        revert_capacity_percent=revert_capacity_percent,
    )
