"""Empties a namespace, since no controller manager runs that would do so when it is deleted.

Rejected: deleting the namespace. It would stay Terminating for ever, and with it its name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.kube import KubeClient, api_root

# Deleting an Event creates nothing, but Events of Events do no good either; they expire by themselves.
LEFT_ALONE = {"events"}


def clear_namespace(client: KubeClient, namespace: str) -> None:
    """Delete every object in `namespace`, taking off finalizers whose owner may not run any more."""
    for path in _collections(client, namespace):
        with contextlib.suppress(ApiError):  # gone meanwhile, or a kind that cannot be deleted by people
            found = client.get(path)["items"]
            if found:
                client.delete(path)
            for item in found:
                if item["metadata"].get("finalizers"):
                    client.patch(f"{path}/{item['metadata']['name']}", {"metadata": {"finalizers": None}})


def _collections(client: KubeClient, namespace: str) -> Iterator[str]:
    """Addresses of all lists in the namespace that can be listed and deleted."""
    groups = client.get("/apis")["groups"]
    for version in ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]:
        for resource in client.get(api_root(version))["resources"]:
            deletable = {"list", "deletecollection"} <= set(resource["verbs"])
            if resource["namespaced"] and deletable and resource["name"] not in LEFT_ALONE:
                yield f"{api_root(version)}/namespaces/{namespace}/{resource['name']}"
