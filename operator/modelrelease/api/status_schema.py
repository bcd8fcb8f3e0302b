"""`status` of a ModelRelease as a schema: what the operator remembers, and what it tells people.

Written on transitions and at most once a minute. Lists have an upper bound that `status` keeps by dropping the
oldest, so that a write never fails because a release has lived long.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from modelrelease.api.base import PRESERVE_UNKNOWN, StatusModel, Time, Uid, atomic, map_by
from modelrelease.domain.entry import EntryOutcome
from modelrelease.domain.evidence import Cause
from modelrelease.domain.images import MAX_CONTAINERS, MAX_IMAGES
from modelrelease.domain.release import State
from modelrelease.domain.tier import Tier
from modelrelease.domain.verdict import Outcome

MAX_DIGESTS = 1024
MAX_USED = 64
MAX_OUTCOMES = 20
MAX_VERDICTS = 512
MAX_ENTRY = 64
MAX_TEXT = 4096
MAX_PHRASES = 16
MAX_WORD = 1024

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Word = Annotated[str, Field(max_length=MAX_WORD)]
DigestText = Annotated[str, Field(max_length=128)]


class Condition(StatusModel):
    """One condition, as Kubernetes conventions have it."""

    type: Annotated[str, Field(min_length=1, max_length=316)] = Field(
        description="Ready, Reconciling, Stalled, RouteAccepted, EvidenceFresh, RevertCapacity, Drifted, "
        "AwaitingApproval, DecisionRefused, RiskAccepted, EntryEvidence, ReleaseWindowOpen, BundleIntact, "
        "UnitIntact, WatchComplete, SpecSuperseded, PolicySatisfied or PolicyPending."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: Annotated[str, Field(max_length=256)] = Field(description="Why, in one CamelCase word.")
    message: Annotated[str, Field(max_length=32768)] = Field(description="Why, in a sentence for people.")
    last_transition_time: Time = Field(description="When status last changed.")
    observed_generation: int | None = Field(None, description="The generation of the spec that this is about.")


class BackendStatus(StatusModel):
    """A backend that carries traffic."""

    name: Word = Field(description="Name of the Service or InferencePool.")
    port: int | None = Field(None, description="Port of the Service.")
    kind: Word = Field("Service", description="Kind of the backend.")
    group: Word = Field("", description="API group of the backend; empty for a Service.")
    namespace: Word | None = Field(None, description="Namespace, where it is not the release's own.")


class UnitStatus(StatusModel):
    """A unit that the operator keeps as a ReleaseRevision."""

    digest: DigestText = Field(description="Digest of the unit.")
    revision: Word = Field(description="Name of the ReleaseRevision; also the value of the release header.")
    version: Word = Field(description="Version of the unit.")
    backend: BackendStatus = Field(description="Where its requests go.")
    model: Text | None = Field(None, description="Name of its model, where the unit says it.")


class StageStatus(StatusModel):
    """The stage that a rollout is in."""

    index: int = Field(description="Number of the stage, from 0; -1 before the first.")
    name: Word | None = Field(None, description="Name of the stage.")
    count: int | None = Field(None, description="How many stages the plan has.")
    since: Time | None = Field(None, description="Since when the stage runs; minimum durations count from here.")


class ShareStatus(StatusModel):
    """The candidate's intended share of one segment."""

    segment: Word = Field(description="Name of the segment; * is the rest of the traffic.")
    percent: Annotated[str, Field(max_length=16)] = Field(description="Share in percent, such as 0.5.")


class TrainStatus(StatusModel):
    """How the release windows and freezes stand for the candidate on its way."""

    open: bool = Field(description="Whether exposure may rise now.")
    changes_at: Time | None = Field(
        None, description="When that changes: the next opening, or the end of the window. Absent when it is not soon."
    )
    message: Word = Field(description="The same for people, such as: closed until 2026-11-23T08:00Z.")


class IntentStatus(StatusModel):
    """A raise that was decided and may not have happened yet."""

    stage: int = Field(description="Number of the stage to be entered.")
    record: Word = Field(description="Name of the ReleaseRecord that was written before it.")
    decided_at: Time = Field(description="When it was decided.")
    process: Word = Field(description="The operator process that decided it; in any other process it is void.")
    decisions: Annotated[list[Uid], Field(max_length=MAX_USED, json_schema_extra=atomic())] | None = Field(
        None,
        description="UIDs of the ReleaseDecisions that it uses up, at most 64; they count again when nothing rose.",
    )


class WatchStatus(StatusModel):
    """The watch after 100 percent."""

    unit: UnitStatus = Field(description="The unit that is watched.")
    since: Time = Field(description="When the watch began.")
    until: Time = Field(description="When the watch ends.")


class StopStatus(StatusModel):
    """Why the last candidate was stopped."""

    digest: DigestText = Field(description="Digest of the stopped unit.")
    version: Word = Field(description="Version of the stopped unit.")
    reason: Word = Field(description="Why, in one CamelCase word.")
    message: Text = Field(description="Why, in a sentence with the numbers in it.")
    at: Time = Field(description="When.")
    gate: Word | None = Field(None, description="The gate that said so, where it was a gate.")
    decisions: Annotated[list[Word], Field(max_length=MAX_DIGESTS, json_schema_extra=atomic())] | None = Field(
        None, description="UIDs of the ReleaseDecisions that the stop used up."
    )


class NoDataStatus(StatusModel):
    """A gate without usable data."""

    gate: Word = Field(description="Name of the gate, with /segment where it is judged per segment.")
    since: Time = Field(description="Since when.")


class HabitStatus(StatusModel):
    """How stable's bad events came before the first stage, as one gate sees them."""

    gate: Word = Field(description="Name of the gate.")
    window_seconds: Annotated[int, Field(ge=0)] = Field(
        description="Seconds for which bad events stay correlated, and so the length of a compared window; 0: each "
        "reading is one."
    )
    phi: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="Their variance over their mean in that time: 1 when they are independent."
    )


class ContainerImages(StatusModel):
    """The images of one container."""

    name: Word = Field(description="Name of the container.")
    images: Annotated[list[DigestText], Field(max_length=MAX_IMAGES, json_schema_extra=atomic())] = Field(
        description="Digests of its images, as the nodes report them."
    )


class UnitImagesStatus(StatusModel):
    """The images that a unit is held to."""

    digest: DigestText = Field(description="Digest of the unit.")
    containers: Annotated[list[ContainerImages], Field(max_length=MAX_CONTAINERS, json_schema_extra=atomic())] = Field(
        description="Its containers, as they were when the release was approved or first raised."
    )
    partial: bool | None = Field(None, description="True: not all ready pods could be told then.")


class RecordHeadStatus(StatusModel):
    """The newest ReleaseRecord of this release."""

    sequence: Annotated[int, Field(ge=0)] = Field(0, description="Its number; 0: none yet.")
    hash: DigestText = Field(description="Its hash, on which the next record builds.")


class OutcomeStatus(StatusModel):
    """How one release ended."""

    version: Word = Field(description="Version of the unit.")
    digest: DigestText = Field(description="Digest of the unit.")
    outcome: Word = Field(description="What became of it, such as Completed or Reverted.")
    message: Text = Field(description="Why, in a sentence.")
    at: Time = Field(description="When.")


class GateStatus(StatusModel):
    """The newest verdict of one gate."""

    name: Word = Field(description="Name of the gate.")
    segment: Word | None = Field(None, description="Segment that was judged; all traffic together when left out.")
    outcome: Outcome = Field(description="Pass, Revert, Undecided or NoData.")
    cause: Cause | None = Field(
        None, description="Why there is no data: Missing, Broken, InsufficientTraffic or SourceDown."
    )
    sentence: Text = Field(description="The verdict in one sentence with its numbers.")
    numbers: dict[str, Annotated[str, Field(max_length=64)]] | None = Field(
        None,
        description="The numbers behind it, as decimal text by name.",
        json_schema_extra={"maxProperties": 64},
    )
    at: Time = Field(description="When it was judged.")


class EntryStatus(StatusModel):
    """What offline evidence says about one entry demand."""

    name: Word = Field(description="Name of the entry gate; package, data or evidence for what is not a gate.")
    outcome: EntryOutcome = Field(description="Pass, Fail, Undecided or Missing.")
    sentence: Text = Field(description="The verdict in one sentence with its numbers.")


class PendingStatus(StatusModel):
    """What a policy that changed in mid-rollout would change in the plan, and does not by itself."""

    plan_digest: DigestText = Field(description="Digest of the plan that it would make; an approval of it names this.")
    differences: Annotated[list[Text], Field(max_length=MAX_PHRASES, json_schema_extra=atomic())] | None = Field(
        None, description="How that plan differs, one phrase each."
    )
    approvals: Annotated[list[Word], Field(max_length=16, json_schema_extra=atomic())] | None = Field(
        None, description="Roles that must approve it; none: it applies to the next rollout only."
    )


class PolicyStatus(StatusModel):
    """The policy that the release is under."""

    name: Word = Field(description="Name of the ReleasePolicy; built-in where none selects the namespace.")
    digest: DigestText = Field(description="Digest over its spec.")
    reasons: Annotated[list[Text], Field(max_length=MAX_PHRASES, json_schema_extra=atomic())] | None = Field(
        None, description="Why the tier is what it is, what decided it first."
    )
    pending: PendingStatus | None = Field(
        None, description="What the policy asks for since the rollout began and what does not apply to it by itself."
    )


class AskedStatus(StatusModel):
    """One role that is asked."""

    role: Word = Field(description="The role.")
    stage: Word | None = Field(None, description="The stage that it approves; the whole release when left out.")
    accountable: bool | None = Field(None, description="True: it decides last.")
    approved_by: Word | None = Field(None, description="Who approved; absent while it is waited for.")
    approved_at: Time | None = Field(None, description="When that was said.")


class AskingStatus(StatusModel):
    """An approval request that is open."""

    stage: int = Field(description="Number of the stage that waits.")
    since: Time = Field(description="When people were asked.")


class ApprovalStatus(StatusModel):
    """What people are asked now."""

    stage: Word = Field(description="The stage that waits.")
    index: int = Field(description="Its number, from 0.")
    since: Time | None = Field(
        None, description="Since when nothing but approvals is missing; absent while something else is missing too."
    )
    until: Time | None = Field(None, description="When the approval window ends.")
    at_end: Word | None = Field(None, description="What happens then: Hold or Reject.")
    asked: Annotated[list[AskedStatus], Field(max_length=64, json_schema_extra=atomic())] = Field(
        [], description="Who is asked, and who approved."
    )
    second_person: bool | None = Field(
        None, description="True: one more person must approve, because who changed the release is not known by name."
    )
    notify: Annotated[list[Word], Field(max_length=64, json_schema_extra=atomic())] | None = Field(
        None, description="Whom the request names."
    )
    look_at: Annotated[list[Word], Field(max_length=64, json_schema_extra=atomic())] | None = Field(
        None, description="What to look at first."
    )


class ModelReleaseStatus(StatusModel):
    """What the operator remembers about a release and tells about it."""

    observed_generation: int = Field(
        -1, description="The generation of the spec that this status is about; -1: none was seen yet."
    )
    conditions: Annotated[list[Condition], Field(max_length=32, json_schema_extra=map_by("type"))] | None = Field(
        None, description="The state in the form that kubectl wait, Flux and Argo CD understand; Ready is always there."
    )
    state: State | None = Field(None, description="Where the release stands in its life.")
    since: Time | None = Field(None, description="Since when it stands there.")
    weight: Word | None = Field(
        None, description="The intended share of what is on its way, such as 5 %; absent while nothing is."
    )
    stage: StageStatus | None = Field(None, description="The stage of the rollout.")
    exposure: Annotated[list[ShareStatus], Field(max_length=64, json_schema_extra=atomic())] | None = Field(
        None, description="The candidate's intended share of each segment and of the rest (*)."
    )
    stable: UnitStatus | None = Field(None, description="The unit that has the traffic, or gets it back.")
    candidate: UnitStatus | None = Field(None, description="The unit that is being released.")
    fallback: UnitStatus | None = Field(
        None, description="The last unit that finished its watch: what a failed watch goes back to."
    )
    diverted: UnitStatus | None = Field(
        None, description="Where a revert sent the traffic when stable could not take it: the safe backend."
    )
    rollout_since: Time | None = Field(None, description="When the running rollout began.")
    plan_digest: DigestText | None = Field(None, description="Digest of the effective plan; approvals name it.")
    plan: Any = Field(
        None,
        description="The effective plan of the running rollout, with all defaults filled in.",
        json_schema_extra={"type": "object", PRESERVE_UNKNOWN: True},
    )
    train: TrainStatus | None = Field(
        None, description="Whether the release train lets exposure rise now, while a candidate is on its way."
    )
    tier: Tier | None = Field(None, description="Risk tier of what is being released, or was released last.")
    policy: PolicyStatus | None = Field(None, description="The policy that it is under, and why it is in that tier.")
    evidence_digest: DigestText | None = Field(
        None, description="Digest of the evidence that approvers are shown; approvals name it."
    )
    approval: ApprovalStatus | None = Field(None, description="What people are asked now.")
    asking: AskingStatus | None = Field(None, description="The open approval request.")
    proposed_at: Time | None = Field(None, description="Since when approvals of the candidate count.")
    changed_by: (
        Annotated[list[Annotated[str, Field(max_length=MAX_WORD)]], Field(max_length=16, json_schema_extra=atomic())]
        | None
    ) = Field(None, description="Who changed what is on its way; an empty name is somebody who is not known.")
    intent: IntentStatus | None = Field(None, description="A raise that was decided and is being carried out.")
    watch: WatchStatus | None = Field(None, description="The watch after 100 percent.")
    stop: StopStatus | None = Field(None, description="Why the last candidate was stopped.")
    stopped: Annotated[list[DigestText], Field(max_length=MAX_DIGESTS, json_schema_extra=atomic())] | None = Field(
        None, description="Digests that were stopped and are not tried again before a person says Retry."
    )
    handled: Annotated[list[Uid], Field(max_length=MAX_DIGESTS, json_schema_extra=atomic())] | None = Field(
        None, description="UIDs of the ReleaseDecisions that have been acted on."
    )
    no_data_since: Annotated[list[NoDataStatus], Field(max_length=MAX_VERDICTS, json_schema_extra=atomic())] | None = (
        Field(None, description="Gates without usable data, and since when.")
    )
    habits: Annotated[list[HabitStatus], Field(max_length=MAX_VERDICTS, json_schema_extra=atomic())] | None = Field(
        None, description="How stable's bad events came before the first stage; frozen for the rollout."
    )
    images: Annotated[list[UnitImagesStatus], Field(max_length=8, json_schema_extra=atomic())] | None = Field(
        None, description="The images that candidate, stable and fallback are held to; another one is a violated unit."
    )
    stable_ready: int | None = Field(None, description="Ready endpoints of stable when the rollout began.")
    record: RecordHeadStatus | None = Field(None, description="The newest ReleaseRecord.")
    outcomes: Annotated[list[OutcomeStatus], Field(max_length=MAX_OUTCOMES, json_schema_extra=atomic())] | None = Field(
        None, description="How the last few releases ended, oldest first."
    )
    paused_by: Word | None = Field(None, description="Who paused the rollout; empty while it is not paused.")
    gates: Annotated[list[GateStatus], Field(max_length=MAX_VERDICTS, json_schema_extra=atomic())] | None = Field(
        None, description="The newest verdict of each gate."
    )
    entry: Annotated[list[EntryStatus], Field(max_length=MAX_ENTRY, json_schema_extra=atomic())] | None = Field(
        None, description="What offline evidence says about each entry demand."
    )
