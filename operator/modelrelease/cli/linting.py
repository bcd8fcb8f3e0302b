"""What is wrong with a set of manifests, found without a cluster: what API server or operator would say of them.

What the files say of a kind is taken as all that there is of it; where they say nothing of it, references to it are not
looked into. Built-in templates are always there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from modelrelease.api.convert import (
    PolicyObject,
    Source,
    config_maps_of,
    content_of,
    policy_object,
    policy_of,
    release_of,
    source_of,
    template_of,
    templates_of,
)
from modelrelease.api.convert_policy import INVALID_POLICY
from modelrelease.api.crds import DEFINITIONS
from modelrelease.api.faults import faults_of
from modelrelease.api.names import API_VERSION, GROUP
from modelrelease.cli.governed import Refused, govern_offline
from modelrelease.cli.positions import Placed
from modelrelease.controller.units import UNTOLD_GATEWAY
from modelrelease.domain.plan import Plan
from modelrelease.domain.release import Fault, Release
from modelrelease.domain.unit import Unit
from modelrelease.metrics.presets import preset

MODELS: Mapping[str, type[BaseModel]] = {definition.name.kind: definition.model for definition in DEFINITIONS}
NAMESPACED = {definition.name.kind: definition.name.namespaced for definition in DEFINITIONS}
TEMPLATE_KINDS = ("GateTemplate", "ClusterGateTemplate")
NAME_LENGTH = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, and where: file, line, object, field ("" where it is about the whole), and what to do."""

    file: str
    line: int
    object: str
    field: str
    message: str
    reason: str


class Manifests:
    """The objects of all files, found by kind and name. `stable`: what serves now, by release, where that is known."""

    def __init__(self, placed: Sequence[Placed], stable: Mapping[str, Unit]) -> None:
        self.placed = [each for each in placed if isinstance(each.content, Mapping)]
        self.docs = [each.content for each in self.placed if _named(each.content)]
        self.stable = stable

    def of(self, *kinds: str) -> list[Mapping[str, Any]]:
        """The named objects of some kinds."""
        return [doc for doc in self.docs if doc.get("kind") in kinds]

    def contents(self, names: Sequence[str], namespace: str) -> dict[str, Mapping[str, str] | None]:
        """Contents of ConfigMaps; empty for one that is not there while the files hold none at all."""
        found = {doc["metadata"]["name"]: doc for doc in self.of("ConfigMap") if namespace_of(doc) == namespace}
        nothing: Mapping[str, str] | None = None if self.of("ConfigMap") else {}
        return {name: content_of(found[name]) if name in found else nothing for name in names}

    def templates(self, names: Sequence[str], namespace: str | None) -> dict[str, object]:
        """Specs of templates; with `namespace` None those of the whole cluster only."""
        found: dict[str, object] = {}
        for name in names:
            shared = [doc for doc in self.of("ClusterGateTemplate") if doc["metadata"]["name"] == name]
            own = [doc for doc in self.of("GateTemplate") if doc["metadata"]["name"] == name]
            own = [doc for doc in own if namespace_of(doc) == namespace]
            chosen = next(iter((*own, *shared)), None)
            found[name] = chosen.get("spec") if chosen else preset(name, gateway_controller=UNTOLD_GATEWAY)
        return found

    def release(self, doc: Mapping[str, Any]) -> tuple[dict[str, Any], Release]:
        """A release as it would be applied, and as the operator would read it.

        Raises KeyError, TypeError or ValueError for a spec that the schema refuses.
        """
        namespace, spec = namespace_of(doc), doc["spec"]
        obj = {**doc, "metadata": {**doc["metadata"], "namespace": namespace, "uid": ""}}
        contents = self.contents(config_maps_of(spec), namespace)
        return obj, release_of(obj, config_maps=contents, templates=self.templates(templates_of(spec), namespace))

    def serving(self, release: Release) -> Unit | None:
        """What serves now of a release; None where that is not known."""
        return self.stable.get(f"{release.namespace}/{release.name}")


def findings(manifests: Manifests) -> Iterator[Finding]:
    """Every fault of every object, in the order of the files."""
    for placed in manifests.placed:
        for fault in _faults(placed.content, manifests):
            yield found_in(placed, fault)


def _faults(doc: Mapping[str, Any], manifests: Manifests) -> Iterator[Fault]:
    version, kind = str(doc.get("apiVersion", "")), doc.get("kind")
    if not version.startswith(f"{GROUP}/"):
        return
    if version != API_VERSION or kind not in MODELS:
        kinds = ", ".join(sorted(MODELS))
        yield Fault("UnknownKind", f"there is no kind {kind} in {version}; {API_VERSION} has {kinds}")
        return
    if not _named(doc):
        yield Fault("InvalidObject", "metadata.name: the object needs a name")
        return
    malformed = tuple(_malformed(doc))
    yield from malformed or _checks(str(kind))(doc, manifests)


def _malformed(doc: Mapping[str, Any]) -> Iterator[Fault]:
    """What the schema says: unknown and missing fields, wrong types, words and forms."""
    known = {"apiVersion", "kind", "metadata", "spec", "status"}
    yield from (Fault("InvalidObject", f"{name}: there is no such field; remove it") for name in set(doc) - known)
    model = MODELS[str(doc["kind"])].model_fields["spec"].annotation
    assert isinstance(model, type) and issubclass(model, BaseModel)
    try:
        model.model_validate(doc.get("spec"))
    except ValidationError as error:
        yield from faults_of(error, "spec")


def _checks(kind: str) -> Callable[[Mapping[str, Any], Manifests], Iterator[Fault]]:
    checks = {"ModelRelease": _release, "ReleasePolicy": _policy, "MetricsSource": _source}
    return checks.get(kind, _template if kind in TEMPLATE_KINDS else _nothing)


def _nothing(_doc: Mapping[str, Any], _manifests: Manifests) -> Iterator[Fault]:
    yield from ()


def _template(doc: Mapping[str, Any], _: Manifests) -> Iterator[Fault]:
    found = template_of(doc["spec"], doc["metadata"]["name"])
    yield from found if isinstance(found, tuple) else ()


def _source(doc: Mapping[str, Any], _: Manifests) -> Iterator[Fault]:
    found = source_of(doc)
    yield from found if isinstance(found, tuple) else ()


def _policy(doc: Mapping[str, Any], manifests: Manifests) -> Iterator[Fault]:
    read = policy_object(doc)
    if not isinstance(read, PolicyObject):
        yield from read
        return
    made = policy_of(read, manifests.templates(read.templates, None))
    found = made if isinstance(made, tuple) else ()
    yield from (fault for fault in found if not _elsewhere(fault, manifests))


def _release(doc: Mapping[str, Any], manifests: Manifests) -> Iterator[Fault]:
    name = doc["metadata"]["name"]
    if len(name) > NAME_LENGTH or "." in name:
        yield Fault("InvalidSpec", f"metadata.name: use at most {NAME_LENGTH} lower-case letters, digits and '-'")
    obj, release = manifests.release(doc)
    unread = not manifests.of("ConfigMap")
    faults = [fault for fault in release.faults if not (unread and fault.reason == "DigestMismatch")]
    yield from dict.fromkeys(fault for fault in faults if not _elsewhere(fault, manifests))
    if release.plan is not None:
        yield from _sources(release.plan, release.namespace, manifests)
        yield from _governed(obj, release, manifests)


def _sources(plan: Plan, namespace: str, manifests: Manifests) -> Iterator[Fault]:
    known = {doc["metadata"]["name"]: source_of(doc) for doc in manifests.of("MetricsSource")}
    for index, gate in enumerate(plan.gates):
        found, path = known.get(gate.source), f"spec.gates[{index}].source"
        if known and found is None:
            yield Fault("SourceNotFound", f"{path}: there is no MetricsSource {gate.source}; add it or mend the name")
        if isinstance(found, Source) and not found.allows(namespace):
            message = f"MetricsSource {gate.source} does not allow namespace {namespace}; add it to allowedNamespaces"
            yield Fault("SourceNotAllowed", f"{path}: {message}")


def _governed(doc: Mapping[str, Any], release: Release, manifests: Manifests) -> Iterator[Fault]:
    try:
        govern_offline(doc, manifests.docs, replace(release, faults=()), stable=manifests.serving(release))
    except Refused as refused:
        told = [fault for fault in refused.faults if fault.reason != INVALID_POLICY]
        yield from (fault for fault in told if not _elsewhere(fault, manifests))


def _elsewhere(fault: Fault, manifests: Manifests) -> bool:
    """Whether a template is missing only because the files hold none at all."""
    return fault.reason == "TemplateNotFound" and not manifests.of(*TEMPLATE_KINDS)


def found_in(placed: Placed, fault: Fault) -> Finding:
    """A fault of an object with file and line."""
    doc = placed.content
    kind, name = doc.get("kind"), (doc.get("metadata") or {}).get("name", "")
    prefix = f"{kind} {name}: "
    message = fault.message.removeprefix(prefix)
    path, _, said = message.partition(": ")
    is_path = bool(said) and path.split(" ")[0].split(".")[0].split("[")[0] in ("spec", "metadata", *doc)
    field = path.split(" ")[0] if is_path else ""
    line = placed.line_of(field) if field else placed.line
    return Finding(str(placed.file), line, f"{kind} {name}".strip(), field, message, fault.reason)


def _named(doc: Mapping[str, Any]) -> bool:
    metadata = doc.get("metadata")
    return isinstance(metadata, Mapping) and isinstance(metadata.get("name"), str)


def namespace_of(doc: Mapping[str, Any]) -> str:
    """The namespace that an object would be applied to."""
    return str(doc["metadata"].get("namespace") or "default")
