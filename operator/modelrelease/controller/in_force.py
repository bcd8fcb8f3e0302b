"""Proving that the admission policies are in force, because what a missing one let in stays when it is back.

A forged object is sent as a server-side dry run: it must come back denied, in the policy's own words. And the policy's
last change is read, because what was said before it was let in by something else. Rejected: trusting that what was
installed is still there; deleting a policy leaves no trace on the objects that it would have refused.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from modelrelease.api.names import CHANGED_BY, OPERATOR_ACCOUNT
from modelrelease.api.quantities import time_of
from modelrelease.controller import kube
from modelrelease.controller.kube import Denied, Kube, NotFound, Resource

DECISIONS_POLICY = "modelrelease-decisions"
EVIDENCE_POLICY = "modelrelease-evidence"
STAMP_POLICY = "modelrelease-changed-by"
FORGED_AUTHOR = "modelrelease:nobody"
"""A name that no account has: a decision in this name is forged, whoever sends it."""

MARGIN_S = 2
"""How much newer than a policy an object must be: for about a second after a policy is back, forged ones get in."""

MEND = "apply the project's manifests again (kubectl apply --server-side -k manifests)"


@dataclass(frozen=True, slots=True)
class InForce:
    """Whether a policy refuses what is forged: since when it has not been changed, or why that is not known."""

    since: datetime | None
    problem: str = ""

    def vouches_for(self, created_at: datetime) -> bool:
        """Whether the policy was surely there when an object was created."""
        return self.since is not None and created_at >= self.since + timedelta(seconds=MARGIN_S)


class Policies:
    """Asks one API server, and remembers each answer for `life_s` seconds.

    `seen_at` is when (monotonic) this process first saw what the answer is for: one that was asked for before says
    nothing about it, because a policy that was in force then can have been taken away before it was written.
    """

    def __init__(self, kube_: Kube, *, life_s: float) -> None:
        self._kube, self._life_s = kube_, life_s
        self._known: dict[str, tuple[float, InForce]] = {}

    async def decisions(self, namespace: str, obj: Mapping[str, Any], *, seen_at: float) -> InForce:
        """Whether nobody can decide in another's name in this namespace now; `obj` is a decision as it was said.

        Raises ApiError when the API server does not answer.
        """
        return await self._fresh(f"decisions/{namespace}", lambda: self._decisions(namespace, obj), seen_at)

    async def evidence(self, namespace: str, obj: Mapping[str, Any], *, seen_at: float) -> InForce:
        """Whether nobody can submit evidence in another's name in this namespace now; `obj` is one as it was submitted.

        Raises ApiError when the API server does not answer.
        """
        return await self._fresh(f"evidence/{namespace}", lambda: self._evidence(namespace, obj), seen_at)

    async def stamps(self, obj: Mapping[str, Any]) -> InForce:
        """Whether who changes a release is stamped on it. Raises ApiError when the API server does not answer."""
        return await self._fresh(f"stamps/{obj['metadata']['namespace']}", lambda: self._stamps(obj))

    async def _fresh(self, key: str, ask: Callable[[], Awaitable[InForce]], seen_at: float = 0.0) -> InForce:
        known = self._known.get(key)
        if known is None or known[0] < seen_at or monotonic() - known[0] > self._life_s:
            asked_at = monotonic()
            known = (asked_at, await ask())
            self._known[key] = known
        return known[1]

    async def _decisions(self, namespace: str, obj: Mapping[str, Any]) -> InForce:
        forged = {**obj["spec"], "author": FORGED_AUTHOR, "reason": "a forged decision must be refused"}
        kind = (kube.DECISIONS, "ReleaseDecision")
        return await self._refuses(DECISIONS_POLICY, namespace, kind, forged, field="spec.author")

    async def _evidence(self, namespace: str, obj: Mapping[str, Any]) -> InForce:
        spec = obj["spec"]
        kept = {name: spec[name] for name in ("releaseRef", "unitDigest", "suite", "producedAt")}
        result = {"metrics": [{"name": "forged", "count": 0, "total": 1}]}
        kind = (kube.EVIDENCES, "ReleaseEvidence")
        forged = {**kept, **result, "producer": FORGED_AUTHOR}
        return await self._refuses(EVIDENCE_POLICY, namespace, kind, forged, field="spec.producer")

    async def _refuses(
        self, policy: str, namespace: str, kind: tuple[Resource, str], forged: Mapping[str, Any], *, field: str
    ) -> InForce:
        """Whether a policy refuses what is forged in `field`, in words that only it has."""
        since = await self._last_change(
            (kube.VALIDATING_POLICIES, policy), (kube.VALIDATING_BINDINGS, policy), optional=False
        )
        if since is None:
            return InForce(None, f"the admission policy {policy} or its binding is missing: {MEND}")
        body = {
            "apiVersion": f"{kube.GROUP}/{kube.VERSION}",
            "kind": kind[1],
            "metadata": {"generateName": "modelrelease-forged-", "namespace": namespace},
            "spec": forged,
        }
        try:
            await self._kube.create(kind[0], namespace, body, dry_run=True)
        except Denied as denied:
            if policy in denied.message and field in denied.message:
                return InForce(since)
            return InForce(None, f"a forged one was refused for another reason ({denied.message[:200]}): {MEND}")
        return InForce(None, f"a forged one was let in, so the admission policy {policy} is not in force: {MEND}")

    async def _stamps(self, obj: Mapping[str, Any]) -> InForce:
        since = await self._last_change(
            (kube.VALIDATING_POLICIES, STAMP_POLICY),
            (kube.VALIDATING_BINDINGS, STAMP_POLICY),
            (kube.MUTATING_POLICIES, STAMP_POLICY),
            (kube.MUTATING_BINDINGS, STAMP_POLICY),
            optional=True,
        )
        if since is None:
            return InForce(None, f"there is no admission policy {STAMP_POLICY}")
        kept = "Retain" if (obj.get("spec") or {}).get("deletionPolicy") == "Delete" else "Delete"
        forged = {"metadata": {"annotations": {CHANGED_BY: FORGED_AUTHOR}}, "spec": {"deletionPolicy": kept}}
        metadata = obj["metadata"]
        try:
            changed = await self._kube.patch(
                kube.RELEASES,
                metadata["namespace"],
                metadata["name"],
                forged,
                content_type="application/merge-patch+json",
                dry_run=True,
            )
        except Denied as denied:
            return InForce(since) if STAMP_POLICY in denied.message else InForce(None, denied.message[:200])
        stamped = (changed["metadata"].get("annotations") or {}).get(CHANGED_BY)
        return InForce(since) if stamped == OPERATOR_ACCOUNT else InForce(None, f"{CHANGED_BY} could be forged")

    async def _last_change(self, *which: tuple[Resource, str], optional: bool) -> datetime | None:
        """When any of them was last written; None where one (or, with `optional`, each) is missing."""
        found = []
        for resource, name in which:
            try:
                found.append(_changed_at(await self._kube.get(resource, None, name)))
            except NotFound:
                if not optional:
                    return None
        return max(found, default=None)


def _changed_at(obj: Mapping[str, Any]) -> datetime:
    """When an object was created or last written by anybody, its status aside."""
    metadata = obj["metadata"]
    written = [entry["time"] for entry in metadata.get("managedFields") or () if not entry.get("subresource")]
    return max(time_of(moment) for moment in (metadata["creationTimestamp"], *filter(None, written)))


async def may(
    kube_: Kube, *, user: str, groups: tuple[str, ...], verb: str, namespace: str, name: str, sub: str = ""
) -> bool:
    """Whether a user may do this to a ModelRelease now. Raises ApiError when the API server does not answer."""
    attributes = {
        "group": kube.GROUP,
        "resource": "modelreleases",
        "verb": verb,
        "namespace": namespace,
        "name": name,
        **({"subresource": sub} if sub else {}),
    }
    spec = {"user": user, "groups": list(groups), "resourceAttributes": attributes}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = await kube_.create(kube.ACCESS_REVIEWS, None, review)
    return bool(answer.get("status", {}).get("allowed"))
