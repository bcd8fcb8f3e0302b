"""`modelrelease backtest` from the manifest to the picture; errors are one sentence with what to do."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from benchmarks import synthetic
from typer.testing import CliRunner, Result

from modelrelease.cli.main import app
from tests.metrics.fault_server import fault_server

START_S = 1_772_323_200.0
"""2026-03-01 00:00 UTC."""

DAYS = 1.0
PAIR = ["--candidate", "version=v2", "--stable", "version=v1"]


def utc(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


RANGE = ["--from", utc(START_S + 3600), "--to", utc(START_S + DAYS * 86400)]
INCIDENTS = [text for times in synthetic.incidents(START_S, DAYS) for text in ("--incident", "/".join(map(utc, times)))]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with synthetic.served(synthetic.History(START_S, DAYS, 15.0)) as url:
        yield url


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "release.yaml"
    file.write_text(synthetic.MANIFEST)
    return file


def run(manifest: Path, address: str, *options: str, columns: int = 80) -> Result:
    arguments = ["backtest", "-f", str(manifest), "--prometheus", address, *options]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns), "KUBECONFIG": ""})


def test_a_bad_candidate_is_found_in_its_incidents_and_nowhere_else(manifest: Path, address: str) -> None:
    result = run(manifest, address, *RANGE, *PAIR, *INCIDENTS, "-o", "json")
    assert result.exit_code == 0, result.output
    (phase,) = json.loads(result.stdout)["phases"]
    gates = {gate["gate"]: gate for gate in phase["gates"]}
    assert (phase["tests"], phase["threshold"], phase["releaseSeconds"]) == (6, 600, 3600)
    assert [found["found"] for found in gates["latency"]["incidents"]] == [False, True, False]
    assert any(found["found"] for found in gates["errors"]["incidents"])
    assert all(gate["problem"] is None for gate in gates.values())
    assert sum(gate["falseAlarms"] for gate in gates.values()) == 0
    stop = gates["latency"]["stops"][0]
    assert stop["incident"] == 1
    assert stop["sentence"].startswith("latency: ")
    assert "5 % allowed" in stop["sentence"]
    delay_s = gates["latency"]["incidents"][1]["delaySeconds"]
    assert 0 < delay_s <= 3600


def policy(gate: str) -> str:
    """A tier that asks every release for a gate of this name on what is unavailable."""
    return f"""
---
apiVersion: modelrelease.dev/v1alpha1
kind: ClusterGateTemplate
metadata: {{name: unavailable}}
spec:
  metric:
    ratio:
      bad: {{name: chat_requests_total, matchers: [{{label: code, value: "500"}}]}}
      total: {{name: chat_requests_total}}
      absentBad: Zero
  arm: [{{label: version, value: "${{version}}"}}]
---
apiVersion: modelrelease.dev/v1alpha1
kind: ReleasePolicy
metadata: {{name: strict}}
spec:
  tiers:
    low:
      gates: [{{name: {gate}, template: unavailable, max: "0.03"}}]
"""


def test_what_is_replayed_is_what_the_policy_makes_of_the_release(manifest: Path, address: str) -> None:
    manifest.write_text(manifest.read_text() + policy("unavailable"))
    said = json.loads(run(manifest, address, *RANGE, *PAIR, "-o", "json").stdout)
    assert [gate["gate"] for gate in said["phases"][0]["gates"]][-1] == "unavailable"
    assert (said["phases"][0]["tests"], said["policy"]["name"]) == (7, "strict")
    assert "of ReleasePolicy strict" in run(manifest, address, *RANGE, *PAIR).stdout


def test_a_release_that_asks_for_less_than_its_tier_is_told_so_and_not_replayed(manifest: Path, address: str) -> None:
    manifest.write_text(manifest.read_text() + policy("errors-absolute"))
    result = run(manifest, address, *RANGE, *PAIR)
    assert result.exit_code == 1
    assert "errors-absolute" in result.stderr and "tier" in result.stderr


@pytest.mark.parametrize("columns", [80, 120])
def test_the_text_fits_the_terminal(manifest: Path, address: str, columns: int) -> None:
    result = run(manifest, address, *RANGE, *PAIR, *INCIDENTS, columns=columns)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert "assistants/support-chat over 23 h" in lines[0]
    assert any(line.startswith("incidents") and "▔" in line for line in lines)
    assert "arms: candidate version=v2 against stable version=v1" in result.stdout
    assert "incident 2 found after" in result.stdout


def test_stable_against_itself_shows_what_false_alarms_there_would_have_been(manifest: Path, address: str) -> None:
    for options, how in (([], "split by instance"), (["--split", "request", "--self"], "split by request")):
        result = run(manifest, address, *RANGE, "--stable", "version=v1", *options)
        assert result.exit_code == 0, result.output
        assert f"arms: stable (version=v1) against itself, {how}" in result.stdout
        assert "at 1 %, 5 %, 20 %" in result.stdout
        assert "1 % allowed" in result.stdout


def test_the_seed_decides_the_division(manifest: Path, address: str) -> None:
    def found(seed: str) -> Any:
        options = ["--stable", "version=v1", "--split", "request", "--seed", seed, "-o", "json"]
        return json.loads(run(manifest, address, *RANGE, *options).stdout)

    assert found("1") == found("1")
    assert found("1") != found("2")


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_the_chart_is_drawn(manifest: Path, address: str, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"chart{ending}"
    result = run(manifest, address, *RANGE, *PAIR, *INCIDENTS, "--chart", str(file))
    assert result.exit_code == 0, result.output
    assert f"chart: {file}" in result.stdout.replace("\n", "")
    assert file.stat().st_size > 10_000


def test_gates_of_the_watch_are_replayed_at_all_traffic(manifest: Path, address: str) -> None:
    docs = list(yaml.safe_load_all(manifest.read_text()))
    docs[0]["spec"]["strategy"]["watch"] = {"duration": "2h"}
    docs[0]["spec"]["gates"].append({"name": "watched", "template": "error-rate", "max": "0.02", "phases": ["Watch"]})
    manifest.write_text(yaml.safe_dump_all(docs))
    result = run(manifest, address, *RANGE, "--stable", "version=v1", "-o", "json")
    assert result.exit_code == 0, result.output
    stages, watch = json.loads(result.stdout)["phases"]
    assert (watch["phase"], watch["tests"], watch["releaseSeconds"], watch["shares"]) == ("Watch", 1, 7200, [1.0])
    assert [gate["gate"] for gate in watch["gates"]] == ["watched"]
    assert "watched" not in [gate["gate"] for gate in stages["gates"]]


def test_a_gate_that_cannot_be_judged_leaves_the_others(manifest: Path, address: str) -> None:
    docs = list(yaml.safe_load_all(manifest.read_text()))
    docs[0]["spec"]["gates"] += [
        {"name": "odd-bound", "template": "latency-p95", "max": "1.5"},
        {"name": "absent", "template": "absent-rate", "max": "0.5"},
    ]
    absent = {"ratio": {"bad": {"name": "nothing_bad_total"}, "total": {"name": "nothing_total"}}}
    arm = [{"label": "version", "value": "${version}"}]
    docs.append(
        {
            "apiVersion": "modelrelease.dev/v1alpha1",
            "kind": "GateTemplate",
            "metadata": {"name": "absent-rate"},
            "spec": {"kind": "Operational", "metric": absent, "arm": arm},
        }
    )
    manifest.write_text(yaml.safe_dump_all(docs))
    result = run(manifest, address, *RANGE, *PAIR, columns=200)
    assert result.exit_code == 0, result.output
    assert "odd-bound: not judged: no bucket ends at 1.5 s; bounds that exist: 0.05, 0.1" in result.stdout
    assert 'absent: not judged: no series matches nothing_total{version="v2"}' in result.stdout


def test_false_alarms_are_told_once_for_each_release_and_gate(manifest: Path, address: str) -> None:
    """A candidate that is bad for an hour stops each test that begins anew in it, dozens of times."""
    found = json.loads(run(manifest, address, *RANGE, *PAIR, "-o", "json").stdout)
    alarms = sum(gate["falseAlarms"] for gate in found["phases"][0]["gates"])
    lines = run(manifest, address, *RANGE, *PAIR, columns=120).stdout.splitlines()
    told = [line for line in lines if "  false alarm, " in line]
    more = sum(int(line.rpartition(", and ")[2].split()[0]) for line in told if "more in this release" in line)
    assert 0 < len(told) < alarms
    assert len(told) + more == alarms


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--from", "yesterday"],
            "--from 'yesterday': write 2026-11-03T14:00:00Z, now, or a time before now such as -7d",
        ),
        (["--from", "2026-03-01T00:00:00"], "has no time zone: write 2026-03-01T00:00:00Z for UTC"),
        (["--from", "now"], "is not before --to now by at least two steps of 15s"),
        (["--from", "-900d", "--step", "1s"], "name a longer --step"),
        (["--step", "15"], "--step '15': write a duration such as 15s, 90m or 7d"),
        (["--step", "0s"], "--step '0s': write a duration"),
        (["--incident", "2026-03-01T00:00:00Z"], "write FROM/TO"),
        (["--incident", "-1h/-2h"], "ends before it begins"),
        (["--incident", "2025-03-01T00:00:00Z/2025-03-01T01:00:00Z"], "is not between --from and --to"),
        (["--candidate", "version=v9", "--stable", "version=v1"], "series that exist with --candidate and --stable"),
        (["--split", "pods"], "write auto, instance or request"),
        (["--self", *PAIR], "--self and --candidate exclude each other"),
        (["--candidate", "v2"], "write LABEL=VALUE"),
        (["--candidate", "version=v1", "--stable", "version=v1"], "both arms have the same selector"),
        (["--candidate", "version=v1,pod=~.*", "--stable", "version=v1"], "the same series is on both arms"),
        (["--stable", "version=v9"], 'no series matches chat_requests_total{version="v9"}; name series that exist'),
        (["--release-length", "soon"], "--release-length 'soon': write a duration"),
        (["--chart", "chart.pdf"], "name a file that ends in .svg or .png"),
        (["-o", "xml"], "write text, json or yaml"),
    ],
)
def test_errors_are_one_sentence_with_the_mend(manifest: Path, address: str, options: list[str], said: str) -> None:
    range_ = [] if "--from" in options else RANGE
    result = run(manifest, address, *range_, *options)
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not result.stdout


def test_a_prometheus_that_is_not_there_is_named(manifest: Path) -> None:
    result = run(manifest, "http://127.0.0.1:9", *RANGE, *PAIR)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: Prometheus at http://127.0.0.1:9: cannot reach it: ")


def test_a_placeholder_that_only_a_route_knows_is_asked_for(manifest: Path, address: str) -> None:
    docs = list(yaml.safe_load_all(manifest.read_text()))
    docs[0]["spec"]["gates"] = [{"name": "errors", "template": "gateway-error-rate", "max": "0.02"}]
    manifest.write_text(yaml.safe_dump_all(docs))
    result = run(manifest, address, *RANGE)
    assert result.exit_code == 1
    assert "${ruleIndex} has no value" in result.stderr
    assert "put the HTTPRoute into the file" in result.stderr
    backend = {"name": "support-chat-v1", "port": 8080}
    docs.append(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "support-chat"},
            "spec": {"parentRefs": [{"name": "public"}], "rules": [{"name": "chat", "backendRefs": [backend]}]},
        }
    )
    manifest.write_text(yaml.safe_dump_all(docs))
    result = run(manifest, address, *RANGE)
    assert "no series matches traefik_service_requests_total{service=~" in result.stderr
    assert "svc-assistants-support-chat-v1-0@kubernetesgateway" in result.stderr.replace("\\\\", "")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_ctrl_c_ends_it_at_once_and_takes_the_bar_away(manifest: Path) -> None:
    import pty

    with fault_server() as server:
        server.respond = lambda handler: server.over.wait(60)
        arguments = ["backtest", "-f", str(manifest), "--prometheus", server.url, "--stable", "version=v1"]
        pid, terminal = pty.fork()
        if not pid:
            os.environ.update(KUBECONFIG="", COLUMNS="80", TERM="xterm")
            os.execv(sys.executable, [sys.executable, "-m", "modelrelease.cli", *arguments])
        shown = b""
        while b"reading history" not in shown or not server.requests:
            shown += os.read(terminal, 4096)
        os.write(terminal, b"\x03")
        with contextlib.suppress(OSError):
            while more := os.read(terminal, 4096):
                shown += more
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"Traceback" not in shown
    assert b"\x1b[?25h" in shown[-40:]  # the cursor is back


def test_without_numpy_it_says_what_to_install(manifest: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    result = run(manifest, address, *RANGE)
    assert result.exit_code == 1
    assert result.stderr == "error: backtest needs numpy: pip install 'modelrelease[backtest]'\n"
