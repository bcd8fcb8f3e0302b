"""The kind ModelRelease: one per served model or assistant, long-lived; a changed `spec.unit` is a new release."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from modelrelease.api.base import SpecModel, StatusModel, rule, rules
from modelrelease.api.quantities import PERCENT_PATTERN
from modelrelease.api.release_approvals import ApprovalsSpec
from modelrelease.api.release_entry import EntrySpec
from modelrelease.api.release_strategy import Gates, StrategySpec, shadow
from modelrelease.api.release_traffic import TrafficSpec
from modelrelease.api.release_train import TrainSpec
from modelrelease.api.release_unit import UnitSpec
from modelrelease.api.status_schema import ModelReleaseStatus
from modelrelease.domain.tier import Tier, Touch


class DeletionPolicy(StrEnum):
    """What becomes of an owned route when the release is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


_SEGMENTS = "(has(self.traffic.segments) ? self.traffic.segments.map(s, s.name) : [])"
_PERCENTS_OK = f"self.strategy.stages.all(s, s.exposure.all(e, e.percent.matches('{PERCENT_PATTERN}')))"
_PAIRS = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]"
_INDICES = "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]"


def _share(stage: str) -> str:
    """CEL: the share of segment `n` in a stage, in percent."""
    return (
        f"({stage}.exposure.exists(e, has(e.segment) && e.segment == n) "
        f"? double({stage}.exposure.filter(e, has(e.segment) && e.segment == n)[0].percent) "
        f": {stage}.exposure.exists(e, !has(e.segment)) "
        f"? double({stage}.exposure.filter(e, !has(e.segment))[0].percent) : 0.0)"
    )


_FALLS = (
    f"i < size(self.strategy.stages) && "
    f"{shadow('self.strategy.stages[i - 1]')} == {shadow('self.strategy.stages[i]')} && "
    f"({_SEGMENTS} + ['*']).exists(n, {_share('self.strategy.stages[i - 1]')} > {_share('self.strategy.stages[i]')})"
)

_RISING = rule(
    f"!has(self.strategy) || !has(self.strategy.stages) || !({_PERCENTS_OK}) || !{_PAIRS}.exists(i, {_FALLS})",
    "the share of a segment, or of the rest, falls from one stage to the next: raise the later percent or lower the "
    "earlier one (a segment that a stage does not name gets its entry without segment, or 0)",
    field=".strategy.stages",
    message_expression=(
        f"'stage ' + self.strategy.stages[{_PAIRS}.filter(i, {_FALLS})[0]].name + ' gives less than the stage before "
        f"it "
        "to a segment or to the rest: raise its percent or lower the earlier one (a segment that a stage does not name "
        "gets its entry without segment, or 0)'"
    ),
)
_UNKNOWN = f"has(e.segment) && !(e.segment in {_SEGMENTS})"
_NAMES_UNKNOWN = f"i < size(self.strategy.stages) && self.strategy.stages[i].exposure.exists(e, {_UNKNOWN})"
_DECLARED = rule(
    f"!has(self.strategy) || !has(self.strategy.stages) || !{_INDICES}.exists(i, {_NAMES_UNKNOWN})",
    "a stage names a segment that spec.traffic.segments does not declare: declare it there or correct the name",
    field=".strategy.stages",
    message_expression=(
        f"'stage ' + self.strategy.stages[{_INDICES}.filter(i, {_NAMES_UNKNOWN})[0]].name + ' names a segment that "
        "spec.traffic.segments does not declare: declare it there or correct the name'"
    ),
)
_SAFE, _OWN = "self.traffic.safeBackend", "self.unit.backend"
_SAFER = rule(
    f"!has({_SAFE}) || {_SAFE}.name != {_OWN}.name || {_SAFE}.kind != {_OWN}.kind "
    f"|| has({_SAFE}.port) != has({_OWN}.port) || (has({_SAFE}.port) && {_SAFE}.port != {_OWN}.port) "
    f"|| has({_SAFE}.__namespace__) != has({_OWN}.__namespace__) "
    f"|| (has({_SAFE}.__namespace__) && {_SAFE}.__namespace__ != {_OWN}.__namespace__)",
    "safeBackend is the backend that is being released and so no safer path: name another one, or remove it",
    field=".traffic.safeBackend",
)


_MOVING = (
    "has(oldSelf.status) && has(oldSelf.status.state) && oldSelf.status.state in ['Raising', 'Observing', 'Reverting']"
)


def _kept(field: str) -> str:
    """CEL: a field of spec.traffic is what it was."""
    new, old = f"self.spec.traffic.{field}", f"oldSelf.spec.traffic.{field}"
    return f"has({new}) == has({old}) && (!has({new}) || {new} == {old})"


_ROUTES_KEPT = rule(
    f"!({_MOVING}) || ({_kept('routes')} && {_kept('gatewayRefs')} && {_kept('releaseHeader')})",
    "routes, gatewayRefs and releaseHeader stay as they are while a candidate has traffic on them, or it could not be "
    "taken back there: abort the release or wait for its end, then change them",
    field=".spec.traffic",
)


class ModelReleaseSpec(SpecModel):
    """What is wanted."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            _RISING,
            _DECLARED,
            _SAFER,
        )
    )

    risk: Tier | None = Field(
        None,
        description="How much is at stake, as you see it: Low, Medium or High. The tier is the highest of this, of the "
        "policy's floors for the parts that change, and of its floors for what the release touches; status.tier says "
        "which it is and why.",
    )
    touches: Annotated[list[Touch], Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "set"})] | None = (
        Field(
            None,
            description="What the release touches besides its parts: SensitiveDomain (health, credit, hiring, law and "
            "the like) or PersonalData. The policy says which tier that makes at least.",
        )
    )
    unit: UnitSpec = Field(description="What is released. Any change in here starts a new release.")
    traffic: TrafficSpec = Field(description="Which traffic is steered.")
    strategy: StrategySpec | None = Field(
        None, description="How exposure rises. What is left out comes from the release's risk tier."
    )
    train: TrainSpec | None = Field(
        None,
        description="When exposure may rise: release windows and freezes, by time zone. They hold the start and each "
        "raise, never a revert; modelrelease override lets an urgent fix go on. Left out: always.",
    )
    gates: Gates | None = Field(
        None,
        description="What is demanded on the way, at most 32. An edit during a rollout applies in place only where it "
        "is tighter; anything else starts over.",
    )
    entry: EntrySpec | None = Field(
        None,
        description="What ReleaseEvidence of the unit must show before any user sees it, and at each later raise. "
        "Missing or expired evidence holds (condition EntryEvidence); a demand that fails stops the release.",
    )
    approvals: ApprovalsSpec | None = Field(
        None, description="Who must say yes before exposure rises. Left out: only whom single stages ask."
    )
    deletion_policy: DeletionPolicy = Field(
        DeletionPolicy.RETAIN,
        description="What becomes of the owned route when the release is deleted: Retain keeps it with all traffic on "
        "stable, Delete removes it. An adopted route is always kept.",
    )


class ModelRelease(StatusModel):
    """A model or assistant in front of users, and how its next version gets there: in stages, judged on live evidence,
    and taken back when a stop condition trips."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "size(self.metadata.name) <= 50 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "metadata.name becomes part of the release header and of record names: use at most 50 lower-case "
                "letters, digits and '-'",
                field=".metadata.name",
            ),
            _ROUTES_KEPT,
        )
    )

    spec: ModelReleaseSpec = Field(description="What is wanted.")
    status: ModelReleaseStatus | None = Field(None, description="What the operator did and found.")
