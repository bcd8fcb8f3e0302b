"""A route of the real cluster, replayed from what Prometheus has just scraped of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from modelrelease.cli.main import app
from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.scene import Scene, install

SECONDS = 28


@pytest.fixture
def scene(sandbox: Sandbox, namespace: str) -> Iterator[Scene]:
    """One version behind a route, nearly all of whose answers fail from some moment on."""
    install(sandbox)
    made = Scene(sandbox, namespace)
    made.serve("v1")
    made.source()
    made.route("v1")
    yield made
    for model in made.models.values():
        sandbox.remove_scrape_target("models", model.service.address)
        model.part.kill()


def test_a_route_is_found_in_the_cluster_and_its_failure_in_history(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "release.yaml"
    stages = [
        {"name": "broad", "exposure": [{"percent": "20"}], "minDuration": "12s"},
        {"name": "full", "exposure": [{"percent": "100"}]},
    ]
    file.write_text(yaml.safe_dump(scene.manifest("v2", stages=stages)))
    began = time.time()
    with LoadThread(scene.load(60, SECONDS)):
        time.sleep(SECONDS / 2)
        failing = time.time()
        scene.models["v1"].set_behaviour(failure_fraction=0.9)
        time.sleep(SECONDS / 2 + 2)
    since, until = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (began - 2, time.time()))
    incident = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(failing - 2))
    kubeconfig = scene.sandbox.kubeconfig("admin")
    options = ["--step", "1s", "--from", since, "--to", until, "--incident", f"{incident}/{until}", "-o", "json"]
    command = ["backtest", "-f", str(file), "--kubeconfig", str(kubeconfig), *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    (phase,) = json.loads(result.stdout)["phases"]
    gates = {gate["gate"]: gate for gate in phase["gates"]}
    assert phase["shares"] == [0.2]
    assert gates["errors-absolute"]["incidents"][0]["found"], result.stdout
    assert gates["errors"]["stops"] == []
    assert not any(gate["falseAlarms"] for gate in gates.values())
    assert "5 % allowed" in gates["errors-absolute"]["stops"][0]["sentence"]
