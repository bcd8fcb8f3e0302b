"""Two releases on one route: the older wins, the newer gets condition RouteConflict.

Also when they name different rules: the stopped mark and the record on a route have one value, and whoever wrote last
would hide the other's.
"""

from collections import defaultdict
from typing import Any

from modelrelease.controller import kube
from modelrelease.controller.store import Store, key_of
from modelrelease.domain.release import Release
from modelrelease.domain.traffic import RouteView


class RouteUsers:
    """Which releases name which routes, kept as releases come and go, so that nobody has to look at all of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_route: dict[str, set[str]] = defaultdict(set)
        self._by_release: dict[str, set[str]] = {}

    def see(self, obj: Any, *, gone: bool) -> None:
        """A release came, changed or went."""
        key, namespace = key_of(obj), obj["metadata"].get("namespace")
        for route in self._by_release.pop(key, set()):
            self._by_route[route].discard(key)
        if gone:
            return
        traffic = (obj.get("spec") or {}).get("traffic") or {}
        names = [ref.get("name") for ref in traffic.get("routes") or []]
        if traffic.get("gatewayRefs"):
            names.append(obj["metadata"]["name"])
        routes = {f"{namespace}/{name}" for name in names if name}
        self._by_release[key] = routes
        for route in routes:
            self._by_route[route].add(key)

    def of(self, route_key: str) -> frozenset[str]:
        """The releases that name a route (`namespace/name`)."""
        return frozenset(self._by_route.get(route_key, ()))

    def conflict(self, key: str, release: Release, views: tuple[RouteView, ...]) -> str | None:
        """One sentence when an older release steers the same rule of the same route, else None."""
        mine = self._store.get(kube.RELEASES, key)
        if mine is None:
            return None
        for view in views:
            for other_key in sorted(self.of(f"{release.namespace}/{view.name}") - {key}):
                other = self._store.get(kube.RELEASES, other_key)
                if other is None or _older(mine, other):
                    continue
                return (
                    f"HTTPRoute {view.name} is steered by ModelRelease {other['metadata']['name']}, which is older: "
                    "name another route in spec.traffic.routes"
                )
        return None


def _older(mine: Any, other: Any) -> bool:
    def age(obj: Any) -> tuple[str, str]:
        return (obj["metadata"].get("creationTimestamp", ""), obj["metadata"].get("uid", ""))

    return age(mine) < age(other)
