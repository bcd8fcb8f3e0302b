"""`modelrelease sandbox`: up and detached, listed, ended; several by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelrelease.cli.sandbox import app
from modelrelease.sandbox import named

# Instead of the project's CRDs, which have tests of their own.
MANIFEST = "apiVersion: v1\nkind: Namespace\nmetadata: {name: from-the-command-line}\n"
SOURCE_ROOT = Path(__file__).resolve().parents[2] / "operator"


@pytest.fixture
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    paths = os.pathsep.join([str(SOURCE_ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", paths)
    return tmp_path


def manifest_in(folder: Path) -> Path:
    path = folder / "namespace.yaml"
    path.write_text(MANIFEST)
    return path


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.cluster
def test_a_detached_sandbox_is_listed_and_ended(state_home: Path) -> None:
    try:
        assert "export KUBECONFIG=" in run("up", "--detach", "--name", "cli", "--crds", str(manifest_in(state_home)))
        [listed] = json.loads(run("status", "-o", "json"))
        again = CliRunner().invoke(app, ["up", "--detach", "--name", "cli"])
    finally:
        ended = run("down", "--all")

    assert listed["name"] == "cli"
    assert set(listed["listening"].values()) == {True}
    assert (again.exit_code, "already running" in again.output) == (1, True)
    assert ended == "sandbox cli ended\n"
    assert named.running() == []
    assert not named.state_dir("cli").exists()


@pytest.mark.cluster
def test_ctrl_c_ends_everything(state_home: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "modelrelease.cli.sandbox",
        "up",
        "--name",
        "cli",
        "--crds",
        str(manifest_in(state_home)),
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("export KUBECONFIG=") for line in lines)
        assert named.find("cli") is not None
        process.send_signal(signal.SIGINT)
        process.communicate()

    assert process.returncode == 0
    assert not named.state_dir("cli").exists()


def test_nothing_running_is_said(state_home: Path) -> None:
    assert "no sandbox is running" in run("status")
    assert json.loads(run("status", "-o", "json")) == []
