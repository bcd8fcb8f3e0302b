"""Writing the status: as a whole, by compare and swap, on transitions and otherwise at most once a minute.

`lastTransitionTime` changes only with the condition's status. Two thousand releases must not write four hundred times
a second, so running numbers alone do not cause a write before the minute is over.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from modelrelease.api.status import (
    entry_for_status,
    gates_for_status,
    policy_status,
    status_from_progress,
    train_for_status,
)
from modelrelease.controller import kube
from modelrelease.controller.approval_status import approvals_for_status
from modelrelease.controller.gathered import Gathered
from modelrelease.controller.kube import Kube
from modelrelease.controller.store import Store
from modelrelease.domain.release import Progress
from modelrelease.engine.actions import Step
from modelrelease.engine.approving import refused
from modelrelease.engine.case import Case
from modelrelease.engine.conditions import Condition, conditions
from modelrelease.engine.entry import shown_verdicts
from modelrelease.engine.repolicy import pending
from modelrelease.engine.risks import open_risks
from modelrelease.engine.train import train_view

REFRESH_S = 60.0

TOLD = frozenset({"AwaitingApproval", "DecisionRefused", "RiskAccepted"})
"""Conditions that people wait to read: another message is a transition. They hold no running numbers."""


class StatusWriter:
    """Composes and writes statuses for one process."""

    def __init__(self, kube_: Kube, store: Store) -> None:
        self._kube, self._store = kube_, store
        self._written_at: dict[str, datetime] = {}

    async def save(self, gathered: Gathered, step: Step, progress: Progress) -> None:
        """Write the status of `progress` now. Raises Conflict when the object changed since it was read."""
        await self._write(gathered, self._compose(gathered, step, progress))

    async def refresh(self, gathered: Gathered, step: Step) -> bool:
        """Write the status if something worth a write changed; True when it was written."""
        before = gathered.obj.get("status") or {}
        after = self._compose(gathered, step, step.progress)
        if _transitions(after) == _transitions(before):
            if _without_times(after) == _without_times(before) or not self._minute_is_over(gathered.key):
                return False
            if not step.progress.plan:
                return False
        await self._write(gathered, after)
        return True

    def forget(self, key: str) -> None:
        """The release is gone."""
        self._written_at.pop(key, None)

    def _minute_is_over(self, key: str) -> bool:
        last = self._written_at.get(key)
        return last is None or (datetime.now(UTC) - last).total_seconds() >= REFRESH_S

    async def _write(self, gathered: Gathered, status: dict[str, Any]) -> None:
        body = {**gathered.obj, "status": status}
        metadata = gathered.obj["metadata"]
        written = await self._kube.replace_status(kube.RELEASES, metadata["namespace"], metadata["name"], body)
        gathered.replace_object(written)
        self._store.put(kube.RELEASES, written)
        self._written_at[gathered.key] = datetime.now(UTC)

    def _compose(self, gathered: Gathered, step: Step, progress: Progress) -> dict[str, Any]:
        before = gathered.obj.get("status") or {}
        generation = gathered.release.generation
        case = Case(gathered.release, progress, gathered.observed, datetime.now(UTC))
        entry = shown_verdicts(case)
        said = conditions(
            gathered.release, step, gathered.observed, entry=entry, refused=refused(case), risks=open_risks(case)
        )
        verdicts = gathered.observed.verdicts or gathered.observed.watch_verdicts
        status = {
            **status_from_progress(progress),
            **approvals_for_status(case),
            "observedGeneration": generation,
            "conditions": merged(before.get("conditions") or [], said, generation),
            **_governed(gathered, progress, before),
        }
        if entry:
            status["entry"] = entry_for_status(entry)
        train = train_view(progress, datetime.now(UTC))
        if train:
            status["train"] = train_for_status(train)
        if verdicts:
            status["gates"] = gates_for_status(verdicts)
        elif before.get("gates") and progress.state.value == before.get("state"):
            status["gates"] = before["gates"]
        return status


def _governed(gathered: Gathered, progress: Progress, before: Mapping[str, Any]) -> dict[str, Any]:
    """Tier and policy of what is being released; at rest those of what was released last stay."""
    release = gathered.release
    wanted, stable = release.unit, progress.stable
    kept = {name: before[name] for name in ("tier", "policy") if name in before}
    same = wanted is not None and stable is not None and wanted.digest == stable.digest
    if release.standing is None or (same and kept):
        return kept
    return policy_status(release.standing, pending(release, progress))


def merged(before: list[Mapping[str, Any]], said: tuple[Condition, ...], generation: int) -> list[dict[str, Any]]:
    """The new conditions; the time of one whose status did not change is kept."""
    times = {(old["type"], old["status"]): _real(old.get("lastTransitionTime")) for old in before}
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return [
        {
            "type": condition.type,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message[:1024],
            "lastTransitionTime": times.get((condition.type, condition.status)) or now,
            "observedGeneration": generation,
        }
        for condition in sorted(said, key=lambda condition: (condition.type != "Ready", condition.type))
    ]


def _real(moment: str | None) -> str | None:
    """The CRD's default condition is dated 1970: that is no transition."""
    return None if moment is None or moment.startswith("1970") else moment


def _transitions(status: Mapping[str, Any]) -> Any:
    conditions_ = [
        (c["type"], c["status"], c["reason"], c["message"] if c["type"] in TOLD else "")
        for c in status.get("conditions") or []
    ]
    gates = [(g["name"], g.get("segment"), g["outcome"]) for g in status.get("gates") or []]
    running = {"conditions", "gates", "noDataSince"}
    return conditions_, gates, {name: value for name, value in status.items() if name not in running}


def _without_times(status: Mapping[str, Any]) -> Any:
    gates = [{k: v for k, v in gate.items() if k != "at"} for gate in status.get("gates") or []]
    conditions_ = [{k: v for k, v in c.items() if k != "lastTransitionTime"} for c in status.get("conditions") or []]
    return {**status, "gates": gates, "conditions": conditions_}
