"""Objects for tests of admission, and the few requests that those tests make."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.access import USERS
from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.kube import KubeClient
from tests.sandbox.waiting import eventually

Json = dict[str, Any]

ZEROS = "sha256:" + "0" * 64
LEASE_PATH = "/apis/coordination.k8s.io/v1/namespaces/modelrelease-system/leases"
LEASE = "modelrelease-operator"


def decision(namespace: str, *, name: str = "decision", **spec: Any) -> Json:
    """Alice pauses `chat`, unless `spec` says otherwise."""
    content = {"releaseRef": {"name": "chat"}, "action": "Pause", "author": "alice", "reason": "the cache is cold"}
    return _object("ReleaseDecision", namespace, name, {**content, **spec})


def approval(namespace: str, role: str, *, name: str = "approval", **spec: Any) -> Json:
    """Alice approves stage `full` of `chat` in a role."""
    bound = {"releaseRef": {"name": "chat", "uid": "uid-1"}, "digest": ZEROS, "planDigest": ZEROS, "stage": "full"}
    shown = {"evidenceDigest": ZEROS, "role": role}
    return decision(namespace, name=name, **{"action": "Approve", **shown, **bound, **spec})


def record(namespace: str, sequence: int = 1, *, name: str | None = None) -> Json:
    """A record of `chat`; its hash is not looked at here."""
    spec = {
        "release": {"name": "chat", "uid": "uid-1"},
        "sequence": sequence,
        "previous": ZEROS,
        "hash": ZEROS,
        "kind": "Started",
        "time": "2026-11-21T08:00:00Z",
        "body": {"message": "v2 starts", "deep": {"shares": ["1 %"]}},
    }
    return _object("ReleaseRecord", namespace, name or f"chat-{sequence:08d}", spec)


def revision(namespace: str) -> Json:
    """A revision of `chat`."""
    unit = {"version": "v2", "backend": {"name": "chat-v2", "port": 8080}}
    return _object("ReleaseRevision", namespace, "chat-0", {"release": {"name": "chat"}, "digest": ZEROS, "unit": unit})


def route(namespace: str, *, holder: str | None) -> Json:
    """An HTTPRoute with or without the holder annotation."""
    doc = _object("HTTPRoute", namespace, "fenced", {"rules": [{"backendRefs": [{"name": "chat-v1", "port": 8080}]}]})
    doc["apiVersion"] = "gateway.networking.k8s.io/v1"
    if holder is not None:
        doc["metadata"]["annotations"] = {"modelrelease.dev/holder": holder}
    return doc


def offline(name: str = "golden", **spec: Any) -> Json:
    """Carol's results of one unit of `chat`, as the API server keeps them."""
    content = {
        "releaseRef": {"name": "chat"},
        "unitDigest": ZEROS,
        "producer": "carol",
        "suite": {"name": "golden", "version": "12"},
        "producedAt": "2026-11-20T08:00:00Z",
        "metrics": [{"name": "accuracy", "count": 9, "total": 10}],
    }
    doc = _object("ReleaseEvidence", "assistants", name, {**content, **spec})
    doc["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": "2026-11-20T08:00:01Z", "resourceVersion": "1"}
    return doc


def lease(sandbox: Sandbox, holder: str) -> None:
    """Have `holder` hold the operator's Lease."""
    metadata = {"name": LEASE, "namespace": "modelrelease-system"}
    sandbox.apply(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {"holderIdentity": holder},
        }
    )


def free_lease(sandbox: Sandbox) -> None:
    """Leave the Lease as it was shipped, so that no operator of another test waits for it to run out."""
    drop_lease(sandbox)
    metadata = {"name": LEASE, "namespace": "modelrelease-system"}
    sandbox.apply({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata})


def drop_lease(sandbox: Sandbox) -> None:
    """Delete the Lease."""
    with contextlib.suppress(ApiError):
        sandbox.client().delete(f"{LEASE_PATH}/{LEASE}")


def create(client: KubeClient, doc: Json, *, dry_run: bool = False) -> Json:
    """Create as kubectl does: unknown fields are errors."""
    collection = client.path_of(doc).rpartition("/")[0]
    return client.create(f"{collection}?fieldValidation=Strict{'&dryRun=All' if dry_run else ''}", doc)


def may(sandbox: Sandbox, user: str, namespace: str, verb: str, group: str, resource: str, name: str = "") -> bool:
    """What the API server would answer a user now. `resource` may be `<plural>/<subresource>`."""
    plural, _, subresource = resource.partition("/")
    asked = {"verb": verb, "group": group, "resource": plural, "subresource": subresource, "name": name}
    groups = USERS.get(user, (user, ()))[1]
    spec = {"user": user, "groups": list(groups), "resourceAttributes": {**asked, "namespace": namespace}}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return bool(sandbox.client().create(path, review)["status"]["allowed"])


def wait_in_force(sandbox: Sandbox) -> None:
    """Return when the admission policies, which take some seconds to load, refuse what they must refuse."""
    sandbox.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "probes"}})
    admin, operator = sandbox.client(), sandbox.client("operator")
    lease(sandbox, "nobody")
    for client, doc in (
        (admin, decision("probes", author="somebody-else")),
        (admin, record("probes")),
        (operator, route("probes", holder="somebody-else")),
    ):
        eventually(partial(_refused, client, doc))
    free_lease(sandbox)


def _refused(client: KubeClient, doc: Json) -> bool:
    try:
        create(client, doc, dry_run=True)
    except ApiError as error:
        return "ValidatingAdmissionPolicy" in error.message
    return False


def bind(sandbox: Sandbox, namespace: str, user: str, role: str) -> None:
    """Give a user a ClusterRole in one namespace; returns when that is in force, a moment after it is written."""
    sandbox.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{user}-{role}", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
    )
    rule = sandbox.client().get(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}")["rules"][0]
    asked = (rule["verbs"][0], rule["apiGroups"][0], rule["resources"][0], *rule.get("resourceNames", [])[:1])
    eventually(lambda: may(sandbox, user, namespace, *asked))


def unbind(sandbox: Sandbox, namespace: str, binding: str, *asked: str) -> None:
    """Delete a RoleBinding; returns when its user may no longer do what was asked (`may` without the sandbox)."""
    sandbox.client().delete(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/{binding}")
    user, verb, group, resource, *name = asked
    eventually(lambda: not may(sandbox, user, namespace, verb, group, resource, *name))


def _object(kind: str, namespace: str, name: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "modelrelease.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
