"""What the operator takes for evidence: read live before a raise, whatever its watches have missed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelrelease.controller import kube
from modelrelease.controller.attested import Attested
from modelrelease.controller.kube import Kube
from modelrelease.controller.store import Store
from modelrelease.domain.entry import Entry
from modelrelease.domain.plan import Plan
from modelrelease.domain.release import Progress, Release
from modelrelease.domain.traffic import Traffic
from modelrelease.sandbox import Sandbox
from tests.api.test_evidence_admission import evidence

DEMANDING = Plan((), entry=Entry(max_age_s=60))


def release(namespace: str, plan: Plan = DEMANDING, uid: str = "uid-1") -> Release:
    return Release(namespace, "chat", uid, 1, Traffic(), None, plan)


@pytest.fixture
def written(installed: Sandbox, namespace: str) -> Iterator[str]:
    """Two pieces of evidence for `chat`, one of them for another object of that name, and one for `search`."""
    admin = installed.client()
    for name, ref in (
        ("golden", {"name": "chat"}),
        ("earlier", {"name": "chat", "uid": "uid-0"}),
        ("other", {"name": "search"}),
    ):
        doc = evidence(namespace, name=name, producer="admin", releaseRef=ref)
        admin.create(admin.path_of(doc).rpartition("/")[0], doc)
    return namespace


async def test_evidence_is_read_live_and_what_was_withdrawn_unseen_is_forgotten(
    installed: Sandbox, written: str
) -> None:
    store = Store()
    async with Kube(Path(installed.kubeconfig("operator"))) as api:
        attested = Attested(api, store)
        assert attested.of(release(written)) == ()
        await attested.read_live(release(written, Plan(())), Progress())
        assert not list(store.all(kube.EVIDENCES)), "nothing is demanded, so nothing is read"
        await attested.read_live(release(written), Progress())
        assert [each.name for each in attested.of(release(written))] == ["golden"]
        both = attested.of(release(written, uid="uid-0"))
        assert sorted(each.name for each in both) == ["earlier", "golden"]
        admin = installed.client()
        admin.delete(admin.path_of(evidence(written)))
        assert [each.name for each in attested.of(release(written))] == ["golden"], "no watch has shown it yet"
        await attested.read_live(release(written), Progress(plan=DEMANDING))
        assert attested.of(release(written)) == ()
