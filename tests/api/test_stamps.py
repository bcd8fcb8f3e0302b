"""Who changed a release is stamped by admission, nobody can write it in another's name, and the operator can tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from modelrelease.api.names import CHANGED_BY, UNIT_CHANGED_BY
from modelrelease.controller.in_force import InForce, Policies
from modelrelease.controller.kube import Kube
from modelrelease.sandbox import ApiError, Sandbox
from modelrelease.sandbox.scene import _load, project_folder
from tests.api.objects import Json, bind, create
from tests.api.test_admission import allowed
from tests.sandbox.waiting import eventually

ROOT = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture
def release(installed: Sandbox, namespace: str) -> Json:
    """Dave's release."""
    bind(installed, namespace, "dave", "modelrelease-edit")
    spec = {
        "unit": {"version": "v1", "backend": {"name": "chat-v1", "port": 8080}},
        "traffic": {"routes": [{"name": "chat"}]},
    }
    metadata = {"name": "chat", "namespace": namespace}
    doc = {"apiVersion": "modelrelease.dev/v1alpha1", "kind": "ModelRelease", "metadata": metadata, "spec": spec}
    made: list[Json] = []
    allowed(lambda: made.extend(installed.apply(doc, user="dave")))
    return made[-1]


def stamped(sandbox: Sandbox) -> bool:
    """Whether a release that would be applied now would be stamped."""
    spec = {"unit": {"version": "v1", "backend": {"name": "x", "port": 80}}, "traffic": {"routes": [{"name": "x"}]}}
    metadata = {"name": "probe", "namespace": "default"}
    doc = {"apiVersion": "modelrelease.dev/v1alpha1", "kind": "ModelRelease", "metadata": metadata, "spec": spec}
    try:
        made = create(sandbox.client(), doc, dry_run=True)
    except ApiError:
        return True
    return CHANGED_BY in made["metadata"].get("annotations", {})


@pytest.fixture
def without_stamps(installed: Sandbox) -> Iterator[None]:
    """Neither policy is there; both are again in the end."""
    for kind in ("mutatingadmissionpolicies", "validatingadmissionpolicies"):
        installed.client().delete(f"{ROOT}/{kind}/modelrelease-changed-by")
    eventually(lambda: not stamped(installed))
    yield
    for file in sorted((project_folder("manifests") / "stamps").glob("*.yaml")):
        installed.apply(_load(file))


def stamps(obj: Json) -> tuple[str, str]:
    annotations = obj["metadata"]["annotations"]
    return annotations[CHANGED_BY], annotations[UNIT_CHANGED_BY]


async def proven(sandbox: Sandbox, obj: Json) -> InForce:
    async with Kube(sandbox.kubeconfig("operator")) as kube:
        return await Policies(kube, life_s=0).stamps(obj)


def test_the_last_change_of_spec_and_of_unit_is_stamped_and_no_other_name_gets_in(
    installed: Sandbox, release: Json
) -> None:
    path, admin = installed.client().path_of(release), installed.client()
    assert stamps(release) == ("dave", "dave")
    assert stamps(admin.patch(path, {"spec": {"risk": "High"}})) == ("admin", "dave")
    forged = {"metadata": {"annotations": {CHANGED_BY: "carol", UNIT_CHANGED_BY: "carol"}}}
    assert stamps(admin.patch(path, forged)) == ("admin", "dave")
    assert stamps(admin.patch(path, {**forged, "spec": {"unit": {"version": "v2"}}})) == ("admin", "admin")


async def test_the_operator_proves_that_the_stamps_cannot_be_forged(installed: Sandbox, release: Json) -> None:
    assert (await proven(installed, release)).since is not None
    assert stamps(installed.client().get(installed.client().path_of(release))) == ("dave", "dave")


async def test_where_nothing_stamps_the_operator_does_not_believe_the_annotations(
    installed: Sandbox, release: Json, without_stamps: None
) -> None:
    found = await proven(installed, release)
    assert found.since is None and found.problem
