"""The CustomResourceDefinitions, made from the models: `python -m modelrelease.api.crds [--check] OUT_DIR`.

With --check nothing is written, and the exit status is 1 where a file is out of date.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from modelrelease.api.base import RULES
from modelrelease.api.gatetemplate import ClusterGateTemplate, GateTemplate
from modelrelease.api.metricssource import MetricsSource
from modelrelease.api.modelrelease import ModelRelease
from modelrelease.api.names import (
    CLUSTER_GATE_TEMPLATE,
    GATE_TEMPLATE,
    GROUP,
    METRICS_SOURCE,
    MODEL_RELEASE,
    RELEASE_DECISION,
    RELEASE_EVIDENCE,
    RELEASE_POLICY,
    RELEASE_RECORD,
    RELEASE_REVISION,
    VERSION,
    KindName,
)
from modelrelease.api.releasedecision import ReleaseDecision
from modelrelease.api.releaseevidence import ReleaseEvidence
from modelrelease.api.releasepolicy import ReleasePolicy
from modelrelease.api.releaserecord import ReleaseRecord
from modelrelease.api.releaserevision import ReleaseRevision
from modelrelease.api.structural import Schema, structural_schema

HEADER = "# Made by `make generate`; edit the models in operator/modelrelease/api instead.\n"

NOT_SEEN: Mapping[str, Any] = {
    "observedGeneration": -1,
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "Waiting",
            "message": "Waiting for the operator",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
            "observedGeneration": -1,
        }
    ],
}
"""The status of an object that no operator has seen: kstatus reads it as in progress, never as healthy."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; priority 1 shows with -o wide only."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Definition:
    """One kind and how it is shown."""

    name: KindName
    model: type[BaseModel]
    columns: tuple[Column, ...]
    short_names: tuple[str, ...] = ()
    has_status: bool = False


_AGE = Column("Age", ".metadata.creationTimestamp", "date", "Time since the object was made.")


def _ready(field: str) -> str:
    return f'.status.conditions[?(@.type=="Ready")].{field}'


DEFINITIONS = (
    Definition(
        MODEL_RELEASE,
        ModelRelease,
        (
            Column("Ready", _ready("status"), description="Whether what is wanted serves all traffic."),
            Column("Stage", ".status.stage.name", description="Stage of the running rollout."),
            Column(
                "Weight", ".status.weight", description="Intended share of what is on its way; empty while nothing is."
            ),
            Column("Version", ".spec.unit.version", description="Version that is wanted."),
            Column("Reason", _ready("reason"), description="Why Ready is what it is."),
            Column("Window", ".status.train.message", description="Whether exposure may rise now.", priority=1),
            Column("Tier", ".status.tier", description="Risk tier of what is released.", priority=1),
            Column("Stable", ".status.stable.version", description="Version that traffic goes back to.", priority=1),
            Column("Message", _ready("message"), description="The reason in a sentence.", priority=1),
            _AGE,
        ),
        ("mr",),
        has_status=True,
    ),
    Definition(
        RELEASE_REVISION,
        ReleaseRevision,
        (
            Column("Release", ".spec.release.name", description="Release that the revision belongs to."),
            Column("Version", ".spec.unit.version", description="Version of the unit."),
            Column("Backend", ".spec.unit.backend.name", description="What serves the unit."),
            Column("Digest", ".spec.digest", description="Digest of the unit.", priority=1),
            _AGE,
        ),
        ("mrrev",),
    ),
    Definition(
        RELEASE_DECISION,
        ReleaseDecision,
        (
            Column("Release", ".spec.releaseRef.name", description="Release that was decided about."),
            Column("Action", ".spec.action", description="What was decided."),
            Column("Author", ".spec.author", description="Who decided."),
            Column("Reason", ".spec.reason", description="Why."),
            _AGE,
        ),
        ("mrd",),
    ),
    Definition(
        RELEASE_EVIDENCE,
        ReleaseEvidence,
        (
            Column("Release", ".spec.releaseRef.name", description="Release that it is about."),
            Column("Suite", ".spec.suite.name", description="What it was measured with."),
            Column("Suite version", ".spec.suite.version", description="Version of the suite."),
            Column("Producer", ".spec.producer", description="Who vouches for it."),
            Column("Expires", ".spec.expiresAt", description="From when on it does not count any more."),
            Column("Unit", ".spec.unitDigest", description="Digest of the unit that was measured.", priority=1),
            _AGE,
        ),
        ("mrev",),
    ),
    Definition(
        RELEASE_RECORD,
        ReleaseRecord,
        (
            Column("Sequence", ".spec.sequence", "integer", "Number of the record."),
            Column("Kind", ".spec.kind", description="What happened."),
            Column("Message", ".spec.body.message", description="What happened, in a sentence."),
            _AGE,
        ),
        ("mrrec",),
    ),
    Definition(
        RELEASE_POLICY,
        ReleasePolicy,
        (
            Column("Enforcement", ".spec.enforcement", description="Whether releases must follow it or are advised."),
            Column("Priority", ".spec.priority", "integer", "The highest of those that select a namespace applies."),
            Column("Review-By", ".spec.reviewBy", description="When it must be looked at again."),
            Column("Description", ".spec.description", description="What it is for.", priority=1),
            _AGE,
        ),
        ("rpol",),
    ),
    Definition(
        METRICS_SOURCE,
        MetricsSource,
        (
            Column("Address", ".spec.address", description="Where the Prometheus is."),
            Column("Tick", ".spec.tickInterval", description="How often it is asked."),
            _AGE,
        ),
        ("mrsrc",),
    ),
    Definition(
        GATE_TEMPLATE,
        GateTemplate,
        (Column("Kind", ".spec.kind", description="Kind of gate."), Column("Description", ".spec.description"), _AGE),
        ("mrgt",),
    ),
    Definition(
        CLUSTER_GATE_TEMPLATE,
        ClusterGateTemplate,
        (Column("Kind", ".spec.kind", description="Kind of gate."), Column("Description", ".spec.description"), _AGE),
        ("mrcgt",),
    ),
)


def custom_resource_definition(definition: Definition) -> dict[str, Any]:
    """One CRD as an object."""
    name = definition.name
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name.crd, "labels": {"app.kubernetes.io/part-of": "modelrelease"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if name.namespaced else "Cluster",
            "names": {
                "kind": name.kind,
                "listKind": f"{name.kind}List",
                "plural": name.plural,
                "singular": name.kind.lower(),
                "shortNames": list(definition.short_names),
                "categories": ["modelrelease"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    **({"subresources": {"status": {}}} if definition.has_status else {}),
                    "additionalPrinterColumns": [_column(column) for column in definition.columns],
                    "schema": {"openAPIV3Schema": _schema(definition)},
                }
            ],
        },
    }


def rendered() -> Mapping[str, str]:
    """File names and contents of all CRDs."""
    files = {}
    for definition in DEFINITIONS:
        body = yaml.dump(custom_resource_definition(definition), Dumper=_Dumper, sort_keys=False, width=120)
        files[f"{GROUP}_{definition.name.plural}.yaml"] = HEADER + body
    return files


def _schema(definition: Definition) -> Schema:
    schema = structural_schema(definition.model)
    root: Schema = {
        "type": "object",
        "description": schema["description"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"Always {GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"Always {definition.name.kind}."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}},
            **schema["properties"],
        },
        "required": ["spec"],
    }
    if RULES in schema:
        root[RULES] = schema[RULES]
    if definition.has_status:
        status = root["properties"]["status"]
        status["default"] = dict(NOT_SEEN)
        status["properties"]["conditions"]["default"] = NOT_SEEN["conditions"]
    return root


def _column(column: Column) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        shown["description"] = column.description
    if column.priority:
        shown["priority"] = column.priority
    return shown


class _Dumper(yaml.SafeDumper):
    """Block style without anchors: a CRD is read by people in a diff."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def main(arguments: list[str]) -> int:
    """Write or check the files; the exit status."""
    check = "--check" in arguments
    folders = [argument for argument in arguments if argument != "--check"]
    if len(folders) != 1:
        print("usage: python -m modelrelease.api.crds [--check] OUT_DIR", file=sys.stderr)
        return 2
    folder = Path(folders[0])
    stale = []
    for name, content in rendered().items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            stale.append(name)
            if not check:
                folder.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
    if check and stale:
        print(f"out of date, run `make generate`: {', '.join(stale)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
