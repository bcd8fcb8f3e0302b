"""Kubernetes Services whose ClusterIP a local process can listen on, with endpoints that say what a test wants.

The API server refuses loopback addresses in EndpointSlices, and nothing else writes them here, so they hold stand-in
addresses: "ready endpoints" is real for whoever reads it, while traffic goes to the ClusterIP.

Rejected: headless Services with the process' own address. The API server would refuse that address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelrelease.sandbox.kube import KubeClient

MAX_READY = 250


@dataclass(frozen=True, slots=True)
class ServiceHandle:
    """A Service of the sandbox; bind `cluster_ip`:`port` to serve it."""

    client: KubeClient
    namespace: str
    name: str
    port: int
    cluster_ip: str

    @property
    def address(self) -> str:
        return f"{self.cluster_ip}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def set_ready(self, count: int, *, not_ready: int = 0) -> None:
        """Have `count` ready endpoints (and `not_ready` others), 0 to 250 together."""
        if not 0 <= count + not_ready <= MAX_READY:
            raise ValueError(f"endpoints of {self.namespace}/{self.name}: {count} + {not_ready} is over {MAX_READY}")
        endpoints = [
            {"addresses": [f"10.0.0.{index + 1}"], "conditions": {"ready": index < count}}
            for index in range(count + not_ready)
        ]
        self.client.apply([self._slice(endpoints)])

    def delete(self) -> None:
        """Delete the Service and its endpoints."""
        self.client.delete(f"/api/v1/namespaces/{self.namespace}/services/{self.name}")
        self.client.delete(f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices/{self.name}")

    def _slice(self, endpoints: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {"kubernetes.io/service-name": self.name},
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{"name": "http", "port": self.port, "protocol": "TCP"}],
        }


def create_service(client: KubeClient, *, namespace: str, name: str, port: int, ready: int = 1) -> ServiceHandle:
    """Create (or take over) the Service with `ready` ready endpoints."""
    [service] = client.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"ports": [{"name": "http", "port": port, "protocol": "TCP"}]},
            }
        ]
    )
    handle = ServiceHandle(client, namespace, name, port, service["spec"]["clusterIP"])
    handle.set_ready(ready)
    return handle
