"""The CRDs are made from the models, documented field by field, and bounded so that their rules stay affordable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrelease.api import crds

FOLDER = Path(__file__).parents[2] / "crds"
KINDS = {definition.name.kind: definition for definition in crds.DEFINITIONS}


def schema_of(kind: str) -> dict[str, Any]:
    version = crds.custom_resource_definition(KINDS[kind])["spec"]["versions"][0]
    return version["schema"]["openAPIV3Schema"]  # type: ignore[no-any-return]


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


def test_the_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert crds.main(["--check", str(FOLDER)]) == 0, capsys.readouterr().err


def test_check_tells_a_stale_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crds.main([str(tmp_path)]) == 0
    assert crds.main(["--check", str(tmp_path)]) == 0
    (tmp_path / "modelrelease.dev_modelreleases.yaml").write_text("old")
    assert crds.main(["--check", str(tmp_path)]) == 1
    assert "modelrelease.dev_modelreleases.yaml" in capsys.readouterr().err
    assert crds.main([]) == 2


def test_the_kustomization_lists_every_file() -> None:
    listed = yaml.safe_load((FOLDER / "Kustomization").read_text())["resources"]
    assert sorted(listed) == sorted(crds.rendered())


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_description(kind: str) -> None:
    schema = schema_of(kind)
    undescribed = [
        path
        for section in ("spec", "status")
        if section in schema["properties"]
        for path, node in nodes(schema["properties"][section], section)
        if not path.endswith("[]") and not node.get("description")
    ]
    assert not undescribed


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_bounded(kind: str) -> None:
    spec = schema_of(kind)["properties"]["spec"]
    unbounded = [
        path
        for path, node in nodes(spec, "spec")
        if (node.get("type") == "string" and not {"maxLength", "enum"} & set(node))
        or (node.get("type") == "array" and "maxItems" not in node)
        or (node.get("type") == "integer" and "maximum" not in node)
        or ("additionalProperties" in node and "maxProperties" not in node)
    ]
    assert not unbounded


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_says_how_it_merges_and_every_rule_what_to_do(kind: str) -> None:
    for path, node in nodes(schema_of(kind), "$"):
        if node.get("type") == "array" and path.startswith("$.spec"):
            assert "x-kubernetes-list-type" in node, path
        for rule in node.get("x-kubernetes-validations", ()):
            assert len(rule["message"]) > 20, path


def test_the_columns_tell_the_state_in_one_line() -> None:
    version = crds.custom_resource_definition(KINDS["ModelRelease"])["spec"]["versions"][0]
    shown = [column["name"] for column in version["additionalPrinterColumns"] if not column.get("priority")]
    assert shown == ["Ready", "Stage", "Weight", "Version", "Reason", "Age"]
    assert version["subresources"] == {"status": {}}
