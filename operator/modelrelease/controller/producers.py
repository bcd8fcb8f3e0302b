"""Whether offline evidence was submitted by whom it names, and whether that account may still vouch for the release.

Admission enforces the producer when evidence is written; this looks again before a raise stands on it, because what a
missing policy let in stays. Looked at behind, so that people see early what does not count, and once more before a
raise. Rejected: asking once in an object's life; nobody could tell then that an account was found to be compromised.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog

from modelrelease.controller import kube
from modelrelease.controller.identity import AGAIN_S, KEPT, LIFE_S
from modelrelease.controller.in_force import EVIDENCE_POLICY, InForce, Policies, may
from modelrelease.controller.kube import ApiError, Kube
from modelrelease.controller.store import Store
from modelrelease.domain.offline import OfflineEvidence
from modelrelease.domain.release import IN_TRAFFIC, Progress, Release, State

log = structlog.get_logger()

ASKED_IN = IN_TRAFFIC | {State.NEW}
"""The states in which a raise, or a first install, can stand on evidence."""

EVERYBODY = "system:authenticated"
ACCOUNTS = "system:serviceaccounts"


@dataclass(frozen=True, slots=True)
class _Checked:
    """When a piece was looked at, and why it does not count ("": it does)."""

    at: float
    doubt: str


class Producers:
    """Checks for one process. `wake` is called with a release's key when something new is known about its evidence."""

    def __init__(self, kube_: Kube, store: Store, wake: Callable[[str], None]) -> None:
        self._kube, self._store, self._wake = kube_, store, wake
        self._policies = Policies(kube_, life_s=LIFE_S)
        self._known: dict[tuple[str, str], _Checked] = {}
        self._seen_at: dict[str, float] = {}
        self._checking: dict[str, asyncio.Task[None]] = {}

    async def doubts(
        self, key: str, release: Release, progress: Progress, evidence: Sequence[OfflineEvidence], *, live: bool
    ) -> Mapping[str, str]:
        """By UID, why a piece does not count for a release, with what to do.

        Live, what was looked at longer ago than its life is looked at now, and what cannot be is doubtful. Otherwise
        what was never looked at is not doubted yet: nothing is raised on that.
        """
        asked = [found for found in evidence if found.unit_digest in _units(release, progress)]
        if not asked:
            return {}
        self._forget_some()
        for found in asked:
            self._seen_at.setdefault(found.uid, monotonic())
        if live:
            await self._check(key, [found for found in asked if self._age_s(key, found) > LIFE_S])
        elif key not in self._checking and any(self._due(key, found) for found in asked):
            self._checking[key] = asyncio.create_task(self._check_behind(key, asked))
        return {found.uid: doubt for found in asked if (doubt := self._said(key, found))}

    def _forget_some(self) -> None:
        """What was looked at long ago is looked at again where it matters."""
        if len(self._known) > KEPT:
            newest = sorted(self._known, key=lambda each: self._known[each].at)[KEPT // 2 :]
            self._known = {each: self._known[each] for each in newest}
            kept = {uid for _, uid in newest}
            self._seen_at = {uid: at for uid, at in self._seen_at.items() if uid in kept}

    def _age_s(self, key: str, found: OfflineEvidence) -> float:
        known = self._known.get((key, found.uid))
        return monotonic() - known.at if known else float("inf")

    def _due(self, key: str, found: OfflineEvidence) -> bool:
        known = self._known.get((key, found.uid))
        return known is None or (bool(known.doubt) and monotonic() - known.at > AGAIN_S)

    async def _check_behind(self, key: str, asked: Sequence[OfflineEvidence]) -> None:
        before = {found.uid: self._said(key, found) for found in asked}
        try:
            await self._check(key, [found for found in asked if self._due(key, found)])
        finally:
            self._checking.pop(key, None)
        if any(self._said(key, found) != before[found.uid] for found in asked):
            self._wake(key)

    def _said(self, key: str, found: OfflineEvidence) -> str:
        known = self._known.get((key, found.uid))
        return known.doubt if known else ""

    async def _check(self, key: str, asked: Sequence[OfflineEvidence]) -> None:
        """Look at all of them with as few questions as there are producers."""
        namespace = key.partition("/")[0]
        stored = (self._store.get(kube.EVIDENCES, f"{namespace}/{found.name}") for found in asked)
        objects = {obj["metadata"]["uid"]: obj for obj in stored if obj is not None}
        self._keep(key, {found.uid: "it was withdrawn" for found in asked if found.uid not in objects})
        there = [found for found in asked if found.uid in objects]
        if not there:
            return
        try:
            seen_at = max(self._seen_at.setdefault(found.uid, monotonic()) for found in there)
            in_force = await self._policies.evidence(namespace, objects[there[0].uid], seen_at=seen_at)
            accounts = {(found.producer, groups_of(objects[found.uid]["spec"])) for found in there}
            if in_force.since is None:
                accounts = set()
            allowed = dict(
                zip(accounts, await asyncio.gather(*(self._may(key, *one) for one in accounts)), strict=True)
            )
        except ApiError as error:
            log.warning("the producers of evidence are not confirmed", release=key, error=str(error))
            unknown = f"who submitted it, and whether they may, could not be asked of the API server: {error}"
            self._keep(key, {found.uid: unknown for found in there})
            return
        doubts = {}
        for found in there:
            obj = objects[found.uid]
            may_ = allowed.get((found.producer, groups_of(obj["spec"])), False)
            doubts[found.uid] = _forged(obj, found, in_force) or ("" if may_ else _without_right(key, found.producer))
        self._keep(key, doubts)

    async def _may(self, key: str, user: str, groups: tuple[str, ...]) -> bool:
        namespace, _, name = key.partition("/")
        return await may(
            self._kube, user=user, groups=groups, verb="attest", namespace=namespace, name=name, sub="evidence"
        )

    def _keep(self, key: str, doubts: Mapping[str, str]) -> None:
        self._known |= {(key, uid): _Checked(monotonic(), doubt) for uid, doubt in doubts.items()}


def _forged(obj: Mapping[str, Any], found: OfflineEvidence, in_force: InForce) -> str:
    """Why nobody can tell who submitted a piece; "" where its producer is whom it names."""
    if obj["metadata"].get("generation", 1) != 1:
        return "it was edited after it was submitted: submit the results again"
    if in_force.since is None:
        return f"nobody can tell who submitted it, because {in_force.problem}, then submit the results again"
    if not in_force.vouches_for(found.created_at):
        return (
            f"the admission policy {EVIDENCE_POLICY} was changed at {in_force.since:%Y-%m-%d %H:%M:%SZ}, after it "
            "was submitted or just before, so nobody can tell who did: submit the results again"
        )
    return ""


def _without_right(key: str, producer: str) -> str:
    namespace, _, name = key.partition("/")
    return (
        f"{producer} may not (or no longer) vouch for {name}: give it verb attest on modelreleases/evidence in "
        f"namespace {namespace} (ClusterRole modelrelease-submit-evidence), or submit the results with another account"
    )


def groups_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The groups of a producer as admission saw them; those that every such account is in where it says none."""
    said = spec.get("producerGroups")
    if said is not None:
        return tuple(said)
    kind, _, rest = str(spec["producer"]).partition("system:serviceaccount:")
    namespace = rest.partition(":")[0]
    return (EVERYBODY, ACCOUNTS, f"{ACCOUNTS}:{namespace}") if not kind and namespace else (EVERYBODY,)


def _units(release: Release, progress: Progress) -> set[str]:
    """The units whose evidence a raise may stand on now; none where nothing is demanded or can rise."""
    plan = progress.plan or release.plan
    if plan is None or not plan.entry.demands or progress.state not in ASKED_IN:
        return set()
    known = (progress.candidate, progress.stable, release.unit)
    return {unit.digest for unit in known if unit is not None}
