"""Whether a decision was really said by whom it names, and whether that person may still say it (R22).

Admission enforces the author when a decision is written; this looks again before a raise stands on it. Each decision is
checked once in the background, and once more before it is used; what only lowers exposure never waits for any of this.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import Any

import structlog

from modelrelease.controller.in_force import DECISIONS_POLICY, Policies, may
from modelrelease.controller.kube import ApiError, Kube
from modelrelease.domain.decision import CONFIRMED, UNASKED, Action, Decision, Identity, Standing

log = structlog.get_logger()

LIFE_S = 2.0
"""How long a check counts for a raise that stands on it."""

AGAIN_S = 15.0
"""How often a refused decision is looked at again: a right can be given later."""

KEPT = 4096
"""How many checks are remembered; a forgotten one is made again."""


@dataclass(frozen=True, slots=True)
class _Checked:
    at: float
    identity: Identity


class Identities:
    """Checks for one process. `wake` is called with a release's key when something new is known about it."""

    def __init__(self, kube_: Kube, wake: Callable[[str], None]) -> None:
        self._kube, self._wake = kube_, wake
        self._policies = Policies(kube_, life_s=LIFE_S)
        self._known: dict[str, _Checked] = {}
        self._seen_at: dict[str, float] = {}
        self._checking: dict[str, asyncio.Task[None]] = {}
        self._stamps: dict[str, tuple[float, datetime | None]] = {}

    async def of(
        self, key: str, said: Mapping[str, Any], decisions: Iterable[Decision], *, live: bool
    ) -> tuple[Decision, ...]:
        """The decisions with what is known of their authors. `said` are the objects by UID.

        Live, what is older than its life is checked now; otherwise what was never checked is checked behind.
        """
        self._forget_some()
        found = []
        for decision in decisions:
            if decision.action in UNASKED:
                found.append(decision)
                continue
            self._seen_at.setdefault(decision.uid, monotonic())
            known = self._known.get(decision.uid)
            if live and (known is None or monotonic() - known.at > LIFE_S):
                await self._check(key, said[decision.uid], decision)
                known = self._known.get(decision.uid)
            elif not live and self._due(known) and decision.uid not in self._checking:
                behind = self._check_behind(key, said[decision.uid], decision)
                self._checking[decision.uid] = asyncio.create_task(behind)
            found.append(replace(decision, identity=known.identity) if known else decision)
        return tuple(found)

    async def stamped_since(self, key: str, release: Mapping[str, Any], *, live: bool) -> datetime | None:
        """Since when who changes a release is stamped on it, as far as that is known."""
        known = self._stamps.get(key)
        if live and (known is None or monotonic() - known[0] > LIFE_S):
            await self._look_at_stamps(key, release)
        elif not live and (known is None or monotonic() - known[0] > 2 * AGAIN_S) and key not in self._checking:
            self._checking[key] = asyncio.create_task(self._stamps_behind(key, release))
        known = self._stamps.get(key)
        return known[1] if known else None

    def _forget_some(self) -> None:
        """What was checked long ago was used, or belongs to a release that nobody looks at any more."""
        if len(self._known) > KEPT:
            newest = sorted(self._known, key=lambda uid: self._known[uid].at)[KEPT // 2 :]
            self._known = {uid: self._known[uid] for uid in newest}
            self._seen_at = {uid: at for uid, at in self._seen_at.items() if uid in self._known}

    def _due(self, known: _Checked | None) -> bool:
        if known is None:
            return True
        return known.identity.standing is not Standing.CONFIRMED and monotonic() - known.at > AGAIN_S

    async def _check_behind(self, key: str, obj: Mapping[str, Any], decision: Decision) -> None:
        before = self._known.get(decision.uid)
        try:
            await self._check(key, obj, decision)
        finally:
            self._checking.pop(decision.uid, None)
        after = self._known.get(decision.uid)
        if after is not None and (before is None or before.identity != after.identity):
            self._wake(key)

    async def _stamps_behind(self, key: str, release: Mapping[str, Any]) -> None:
        try:
            await self._look_at_stamps(key, release)
        finally:
            self._checking.pop(key, None)
        self._wake(key)

    async def _look_at_stamps(self, key: str, release: Mapping[str, Any]) -> None:
        try:
            found = await self._policies.stamps(release)
            self._stamps[key] = (monotonic(), found.since)
        except ApiError as error:
            log.warning("whether changes are stamped is not known", release=key, error=str(error))
            self._stamps[key] = (monotonic(), None)

    async def _check(self, key: str, obj: Mapping[str, Any], decision: Decision) -> None:
        namespace, _, name = key.partition("/")
        try:
            identity = await self._identity(namespace, name, obj, decision)
        except ApiError as error:
            log.warning("the author of a decision is not confirmed", decision=decision.name, error=str(error))
            identity = Identity()
        self._known[decision.uid] = _Checked(monotonic(), identity)

    async def _identity(self, namespace: str, name: str, obj: Mapping[str, Any], decision: Decision) -> Identity:
        seen_at = self._seen_at.setdefault(decision.uid, monotonic())
        in_force = await self._policies.decisions(namespace, obj, seen_at=seen_at)
        if in_force.since is None:
            return _refused(f"nobody can tell who said it, because {in_force.problem}, then say it again")
        if not in_force.vouches_for(decision.created_at):
            return _refused(
                f"the admission policy {DECISIONS_POLICY} was changed at {in_force.since:%Y-%m-%d %H:%M:%SZ}, after it "
                "was said or just before, so nobody can tell who said it: say it again"
            )
        verb, sub = right_of(decision)
        user = decision.author
        if await may(self._kube, user=user, groups=decision.groups, verb=verb, namespace=namespace, name=name, sub=sub):
            return CONFIRMED
        resource = f"modelreleases/{sub}" if sub else "modelreleases"
        return _refused(
            f"{user} may not (or no longer) {verb} in this role: ask for verb {verb} on {resource} "
            f"(group modelrelease.dev) in namespace {namespace}, then say it again"
        )


def right_of(decision: Decision) -> tuple[str, str]:
    """The verb, and the subresource of modelreleases, that a decision needs; admission asks for the same."""
    if decision.action in (Action.APPROVE, Action.REJECT):
        return "approve", decision.role or ""
    return decision.action.value.lower(), ""


def _refused(message: str) -> Identity:
    return Identity(Standing.REFUSED, message)
