"""`modelrelease plan` without a cluster: what it prints for given numbers, and what it says of wrong input."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from modelrelease.cli import plan_text
from modelrelease.cli.main import app
from modelrelease.domain.exposure import REST
from modelrelease.gates.traffic import Flow, GateTraffic
from tests.metrics.builders import latency_gate

RELEASE = """
apiVersion: modelrelease.dev/v1alpha1
kind: ModelRelease
metadata: {name: chat, namespace: assistants}
spec:
  unit: {version: "2", backend: {name: chat-v2, port: 8080}}
  traffic:
    routes: [{name: chat}]
    segments: [{name: low, headers: [{name: x-criticality, value: low}]}]
  strategy:
    stages:
    - {name: pilot, exposure: [{segment: low, percent: "1"}], minDuration: 10m, minSamples: 500}
    - {name: mixed, exposure: [{percent: "5"}], minDuration: 10m, maxDuration: 1h}
    - {name: broad, exposure: [{percent: "20"}], minDuration: 30m}
    - {name: full, exposure: [{percent: "100"}], require: Proven}
  gates:
  - {name: errors, template: gateway-error-rate, against: Stable, maxRatio: "1.5", floor: "0.001"}
  - {name: errors-absolute, template: gateway-error-rate, max: "0.05"}
"""
GIVEN = ("--offline", "--rate", "50", "--segment-rate", "low=15", "--base-rate", "0.004")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    path = tmp_path / "release.yaml"
    path.write_text(RELEASE)
    return path


def plan(*words: object, columns: int = 100) -> Result:
    return CliRunner().invoke(app, ["plan", *map(str, words)], env={"COLUMNS": str(columns)})


def data(*words: object) -> dict:
    result = plan(*words, "-o", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.mark.parametrize("columns", [80, 120])
def test_the_text_shows_a_line_per_stage_and_fits(release: Path, columns: int) -> None:
    result = plan("-f", release, *GIVEN, columns=columns)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert max(map(len, lines)) <= columns
    text = " ".join(result.output.split())
    assert "assistants/chat: 4 stages, 2 tests, reverts falsely at most 1 %, passes falsely at most 5 %" in text
    assert "traffic: 50 requests/s (low 15, the rest 35) as given" in text
    assert "gate errors: stable has 0.4 % at 50 events/s" in text
    assert "mixed: too short: needs about" in text and "maxDuration 1 h" in text
    assert "warning: spec.strategy.stages[1].maxDuration: stage mixed needs about" in text
    (pilot,) = [line for line in lines if line.startswith("pilot ")]
    assert "0.15" in pilot and "56 min" in pilot
    assert "pilot: goes on after 56 min; twice as bad shows after about" in text
    assert "full: enough" in text


def test_the_data_says_the_same_in_seconds(release: Path) -> None:
    found = data("-f", release, *GIVEN)
    assert (found["release"], found["namespace"], found["tests"]) == ("chat", "assistants", 2)
    assert found["requestsPerSecond"] == {"low": 15.0, "*": 35.0}
    pilot, mixed, broad, full = found["stages"]
    assert pilot["candidatePerSecond"] == pytest.approx(0.15)
    assert pilot["samples"]["seconds"] == pytest.approx(500 / 0.15, abs=0.01)
    assert pilot["exposure"] == {"low": 0.01, "*": 0.0}
    assert (pilot["sufficiency"], mixed["sufficiency"]) == ("Early", "TooShort")
    assert mixed["sight"]["seconds"] > mixed["maxDurationSeconds"] == 3600
    assert broad["proofNeeded"] and not mixed["proofNeeded"]
    errors, _ = broad["gates"]
    assert set(errors["sees"]) == {"2x", "5x", "half"}
    assert full["gates"][0]["sees"]["2x"] == {"seconds": None, "note": "no stable arm"}
    assert [warning["field"] for warning in found["warnings"]] == ["spec.strategy.stages[1].maxDuration"]
    assert yaml.safe_load(plan("-f", release, *GIVEN, "-o", "yaml").output) == found


def test_strict_fails_for_a_stage_that_is_too_short_only(release: Path) -> None:
    assert plan("-f", release, *GIVEN).exit_code == 0
    assert plan("-f", release, *GIVEN, "--strict").exit_code == 1
    release.write_text(RELEASE.replace("maxDuration: 1h", "maxDuration: 48h"))
    assert plan("-f", release, *GIVEN, "--strict").exit_code == 0


def test_what_is_not_known_is_said(release: Path) -> None:
    found = plan("-f", release, "--offline", "--rate", "50", columns=200).output
    assert "gate errors: 50 events/s; stable's figure is not known: give it with --base-rate" in found
    assert "warning: nothing can be said of errors, errors-absolute" in found
    assert "give it with --segment-rate low=N" in found
    assert "pilot: unknown: how much of the traffic is in segment low is not known" in found
    assert "mixed: unknown: too little is known of errors, errors-absolute" in found
    seconds = data("-f", release, "--offline", "--rate", "50")["stages"][1]["samples"]["seconds"]
    assert seconds == pytest.approx(40), "an even share needs no split"


def test_each_gate_may_have_its_own_figure(release: Path) -> None:
    found = data("-f", release, *GIVEN, "--base-rate", "errors-absolute=0.02")
    assert [gate["segments"]["all"]["stable"] for gate in found["gates"]] == [0.004, 0.02]


def test_templates_may_be_in_the_files(release: Path, tmp_path: Path) -> None:
    release.write_text(RELEASE + '  - {name: score, template: score, against: Stable, maxDifference: "0.02"}\n')
    missing = plan("-f", release, *GIVEN)
    assert missing.exit_code == 1
    said = " ".join(missing.output.split())
    assert "gate template score is no preset and in none of the files: name its file, too, with another -f" in said
    template = tmp_path / "template.yaml"
    metric = {"mean": {"sum": {"name": "score_sum"}, "count": {"name": "score_count"}}}
    spec = {"kind": "Quality", "metric": metric, "arm": [{"label": "release", "value": "${revision}"}]}
    template.write_text(yaml.safe_dump({"kind": "GateTemplate", "metadata": {"name": "score"}, "spec": spec}))
    found = data("-f", release, "-f", template, *GIVEN, "--base-rate", "score=0.8~0.3")
    assert found["gates"][2]["segments"]["all"] == {
        "eventsPerSecond": 50.0,
        "stable": 0.8,
        "spread": 0.3,
        "counted": None,
        "note": None,
    }
    assert found["stages"][2]["gates"][2]["proves"]["seconds"] is not None


WRONG = [
    pytest.param(("-f", "missing.yaml"), "missing.yaml: No such file or directory: name the file", 1, id="no file"),
    pytest.param(("-f", "{release}", "--offline"), "--offline needs --rate", 2, id="no rate"),
    pytest.param(("-f", "{release}", *GIVEN, "-o", "xml"), "--output 'xml': write text, json or yaml", 2, id="output"),
    pytest.param(("-f", "{release}", *GIVEN, "--base-rate", "x=1"), "the release has no gate x", 2, id="no gate"),
    pytest.param(("-f", "{release}", *GIVEN, "--base-rate", "1.5"), "a share lies between 0 and 1", 2, id="no share"),
    pytest.param(
        ("-f", "{release}", *GIVEN, "--base-rate", "many"), "write 0.02 for 2 %, GATE=0.02", 2, id="no number"
    ),
    pytest.param(("-f", "{release}", *GIVEN, "--segment-rate", "x=1"), "there is no such segment", 2, id="no segment"),
    pytest.param(("-f", "{release}", *GIVEN, "--segment-rate", "5"), "write NAME=NUMBER", 2, id="no segment's name"),
    pytest.param(
        ("-f", "{release}", *GIVEN, "--segment-rate", "low=99"), "more than all: write --rate", 2, id="too much"
    ),
    pytest.param(("-f", "{release}", "--window", "1x"), "--window '1x': write a duration", 2, id="no window"),
    pytest.param(("-f", "{release}", "--window", "30d"), "--window 30d: write one from 1m to 7d", 2, id="long window"),
]


@pytest.mark.parametrize(("words", "said", "code"), WRONG)
def test_what_is_wrong_is_said_in_a_sentence(release: Path, words: tuple[str, ...], said: str, code: int) -> None:
    result = plan(*(str(release) if word == "{release}" else word for word in words))
    assert result.exit_code == code
    assert said in result.output
    assert result.output.startswith("error: ") and result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "line 1: not YAML"),
        ("just words", "no Kubernetes object"),
        ("kind: ConfigMap\nmetadata: {name: x}", "there is no ModelRelease in"),
        (RELEASE + "---" + RELEASE, "there are 2 ModelReleases in"),
        (
            RELEASE.replace("minDuration: 30m", "minDuration: soon"),
            "spec.strategy.stages[2].minDuration: 'soon' is wrong",
        ),
        (RELEASE.partition("  gates:")[0], "spec.gates is empty"),
    ],
)
def test_a_wrong_file_is_said_in_a_sentence(release: Path, text: str, said: str) -> None:
    release.write_text(text)
    result = plan("-f", release, *GIVEN)
    assert result.exit_code == 1
    assert said in result.output


def test_a_binary_file_is_no_text(release: Path) -> None:
    release.write_bytes(bytes(range(128, 256)))
    assert "is no text: name the YAML file" in plan("-f", release, *GIVEN).output


def test_a_cluster_that_does_not_answer_is_said(release: Path, tmp_path: Path) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {"token": "x"}}],
        "current-context": "x",
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    result = plan("-f", release, "--kubeconfig", kubeconfig)
    assert result.exit_code == 1
    assert "is the cluster up, and is it the one that KUBECONFIG, --kubeconfig or --context means?" in result.output


def test_it_says_when_the_first_raise_can_be(release: Path) -> None:
    def with_train(text: str) -> None:
        release.write_text(RELEASE + f"  train: {text}\n")

    with_train('{windows: [{from: "00:00"}]}')
    assert "train: open now" in plan("-f", release, *GIVEN).output
    assert data("-f", release, *GIVEN)["train"]["open"] is True
    with_train('{freezes: [{from: "2020-01-01T00:00:00Z", until: "2999-01-01T00:00:00Z", reason: elections}]}')
    text = " ".join(plan("-f", release, *GIVEN).output.split())
    assert "train: a freeze of spec.train (elections): no window opens within 400 days" in text
    with_train('{freezes: [{from: "2020-01-01T00:00:00Z", until: "2030-01-01T00:00:00Z", reason: elections}]}')
    found = data("-f", release, *GIVEN)["train"]
    assert (found["open"], found["reason"]) == (False, "Frozen")
    assert data("-f", release, *GIVEN)["warnings"], "the rest is said as before"
    release.write_text(RELEASE)
    assert data("-f", release, *GIVEN)["train"] is None
    with_train('{windows: [{cron: "0 9 30 2 *", duration: 1h}]}')
    wrong = plan("-f", release, *GIVEN)
    assert wrong.exit_code == 1 and "spec.train.windows[0]" in wrong.output


def test_segments_without_a_figure_are_named_and_one_reason_is_said_once() -> None:
    gate = latency_gate()
    apart = {
        "low": Flow(18.0, counted=1880, note="no slow event in 1,880"),
        REST: Flow(42.0, counted=4508, note="in 4,508"),
    }
    assert plan_text._said(GateTraffic(gate, apart)) == "60 events/s; low no slow event in 1,880; the rest in 4,508"
    same = {"low": Flow(18.0, note="too little"), REST: Flow(42.0, note="too little")}
    assert plan_text._said(GateTraffic(gate, same)) == "60 events/s; too little"


def test_a_name_that_was_misspelt_is_told_with_those_like_it(release: Path) -> None:
    release.write_text(RELEASE.replace("gateway-error-rate", "traefik-error-rat"))
    said = " ".join(plan("-f", release, *GIVEN).output.split())
    assert "Did you mean traefik-error-rate" in said
