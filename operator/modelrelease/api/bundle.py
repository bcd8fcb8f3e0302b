"""The bundle of a unit: one immutable ConfigMap with the contents of its parts, for the application that serves it.

Its name is the release header's value with `-bundle`, so an application that got the header knows where to read. What
is in it can be verified by the unit alone. It has no owner: who uninstalls the CRDs must not take the prompts from
applications that serve on. Rejected: mounting the ConfigMaps that the parts name; they can be edited or deleted while
an older unit that needs them still answers.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from modelrelease.api.convert_unit import Contents, content_digest
from modelrelease.api.faults import fault
from modelrelease.api.names import BUNDLE_LABEL, GROUP, RELEASE_LABEL
from modelrelease.domain.canonical import canonical
from modelrelease.domain.release import Fault
from modelrelease.domain.unit import Unit, UnitRef

MAX_BYTES = 1024 * 1024
"""What the API server takes as data of one ConfigMap."""

MAX_KEY = 253
UNIT_KEY = "unit.json"
DIGEST_ANNOTATION = f"{GROUP}/unit-digest"

_BINARY = "binary/"


def bundle_name(revision: str) -> str:
    """The name of the bundle that belongs to a revision, which is the value of the release header, with `-bundle`."""
    return f"{revision}-bundle"


def needs_bundle(unit: Unit) -> bool:
    """Whether a unit has parts that an application could ask for."""
    return bool(unit.parts)


def bundle_manifest(unit: Unit, ref: UnitRef, *, namespace: str, release: str, contents: Contents) -> dict[str, Any]:
    """The ConfigMap; `contents` are those that the unit's digest covers."""
    data, binary = _data(unit, ref, contents)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "namespace": namespace,
            "name": bundle_name(ref.revision),
            "labels": {RELEASE_LABEL: release, BUNDLE_LABEL: ref.revision},
            "annotations": {DIGEST_ANNOTATION: ref.digest},
        },
        "immutable": True,
        "data": data,
        **({"binaryData": binary} if binary else {}),
    }


def bundle_problem(found: Mapping[str, Any], unit: Unit, ref: UnitRef) -> str | None:
    """What is wrong with a bundle as read, None when it holds exactly what the unit's digest covers."""
    data, binary = dict(found.get("data") or {}), dict(found.get("binaryData") or {})
    if not found.get("immutable"):
        return "it can be edited"
    if data.pop(UNIT_KEY, None) != _unit_text(unit, ref):
        return f"its {UNIT_KEY} is another one"
    for name, part in unit.parts:
        prefix = f"{name.value}."
        content = {key.removeprefix(prefix): data.pop(key) for key in list(data) if key.startswith(prefix)}
        content |= {
            _BINARY + key.removeprefix(prefix): binary.pop(key) for key in list(binary) if key.startswith(prefix)
        }
        if part.config_map is None:
            if content:
                return f"it holds content of {name.value}, which the unit does not"
        elif content_digest(content) != part.content_digest:
            return f"its content of {name.value} is not what the unit's digest covers"
    return f"it holds {min({**data, **binary})} besides the unit" if data or binary else None


def is_ours(found: Mapping[str, Any], release: str) -> bool:
    """Whether a ConfigMap says that it is a bundle of the release, and so may be replaced."""
    labels = found["metadata"].get("labels") or {}
    return BUNDLE_LABEL in labels and labels.get(RELEASE_LABEL) == release


def bundle_faults(unit: Unit, contents: Contents) -> Iterator[Fault]:
    """Why a unit does not fit into one ConfigMap: too large altogether, or a key too long."""
    size = 0
    for name, part in unit.parts:
        for key, value in (contents.get(part.config_map or "") or {}).items():
            plain = key.removeprefix(_BINARY)
            size += len(base64.b64decode(value)) if key != plain else len(value.encode())
            if len(f"{name.value}.{plain}") > MAX_KEY:
                yield fault(
                    f"spec.unit.{name.value}.configMapRef",
                    f"key {plain[:40]}… is too long to go into the unit's bundle: use at most "
                    f"{MAX_KEY - len(name.value) - 1} characters",
                    "BundleTooLarge",
                )
    most = MAX_BYTES - 16384
    if size > most:
        yield fault(
            "spec.unit",
            f"its parts hold {size:,} bytes together, and their bundle can hold {most:,}: keep large content elsewhere "
            "and give its uri and digest",
            "BundleTooLarge",
        )


def _data(unit: Unit, ref: UnitRef, contents: Contents) -> tuple[dict[str, str], dict[str, str]]:
    data, binary = {UNIT_KEY: _unit_text(unit, ref)}, dict[str, str]()
    for name, part in unit.parts:
        for key, value in (contents.get(part.config_map or "") or {}).items():
            plain = key.removeprefix(_BINARY)
            (binary if plain != key else data)[f"{name.value}.{plain}"] = value
    return data, binary


def _unit_text(unit: Unit, ref: UnitRef) -> str:
    """Version, digest and named fields of the unit as JSON with sorted keys."""
    form = json.loads(canonical(unit.canonical_form()))
    return json.dumps({"revision": ref.revision, "digest": ref.digest, **form}, sort_keys=True, indent=1)
