"""Offline evidence by release: what is strange in one object must not touch any other release."""

from modelrelease.controller import kube
from modelrelease.controller.attested import Attested
from modelrelease.controller.kube import Kube
from modelrelease.controller.store import Store
from tests.api.objects import offline
from tests.engine.builders import gen_release


def test_one_unreadable_object_leaves_the_evidence_of_every_release_readable() -> None:
    store = Store()
    store.put(kube.EVIDENCES, offline("strange", producedAt="0001-01-01T00:00:00+14:00"))
    store.put(kube.EVIDENCES, offline("other", releaseRef={"name": "other"}))
    store.put(kube.EVIDENCES, offline("good"))
    found = Attested(Kube(None), store).of(gen_release())
    assert [each.name for each in found] == ["good"]


def test_what_was_read_once_goes_when_its_object_goes() -> None:
    store = Store()
    attested = Attested(Kube(None), store)
    store.put(kube.EVIDENCES, offline("good"))
    assert [each.name for each in attested.of(gen_release())] == ["good"]
    store.drop(kube.EVIDENCES, store.get(kube.EVIDENCES, "assistants/good"))
    assert attested.of(gen_release()) == ()
