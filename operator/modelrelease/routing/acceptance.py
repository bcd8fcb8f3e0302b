"""Read from a route's status whether its parents take it as it is now.

Accepted is not "programmed": a gateway may still need a moment, so the realised split is confirmed from request
counters elsewhere. Counting conditions of an older generation was rejected: they speak of another route.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from modelrelease.domain.traffic import Acceptance
from modelrelease.routing.protocol import Object

Condition = Mapping[str, Any]
Outcome = tuple[Acceptance, str]

_GROUP = "gateway.networking.k8s.io"
_WANTED = ("Accepted", "ResolvedRefs")
_RANK = (Acceptance.REFUSED, Acceptance.PENDING, Acceptance.ACCEPTED)


def acceptance(obj: Object) -> Outcome:
    """What the route's parents say about its current generation, and a message for people.

    Every parent that the spec names must accept. A parent on which several controllers report is accepted when one of
    them accepts: a report of a controller that was replaced stays behind for ever, and a Gateway has only one class.
    """
    parents = obj.get("spec", {}).get("parentRefs") or ()
    if not parents:
        return Acceptance.REFUSED, "the route has no parentRefs, so no gateway serves it: attach it to a Gateway"
    reports = (obj.get("status") or {}).get("parents") or ()
    return _worst(_parent(obj, parent, reports) for parent in parents)


def _parent(obj: Object, parent: Mapping[str, Any], reports: Iterable[Mapping[str, Any]]) -> Outcome:
    namespace = obj["metadata"].get("namespace", "")
    wanted = _key(parent, namespace)
    about = [report for report in reports if _key(report.get("parentRef") or {}, namespace) == wanted]
    if not about:
        return Acceptance.PENDING, f"{_label(parent, namespace)} has not reported on the route yet"
    return max((_report(obj, parent, report) for report in about), key=lambda outcome: _RANK.index(outcome[0]))


def _report(obj: Object, parent: Mapping[str, Any], report: Mapping[str, Any]) -> Outcome:
    conditions = {condition.get("type"): condition for condition in report.get("conditions") or ()}
    generation = obj["metadata"].get("generation", 0)
    label = _label(parent, obj["metadata"].get("namespace", ""))
    outcomes = [_condition(obj, label, kind, conditions.get(kind), generation) for kind in _WANTED]
    partial = conditions.get("PartiallyInvalid")
    if partial is not None and partial.get("status") == "True":
        if partial.get("observedGeneration", 0) == generation:
            outcomes.append((Acceptance.REFUSED, _text(label, partial)))
        else:
            outcomes.append((Acceptance.PENDING, f"{label} has not looked at generation {generation} yet"))
    return _worst(outcomes)


def _condition(obj: Object, label: str, kind: str, condition: Condition | None, generation: int) -> Outcome:
    if condition is None:
        return Acceptance.PENDING, f"{label} has not reported {kind} yet"
    if condition.get("observedGeneration", 0) != generation:
        return Acceptance.PENDING, f"{label} has not looked at generation {generation} yet"
    status, reason = condition.get("status"), condition.get("reason")
    if status == "True":
        return Acceptance.ACCEPTED, ""
    if status != "False" or reason == "Pending":
        return Acceptance.PENDING, _text(label, condition)
    return Acceptance.REFUSED, _text(label, condition) + _advice(obj, str(reason))


def _advice(obj: Object, reason: str) -> str:
    """What to do about a refusal, where that is known."""
    here = obj["metadata"].get("namespace", "")
    match reason:
        case "RefNotPermitted":
            where = sorted(
                {
                    ref["namespace"]
                    for rule in obj["spec"].get("rules") or ()
                    for ref in rule.get("backendRefs") or ()
                    if ref.get("namespace", here) != here
                }
            )
            return (
                f"; add a ReferenceGrant in namespace {' and '.join(where) or 'of the backend'} that lets HTTPRoutes "
                f"of namespace {here} refer to its backends"
            )
        case "BackendNotFound":
            return "; create the backend, or correct its name, port and namespace in spec.unit.backend"
        case "NotAllowedByListeners":
            return f"; let the Gateway's listener allow routes from namespace {here} (allowedRoutes)"
        case _:
            return ""


def _text(label: str, condition: Condition) -> str:
    kind, status, reason = condition.get("type"), condition.get("status"), condition.get("reason")
    message = str(condition.get("message") or "").strip().rstrip(".")
    return f"{label} reports {kind}={status}, {reason}" + (f": {message}" if message else "")


def _worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst outcome; the messages of all that are as bad, joined."""
    found = list(outcomes)
    worst = min((outcome for outcome, _ in found), key=_RANK.index)
    return worst, "; ".join(dict.fromkeys(message for outcome, message in found if outcome is worst and message))


def _key(parent: Mapping[str, Any], namespace: str) -> tuple[Any, ...]:
    return (
        parent.get("group", _GROUP),
        parent.get("kind") or "Gateway",
        parent.get("namespace") or namespace,
        parent.get("name"),
        parent.get("sectionName") or None,
        parent.get("port"),
    )


def _label(parent: Mapping[str, Any], namespace: str) -> str:
    section = f" listener {parent['sectionName']}" if parent.get("sectionName") else ""
    return f"{parent.get('kind') or 'Gateway'} {parent.get('namespace') or namespace}/{parent.get('name')}{section}"
