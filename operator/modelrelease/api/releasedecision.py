"""The kind ReleaseDecision: what a person decides, with the reason. An admission policy enforces who the author is.

Objects and not annotations or spec fields, because those carry no identity and GitOps tools undo them.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from modelrelease.api.base import (
    IMMUTABLE,
    Digest,
    Group,
    Name,
    ReleaseRef,
    SpecModel,
    StatusModel,
    Time,
    atomic,
    rule,
    rules,
)
from modelrelease.api.faults import faults_of
from modelrelease.api.quantities import time_of
from modelrelease.domain.decision import Action, Decision
from modelrelease.domain.release import Fault


class ReleaseDecisionSpec(SpecModel):
    """Who decides what about which release, and why."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            IMMUTABLE,
            rule(
                "!(self.action in ['Approve', 'Reject', 'Promote', 'Retry']) || has(self.digest)",
                "Approve, Reject, Promote and Retry are about one unit: write its digest, as status.candidate.digest "
                "or status.stop.digest of the ModelRelease says (the modelrelease command fills it in)",
                field=".digest",
            ),
            rule(
                "!(self.action in ['Approve', 'Reject', 'Promote', 'Retry']) || has(self.releaseRef.uid)",
                "Approve, Reject, Promote and Retry are about one release object: write its uid, as metadata.uid of "
                "the ModelRelease says (the modelrelease command fills it in)",
                field=".releaseRef.uid",
            ),
            rule(
                "!(self.action in ['Approve', 'Reject']) || has(self.role)",
                "Approve and Reject are said in a role: write it, such as product-owner",
                field=".role",
            ),
            rule(
                "self.action != 'Approve' || has(self.planDigest)",
                "Approve is about one plan: write planDigest as status.planDigest of the ModelRelease says (the "
                "modelrelease command fills it in)",
                field=".planDigest",
            ),
            rule(
                "self.action != 'Approve' || !has(self.stage) || has(self.evidenceDigest)",
                "Approve is about the evidence that was shown: write evidenceDigest as status.evidenceDigest of the "
                "ModelRelease says (the modelrelease command fills it in)",
                field=".evidenceDigest",
            ),
            rule(
                "self.action != 'AcceptRisk' || (has(self.digest) && has(self.releaseRef.uid) && has(self.stage) && "
                "has(self.gate) && has(self.expiresAt))",
                "AcceptRisk is about one undecided gate of one unit before one stage, and ends: write digest, "
                "releaseRef.uid, stage, gate and expiresAt (the modelrelease command fills it in)",
                field=".gate",
            ),
            rule(
                "!has(self.gate) || self.action == 'AcceptRisk'",
                "gate belongs to AcceptRisk: remove it",
                field=".gate",
            ),
            rule(
                "!has(self.role) || self.action in ['Approve', 'Reject']",
                "role belongs to Approve and Reject: remove it",
                field=".role",
            ),
            rule(
                "self.action != 'Override' || (has(self.digest) && has(self.planDigest) && has(self.releaseRef.uid))",
                "Override is about one unit of one plan: write digest, planDigest and releaseRef.uid as the "
                "ModelRelease's status and metadata say (the modelrelease command fills them in)",
                field=".planDigest",
            ),
            rule(
                "(self.action == 'Override') == has(self.incident)",
                "Override, and only Override, names the incident that it is for: write incident, such as INC-123",
                field=".incident",
            ),
            rule(
                "self.action != 'Override' || has(self.expiresAt)",
                "Override counts until a time: write expiresAt, at most 72 hours from now",
                field=".expiresAt",
            ),
            rule(
                "self.reason.matches('[^ ]')",
                "say why in at least one word: the reason is kept in the record",
                field=".reason",
            ),
        )
    )

    release_ref: ReleaseRef = Field(description="The release that this is about.")
    action: Action = Field(
        description="Pause: raise nothing until Resume; a revert still happens. Resume. Promote: skip the waiting of "
        "the running stage, never gates, samples or approvals. Abort: take the candidate back for good. Retry: start a "
        "stopped unit again from the first stage. Approve: let a stage be entered, in a role. Reject: stop the unit, "
        "in a role that is asked. Override: raise outside of release windows and in freezes, for an incident; never "
        "past gates or approvals. AcceptRisk: let one gate that is still undecided count as passed before one stage."
    )
    author: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Who decides: your user name as the API server knows it (kubectl auth whoami). Another name is "
        "refused."
    )
    reason: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="Why, for the record: 1 to 1024 characters."
    )
    digest: Digest | None = Field(
        None,
        description="Digest of the unit that this is about. Required for Approve, Reject, Promote and Retry; while it "
        "is not the unit in question the decision has no effect.",
    )
    plan_digest: Digest | None = Field(None, description="Digest of the plan that was shown. Required for Approve.")
    stage: Name | None = Field(
        None,
        description="Name of the stage that is meant; narrows an Override to it. Left out in an Approve: the whole "
        "release, before its first stage.",
    )
    evidence_digest: Digest | None = Field(
        None,
        description="Digest of the evidence that was shown, as status.evidenceDigest says. An approval that was given "
        "on other evidence does not count.",
    )
    gate: Name | None = Field(None, description="The undecided gate whose risk is accepted. For AcceptRisk.")
    author_groups: Annotated[list[Group], Field(max_length=256, json_schema_extra=atomic())] | None = Field(
        None,
        description="The groups that the author is in (kubectl auth whoami), so that the right can be checked again "
        "before the decision is used. Filled in at admission or by the modelrelease command; others are refused.",
    )
    role: Name | None = Field(
        None,
        description="Role in which you decide. Required for Approve and Reject; RBAC must allow you verb approve on "
        "modelreleases/<role>.",
    )
    incident: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        None, description="The incident that an Override is for: a number or an address. Required for Override."
    )
    expires_at: Time | None = Field(
        None,
        description="Until when the decision counts. Required for Override, at most 72 hours after it was written: a "
        "longer one has no effect.",
    )


class ReleaseDecision(StatusModel):
    """A decision of a person about a release, such as pause, abort, retry, approve or reject. Immutable."""

    spec: ReleaseDecisionSpec = Field(description="Who decides what about which release, and why.")


def decision_of(obj: Mapping[str, Any]) -> Decision | Fault:
    """Read a ReleaseDecision; a Fault where it is unreadable, so that it is reported and never half obeyed."""
    metadata = obj["metadata"]
    if metadata.get("generation", 1) != 1:
        return _unreadable(metadata["name"], "its spec was edited after it was said; say it again in a new one")
    try:
        spec = ReleaseDecisionSpec.model_validate(obj.get("spec"))
        created = time_of(metadata["creationTimestamp"])
        expires = time_of(spec.expires_at) if spec.expires_at is not None else None
    except ValidationError as error:
        return _unreadable(metadata["name"], faults_of(error, "spec")[0].message)
    except (ValueError, KeyError, TypeError):
        return _unreadable(metadata["name"], "metadata.creationTimestamp or spec.expiresAt is no time")
    return Decision(
        uid=metadata["uid"],
        name=metadata["name"],
        action=spec.action,
        author=spec.author,
        reason=spec.reason,
        created_at=created,
        release_uid=spec.release_ref.uid,
        digest=spec.digest,
        plan_digest=spec.plan_digest,
        stage=spec.stage,
        role=spec.role,
        incident=spec.incident,
        expires_at=expires,
        evidence_digest=spec.evidence_digest,
        gate=spec.gate,
        groups=tuple(spec.author_groups or ()),
    )


def _unreadable(name: str, why: str) -> Fault:
    return Fault("DecisionUnreadable", f"ReleaseDecision {name} has no effect: {why}")
