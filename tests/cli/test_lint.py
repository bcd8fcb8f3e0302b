"""`modelrelease lint`: files, lines, objects and fields of all that API server and operator would refuse."""

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from modelrelease.cli.main import app

PROJECT = Path(__file__).parents[2]
BROKEN = sorted((PROJECT / "tests" / "api" / "broken").glob("*.yaml"))
LINTED = [path for path in BROKEN if not path.stem.startswith(("decision-", "evidence-"))]


def lint(*words: object) -> Result:
    return CliRunner().invoke(app, ["lint", *map(str, words)])


def faults(*words: object) -> list[dict]:
    result = lint(*words, "-o", "json")
    found = json.loads(result.output)["faults"]
    assert result.exit_code == (1 if found else 0)
    return found


@pytest.mark.parametrize("path", LINTED, ids=lambda path: path.stem)
def test_it_finds_what_the_api_server_refuses(path: Path) -> None:
    """The API server's own tests say in each file which field it names."""
    expected = re.findall(r"^# expect: ((?:spec|metadata)[.]\w+)", path.read_text(), re.MULTILINE)
    fields = [each["field"] for each in faults("-f", path)]
    assert fields
    assert not expected or any(field.startswith(expected[0]) for field in fields), fields


def test_what_is_shipped_has_no_faults() -> None:
    for folder in ("examples", "manifests"):
        assert faults("-f", PROJECT / folder) == []


POLICY = """
apiVersion: modelrelease.dev/v1alpha1
kind: ReleasePolicy
metadata: {name: strict}
spec:
  namespaceSelector: {matchLabels: {stage: production}}
  tiers:
    high:
      kinds: [Safety]
      gates:
      - {name: errors, template: gateway-error-rate, max: "0.02"}
"""
NAMESPACE = """---
apiVersion: v1
kind: Namespace
metadata: {name: assistants, labels: {stage: production}}
"""
RELEASE = """---
apiVersion: modelrelease.dev/v1alpha1
kind: ModelRelease
metadata: {name: chat, namespace: assistants}
spec:
  unit:
    version: "2"
    backend: {name: chat, port: 8080}
    model: {name: support, version: "2", digest: sha256:DIGEST}
    prompt: {version: "PROMPT", configMapRef: {name: prompt}}
  traffic: {routes: [{name: chat}]}
  gates:
  - {name: errors, template: gateway-error-rate, max: "0.05"}
""".replace("DIGEST", "a" * 64)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_release_is_held_against_the_policy_of_its_namespace(tmp_path: Path) -> None:
    short, kind = faults("-f", write(tmp_path, all=POLICY + NAMESPACE + RELEASE))
    assert short["object"] == "ModelRelease chat" and short["field"] == "spec.gates[0].max"
    assert "0.05 is looser; write at most 0.02" in short["message"]
    assert "asks for a gate of kind Safety" in kind["message"]
    lines = (tmp_path / "all.yaml").read_text().splitlines()
    assert 'max: "0.05"' in lines[short["line"] - 1], "the line of the field"
    other = RELEASE.replace("namespace: assistants", "namespace: elsewhere")
    assert faults("-f", write(tmp_path, all=POLICY + NAMESPACE + other)) == []


def test_with_what_serves_only_the_difference_counts(tmp_path: Path) -> None:
    new = write(tmp_path, all=POLICY + NAMESPACE + RELEASE.replace("PROMPT", "32")) / "all.yaml"
    old = write(tmp_path, old=RELEASE.replace("PROMPT", "31")) / "old.yaml"
    assert len(faults("-f", new)) == 2
    assert faults("-f", new, "--stable", old) == [], "a new prompt is tier Low"


def test_two_policies_that_may_both_apply_are_told(tmp_path: Path) -> None:
    other = POLICY.replace("name: strict", "name: other")
    (told,) = faults("-f", write(tmp_path, all=f"{POLICY}---{other}{NAMESPACE}{RELEASE}"))
    assert told["reason"] == "PolicyAmbiguous" and "other and strict both select" in told["message"]


def test_references_are_looked_into_where_the_files_hold_that_kind(tmp_path: Path) -> None:
    gate = '  - {name: score, template: answer-score, source: mine, max: "0.1"}\n'
    folder = write(tmp_path, release=RELEASE + gate)
    assert faults("-f", folder) == []
    template = "apiVersion: modelrelease.dev/v1alpha1\nkind: ClusterGateTemplate\nmetadata: {name: x}\nspec:\n"
    template += "  metric: {value: {query: 'max(drift{service=\"${service}\"})'}}\n"
    source = "apiVersion: modelrelease.dev/v1alpha1\nkind: MetricsSource\nmetadata: {name: default}\nspec:\n"
    source += "  address: http://prometheus:9090\n  allowedNamespaces: [other]\n"
    content = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: assistants}\n"
    write(folder, template=template, source=source, content=content)
    assert {each["reason"] for each in faults("-f", folder)} == {"TemplateNotFound", "ConfigMapNotFound"}
    named = template.replace("name: x", "name: answer-score")
    write(folder, template=named, content=content.replace("name: other", "name: prompt"))
    assert {each["reason"] for each in faults("-f", folder)} == {"SourceNotFound", "SourceNotAllowed"}


def test_items_of_a_list_and_what_is_not_ours(tmp_path: Path) -> None:
    ours = {"apiVersion": "modelrelease.dev/v1alpha1"}
    items = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": 1},
        {**ours, "kind": "ModelReleese", "metadata": {"name": "x"}},
        {**ours, "kind": "ModelRelease", "metadata": {}},
        "text",
    ]
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})
    unknown, nameless = faults("-f", write(tmp_path, all=text))
    assert unknown["message"].startswith("there is no kind ModelReleese")
    assert nameless["message"] == "metadata.name: the object needs a name"


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "a: 2026-99-99", "[]: 1", "a: &a [*a]", "*b"])
def test_files_that_are_no_yaml_are_named_with_the_line(tmp_path: Path, text: str) -> None:
    found = faults("-f", write(tmp_path, bad=f"x: 1\n---\n{text}\n"))
    assert all("not YAML" in told["message"] and told["line"] >= 1 for told in found)
    assert len(found) == (0 if text == "a: &a [*a]" else 1), "an anchor in itself is YAML, and not ours"


def test_wrong_words_end_it_with_the_mend(tmp_path: Path) -> None:
    gone = lint("-f", tmp_path / "gone.yaml")
    assert gone.exit_code == 2 and "name a file or a folder with manifests" in gone.output
    assert lint("-f", tmp_path, "-o", "table").exit_code == 2
    empty = lint("-f", tmp_path)
    assert empty.exit_code == 0 and empty.output.strip() == "0 objects in 0 files, 0 faults"
