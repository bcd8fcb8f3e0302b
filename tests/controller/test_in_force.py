"""What is known of the admission policies counts for what was there when it was asked, and for nothing later."""

from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest

from modelrelease.controller.in_force import InForce, Policies
from modelrelease.controller.kube import Denied, NotFound
from tests.api.objects import decision, offline


class Cluster:
    """An API server whose policies can be taken away. Counts how often a forged object was sent."""

    def __init__(self) -> None:
        self.there, self.forged = True, 0

    async def get(self, *_: Any) -> Any:
        if not self.there:
            raise NotFound(404, "NotFound", "there is no such policy")
        return {"metadata": {"creationTimestamp": "2026-11-20T08:00:00Z"}}

    async def create(self, *_: Any, dry_run: bool) -> Any:
        assert dry_run
        self.forged += 1
        raise Denied(403, "Forbidden", "modelrelease-evidence, modelrelease-decisions: spec.producer, spec.author")


@pytest.mark.parametrize("kind", ["evidence", "decisions"])
async def test_an_answer_from_before_something_was_seen_says_nothing_about_it(kind: str) -> None:
    cluster = Cluster()
    policies = Policies(cluster, life_s=600)  # type: ignore[arg-type]
    ask = getattr(policies, kind)
    obj = offline() if kind == "evidence" else decision("assistants")
    early = monotonic()
    assert (await ask("assistants", obj, seen_at=early)).since is not None
    assert (await ask("assistants", obj, seen_at=early)).since is not None
    assert cluster.forged == 1
    cluster.there = False
    assert (await ask("assistants", obj, seen_at=early)).since is not None
    assert (await ask("assistants", obj, seen_at=monotonic())).since is None


@pytest.mark.parametrize(("age_s", "vouched"), [(-60, False), (0, False), (1.9, False), (2, True), (60, True)])
def test_a_policy_vouches_only_for_what_is_clearly_newer_than_its_last_change(age_s: float, vouched: bool) -> None:
    changed = datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert InForce(changed).vouches_for(changed + timedelta(seconds=age_s)) is vouched
    assert not InForce(None, "it is missing").vouches_for(changed + timedelta(seconds=age_s))
