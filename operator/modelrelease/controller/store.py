"""What the watches have shown so far, by kind and key. Written by the watches and by answers to our own writes.

An older version never replaces a newer one: resource versions of one resource are comparable (official since
Kubernetes 1.35, true for etcd before). What raises exposure is read live again; the store only says where to look.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from modelrelease.controller.kube import Resource


def key_of(obj: Any) -> str:
    """`namespace/name`, or `name` for cluster-scoped objects."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


class Store:
    """Objects by plural resource name and key."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Any]] = defaultdict(dict)
        self.versions: dict[str, int] = defaultdict(int)

    def get(self, resource: Resource, key: str) -> Any | None:
        """The newest seen version, None when there is none."""
        return self._objects[resource.plural].get(key)

    def all(self, resource: Resource, namespace: str | None = None) -> Iterator[Any]:
        """Every object of a kind, in one namespace or in all."""
        prefix = f"{namespace}/" if namespace else ""
        return (obj for key, obj in list(self._objects[resource.plural].items()) if key.startswith(prefix))

    def put(self, resource: Resource, obj: Any) -> bool:
        """Remember an object; False when a newer version of the same object is known already."""
        key, known = key_of(obj), self._objects[resource.plural].get(key_of(obj))
        same = known is not None and known["metadata"].get("uid") == obj["metadata"].get("uid")
        if same and version_of(known) >= version_of(obj):
            return False
        self._objects[resource.plural][key] = obj
        self.versions[resource.plural] += 1
        return True

    def drop(self, resource: Resource, obj: Any) -> None:
        """Forget an object that was deleted."""
        key = key_of(obj)
        known = self._objects[resource.plural].get(key)
        if known is not None and known["metadata"].get("uid") == obj["metadata"].get("uid"):
            del self._objects[resource.plural][key]
            self.versions[resource.plural] += 1


def version_of(obj: Any) -> int:
    """The resourceVersion as a number, 0 where it is none."""
    text = str(obj["metadata"].get("resourceVersion", "0"))
    return int(text) if text.isdigit() else 0
