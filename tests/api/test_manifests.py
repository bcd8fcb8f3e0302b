"""All shipped manifests and examples pass the API server's own checks, and ask for no more than is needed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrelease.api.convert import PolicyObject, built_in_policy, content_of, policy_object, release_of
from modelrelease.api.gatetemplate import Template, template_of
from modelrelease.api.metricssource import Source, source_of
from modelrelease.api.names import OPERATOR_ACCOUNT, OPERATOR_NAME, SYSTEM_NAMESPACE
from modelrelease.api.status import progress_from_status, status_from_progress
from modelrelease.domain.habit import Habit
from modelrelease.domain.release import Progress, State, Stop, Watch
from modelrelease.domain.unit import Backend, Unit, unit_ref
from modelrelease.metrics.presets import preset_specs
from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.errors import ApiError
from tests.api.objects import create
from tests.builders import LOW_CRITICALITY, TEMPLATES, gate, model_release

PROJECT = Path(__file__).parents[2]
MANIFESTS = PROJECT / "manifests"
EXAMPLES = sorted((PROJECT / "examples").rglob("*.yaml"))

Json = dict[str, Any]


def documents(path: Path) -> list[Json]:
    return [doc for doc in yaml.safe_load_all(path.read_text(encoding="utf-8")) if doc]


def kustomized(folder: Path) -> Iterator[Path]:
    """The files that `kubectl apply -k` would send, in its way of finding them."""
    for entry in yaml.safe_load((folder / "Kustomization").read_text(encoding="utf-8"))["resources"]:
        path = (folder / entry).resolve()
        if path.is_dir():
            yield from kustomized(path)
        else:
            yield path


def shipped(kind: str) -> list[Json]:
    return [doc for path in kustomized(MANIFESTS) for doc in documents(path) if doc["kind"] == kind]


def dry_run(sandbox: Sandbox, doc: Json, namespace: str) -> Json:
    """Server-side apply that changes nothing, with unknown fields as errors. Gives what it would have kept."""
    client = sandbox.client()
    if "namespace" not in doc["metadata"] and "/namespaces/" in client.path_of(doc):
        doc["metadata"]["namespace"] = namespace
    path = f"{client.path_of(doc)}?fieldManager=test&force=true&dryRun=All&fieldValidation=Strict"
    return client.request("PATCH", path, doc, content_type="application/apply-patch+yaml")


def lists_of(value: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """The lists in an object, each with its path; what lists hold is part of them."""
    if isinstance(value, list):
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from lists_of(item, f"{path}.{name}")


def test_kustomization_lists_every_manifest() -> None:
    on_disk = set(MANIFESTS.rglob("*.yaml")) | set((PROJECT / "crds").glob("*.yaml"))
    apart = [path for folder in ("stamps", "policy") for path in kustomized(MANIFESTS / folder)]
    assert {*kustomized(MANIFESTS), *apart} == on_disk


def test_the_policy_that_is_shipped_is_the_built_in_one(installed: Sandbox, namespace: str) -> None:
    (shipped_policy,) = documents(MANIFESTS / "policy" / "default.yaml")
    read = policy_object(shipped_policy)
    assert isinstance(read, PolicyObject) and read.digest == built_in_policy().digest
    dry_run(installed, shipped_policy, namespace)


def test_all_manifests_pass_a_server_side_dry_run(installed: Sandbox) -> None:
    docs = [doc for path in kustomized(MANIFESTS) for doc in documents(path)]
    assert len(docs) > 20
    for doc in docs:
        dry_run(installed, doc, SYSTEM_NAMESPACE)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
def test_kubectl_applies_them_in_one_command(installed: Sandbox) -> None:
    command = ["kubectl", "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", str(MANIFESTS)]
    kubeconfig = ["--kubeconfig", str(installed.kubeconfig("admin"))]
    answer = subprocess.run([*command, *kubeconfig], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "deployment.apps/modelrelease-operator" in answer.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_example_applies(path: Path, installed: Sandbox, namespace: str) -> None:
    for doc in documents(path):
        if "namespace" in doc["metadata"]:
            installed.create_namespace(doc["metadata"]["namespace"])
        if doc["kind"] == "ReleaseEvidence":
            doc["spec"]["producer"] = "admin"  # Nobody writes evidence in the name of somebody else.
        kept = dict(lists_of(dry_run(installed, doc, namespace).get("spec")))
        if doc["apiVersion"].startswith("modelrelease.dev/"):
            for where, written in lists_of(doc["spec"]):
                assert kept[where] == written, "GitOps tools compare lists as a whole"


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
def test_who_applied_in_the_client_can_go_on_in_the_server(installed: Sandbox, namespace: str) -> None:
    where = ["--kubeconfig", str(installed.kubeconfig("admin")), "-n", namespace]
    for name in ("modelrelease-full", "modelrelease-approvals", "modelrelease-entry"):
        for how in ([], ["--server-side"]):
            command = ["kubectl", "apply", *how, "-f", str(PROJECT / "examples" / f"{name}.yaml"), *where]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            assert answer.returncode == 0, answer.stderr


def test_the_examples_convert_without_faults() -> None:
    docs = [doc for path in EXAMPLES if path.parent == PROJECT / "examples" for doc in documents(path)]
    templates: dict[str, Any] = dict(preset_specs())
    templates |= {doc["metadata"]["name"]: doc["spec"] for doc in docs if doc["kind"].endswith("GateTemplate")}
    templates |= {f"gateway-{name}": templates[f"traefik-{name}"] for name in ("requests", "error-rate", "latency")}
    contents = {doc["metadata"]["name"]: content_of(doc) for doc in docs if doc["kind"] == "ConfigMap"}
    releases = [doc for doc in docs if doc["kind"] == "ModelRelease"]
    assert len(releases) >= 2
    for doc in releases:
        doc["metadata"] |= {"namespace": "a", "uid": "u"}
        assert release_of(doc, config_maps=contents, templates=templates).faults == ()
    for doc in docs:
        if doc["kind"].endswith("GateTemplate"):
            assert isinstance(template_of(doc["spec"], "t"), Template)
        if doc["kind"] == "MetricsSource":
            assert isinstance(source_of(doc), Source)


@pytest.mark.parametrize("name", sorted(preset_specs()))
def test_presets_are_valid_cluster_gate_templates(name: str, installed: Sandbox) -> None:
    doc = {
        "apiVersion": "modelrelease.dev/v1alpha1",
        "kind": "ClusterGateTemplate",
        "metadata": {"name": name},
        "spec": preset_specs()[name],
    }
    create(installed.client(), doc, dry_run=True)


def test_a_new_object_never_looks_healthy(installed: Sandbox, namespace: str) -> None:
    doc = documents(PROJECT / "examples" / "modelrelease-minimal.yaml")[0]
    doc["metadata"]["namespace"] = namespace
    created = installed.apply(doc)[0]
    path = installed.client().path_of(doc)
    for status in (created["status"], installed.client().get(path)["status"]):
        assert status["observedGeneration"] == -1
        (ready,) = status["conditions"]
        assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "Unknown", "Waiting")
    wiped = installed.client().patch(f"{path}/status", {"status": None})
    assert wiped["status"]["observedGeneration"] == -1
    assert wiped["status"]["conditions"][0]["status"] == "Unknown"
    emptied = installed.client().patch(f"{path}/status", {"status": {"observedGeneration": None, "conditions": None}})
    assert emptied["status"]["observedGeneration"] == -1
    assert emptied["status"]["conditions"][0]["type"] == "Ready"


# --- least privilege ---


def test_the_operator_reads_no_secrets_and_deletes_no_evidence() -> None:
    rules = [rule for kind in ("ClusterRole", "Role") for doc in shipped(kind) for rule in doc["rules"]
             if doc["metadata"]["name"] == OPERATOR_NAME]  # fmt: skip
    for rule in rules:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
        assert "secrets" not in rule["resources"]
        if {"releaserecords", "releaserevisions"} & set(rule["resources"]):
            assert set(rule["verbs"]) == {"get", "list", "watch", "create"}


def test_editors_cannot_decide() -> None:
    for doc in shipped("ClusterRole"):
        aggregated = any(label.startswith("rbac.authorization") for label in doc["metadata"]["labels"])
        granted = {verb for rule in doc["rules"] for verb in rule["verbs"]}
        if aggregated:
            assert not granted & {"pause", "resume", "promote", "abort", "retry", "approve", "revoke", "acceptrisk"}
            assert not any(
                "releasedecisions" in rule["resources"] and "create" in rule["verbs"] for rule in doc["rules"]
            )


def test_policies_and_bindings_name_the_account_that_is_deployed() -> None:
    (deployment,) = shipped("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    account = f"system:serviceaccount:{deployment['metadata']['namespace']}:{pod['serviceAccountName']}"
    assert account == OPERATOR_ACCOUNT
    for policy in shipped("ValidatingAdmissionPolicy"):
        content = yaml.safe_dump(policy, width=10_000)
        assert "modelrelease-system:" not in content or OPERATOR_ACCOUNT in content


def test_the_pod_is_restricted() -> None:
    (deployment,) = shipped("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    (namespace,) = shipped("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_operator_can_do_its_work_with_these_rights(installed: Sandbox, namespace: str) -> None:
    allowed = [
        ("modelrelease.dev", "modelreleases", "patch"),
        ("modelrelease.dev", "modelreleases/status", "update"),
        ("modelrelease.dev", "releaserecords", "create"),
        ("gateway.networking.k8s.io", "httproutes", "patch"),
        ("discovery.k8s.io", "endpointslices", "list"),
        ("events.k8s.io", "events", "create"),
    ]
    denied = [
        ("", "secrets", "get"),
        ("modelrelease.dev", "releasedecisions", "delete"),
        ("modelrelease.dev", "releaserecords", "delete"),
        ("modelrelease.dev", "modelreleases", "delete"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies", "update"),
    ]
    for expected, attributes in ((True, allowed), (False, denied)):
        for group, resource, verb in attributes:
            assert may(installed, namespace, group, resource, verb) is expected, (group, resource, verb)


def may(sandbox: Sandbox, namespace: str, group: str, resource: str, verb: str) -> bool:
    resource, _, subresource = resource.partition("/")
    attributes = {
        "namespace": namespace,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "verb": verb,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = sandbox.client("operator").create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def test_a_status_is_accepted_as_the_operator_writes_it(installed: Sandbox, namespace: str) -> None:
    doc = model_release(
        namespace=namespace,
        traffic={"routes": [{"name": "chat"}], "segments": [LOW_CRITICALITY]},
        gates=[gate(), gate("latency", "latency", max="1.2"), gate("drift", "drift")],
    )
    del doc["metadata"]["uid"], doc["metadata"]["generation"]
    stored = installed.apply(doc)[0]
    release = release_of(stored, config_maps={}, templates=TEMPLATES)
    assert release.plan is not None
    now = datetime.now(UTC)
    ref = unit_ref("chat", Unit("v2", Backend("chat-v2", 8080)))
    progress = Progress(
        State.OBSERVING, now, ref, ref, ref, release.plan, 0, now, now, release.plan.stages[0].exposure,
        watch=Watch(ref, now, now), stop=Stop(ref.digest, "v2", "GateReverted", "errors", now, "errors"),
        stopped=(ref.digest,), handled=("uid",), no_data_since=(("errors/low", now),), stable_ready=2, diverted=ref,
        habits=(("errors", Habit(90, 3.25)),),
    )  # fmt: skip
    stored["status"] = status_from_progress(progress) | {"observedGeneration": 1, "conditions": []}
    path = installed.client().path_of(doc) + "/status?fieldValidation=Strict"
    written = installed.client("operator").request("PUT", path, stored)
    assert progress_from_status(written["status"]) == progress
    assert installed.client().get(installed.client().path_of(doc))["status"]["plan"] == stored["status"]["plan"]
    with pytest.raises(ApiError, match="sequence"):
        installed.client("operator").patch(
            f"{installed.client().path_of(doc)}/status", {"status": {"record": {"sequence": -1}}}
        )
