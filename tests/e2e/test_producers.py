"""Who vouched for evidence is looked at again before a raise: what a missing policy let in does not count."""

import time

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene, _load, project_folder
from tests.api.objects import bind, unbind
from tests.api.test_admission import rule
from tests.e2e.test_approvals import MARGIN_S
from tests.e2e.test_entry import Json, candidate, evidence, holds, shares, submit, submit_when_allowed

__all__ = ["candidate"]

POLICY_PATH = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/modelrelease-evidence"


def writer(sandbox: Sandbox, namespace: str, user: str) -> None:
    """May create the objects, and vouch for no release."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "create-evidence"},
        "rules": [rule(["releaseevidences"], ["create"])],
    }
    sandbox.apply(role)
    bind(sandbox, namespace, user, "create-evidence")


def test_what_was_forged_while_the_policy_was_missing_does_not_count_when_it_is_back(
    shared_operator: Part, scene: Scene, candidate: Json
) -> None:
    unit, stable = candidate["candidate"], candidate["stable"]["digest"]
    writer(scene.sandbox, scene.namespace, "mallory")
    scene.sandbox.client().delete(POLICY_PATH)
    try:
        forged = submit_when_allowed(scene, evidence(scene, unit["digest"]), user="mallory")
        holds(scene, "EntryEvidenceUnconfirmed", "the admission policy modelrelease-evidence or its binding is missing")
    finally:
        scene.sandbox.apply(_load(project_folder("manifests") / "admission" / "evidence.yaml"))
    name = forged["metadata"]["name"]
    holds(scene, "EntryEvidenceUnconfirmed", f"ReleaseEvidence {name} by carol does not count: the admission policy")
    assert "submit the results again" in scene.condition("EntryEvidence")["message"]
    time.sleep(MARGIN_S)
    submit(scene, evidence(scene, unit["digest"], english=99))
    holds(scene, "EntryEvidenceUnconfirmed", "of stable does not count: the admission policy")
    assert set(shares(scene, unit["revision"])) == {0}
    with LoadThread(scene.load(60)):
        submit(scene, evidence(scene, stable, english=96, turkish=57))
        scene.wait_state("Settled")
    raised = next(record["body"] for record in scene.records() if record["kind"] == "Raised")
    doubts = {each["name"]: each.get("doubt", "") for each in raised["entry"]["evidence"]}
    assert "was changed at" in doubts[name]
    assert sorted(bool(doubt) for doubt in doubts.values()) == [False, False, True, True]


def test_results_of_an_account_that_lost_its_right_let_nothing_in_any_more(
    shared_operator: Part, scene: Scene, candidate: Json
) -> None:
    unit = candidate["candidate"]
    submit(scene, evidence(scene, unit["digest"], references=None))
    holds(scene, "EntryEvidenceIncomplete", "the package lacks ModelCard")
    right = ("carol", "attest", "modelrelease.dev", "modelreleases/evidence")
    unbind(scene.sandbox, scene.namespace, "carol-modelrelease-submit-evidence", *right)
    time.sleep(MARGIN_S)
    bind(scene.sandbox, scene.namespace, "dave", "modelrelease-submit-evidence")
    suite = {"name": "package", "version": "1"}
    papers = evidence(scene, unit["digest"], producer="dave", suite=suite, metrics=None, subgroups=None, impact=None)
    submit_when_allowed(scene, papers, user="dave")
    holds(scene, "EntryEvidenceUnconfirmed", "carol may not (or no longer) vouch for chat")
    assert "verb attest on modelreleases/evidence" in scene.condition("EntryEvidence")["message"]
    assert set(shares(scene, unit["revision"])) == {0}
