"""What is released: the unit (model, inference settings, prompt, tools, safety, routing, evaluation) and its digest.

The digest covers every named field and the content digests of what the parts refer to, so that a change of any part is
a new release (R1, R2). It does not cover where traffic goes or how the release is staged: those are the plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from modelrelease.domain.canonical import digest, short


class PartName(StrEnum):
    """The parts that a unit can have besides its backend."""

    MODEL = "model"
    INFERENCE = "inference"
    PROMPT = "prompt"
    TOOLS = "tools"
    SAFETY = "safety"
    ROUTING = "routing"
    EVALUATION = "evaluation"


@dataclass(frozen=True, slots=True)
class Backend:
    """Something that a route can send requests to. `namespace` None means the release's own namespace."""

    name: str
    port: int | None = None
    kind: str = "Service"
    group: str = ""
    namespace: str | None = None

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.kind} {where}{self.name}{port}"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a unit: its named fields as text, and the digest of the content it refers to.

    `content_digest` is None while a referenced ConfigMap has not been read, or where the part declares no content.
    """

    fields: tuple[tuple[str, str], ...] = ()
    config_map: str | None = None
    content_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """One release unit: a version that people say aloud, a backend, and the parts by name."""

    version: str
    backend: Backend
    parts: tuple[tuple[PartName, Part], ...] = ()

    def canonical_form(self) -> Mapping[str, object]:
        """The mapping that the digest is taken over; also what `modelrelease digest --show` prints."""
        backend = self.backend
        return {
            "version": self.version,
            "backend": {
                "name": backend.name,
                "port": backend.port,
                "kind": backend.kind,
                "group": backend.group,
                "namespace": backend.namespace,
            },
            "parts": {
                name.value: {"fields": dict(part.fields), "configMap": part.config_map, "content": part.content_digest}
                for name, part in self.parts
            },
        }

    @property
    def digest(self) -> str:
        """The unit digest, `sha256:…`, over the canonical form."""
        return digest(self.canonical_form())


@dataclass(frozen=True, slots=True)
class UnitRef:
    """A unit that the operator keeps as a ReleaseRevision: enough to route to it without reading it again.

    `model` is the name of its model, by which some servers tell arms apart; "" where the unit does not say.
    """

    digest: str
    revision: str
    version: str
    backend: Backend
    model: str = ""


def revision_name(release: str, unit_digest: str) -> str:
    """The ReleaseRevision's name; it is also the value of the release header, so it is a valid DNS label."""
    return f"{release[:50].rstrip('-.')}-{short(unit_digest)}"


def unit_ref(release: str, unit: Unit) -> UnitRef:
    """Refer to `unit` by the revision that keeps it."""
    fields = next((part.fields for name, part in unit.parts if name is PartName.MODEL), ())
    return UnitRef(
        unit.digest, revision_name(release, unit.digest), unit.version, unit.backend, dict(fields).get("name", "")
    )
