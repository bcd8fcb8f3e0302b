"""What Traefik needs inside the cluster: its rights, a GatewayClass and the Gateway `inference`.

Rejected: cluster-admin for Traefik. With its real, narrow rights a test notices when the gateway would lack one.
"""

from __future__ import annotations

from typing import Any

GATEWAY_NAMESPACE = "gateway-system"
GATEWAY_NAME = "inference"
GATEWAY_CLASS = "traefik"
LISTENER = "web"
GATEWAY_GROUP = "gateway.networking.k8s.io"
GATEWAY_PATH = f"/apis/{GATEWAY_GROUP}/v1/namespaces/{GATEWAY_NAMESPACE}/gateways/{GATEWAY_NAME}"
CLASS_PATH = f"/apis/{GATEWAY_GROUP}/v1/gatewayclasses/{GATEWAY_CLASS}"

_READ = ["get", "list", "watch"]


def manifests(port: int) -> list[dict[str, Any]]:
    """Objects to apply before Traefik starts; `port` is its entry point, and the listener must name the same."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GATEWAY_NAMESPACE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "traefik-gateway"},
            "rules": _rules(),
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "traefik-gateway"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "traefik-gateway"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "traefik"}],
        },
        {
            "apiVersion": f"{GATEWAY_GROUP}/v1",
            "kind": "GatewayClass",
            "metadata": {"name": GATEWAY_CLASS},
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        },
        {
            "apiVersion": f"{GATEWAY_GROUP}/v1",
            "kind": "Gateway",
            "metadata": {"name": GATEWAY_NAME, "namespace": GATEWAY_NAMESPACE},
            "spec": {
                "gatewayClassName": GATEWAY_CLASS,
                "listeners": [
                    {
                        "name": LISTENER,
                        "port": port,
                        "protocol": "HTTP",
                        "allowedRoutes": {"namespaces": {"from": "All"}},
                    }
                ],
            },
        },
    ]


def _rules() -> list[dict[str, Any]]:
    routed = ["gatewayclasses", "gateways", "httproutes", "grpcroutes", "tcproutes", "tlsroutes", "udproutes"]
    supporting = ["referencegrants", "backendtlspolicies", "listenersets"]
    return [
        {"apiGroups": [""], "resources": ["namespaces", "nodes", "services", "secrets", "configmaps"], "verbs": _READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
        {"apiGroups": [GATEWAY_GROUP], "resources": [*routed, *supporting], "verbs": _READ},
        {
            "apiGroups": [GATEWAY_GROUP],
            "resources": [f"{resource}/status" for resource in [*routed, *supporting]],
            "verbs": ["update", "patch"],
        },
    ]
