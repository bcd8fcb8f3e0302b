"""`modelrelease presets`: lists the built-in templates and writes them as manifests that can be applied."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from modelrelease.api.gatetemplate import Template, template_of
from modelrelease.cli import presets as command
from modelrelease.cli.main import app
from modelrelease.metrics.presets import presets


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["presets", *words])


def test_the_list_names_every_preset_with_server_type_unit_series_and_arm() -> None:
    result = run()
    assert result.exit_code == 0
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["NAME", "SERVER", "KIND", "TYPE", "UNIT", "ARM", "SERIES"]
    assert [line.split()[0] for line in lines] == list(presets())
    (ttft,) = [line for line in lines if line.startswith("vllm-ttft ")]
    wanted = ["vllm-ttft", "vLLM", "Operational", "quantile", "s", "release", "vllm:time_to_first_token_seconds_bucket"]
    assert ttft.split() == wanted


def test_a_narrow_terminal_gets_the_columns_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_width", lambda: 80)
    head, *lines, last = run().stdout.splitlines()
    assert head.split() == ["NAME", "SERVER", "KIND", "TYPE", "UNIT"]
    assert max(map(len, [head, *lines])) <= 80
    assert last == "not shown here: arm, series (a wider terminal, or -o yaml)"


@pytest.mark.parametrize("server", ["Envoy Gateway", "envoy gateway"])
def test_one_servers_presets(server: str) -> None:
    rows = json.loads(run("--server", server, "-o", "json").stdout)
    assert len(rows) == 6
    assert {row["server"] for row in rows} == {"Envoy Gateway"}
    assert rows[0]["arm"] == ["envoy_cluster_name"]
    assert "envoyproxy/gateway" in rows[0]["facts"]


@pytest.mark.parametrize("name", presets())
def test_a_manifest_is_what_the_preset_is_and_has_no_anchors(name: str) -> None:
    result = run(name, "-o", "yaml")
    assert "&id" not in result.stdout
    manifest = yaml.safe_load(result.stdout)
    assert (manifest["apiVersion"], manifest["kind"]) == ("modelrelease.dev/v1alpha1", "ClusterGateTemplate")
    assert manifest["metadata"] == {"name": name}
    assert manifest["spec"] == presets()[name].spec
    assert isinstance(template_of(manifest["spec"], name), Template)


def test_several_manifests_are_one_list_that_can_be_applied() -> None:
    both = yaml.safe_load(run("vllm-ttft", "vllm-waiting", "-o", "yaml").stdout)
    assert (both["kind"], [item["metadata"]["name"] for item in both["items"]]) == (
        "List",
        ["vllm-ttft", "vllm-waiting"],
    )


def test_a_preset_in_words() -> None:
    text = run("vllm-cost-per-1k-tokens").stdout
    assert "Allocated instead of used time condemns any small canary" in text
    assert "series  release_cost_dollars_total, vllm:generation_tokens_total" in text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nope"], 3, "there is no preset nope; `modelrelease presets` lists them"),
        (["--server", "nope"], 2, "write one of Envoy Gateway, Istio"),
        (["-o", "xml"], 2, "write text, json or yaml"),
    ],
)
def test_what_is_not_there_is_said(words: list[str], code: int, said: str) -> None:
    result = run(*words)
    assert result.exit_code == code
    assert said in result.stderr


def test_a_name_for_the_gateway_at_hand_shows_what_it_may_stand_for() -> None:
    """The first example of the README names one."""
    found = json.loads(run("gateway-error-rate", "-o", "json").stdout)
    names = [item["metadata"]["name"] for item in found["items"]]
    assert names == ["traefik-error-rate", "istio-error-rate", "envoy-gateway-error-rate"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("traefik-errors", "did you mean traefik-"),
        ("vllm-ttft-p95", "did you mean vllm-ttft"),
        ("gateway-errors", "did you mean envoy-gateway-"),
        ("q", "no preset q; `modelrelease presets` lists them"),
    ],
)
def test_a_wrong_name_is_told_with_those_like_it(name: str, hint: str) -> None:
    result = run(name)
    assert (result.exit_code, result.stdout) == (3, "")
    assert hint in result.stderr


def test_what_a_preset_is_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_width", lambda: 80)
    lines = run("triton-ttft").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  series  nv_inference_first_response") for line in lines)
