"""A release as the engine sees it: what is wanted (spec), what is remembered (progress), what was observed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from modelrelease.domain.approval import Asking
from modelrelease.domain.decision import Decision
from modelrelease.domain.evidence import SplitCount
from modelrelease.domain.exposure import NOTHING, Exposure
from modelrelease.domain.habit import Habit
from modelrelease.domain.images import ImagesSeen, UnitImages
from modelrelease.domain.offline import OfflineEvidence
from modelrelease.domain.plan import Plan, StageLengths
from modelrelease.domain.record import Head, Record, RecordKind
from modelrelease.domain.tier import Standing
from modelrelease.domain.traffic import RouteView, Traffic
from modelrelease.domain.unit import Backend, Unit, UnitRef
from modelrelease.domain.verdict import Verdict


class State(StrEnum):
    """Where a release stands. Transitions are in `engine.states`."""

    NEW = "New"
    INSTALLING = "Installing"
    SETTLED = "Settled"
    PREPARING = "Preparing"
    RAISING = "Raising"
    OBSERVING = "Observing"
    WATCHING = "Watching"
    REVERTING = "Reverting"
    STOPPED = "Stopped"
    DELETED = "Deleted"


IN_TRAFFIC = frozenset({State.PREPARING, State.RAISING, State.OBSERVING})
"""The states in which a candidate is on its way and every stop condition is looked at."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong that only the operator can know: which field, what, and what to write instead."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class BundleFault:
    """What is wrong with the bundle of the unit with this digest; `mendable`: the operator can write it anew."""

    digest: str
    reason: str
    message: str
    mendable: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """What the object says. `unit` and `plan` are None when faults kept them from being built.

    `standing` is how it stands to its policy, None while that cannot be told. `changed_by`: the accounts that
    admission stamped for the last change of the spec and of the unit.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    traffic: Traffic
    unit: Unit | None = None
    plan: Plan | None = None
    faults: tuple[Fault, ...] = ()
    deleting: bool = False
    finalizer: bool = True
    standing: Standing | None = None
    changed_by: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intent:
    """A raise that was decided and may not have happened yet; void in another process or when its evidence is stale.

    `decisions`: the UIDs of what people said that it uses up, given back when it is void and nothing was raised.
    """

    stage: int
    record: str
    decided_at: datetime
    process: str
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a candidate was stopped: in one sentence, with the gate that said so where there was one.

    `decisions` are the UIDs of the people's decisions that it used up: an Abort, or a Retry said before it.
    """

    digest: str
    version: str
    reason: str
    message: str
    at: datetime
    gate: str | None = None
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """The time after 100 %: the unit watched (it is stable by then) and until when."""

    unit: UnitRef
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """One line of the last few outcomes."""

    version: str
    digest: str
    outcome: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """What the status remembers. Everything here can be lost and is rebuilt from route, revisions and records.

    `habits`: how stable's bad events came before the first stage, by gate; frozen there for the whole rollout.
    `images`: what candidate, stable and fallback are held to, where their pods could be told.
    `proposed_at`: since when approvals of the candidate count. `changed_by`: who changed what is on its way; "" stands
    for somebody who is not known by name. `asking`: the open approval request.
    """

    state: State = State.NEW
    since: datetime | None = None
    stable: UnitRef | None = None
    candidate: UnitRef | None = None
    fallback: UnitRef | None = None
    plan: Plan | None = None
    stage: int = -1
    stage_since: datetime | None = None
    rollout_since: datetime | None = None
    exposure: Exposure = NOTHING
    intent: Intent | None = None
    watch: Watch | None = None
    stop: Stop | None = None
    stopped: tuple[str, ...] = ()
    handled: tuple[str, ...] = ()
    no_data_since: tuple[tuple[str, datetime], ...] = ()
    stable_ready: int | None = None
    head: Head = field(default_factory=Head)
    outcomes: tuple[PastOutcome, ...] = ()
    paused_by: str | None = None
    diverted: UnitRef | None = None
    habits: tuple[tuple[str, Habit], ...] = ()
    proposed_at: datetime | None = None
    changed_by: tuple[str, ...] = ()
    asking: Asking | None = None
    images: tuple[UnitImages, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """What was gathered for one decision.

    `ready` counts ready endpoints by backend; None or absent means that the cluster cannot tell. `samples` counts the
    candidate's requests since the stage began, None when no counter could be read. `violations` says which part of
    the candidate no longer is what its digest says, `bundles` whose bundle is not what it should be, `images` what
    runs behind the backends of candidate and stable. `conflict` names the release that holds the route. `newest` is
    the record that `head` speaks of, where it was read: a status that does not know of it missed its own deed.
    `workings` is what the verdicts can be recomputed from, packed for a record; it is there when the rest was read
    live. `lengths` says whether the stages are long enough for the traffic, None before there was enough of it to say.
    `habits` is what stable's history says before the first stage, by gate where it says something; None while it is
    being read. `offline` is the readable offline evidence for this release, of whatever unit; `doubts`
    says by UID why a piece of it counts for nothing good, such as a producer who may not.
    `stamped_since`: since when admission is known to stamp who changes a release, None where it does not or that is not
    known.

    Read only while progress is New (first contact, or a status that was lost): `baseline`, the backend that an adopted
    route serves by itself; `revisions`, the units kept for this release; `history` and `used`, what the records say
    last about each unit digest (the newest last), and the UIDs of the decisions that they name (`engine.chain`).
    """

    process: str
    routes: tuple[RouteView, ...] = ()
    ready: Mapping[Backend, int | None] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    watch_verdicts: tuple[Verdict, ...] = ()
    samples: int | None = None
    split: tuple[SplitCount, ...] = ()
    decisions: tuple[Decision, ...] = ()
    conflict: str | None = None
    violations: tuple[Fault, ...] = ()
    bundles: tuple[BundleFault, ...] = ()
    images: tuple[ImagesSeen, ...] = ()
    head: Head = field(default_factory=Head)
    newest: Record | None = None
    workings: str = ""
    lengths: StageLengths | None = None
    habits: tuple[tuple[str, Habit], ...] | None = ()
    offline: tuple[OfflineEvidence, ...] = ()
    doubts: Mapping[str, str] = field(default_factory=dict)
    stamped_since: datetime | None = None
    baseline: Backend | None = None
    revisions: tuple[UnitRef, ...] = ()
    history: Mapping[str, RecordKind] = field(default_factory=dict)
    used: tuple[str, ...] = ()
