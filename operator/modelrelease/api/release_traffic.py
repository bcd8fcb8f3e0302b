"""`spec.traffic` of a ModelRelease: which routes are steered, how requests are told apart, where to go in need.

Not part of the unit: moving a release to another Gateway is not a new release.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from modelrelease.api.base import (
    HeaderName,
    Matches,
    Name,
    Namespace,
    ObjectName,
    SpecModel,
    atomic,
    rule,
    rules,
    unique,
)
from modelrelease.api.release_unit import BackendSpec
from modelrelease.domain.plan import OnDrift, OnNoSafePath

MAX_SEGMENTS = 15
MAX_ROUTE_RULES = 16
"""How many rules an HTTPRoute may have."""

TAKEN_HEADERS = (
    "accept",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
"""Headers that mean something else: as releaseHeader they would be overwritten in every request."""

Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Matches(
        r"^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        "a host name is written in lower case without scheme, port or path, such as chat.example.com or *.example.com",
    ),
]
PathPrefix = Annotated[
    str,
    Field(min_length=1, max_length=1024),
    Matches("^/[^?# ]*$", "a path prefix starts with '/' and has no query and no spaces, such as /v1/chat"),
]


class RouteRefSpec(SpecModel):
    """An existing route whose weights this release may steer."""

    kind: Literal["HTTPRoute"] = Field("HTTPRoute", description="Kind of the route. HTTPRoute is the only one so far.")
    name: ObjectName = Field(
        description="Name of the route, in the namespace of the release. While it is missing or another release steers "
        "the same rule, RouteAccepted is False with reason RouteNotFound or RouteConflict: the older release wins."
    )
    rules: Annotated[list[Name], Field(max_length=MAX_ROUTE_RULES, json_schema_extra=atomic())] | None = Field(
        None,
        description="Names of the route's rules to steer, as in spec.rules[].name of the HTTPRoute. Left out: the "
        "route has one rule and that is it. Rules times segments plus one may not exceed 16, the limit of an "
        "HTTPRoute.",
    )


class GatewayRefSpec(SpecModel):
    """A Gateway to which the operator attaches a route of its own."""

    name: ObjectName = Field(description="Name of the Gateway.")
    namespace: Namespace | None = Field(
        None,
        description="Namespace of the Gateway; the release's own when left out. Its listener must allow the route.",
    )
    section_name: Name | None = Field(
        None, description="Name of the Gateway's listener; all matching listeners when left out."
    )


class HeaderMatchSpec(SpecModel):
    """One exact match of a request header."""

    name: HeaderName = Field(description="Name of the header; upper and lower case mean the same.")
    value: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="The value that the header must have, compared exactly."
    )


class QueryMatchSpec(SpecModel):
    """One exact match of a query parameter."""

    name: HeaderName = Field(description="Name of the query parameter; upper and lower case differ.")
    value: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        description="The value that the parameter must have, compared exactly."
    )


class SegmentSpec(SpecModel):
    """A named share of the requests with its own weight and, where gates ask for it, its own verdict."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.headers) && size(self.headers) > 0) || (has(self.query) && size(self.query) > 0) || "
                "has(self.method)",
                "a segment needs at least one condition: add headers, query or method, or remove the segment (a stage "
                "without segment already means all traffic)",
            )
        )
    )

    name: Name = Field(description="Name of the segment, unique in the release. Stages refer to it.")
    headers: (
        Annotated[
            list[HeaderMatchSpec],
            Field(
                max_length=8,
                json_schema_extra=atomic(
                    rule(
                        "self.all(x, self.exists_one(y, y.name.lowerAscii() == x.name.lowerAscii()))",
                        "a header is matched twice and can have only one value; use two segments",
                    )
                ),
            ),
        ]
        | None
    ) = Field(None, description="Request headers that must all match. At most 8.")
    query: (
        Annotated[list[QueryMatchSpec], Field(max_length=8, json_schema_extra=atomic(unique("name", "parameters")))]
        | None
    ) = Field(None, description="Query parameters that must all match, where the data plane can do that. At most 8.")
    method: Method | None = Field(None, description="HTTP method that the request must have.")


class TrafficSpec(SpecModel):
    """Which traffic the release steers."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.routes) && size(self.routes) > 0) != (has(self.gatewayRefs) && size(self.gatewayRefs) > 0)",
                "write exactly one of routes (existing HTTPRoutes to steer) and gatewayRefs (Gateways for a route that "
                "the operator owns; recommended)",
            ),
            rule(
                "has(self.gatewayRefs) || (!has(self.hostnames) && !has(self.pathPrefix))",
                "hostnames and pathPrefix describe the route that the operator owns: use them with gatewayRefs, or "
                "write them into your own HTTPRoute",
            ),
            rule(
                "!has(self.segments) || !has(self.routes) || self.routes.all(r, (has(r.rules) && size(r.rules) > 0 ? "
                "size(r.rules) : 1) * (size(self.segments) + 1) <= 16)",
                "each steered rule needs one more rule per segment and an HTTPRoute has at most 16: name fewer rules "
                "or fewer segments, so that rules times (segments + 1) is at most 16",
                field=".segments",
            ),
            rule(
                "!has(self.segments) || self.segments.all(s, !has(s.headers) || s.headers.all(h, h.name.lowerAscii() "
                "!= (has(self.releaseHeader) ? self.releaseHeader.lowerAscii() : 'x-model-release')))",
                "releaseHeader is set by the operator and cannot select a segment as well: use another header in the "
                "segment, or another releaseHeader",
                field=".releaseHeader",
            ),
            rule(
                f"!has(self.releaseHeader) || !(self.releaseHeader.lowerAscii() in {list(TAKEN_HEADERS)})",
                "requests need this header for something else, and releaseHeader is overwritten in each: use a header "
                "of your own, such as x-model-release",
                field=".releaseHeader",
            ),
        )
    )

    routes: (
        Annotated[
            list[RouteRefSpec],
            Field(min_length=1, max_length=8, json_schema_extra=atomic(unique("name", "routes"))),
        ]
        | None
    ) = Field(
        None,
        description="Existing routes to steer (adopted): the operator changes the weights, filters and annotations of "
        "the named rules and nothing else. At most 8. Exactly one of routes and gatewayRefs.",
    )
    gateway_refs: (
        Annotated[list[GatewayRefSpec], Field(min_length=1, max_length=8, json_schema_extra=atomic())] | None
    ) = Field(
        None,
        description="Gateways for a route that the operator creates and owns, with the name of the release; "
        "recommended. At most 8. Exactly one of routes and gatewayRefs.",
    )
    hostnames: Annotated[list[Hostname], Field(max_length=16, json_schema_extra=atomic())] | None = Field(
        None, description="Host names of the owned route; all hosts of the Gateway when left out. At most 16."
    )
    path_prefix: PathPrefix | None = Field(None, description="Path prefix of the owned route; / when left out.")
    release_header: HeaderName = Field(
        "x-model-release",
        description="Request header that tells the serving application which release to answer with; its value is the "
        "name of the ReleaseRevision. The operator overwrites what clients send.",
    )
    segments: (
        Annotated[
            list[SegmentSpec],
            Field(max_length=MAX_SEGMENTS, json_schema_extra=atomic(unique("name", "segments"))),
        ]
        | None
    ) = Field(
        None,
        description="Named shares of the requests, tried in this order: a request belongs to the first segment that "
        "matches, and to the rest when none does. At most 15.",
    )
    safe_backend: BackendSpec | None = Field(
        None,
        description="Where traffic goes on a revert when stable has no ready endpoint: a smaller model, a canned "
        "answer.",
    )
    requests_template: ObjectName = Field(
        "gateway-requests",
        description="GateTemplate or ClusterGateTemplate with a ratio metric whose total counts requests per backend. "
        "It says how many requests the candidate really got: minimum samples and the realised split come from it.",
    )
    requests_source: ObjectName = Field("default", description="MetricsSource that is asked for requestsTemplate.")
    on_drift: OnDrift = Field(
        OnDrift.RESTORE,
        description="What to do when somebody else changed the weights (condition Drifted). Restore writes them back, "
        "never more than before for the candidate; Hold leaves them and raises nothing.",
    )
    on_no_safe_path: OnNoSafePath = Field(
        OnNoSafePath.CANDIDATE,
        description="Where traffic goes on a revert when neither stable nor safeBackend has a ready endpoint. "
        "Candidate leaves it where answers come from; Stable takes it back all the same.",
    )
    revert_capacity_percent: Annotated[int, Field(ge=0, le=1000)] = Field(
        100,
        description="How many of the ready endpoints that stable had when the rollout started it must still have, in "
        "percent, for the next raise. Below it condition RevertCapacity is False and the stage holds. 0 switches it "
        "off.",
    )
