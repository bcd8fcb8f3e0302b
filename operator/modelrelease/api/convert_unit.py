"""`spec.unit` to a Unit: named fields as text, and the digests of the contents that the parts refer to (R1, R2).

What is in a ConfigMap counts and not its name's age, labels or order of keys. Rejected: hashing the object as YAML or
with its metadata; the digest would then change with whoever last touched a label.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from modelrelease.api.faults import fault, faults_of
from modelrelease.api.release_unit import BackendSpec, ContentPart, UnitSpec
from modelrelease.domain.canonical import digest
from modelrelease.domain.release import Fault
from modelrelease.domain.unit import Backend, Part, PartName, Unit

Contents = Mapping[str, Mapping[str, str] | None]
"""ConfigMap names to their content (see `content_of`); None or absent: there is no such ConfigMap."""

_CONTENT_PARTS = (PartName.INFERENCE, PartName.PROMPT, PartName.TOOLS, PartName.SAFETY, PartName.ROUTING)


def config_maps_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of all ConfigMaps that the unit refers to, each once; also of a spec that is otherwise wrong."""
    unit = spec.get("unit")
    found = []
    for part in _CONTENT_PARTS:
        section = unit.get(part.value) if isinstance(unit, Mapping) else None
        ref = section.get("configMapRef") if isinstance(section, Mapping) else None
        name = ref.get("name") if isinstance(ref, Mapping) else None
        if isinstance(name, str):
            found.append(name)
    return tuple(dict.fromkeys(found))


def content_of(config_map: Mapping[str, Any]) -> Mapping[str, str]:
    """What a ConfigMap object contains: its data, and its binaryData (base64) under `binary/<key>`."""
    binary = config_map.get("binaryData") or {}
    return {**(config_map.get("data") or {}), **{f"binary/{key}": value for key, value in binary.items()}}


def content_digest(content: Mapping[str, str]) -> str:
    """The digest of a ConfigMap's content, over its canonical JSON."""
    return digest(dict(content))


def unit_of(spec: Mapping[str, Any], namespace: str, config_maps: Contents) -> Unit | tuple[Fault, ...]:
    """The unit that `spec.unit` describes, or what is wrong with it."""
    try:
        unit = UnitSpec.model_validate(spec.get("unit"))
    except ValidationError as error:
        return faults_of(error, "spec.unit")
    faults: list[Fault] = [*backend_faults(unit.backend, "spec.unit.backend")]
    parts: list[tuple[PartName, Part]] = []
    for name, part in _parts(unit):
        if isinstance(part, ContentPart):
            faults += _content_faults(part, f"spec.unit.{name.value}", namespace, config_maps)
            parts.append((name, _content_part(part, config_maps)))
        else:
            parts.append((name, Part(fields=_fields(part.model_dump(exclude_none=True, by_alias=True)))))
    if faults:
        return tuple(faults)
    return Unit(unit.version, backend_of(unit.backend), tuple(parts))


def backend_of(spec: BackendSpec) -> Backend:
    """The backend as the domain knows it."""
    return Backend(spec.name, spec.port, spec.kind, spec.group or "", spec.namespace)


def backend_faults(spec: BackendSpec, path: str) -> Iterator[Fault]:
    """What the API server's rules say about a backend, for objects that were not checked by them."""
    if spec.kind == "Service" and spec.port is None:
        yield fault(f"{path}.port", "a Service needs a port; write the one that answers requests, such as 8080")
    if (spec.kind == "Service") == bool(spec.group):
        yield fault(f"{path}.group", "leave out group and kind for a Service, or write both for another kind")


def _parts(unit: UnitSpec) -> Iterator[tuple[PartName, Any]]:
    for name in PartName:
        part = getattr(unit, name.value)
        if part is not None:
            yield name, part


def _fields(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, str(value)) for name, value in values.items()))


def _content_part(part: ContentPart, config_maps: Contents) -> Part:
    name = part.config_map_ref.name if part.config_map_ref else None
    content = config_maps.get(name) if name else None
    return Part(
        fields=_fields(part.model_dump(include={"version", "uri", "image_digest"}, exclude_none=True, by_alias=True)),
        config_map=name,
        content_digest=part.digest if content is None else content_digest(content),
    )


def _content_faults(part: ContentPart, path: str, namespace: str, config_maps: Contents) -> Iterator[Fault]:
    if part.config_map_ref is None:
        if part.digest is None:
            yield fault(path, "name the ConfigMap with the content in configMapRef, or give the content's digest")
        return
    name = part.config_map_ref.name
    content = config_maps.get(name)
    if content is None:
        yield fault(
            f"{path}.configMapRef.name",
            f"there is no ConfigMap {name} in namespace {namespace}; create it or correct the name",
            "ConfigMapNotFound",
        )
        return
    found = content_digest(content)
    if part.digest is not None and part.digest != found:
        yield fault(
            f"{path}.digest",
            f"ConfigMap {name} has content {found}, not {part.digest}; restore the content, or write the new digest "
            "(and a new version), which is a new release",
            "DigestMismatch",
        )
