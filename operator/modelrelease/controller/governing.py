"""Which policy a release is under, in which tier it is, and the plan that follows; read from what the watches show.

A policy and a namespace's labels are read anew where exposure may rise. Stable's unit is read once per stable unit and
only where something is to be released, so that releases at rest cost no reads.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from modelrelease.api.convert import (
    PolicyObject,
    Revision,
    applying,
    declared_of,
    policy_object,
    policy_of,
    revision_of,
    risk_of,
)
from modelrelease.api.convert_policy import BUILT_IN
from modelrelease.api.convert_risk import Risk
from modelrelease.controller import kube
from modelrelease.controller.kube import Kube, Unavailable
from modelrelease.controller.store import Store
from modelrelease.controller.units import Units
from modelrelease.domain.policy import Policy
from modelrelease.domain.release import Fault, Progress, Release, State
from modelrelease.domain.tier import Enforcement, Standing, Tier
from modelrelease.domain.unit import Unit, UnitRef
from modelrelease.governance.effective import Declared, effective
from modelrelease.governance.tier import classify

log = structlog.get_logger()

PATIENCE_S = 1.0
"""How long a look at a release that may have to be taken back waits for stable's revision, once."""

AT_REST = frozenset({State.SETTLED, State.WATCHING})


@dataclass(frozen=True, slots=True)
class Found:
    """The policy for one release as it was made last, and from what."""

    read: PolicyObject
    made_from: tuple[int, int]
    policy: Policy | tuple[Fault, ...]


class Governing:
    """Governs for one process. Remembers only what is cheap to lose."""

    def __init__(self, kube_: Kube, store: Store, units: Units) -> None:
        self._kube, self._store, self._units = kube_, store, units
        self._policies: tuple[int, Mapping[str, PolicyObject | tuple[Fault, ...]]] = (-1, {})
        self._found: dict[str, Found] = {}
        self._stable: dict[str, tuple[str, Unit | None]] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}

    def forget(self, key: str) -> None:
        """The release is gone."""
        self._found.pop(key, None)
        self._stable.pop(key, None)

    async def read_live(self, namespace: str) -> None:
        """Read the policies and the namespace from the API server now. Raises ApiError."""
        seen = set()
        for obj in await self._kube.list(kube.POLICIES):
            seen.add(obj["metadata"]["name"])
            self._store.put(kube.POLICIES, obj)
        for ghost in [obj for obj in self._store.all(kube.POLICIES) if obj["metadata"]["name"] not in seen]:
            self._store.drop(kube.POLICIES, ghost)
        await self._read_namespace(namespace)

    def assume(self, key: str, stable: Unit) -> None:
        """Take `stable` as what serves, without reading its revision."""
        self._stable[key] = (stable.digest, stable)

    async def govern(
        self, key: str, obj: Any, release: Release, progress: Progress, *, patient: bool = True
    ) -> Release:
        """The release with the plan that its policy makes of what it asked for; faults where that is too little.

        Raises ApiError where something that is not known yet cannot be read; without patience also where it takes long.
        """
        unit, plan, spec = release.unit, release.plan, obj.get("spec") or {}
        risk = risk_of(spec)
        if not isinstance(risk, Risk):
            return replace(release, faults=(*release.faults, *risk))
        if unit is None or plan is None:
            return release
        policy = await self._policy(key, release, spec)
        if not isinstance(policy, Policy):
            return _refused(release, progress, policy)
        stable = await self._stable_unit(key, release, progress, patient=patient)
        tier = classify(policy.floors, declared=risk.declared, touches=risk.touches, unit=unit, stable=stable)
        declared = declared_of(spec, plan)
        made, faults = effective(declared, policy, tier.tier)
        standing = Standing(
            tier=tier.tier,
            reasons=tier.reasons,
            policy=policy.name,
            policy_digest=policy.digest,
            built_in=policy.name == BUILT_IN,
            overdue=_overdue(policy),
        )
        if policy.enforcement is Enforcement.ADVISE and not standing.built_in:
            standing = replace(standing, shortfalls=_advice(declared, policy, tier.tier))
        if faults and _at_rest(release, progress):
            return replace(
                release, plan=made, standing=replace(standing, shortfalls=tuple(fault.message for fault in faults))
            )
        return replace(release, plan=made, standing=standing, faults=(*release.faults, *faults))

    async def _policy(self, key: str, release: Release, spec: Mapping[str, Any]) -> Policy | tuple[Fault, ...]:
        namespace = release.namespace
        known = self._store.get(kube.NAMESPACES, namespace) or await self._read_namespace(namespace)
        labels = ((known or {}).get("metadata") or {}).get("labels") or {}
        read = applying(self._readable(), labels, namespace)
        if isinstance(read, Fault):
            return (read,)
        made_from = (release.generation, self._store.versions[kube.CLUSTER_TEMPLATES.plural])
        found = self._found.get(key)
        if found is None or found.read != read or found.made_from != made_from:
            templates = await self._units.shared_templates(namespace, spec, read.templates)
            found = self._found[key] = Found(read, made_from, policy_of(read, templates))
        return found.policy

    def _readable(self) -> Mapping[str, PolicyObject | tuple[Fault, ...]]:
        version = self._store.versions[kube.POLICIES.plural]
        if self._policies[0] != version:
            objects = self._store.all(kube.POLICIES)
            self._policies = (version, {obj["metadata"]["name"]: policy_object(obj) for obj in objects})
        return self._policies[1]

    async def _read_namespace(self, namespace: str) -> Any | None:
        found = await self._kube.find(kube.NAMESPACES, None, namespace)
        if found is not None:
            self._store.put(kube.NAMESPACES, found)
        return found

    async def _stable_unit(self, key: str, release: Release, progress: Progress, *, patient: bool) -> Unit | None:
        """The whole unit that serves, None where nothing is known of it: then everything counts as changed."""
        stable = progress.stable
        if stable is None:
            return None
        if release.unit is not None and release.unit.digest == stable.digest:
            return release.unit
        known = self._stable.get(key)
        if known is None or known[0] != stable.digest:
            await self._wait_for(key, release.namespace, stable, patient=patient)
            known = self._stable[key]
        return known[1]

    async def _wait_for(self, key: str, namespace: str, stable: UnitRef, *, patient: bool) -> None:
        """Have stable's revision read. A release that may have to be taken back waits once, and not for long."""
        task, wait_s = self._reading.get(key), 0.0
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._read_stable(key, namespace, stable))
            wait_s = PATIENCE_S
        done, _ = await asyncio.wait({task}, timeout=None if patient else wait_s)
        if not done:
            raise Unavailable(0, "Slow", f"ReleaseRevision {stable.revision} is still being read")
        self._reading.pop(key, None)
        task.result()
        if self._stable.get(key, ("",))[0] != stable.digest:
            raise Unavailable(0, "Changed", "another unit became stable meanwhile")

    async def _read_stable(self, key: str, namespace: str, stable: UnitRef) -> None:
        obj = await self._kube.find(kube.REVISIONS, namespace, stable.revision)
        revision = revision_of(obj) if obj is not None else None
        whole = isinstance(revision, Revision) and revision.unit.digest == stable.digest
        unit = revision.unit if isinstance(revision, Revision) and whole else None
        if unit is None:
            log.warning("stable's revision cannot be read: every part counts as changed", release=key)
        self._stable[key] = (stable.digest, unit)


def _at_rest(release: Release, progress: Progress) -> bool:
    """Whether the release serves what it asks for, so that nothing is to be held up by a policy."""
    unit, stable = release.unit, progress.stable
    return progress.state in AT_REST and bool(unit and stable and unit.digest == stable.digest)


def _refused(release: Release, progress: Progress, faults: tuple[Fault, ...]) -> Release:
    """Without a policy nothing rises; what serves already goes on."""
    if _at_rest(release, progress):
        return release
    return replace(release, faults=(*release.faults, *faults))


def _overdue(policy: Policy) -> str:
    due = policy.review_by
    return due.isoformat() if due is not None and datetime.now(UTC).date() > due else ""


def _advice(declared: Declared, policy: Policy, tier: Tier) -> tuple[str, ...]:
    """What the release would be refused for, were the policy enforced."""
    enforced = replace(policy, enforcement=Enforcement.ENFORCE)
    return tuple(fault.message for fault in effective(declared, enforced, tier)[1])
