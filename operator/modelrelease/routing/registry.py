"""Which router steers which kind of route.

A new data plane is one module and one line here. Entry points were rejected for now: a router decides over live
traffic, so what may be one is decided in this repository.
"""

from modelrelease.domain.release import Fault, Release
from modelrelease.domain.traffic import Traffic
from modelrelease.routing.httproute import HTTPRouteRouter
from modelrelease.routing.protocol import Router

ROUTERS: dict[str, Router] = {router.kind: router for router in (HTTPRouteRouter(),)}
"""Kind of route → its router."""


def router_for(release: Release) -> Router:
    """The router of the release's routes; HTTPRoute where it owns its route. What `kind_fault` refuses gets one too."""
    kinds = [ref.kind for ref in release.traffic.routes if ref.kind in ROUTERS]
    return ROUTERS[kinds[0] if kinds else HTTPRouteRouter.kind]


def kind_fault(traffic: Traffic) -> Fault | None:
    """Whether the kinds of the named routes have a router, and are one kind."""
    kinds = list(dict.fromkeys(ref.kind for ref in traffic.routes))
    unknown = [kind for kind in kinds if kind not in ROUTERS]
    if unknown:
        known = ", ".join(ROUTERS)
        return Fault(
            "RouteKindUnknown", f"spec.traffic.routes: there is no router for {unknown[0]}, use one of {known}"
        )
    if len(kinds) > 1:
        return Fault(
            "RouteKindsMixed", f"spec.traffic.routes names {' and '.join(kinds)}: use one kind for one release"
        )
    return None
