"""Read and write the backendRefs of one HTTPRoute rule as arms.

An arm is recognised by the value of its release header and not by its backend, because both arms of a release of
prompt, tools or policy alone have the same backend. Telling them apart by position was rejected: people reorder lists.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

from modelrelease.domain.exposure import FULL_PERMILLE
from modelrelease.domain.traffic import Arm
from modelrelease.domain.unit import Backend, UnitRef

Ref = Mapping[str, Any]

_HEADER_FILTER = "RequestHeaderModifier"
_HEADER_KEY = "requestHeaderModifier"


def refs_of(rule: Mapping[str, Any]) -> Sequence[Ref]:
    """The backendRefs of a rule; none where the field is missing."""
    refs: Sequence[Ref] = rule.get("backendRefs") or ()
    return refs


def backend_of(ref: Ref, namespace: str) -> Backend:
    """The backend that a backendRef names. The route's own namespace, written or not, reads as None."""
    where = ref.get("namespace")
    return Backend(
        name=ref["name"],
        port=ref.get("port"),
        kind=ref.get("kind") or "Service",
        group=ref.get("group") or "",
        namespace=None if where == namespace else where,
    )


def same_backend(left: Backend, right: Backend, namespace: str) -> bool:
    """Whether both are the same thing, seen from `namespace`."""
    return _key(left, namespace) == _key(right, namespace)


def weight_of(ref: Ref) -> int:
    """The weight; a missing one means 1 (the API's default)."""
    weight = ref.get("weight")
    return 1 if weight is None else int(weight)


def in_form(refs: Sequence[Ref]) -> bool:
    """Whether every weight is written and their sum is 1000 (S1)."""
    weights = [ref.get("weight") for ref in refs]
    return None not in weights and sum(weight for weight in weights if weight is not None) == FULL_PERMILLE


def shares(refs: Sequence[Ref]) -> list[Fraction]:
    """The exact share of each backendRef, 0…1. All weights 0: nobody is served, and all shares are 0."""
    total = sum(weight_of(ref) for ref in refs)
    return [Fraction(weight_of(ref), total) if total else Fraction(0) for ref in refs]


def header_value(ref: Ref, header: str) -> str | None:
    """The revision that the ref's release header names; header names compare without case."""
    for item in ref.get("filters") or ():
        if item.get("type") != _HEADER_FILTER:
            continue
        for entry in (item.get(_HEADER_KEY) or {}).get("set") or ():
            if entry.get("name", "").lower() == header.lower():
                return str(entry.get("value", ""))
    return None


def identify(ref: Ref, header: str, *, namespace: str, units: Iterable[UnitRef]) -> str | None:
    """The revision that really gets this ref's requests, None when that cannot be told.

    The header decides where its unit is unknown or has this backend. A known unit's header on another backend lies
    (somebody exchanged the backend), and a missing header says nothing: then the backend decides, if exactly one of
    `units` has it.
    """
    known = {unit.revision: unit for unit in units}
    backend = backend_of(ref, namespace)
    value = header_value(ref, header)
    if value is not None and (value not in known or same_backend(known[value].backend, backend, namespace)):
        return value
    owners = [unit.revision for unit in known.values() if same_backend(unit.backend, backend, namespace)]
    return owners[0] if len(owners) == 1 else None


def arms_of(refs: Sequence[Ref], header: str, *, namespace: str, units: Iterable[UnitRef]) -> tuple[Arm, ...]:
    """The arms in order. Shares are rounded up, so that a share above zero never reads as none."""
    known = tuple(units)
    return tuple(
        Arm(
            identify(ref, header, namespace=namespace, units=known),
            backend_of(ref, namespace),
            ceil(share * FULL_PERMILLE),
        )
        for ref, share in zip(refs, shares(refs), strict=True)
    )


def kept_filters(refs: Sequence[Ref], header: str, *, backend: Backend, namespace: str) -> list[dict[str, Any]]:
    """The filters that people put on a rule's backendRefs, without the release header.

    Both arms get the same ones: those of the ref with `backend`, else of the first. What an arm needs besides is part
    of its unit and not of the route.
    """
    for ref in (*(ref for ref in refs if same_backend(backend_of(ref, namespace), backend, namespace)), *refs[:1]):
        return [kept for item in ref.get("filters") or () if (kept := _without_header(item, header))]
    return []


def write_arm(
    unit: UnitRef, weight: int, *, header: str, namespace: str, filters: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One backendRef with explicit weight and release header."""
    with_header = _with_header(filters, header, unit.revision)
    return write_plain(unit.backend, weight, namespace=namespace, filters=with_header)


def write_plain(
    backend: Backend, weight: int, *, namespace: str, filters: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One backendRef with explicit weight and no release header, spelled like the API server's defaults do."""
    ref: dict[str, Any] = {"group": backend.group, "kind": backend.kind, "name": backend.name}
    if backend.namespace and backend.namespace != namespace:
        ref["namespace"] = backend.namespace
    if backend.port is not None:
        ref["port"] = backend.port
    ref["weight"] = weight
    if filters:
        ref["filters"] = list(filters)
    return ref


def _key(backend: Backend, namespace: str) -> tuple[str, str, str, str, int | None]:
    return (backend.group, backend.kind, backend.namespace or namespace, backend.name, backend.port)


def _without_header(item: Mapping[str, Any], header: str) -> dict[str, Any] | None:
    """The filter without the release header; None when nothing of it is left."""
    if item.get("type") != _HEADER_FILTER:
        return dict(item)
    modifier = dict(item.get(_HEADER_KEY) or {})
    modifier["set"] = [entry for entry in modifier.get("set") or () if entry.get("name", "").lower() != header.lower()]
    if not modifier["set"]:
        del modifier["set"]
    return {**item, _HEADER_KEY: modifier} if modifier else None


def _with_header(filters: Sequence[Mapping[str, Any]], header: str, value: str) -> list[dict[str, Any]]:
    """The filters with the release header in the one RequestHeaderModifier that the API allows."""
    entry = {"name": header, "value": value}
    result = [dict(item) for item in filters]
    for item in result:
        if item.get("type") == _HEADER_FILTER:
            modifier = dict(item.get(_HEADER_KEY) or {})
            modifier["set"] = [*(modifier.get("set") or ()), entry]
            item[_HEADER_KEY] = modifier
            return result
    return [{"type": _HEADER_FILTER, _HEADER_KEY: {"set": [entry]}}, *result]
