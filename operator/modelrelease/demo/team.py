"""What the team that serves the digits has in its namespace: prompts, the right to read bundles, what is counted.

Nothing in here knows what is released when. Rejected: a manifest per object beside this package; whoever wants to see
them uses `--keep` and kubectl.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from modelrelease.demo import story
from modelrelease.sandbox.accounts import service_account_kubeconfig
from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.scene import Scene

ACCOUNT = "digits"
RBAC = "rbac.authorization.k8s.io"
ADMISSION_TIMEOUT_S = 120.0

_ARM = [{"label": "release", "value": "${revision}"}]
_FAILED = {"name": "model_requests_total", "matchers": [{"label": "code", "op": "Regex", "value": "5.."}]}
TEMPLATES = {
    story.SERVER_ERRORS: {
        "kind": "Operational",
        "description": "Failed requests over all requests, as the server counts them per release.",
        "metric": {"ratio": {"bad": _FAILED, "total": {"name": "model_requests_total"}, "absentBad": "Zero"}},
        "arm": _ARM,
    },
    story.SERVER_LATENCY: {
        "kind": "Operational",
        "description": "95th percentile of the time to answer, as the server measures it per release.",
        "metric": {"quantile": {"buckets": {"name": "model_request_duration_seconds_bucket"}, "q": "0.95"}},
        "arm": _ARM,
    },
}
"""What tells arms apart that are in one Service; see docs/bundles.md."""


def bundle_reader(scene: Scene) -> Path:
    """A service account that may read ConfigMaps, bundles among them, and a kubeconfig that acts as it."""
    kubeconfig = service_account_kubeconfig(scene.sandbox, scene.namespace, ACCOUNT)
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    role = {"apiGroup": RBAC, "kind": "Role", "name": "bundle-reader"}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": scene.namespace}
    metadata = {"name": "bundle-reader", "namespace": scene.namespace}
    scene.sandbox.apply(
        [
            {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": [rule]},
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": role,
                "subjects": [subject],
            },
        ]
    )
    return kubeconfig


def apply_objects(scene: Scene) -> None:
    """Where Prometheus is, the prompts, how errors and wrong answers are counted, a route to the baseline.

    An admission policy takes some seconds to see the objects that it depends on, and refuses meanwhile.
    """
    deadline = time.monotonic() + ADMISSION_TIMEOUT_S
    scene.source()
    scene.answers_template()
    for name, spec in TEMPLATES.items():
        scene.template(name, spec)
    scene.sandbox.apply([_prompt(scene.namespace, version, text) for version, text in story.PROMPTS.items()])
    while True:
        try:
            scene.route(story.BASELINE.version)
            return
        except ApiError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _prompt(namespace: str, version: str, text: str) -> dict[str, Any]:
    metadata = {"name": story.prompt_name(version), "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"instruction.yaml": text}}
