"""Warnings of `modelrelease lint`: a review date that is over, gates that cannot tell a release from stable, images."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelrelease.cli.main import app

PROJECT = Path(__file__).parents[2]

POLICY = """
apiVersion: modelrelease.dev/v1alpha1
kind: ReleasePolicy
metadata: {name: strict}
spec:
  tiers: {}
  reviewBy: "DAY"
"""
RELEASE = """---
apiVersion: modelrelease.dev/v1alpha1
kind: ModelRelease
metadata: {name: chat}
spec:
  unit:
    version: "2"
    backend: {name: BACKEND, port: 8080}
    prompt: {version: "2", configMapRef: {name: prompt}}
  traffic: {routes: [{name: chat}], requestsTemplate: COUNTING}
  gates:
  - {name: errors, template: TEMPLATE, max: "0.05"}
"""


def lint(folder: Path, text: str, *words: object) -> list[dict[str, Any]]:
    (folder / "given.yaml").write_text(text)
    result = CliRunner().invoke(app, ["lint", "-f", str(folder / "given.yaml"), "-o", "json", *map(str, words)])
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.output)["warnings"]
    return found


def release(template: str, backend: str = "chat", counting: str = "traefik-requests") -> str:
    return RELEASE.replace("TEMPLATE", template).replace("BACKEND", backend).replace("COUNTING", counting)


def test_a_policy_past_its_review_date_is_told_and_refused_by_nobody(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    [over] = lint(tmp_path, POLICY.replace("DAY", f"{today - timedelta(days=2)}"))
    assert (over["field"], over["line"], over["reason"]) == ("spec.reviewBy", 7, "PolicyReviewDue")
    assert "review it and write a later date" in over["message"]
    assert lint(tmp_path, POLICY.replace("DAY", f"{today + timedelta(days=2)}")) == []
    [none] = lint(tmp_path, POLICY.replace("DAY", "2031-02-31"))
    assert none["reason"] == "NoSuchDate"


@pytest.mark.parametrize("template", ["istio-error-rate", "linkerd-error-rate", "envoy-gateway-merged-error-rate"])
def test_a_gate_that_knows_services_only_cannot_judge_a_prompt_on_stables_service(
    template: str, tmp_path: Path
) -> None:
    [told] = lint(tmp_path, release(template))
    assert (told["field"], told["reason"]) == ("spec.gates[0].template", "ArmsAlike")
    assert "use a template that names ${revision}" in told["message"]


@pytest.mark.parametrize("template", ["traefik-error-rate", "gateway-error-rate", "envoy-gateway-error-rate"])
def test_a_gate_that_tells_units_apart_is_not_warned_about(template: str, tmp_path: Path) -> None:
    assert lint(tmp_path, release(template)) == []


def test_what_counts_requests_is_looked_at_too(tmp_path: Path) -> None:
    [told] = lint(tmp_path, release("traefik-error-rate", counting="istio-error-rate"))
    assert told["field"] == "spec.traffic.requestsTemplate"


def test_what_serves_now_decides_where_it_is_known(tmp_path: Path) -> None:
    stable = tmp_path / "stable.yaml"
    stable.write_text(release("istio-error-rate").replace('version: "2"', 'version: "1"'))
    [told] = lint(tmp_path, release("istio-error-rate"), "--stable", stable)
    assert "stable is served by Service chat:8080 too" in told["message"]
    assert lint(tmp_path, release("istio-error-rate", backend="chat-v2"), "--stable", stable) == []


POOL = "{name: chat, kind: InferencePool, group: inference.networking.k8s.io}"
MODEL = f'model: {{name: m, version: "1", imageDigest: "sha256:{"0" * 64}"}}'


def test_an_image_that_can_never_be_told_is_warned_of(tmp_path: Path) -> None:
    declared = release("traefik-error-rate").replace("prompt: {", f"{MODEL}\n    prompt: {{")
    assert lint(tmp_path, declared) == []
    pool = declared.replace("{name: chat, port: 8080}", POOL)
    [told] = lint(tmp_path, pool)
    assert (told["field"], told["reason"]) == ("spec.unit.model.imageDigest", "ImageNotComparable")
    assert told["line"] == 1 + pool[: pool.index("imageDigest")].count("\n")
    assert "the backend is of kind InferencePool" in told["message"]
    assert lint(tmp_path, pool.replace("imageDigest", "digest")) == []


def test_what_is_shipped_is_not_warned_about() -> None:
    for folder in ("examples", "manifests"):
        result = CliRunner().invoke(app, ["lint", "-f", str(PROJECT / folder), "-o", "json"])
        assert json.loads(result.output)["warnings"] == []
