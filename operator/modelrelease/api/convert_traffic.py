"""`spec.traffic` to Traffic. It is read by itself, so that traffic can be taken back while another section is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from modelrelease.api.convert_unit import backend_faults, backend_of
from modelrelease.api.faults import fault, faults_of
from modelrelease.api.modelrelease import DeletionPolicy
from modelrelease.api.release_traffic import MAX_ROUTE_RULES, TAKEN_HEADERS, SegmentSpec, TrafficSpec
from modelrelease.domain.canonical import digest
from modelrelease.domain.release import Fault
from modelrelease.domain.traffic import GatewayRef, HeaderMatch, RouteRef, Segment, Traffic


def traffic_of(spec: Mapping[str, Any]) -> Traffic | tuple[Fault, ...]:
    """What the release may steer, or what is wrong with `spec.traffic`."""
    try:
        traffic = TrafficSpec.model_validate(spec.get("traffic"))
    except ValidationError as error:
        return faults_of(error, "spec.traffic")
    faults = tuple(_faults(traffic))
    if faults:
        return faults
    return Traffic(
        routes=tuple(RouteRef(route.name, route.kind, tuple(route.rules or ())) for route in traffic.routes or ()),
        gateways=tuple(
            GatewayRef(gateway.name, gateway.namespace, gateway.section_name) for gateway in traffic.gateway_refs or ()
        ),
        hostnames=tuple(traffic.hostnames or ()),
        path_prefix=traffic.path_prefix or "/",
        segments=tuple(map(_segment, traffic.segments or ())),
        release_header=traffic.release_header,
        safe_backend=backend_of(traffic.safe_backend) if traffic.safe_backend else None,
        delete_owned_route=spec.get("deletionPolicy") == DeletionPolicy.DELETE,
    )


def segments_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the declared segments in order; also of a `spec.traffic` that is otherwise wrong."""
    traffic = spec.get("traffic")
    segments = traffic.get("segments") if isinstance(traffic, Mapping) else None
    names = [segment.get("name") for segment in _listed(segments) if isinstance(segment, Mapping)]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def requests_digest(traffic: TrafficSpec) -> str:
    """A digest over what says which requests are meant: segments in their order, hosts and path; "" without any."""
    segments = [asdict(_segment(segment)) for segment in traffic.segments or ()]
    hosts, path = list(traffic.hostnames or ()), traffic.path_prefix or ""
    return digest([segments, hosts, path]) if segments or hosts or path else ""


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _segment(spec: SegmentSpec) -> Segment:
    return Segment(
        name=spec.name,
        headers=tuple(HeaderMatch(match.name, match.value) for match in spec.headers or ()),
        query=tuple(HeaderMatch(match.name, match.value) for match in spec.query or ()),
        method=spec.method,
    )


def _faults(traffic: TrafficSpec) -> Iterator[Fault]:
    path = "spec.traffic"
    segments = traffic.segments or []
    if bool(traffic.routes) == bool(traffic.gateway_refs):
        yield fault(path, "write exactly one of routes and gatewayRefs")
    if not traffic.gateway_refs and (traffic.hostnames is not None or traffic.path_prefix is not None):
        yield fault(path, "hostnames and pathPrefix go with gatewayRefs; write them into your own HTTPRoute")
    for index, route in enumerate(traffic.routes or ()):
        if max(1, len(route.rules or ())) * (len(segments) + 1) > MAX_ROUTE_RULES:
            yield fault(
                f"{path}.routes[{index}].rules", "rules times (segments + 1) is over 16; name fewer rules or segments"
            )
    for names, what in (([s.name for s in segments], "segments"), ([r.name for r in traffic.routes or ()], "routes")):
        if len(set(names)) < len(names):
            yield fault(f"{path}.{what}", "two have the same name; give each its own")
    for index, segment in enumerate(segments):
        yield from _segment_faults(segment, f"{path}.segments[{index}]", traffic.release_header)
    yield from _twins(segments, f"{path}.segments")
    if traffic.release_header.lower() in TAKEN_HEADERS:
        yield fault(
            f"{path}.releaseHeader", f"requests need {traffic.release_header} for something else; use x-model-release"
        )
    if traffic.safe_backend:
        yield from backend_faults(traffic.safe_backend, f"{path}.safeBackend")


def _segment_faults(segment: SegmentSpec, path: str, release_header: str) -> Iterator[Fault]:
    if not segment.headers and not segment.query and segment.method is None:
        yield fault(path, "a segment needs at least one condition; add headers, query or method, or remove it")
    if any(match.name.lower() == release_header.lower() for match in segment.headers or ()):
        yield fault(
            f"{path}.headers", f"{release_header} is the releaseHeader, set by the operator; use another header"
        )


def _twins(segments: Sequence[SegmentSpec], path: str) -> Iterator[Fault]:
    """A segment with the conditions of an earlier one never gets a request."""
    seen: dict[object, str] = {}
    for index, segment in enumerate(segments):
        headers = frozenset((match.name.lower(), match.value) for match in segment.headers or ())
        conditions = (headers, frozenset((match.name, match.value) for match in segment.query or ()), segment.method)
        if conditions in seen:
            yield fault(
                f"{path}[{index}]",
                f"{segment.name} asks for the same as {seen[conditions]} before it, which gets all of its requests; "
                "give it other conditions, or remove it",
            )
        seen.setdefault(conditions, segment.name)
