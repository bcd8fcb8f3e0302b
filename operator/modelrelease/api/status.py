"""The engine's memory to a status and back, without loss; what cannot be read counts as forgotten.

The status also says things that are only for people (stage name, weight, conditions, verdicts); they are written here
or by the controller and never read back. Rejected: storing the progress as one opaque blob; nobody could see with
kubectl what the operator believes.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from modelrelease.api.plan_codec import backend_from_dict, backend_to_dict, plan_from_dict, plan_to_dict
from modelrelease.api.quantities import percent_of, permille_of, time_of, time_text
from modelrelease.api.status_schema import (
    MAX_DIGESTS,
    MAX_ENTRY,
    MAX_OUTCOMES,
    MAX_PHRASES,
    MAX_TEXT,
    MAX_USED,
    MAX_VERDICTS,
    BackendStatus,
    ModelReleaseStatus,
    UnitImagesStatus,
    UnitStatus,
)
from modelrelease.domain.approval import Asking
from modelrelease.domain.entry import EntryVerdict
from modelrelease.domain.exposure import Exposure
from modelrelease.domain.habit import Habit
from modelrelease.domain.images import UnitImages
from modelrelease.domain.record import GENESIS, Head
from modelrelease.domain.release import Intent, PastOutcome, Progress, State, Stop, Watch
from modelrelease.domain.tier import Standing
from modelrelease.domain.unit import Backend, UnitRef
from modelrelease.domain.verdict import Verdict
from modelrelease.engine.repolicy import Pending
from modelrelease.engine.train import TrainView

AT_REST = frozenset({State.SETTLED, State.WATCHING})
"""Stable has all traffic, and nothing is on its way that could have a share of its own."""


def status_from_progress(progress: Progress) -> dict[str, Any]:
    """The part of the status that remembers: everything but observedGeneration, conditions and gates.

    Lists and messages longer than the schema allows lose their oldest entries or their end. Fields without a value
    are absent, so a status must be replaced as a whole and never merged.
    """
    plan = progress.plan
    return _present(
        state=progress.state.value,
        since=_time(progress.since),
        weight=str(progress.exposure) if progress.exposure.shares and progress.state not in AT_REST else None,
        stage=_stage(progress),
        exposure=[
            {"segment": segment, "percent": percent_of(permille)} for segment, permille in progress.exposure.shares
        ],
        stable=_unit(progress.stable),
        candidate=_unit(progress.candidate),
        fallback=_unit(progress.fallback),
        rolloutSince=_time(progress.rollout_since),
        planDigest=plan.digest if plan else None,
        plan=plan_to_dict(plan) if plan else None,
        intent=_intent(progress.intent),
        watch=_watch(progress.watch),
        stop=_stop(progress.stop),
        stopped=list(progress.stopped[-MAX_DIGESTS:]),
        handled=list(progress.handled[-MAX_DIGESTS:]),
        noDataSince=[
            {"gate": gate, "since": time_text(since)} for gate, since in progress.no_data_since[-MAX_VERDICTS:]
        ],
        habits=[_habit(gate, habit) for gate, habit in progress.habits[:MAX_VERDICTS]] or None,
        images=[_images(held) for held in progress.images[-8:]] or None,
        stableReady=progress.stable_ready,
        record={"sequence": progress.head.sequence, "hash": progress.head.hash},
        outcomes=[_outcome(outcome) for outcome in progress.outcomes[-MAX_OUTCOMES:]],
        pausedBy=progress.paused_by,
        diverted=_unit(progress.diverted),
        proposedAt=_time(progress.proposed_at),
        changedBy=list(progress.changed_by) or None,
        asking=_asking(progress.asking),
    )


def progress_from_status(status: object) -> Progress:
    """What a status remembers; a fresh Progress when it is absent or does not parse. Never raises."""
    if not isinstance(status, dict) or "state" not in status:
        return Progress()
    try:
        return _progress(ModelReleaseStatus.model_validate(status))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return Progress()


def train_for_status(view: TrainView) -> dict[str, Any]:
    """How the release train stands, in the form of `status.train`."""
    return _present(open=view.open, changesAt=_time(view.changes_at), message=view.message)


def gates_for_status(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """The newest verdicts in the form of `status.gates`; numbers become decimal text."""
    return [
        _present(
            name=verdict.gate,
            segment=verdict.segment,
            outcome=verdict.outcome.value,
            cause=verdict.cause.value if verdict.cause else None,
            sentence=_clip(verdict.sentence),
            numbers={name: f"{number:.12g}" for name, number in verdict.numbers[:64]},
            at=time_text(verdict.at),
        )
        for verdict in list(verdicts)[:MAX_VERDICTS]
    ]


def entry_for_status(verdicts: Iterable[EntryVerdict]) -> list[dict[str, Any]]:
    """What offline evidence says, in the form of `status.entry`."""
    return [
        {"name": verdict.name, "outcome": verdict.outcome.value, "sentence": _clip(verdict.sentence)}
        for verdict in list(verdicts)[:MAX_ENTRY]
    ]


def policy_status(standing: Standing, waiting: Pending | None) -> dict[str, Any]:
    """Tier and policy in the form of `status.tier` and `status.policy`."""
    changed = None
    if waiting is not None:
        changed = _present(
            planDigest=waiting.plan.digest,
            differences=[_clip(phrase) for phrase in waiting.differences[:MAX_PHRASES]],
            approvals=list(waiting.roles) or None,
        )
    policy = _present(
        name=standing.policy,
        digest=standing.policy_digest,
        reasons=[_clip(reason) for reason in standing.reasons[:MAX_PHRASES]],
        pending=changed,
    )
    return {"tier": standing.tier.value, "policy": policy}


def _stage(progress: Progress) -> dict[str, Any]:
    stages = progress.plan.stages if progress.plan else ()
    inside = 0 <= progress.stage < len(stages)
    return _present(
        index=progress.stage,
        name=stages[progress.stage].name if inside else None,
        count=len(stages) if stages else None,
        since=_time(progress.stage_since),
    )


def _unit(ref: UnitRef | None) -> dict[str, Any] | None:
    if ref is None:
        return None
    return _present(
        digest=ref.digest,
        revision=ref.revision,
        version=ref.version,
        backend=backend_to_dict(ref.backend),
        model=ref.model or None,
    )


def _habit(gate: str, habit: Habit) -> dict[str, Any]:
    return _present(gate=gate, windowSeconds=habit.window_s, phi=None if habit.phi is None else repr(habit.phi))


def _images(held: UnitImages) -> dict[str, Any]:
    containers = [{"name": name, "images": list(images)} for name, images in held.containers]
    return _present(digest=held.digest, containers=containers, partial=held.partial or None)


def _intent(intent: Intent | None) -> dict[str, Any] | None:
    if intent is None:
        return None
    return {
        "stage": intent.stage,
        "record": intent.record,
        "decidedAt": time_text(intent.decided_at),
        "process": intent.process,
        **({"decisions": list(intent.decisions[:MAX_USED])} if intent.decisions else {}),
    }


def _asking(asking: Asking | None) -> dict[str, Any] | None:
    return None if asking is None else {"stage": asking.stage, "since": time_text(asking.since)}


def _watch(watch: Watch | None) -> dict[str, Any] | None:
    if watch is None:
        return None
    return {"unit": _unit(watch.unit), "since": time_text(watch.since), "until": time_text(watch.until)}


def _stop(stop: Stop | None) -> dict[str, Any] | None:
    if stop is None:
        return None
    return _present(
        digest=stop.digest,
        version=stop.version,
        reason=stop.reason,
        message=_clip(stop.message),
        at=time_text(stop.at),
        gate=stop.gate,
        decisions=list(stop.decisions[:MAX_DIGESTS]) or None,
    )


def _outcome(outcome: PastOutcome) -> dict[str, Any]:
    return {
        "version": outcome.version,
        "digest": outcome.digest,
        "outcome": outcome.outcome,
        "message": _clip(outcome.message),
        "at": time_text(outcome.at),
    }


def _progress(status: ModelReleaseStatus) -> Progress:
    return Progress(
        state=status.state or State.NEW,
        since=_read_time(status.since),
        stable=_read_unit(status.stable),
        candidate=_read_unit(status.candidate),
        fallback=_read_unit(status.fallback),
        plan=None if status.plan is None else plan_from_dict(status.plan),
        stage=status.stage.index if status.stage else -1,
        stage_since=_read_time(status.stage.since) if status.stage else None,
        rollout_since=_read_time(status.rollout_since),
        exposure=Exposure(tuple((share.segment, permille_of(share.percent)) for share in status.exposure or ())),
        intent=_read_intent(status),
        watch=_read_watch(status),
        stop=_read_stop(status),
        stopped=tuple(status.stopped or ()),
        handled=tuple(status.handled or ()),
        no_data_since=tuple((entry.gate, time_of(entry.since)) for entry in status.no_data_since or ()),
        habits=tuple(
            (one.gate, Habit(one.window_seconds, None if one.phi is None else float(one.phi)))
            for one in status.habits or ()
        ),
        images=tuple(_read_images(held) for held in status.images or ()),
        stable_ready=status.stable_ready,
        head=Head(status.record.sequence, status.record.hash) if status.record else Head(0, GENESIS),
        outcomes=tuple(
            PastOutcome(past.version, past.digest, past.outcome, past.message, time_of(past.at))
            for past in status.outcomes or ()
        ),
        paused_by=status.paused_by,
        diverted=_read_unit(status.diverted),
        proposed_at=_read_time(status.proposed_at),
        changed_by=tuple(status.changed_by or ()),
        asking=Asking(status.asking.stage, time_of(status.asking.since)) if status.asking else None,
    )


def _read_unit(ref: UnitStatus | None) -> UnitRef | None:
    return (
        None
        if ref is None
        else UnitRef(ref.digest, ref.revision, ref.version, _read_backend(ref.backend), ref.model or "")
    )


def _read_backend(backend: BackendStatus) -> Backend:
    return backend_from_dict(backend.model_dump(exclude_none=True))


def _read_images(held: UnitImagesStatus) -> UnitImages:
    containers = tuple((each.name, tuple(each.images)) for each in held.containers)
    return UnitImages(held.digest, containers, bool(held.partial))


def _read_intent(status: ModelReleaseStatus) -> Intent | None:
    intent = status.intent
    if intent is None:
        return None
    decided_at, decisions = time_of(intent.decided_at), tuple(intent.decisions or ())
    return Intent(intent.stage, intent.record, decided_at, intent.process, decisions)


def _read_watch(status: ModelReleaseStatus) -> Watch | None:
    watch = status.watch
    if watch is None:
        return None
    unit = _read_unit(watch.unit)
    assert unit is not None
    return Watch(unit, time_of(watch.since), time_of(watch.until))


def _read_stop(status: ModelReleaseStatus) -> Stop | None:
    stop = status.stop
    if stop is None:
        return None
    used = tuple(stop.decisions or ())
    return Stop(stop.digest, stop.version, stop.reason, stop.message, time_of(stop.at), stop.gate, used)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)


def _read_time(text: str | None) -> datetime | None:
    return None if text is None else time_of(text)


def _clip(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
