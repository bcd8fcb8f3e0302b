"""Access for applications in the sandbox: as a service account of their namespace, as a pod would have it.

Rejected: one of the sandbox's users. An example of rights would then name somebody that no cluster has.
"""

from __future__ import annotations

from pathlib import Path

from modelrelease.sandbox import access, assembly
from modelrelease.sandbox.cluster import Sandbox


def service_account_token(sandbox: Sandbox, namespace: str, name: str) -> str:
    """Create a service account and return a bearer token of it, good for an hour."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    sandbox.apply(account)
    path = f"{sandbox.client().path_of(account)}/token"
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    return str(sandbox.client().create(path, asked)["status"]["token"])


def service_account_kubeconfig(sandbox: Sandbox, namespace: str, name: str) -> Path:
    """Create a service account and return a kubeconfig that acts as it, good for an hour."""
    token = service_account_token(sandbox, namespace, name)
    content = access.kubeconfig(
        user=name, token=token, server=sandbox.api_url, ca_file=sandbox.ca_file, name=f"sandbox-{sandbox.name}"
    )
    file = sandbox.state_dir / f"kubeconfig-{namespace}-{name}.yaml"
    assembly.write_secret(file, content)
    return file
