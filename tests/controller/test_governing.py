"""What governing a release reads, and what it never waits for."""

import asyncio
from typing import Any

import pytest

from modelrelease.api.convert import release_of, revision_manifest
from modelrelease.api.convert_unit import unit_of
from modelrelease.controller import kube
from modelrelease.controller.governing import Governing
from modelrelease.controller.kube import Unavailable
from modelrelease.controller.store import Store
from modelrelease.controller.units import Units
from modelrelease.domain.release import Progress, State
from modelrelease.domain.tier import Tier
from modelrelease.domain.unit import Unit, UnitRef, unit_ref
from tests.builders import TEMPLATES, gate, model_release

KEY = "assistants/chat"


class Reads:
    """A cluster that counts what is read, and answers about one revision when it is let."""

    def __init__(self, revision: Any = None) -> None:
        self.revision, self.seen, self.may = revision, list[str](), asyncio.Event()

    async def find(self, resource: Any, namespace: str | None, name: str) -> Any:
        self.seen.append(resource.plural)
        if resource is kube.REVISIONS:
            await self.may.wait()
            return self.revision
        return None

    async def list(self, resource: Any, *_: Any, **__: Any) -> list[Any]:
        self.seen.append(resource.plural)
        return []


def released(version: str, prompt: str) -> Any:
    backend = {"name": "chat", "port": 8080}
    unit = {"version": version, "backend": backend, "prompt": {"version": prompt, "digest": f"sha256:{prompt * 64}"}}
    return model_release(unit=unit, gates=[gate()])


def whole(obj: Any) -> Unit:
    unit = unit_of(obj["spec"], "assistants", {})
    assert isinstance(unit, Unit)
    return unit


OLD, NEW = released("v1", "1"), released("v2", "2")
STABLE = unit_ref("chat", whole(OLD))


def governing(reads: Reads, *policies: Any) -> Governing:
    store = Store()
    store.put(kube.NAMESPACES, {"metadata": {"name": "assistants", "labels": {"stage": "production"}}})
    for number, policy in enumerate(policies):
        store.put(kube.POLICIES, {**policy, "metadata": {"name": f"p{number}", "resourceVersion": "1"}})
    return Governing(reads, store, Units(reads, store, check_s=60))  # type: ignore[arg-type]


def release(obj: Any) -> Any:
    return release_of(obj, config_maps={}, templates=TEMPLATES)


def settled(stable: UnitRef = STABLE) -> Progress:
    return Progress(state=State.SETTLED, stable=stable)


async def test_a_release_at_rest_is_governed_without_a_read() -> None:
    reads = Reads()
    found = await governing(reads, {"spec": {"tiers": {}}}).govern(KEY, OLD, release(OLD), settled())
    assert reads.seen == [] and found.standing is not None and found.standing.policy == "p0"


async def test_stables_revision_is_read_once() -> None:
    manifest = revision_manifest(whole(OLD), STABLE, namespace="assistants", release="chat")
    reads = Reads(manifest)
    reads.may.set()
    subject = governing(reads)
    for _ in range(3):
        found = await subject.govern(KEY, NEW, release(NEW), settled())
        assert found.standing is not None and found.standing.tier is Tier.LOW
    assert reads.seen == ["releaserevisions"]


async def test_a_revision_that_is_gone_makes_every_part_count() -> None:
    reads = Reads(None)
    reads.may.set()
    found = await governing(reads).govern(KEY, NEW, release(NEW), settled())
    assert found.standing is not None and found.standing.tier is Tier.HIGH
    assert "counts as another model" in found.standing.reasons[0]


async def test_who_may_have_to_be_taken_back_waits_for_no_hanging_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelrelease.controller.governing.PATIENCE_S", 0.01)
    reads = Reads(revision_manifest(whole(OLD), STABLE, namespace="assistants", release="chat"))
    subject = governing(reads)
    for _ in range(3):
        with pytest.raises(Unavailable, match="still being read"):
            await subject.govern(KEY, NEW, release(NEW), settled(), patient=False)
    reads.may.set()
    found = await subject.govern(KEY, NEW, release(NEW), settled())
    assert found.standing is not None and found.standing.tier is Tier.LOW
    assert reads.seen == ["releaserevisions"], "one read, and nobody waits for it twice"


async def test_a_policy_that_cannot_be_told_holds_what_is_new_and_not_what_serves() -> None:
    subject = governing(Reads(), {"spec": {"tiers": {}}}, {"spec": {"tiers": {}}})
    new = await subject.govern(KEY, NEW, release(NEW), Progress())
    assert [fault.reason for fault in new.faults] == ["PolicyAmbiguous"]
    old = await subject.govern(KEY, OLD, release(OLD), settled())
    assert old.faults == ()


@pytest.mark.parametrize(
    ("selector", "selects"),
    [
        ({}, True),
        ({"matchLabels": {"stage": "production"}}, True),
        ({"matchLabels": {"stage": "test"}}, False),
        ({"matchExpressions": [{"key": "stage", "operator": "In", "values": ["production"]}]}, True),
        ({"matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["production"]}]}, False),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}, True),
    ],
    ids=str,
)
async def test_the_labels_of_the_namespace_choose_the_policy(selector: Any, selects: bool) -> None:
    subject = governing(Reads(), {"spec": {"namespaceSelector": selector, "tiers": {}}})
    found = await subject.govern(KEY, OLD, release(OLD), settled())
    assert found.standing is not None and found.standing.policy == ("p0" if selects else "built-in")


async def test_the_highest_priority_wins_and_a_broken_policy_could_be_it() -> None:
    low, high = {"spec": {"tiers": {}}}, {"spec": {"priority": 5, "tiers": {}}}
    found = await governing(Reads(), low, high).govern(KEY, OLD, release(OLD), settled())
    assert found.standing is not None and found.standing.policy == "p1"
    broken = {"spec": {"priority": -9, "tiers": {"high": {"watch": "1d"}}}}
    held = await governing(Reads(), high, broken).govern(KEY, NEW, release(NEW), Progress())
    assert [fault.reason for fault in held.faults] == ["PolicyInvalid"]
    assert held.faults[0].message.startswith("ReleasePolicy p1: spec.tiers.high.watch")
