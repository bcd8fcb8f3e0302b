"""What people said about a release: from the store, or live, with what is known of who said it.

It judges nothing; what a decision means is the engine's to say.
"""

from collections.abc import Callable
from datetime import datetime

import structlog

from modelrelease.api.convert import decision_of
from modelrelease.controller import kube
from modelrelease.controller.identity import Identities
from modelrelease.controller.kube import Kube
from modelrelease.controller.store import Store
from modelrelease.domain.decision import LASTING, Decision
from modelrelease.domain.release import Progress, Release
from modelrelease.engine.approving import PROPOSED_IN

log = structlog.get_logger()


class Decisions:
    """Reads for one process. `wake` is called with a release's key when an author was confirmed or refused."""

    def __init__(self, kube_: Kube, store: Store, wake: Callable[[str], None]) -> None:
        self._kube, self._store = kube_, store
        self.identities = Identities(kube_, wake)

    async def read_live(self, namespace: str) -> None:
        """Bring the store up to date, also with what was revoked since. Raises ApiError."""
        before = list(self._store.all(kube.DECISIONS, namespace))
        listed = await self._kube.list(kube.DECISIONS, namespace)
        there = {decision["metadata"]["uid"] for decision in listed}
        for decision in listed:
            self._store.put(kube.DECISIONS, decision)
        for revoked in (decision for decision in before if decision["metadata"]["uid"] not in there):
            self._store.drop(kube.DECISIONS, revoked)

    async def of(self, key: str, release: Release, progress: Progress, *, confirm: bool) -> tuple[Decision, ...]:
        """What is said about a release. With `confirm`, authors are confirmed now, else behind.

        Only of what is not used yet and can be about the present candidate; the rest is history.
        """
        history: list[Decision] = []
        current: list[Decision] = []
        objects = {}
        units = {None, progress.candidate.digest if progress.candidate else None}
        units.add(release.unit.digest if release.unit else None)
        for obj in self._store.all(kube.DECISIONS, release.namespace):
            if obj.get("spec", {}).get("releaseRef", {}).get("name") != release.name:
                continue
            decision = decision_of(obj)
            if not isinstance(decision, Decision):
                log.warning("unreadable decision", decision=obj["metadata"]["name"], error=decision.message)
                continue
            open_ = decision.action in LASTING or decision.uid not in progress.handled
            new = open_ and decision.digest in units
            (current if new else history).append(decision)
            objects[decision.uid] = obj
        return (*history, *await self.identities.of(key, objects, current, live=confirm))

    async def stamped_since(self, key: str, release: Release, progress: Progress, *, confirm: bool) -> datetime | None:
        """Since when admission stamps who changes the release, where four eyes make that matter."""
        plan, obj = progress.plan or release.plan, self._store.get(kube.RELEASES, key)
        if plan is None or not plan.approvals.four_eyes or progress.state not in PROPOSED_IN or obj is None:
            return None
        return await self.identities.stamped_since(key, obj, live=confirm)
