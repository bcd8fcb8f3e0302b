"""What is allowed and will probably not do what was meant: found in manifests, told, and never a reason to refuse."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from modelrelease.api.convert import (
    PolicyObject,
    policy_object,
    requests_of,
    review_date,
    templates_of,
)
from modelrelease.cli.governed import Refused, govern_offline
from modelrelease.cli.linting import Finding, Manifests, found_in
from modelrelease.domain.gate import Gate
from modelrelease.domain.release import Fault, Release
from modelrelease.domain.unit import PartName, Unit
from modelrelease.metrics.compose import tells_units_apart


def warnings(manifests: Manifests, today: date) -> Iterator[Finding]:
    """Every warning about an object that is not faulty, in the order of the files."""
    checks = {"ReleasePolicy": _policy, "ModelRelease": _release}
    for placed in manifests.placed:
        doc = placed.content
        check = checks.get(str(doc.get("kind")))
        if check is not None and isinstance(doc.get("spec"), Mapping) and isinstance(doc.get("metadata"), Mapping):
            yield from (found_in(placed, fault) for fault in check(doc, manifests, today))


def _policy(doc: Mapping[str, Any], _: Manifests, today: date) -> Iterator[Fault]:
    read = policy_object(doc)
    if not isinstance(read, PolicyObject) or read.spec.review_by is None:
        return
    due = review_date(read.spec.review_by)
    if due is None:
        yield Fault("NoSuchDate", f"spec.reviewBy: there is no day {read.spec.review_by}; nobody will be reminded")
    elif today > due:
        said = f"this policy had to be looked at again by {due}; review it and write a later date"
        yield Fault("PolicyReviewDue", f"spec.reviewBy: {said}")


def _release(doc: Mapping[str, Any], manifests: Manifests, _: date) -> Iterator[Fault]:
    yield from _images(doc["spec"].get("unit"))
    yield from _alike(doc, manifests)


def _images(unit: object) -> Iterator[Fault]:
    """Images that are declared and can never be told, so that every raise waits for them."""
    backend = unit.get("backend") if isinstance(unit, Mapping) else None
    kind = backend.get("kind", "Service") if isinstance(backend, Mapping) else "Service"
    if not isinstance(unit, Mapping) or kind == "Service":
        return
    for name in (PartName.MODEL.value, PartName.INFERENCE.value):
        part = unit.get(name)
        if isinstance(part, Mapping) and part.get("imageDigest"):
            yield Fault(
                "ImageNotComparable",
                f"spec.unit.{name}.imageDigest: images are compared behind a Service only, and the backend is of kind "
                f"{kind}, so no raise would ever begin: leave imageDigest out, or name the Service as the backend",
            )


def _alike(doc: Mapping[str, Any], manifests: Manifests) -> Iterator[Fault]:
    try:
        obj, release = manifests.release(doc)
        requests = requests_of(doc["spec"], manifests.templates(templates_of(doc["spec"]), release.namespace))
    except (KeyError, TypeError, ValueError):
        return
    if release.plan is None:
        return
    shared = _shared_service(release, manifests.serving(release))
    if not shared:
        return
    blind = [("spec.traffic.requestsTemplate", requests)] if isinstance(requests, Gate) else []
    own = {gate.name: f"spec.gates[{index}].template" for index, gate in enumerate(release.plan.gates)}
    for gate in _in_force(obj, release, manifests):
        blind.append((own.get(gate.name, f"spec.gates ({gate.name}, of the policy)"), gate))
    for path, gate in blind:
        if not tells_units_apart(gate):
            yield Fault(
                "ArmsAlike",
                f"{path}: template {gate.template} tells the arms apart by their Service alone, and {shared}: "
                "both would read the same series: use a template that names ${revision} (docs/bundles.md)",
            )


def _shared_service(release: Release, stable: Unit | None) -> str:
    """Why candidate and stable have one Service, in words; "" where they have two, or nothing says so."""
    unit = release.unit
    if unit is not None and stable is not None:
        return f"stable is served by {stable.backend} too" if unit.backend == stable.backend else ""
    if unit is None or not unit.parts or any(name is PartName.MODEL for name, _ in unit.parts):
        return ""
    return "a release without a model is served by the Service that stable has"


def _in_force(doc: Mapping[str, Any], release: Release, manifests: Manifests) -> tuple[Gate, ...]:
    """The release's gates, and those that its policy adds."""
    assert release.plan is not None
    stable = manifests.serving(release)
    try:
        governed, _ = govern_offline(doc, manifests.docs, replace(release, faults=()), stable=stable)
    except Refused:
        return release.plan.gates
    return governed.plan.gates if governed.plan else release.plan.gates
