"""`--context`: people and the operator reach the cluster of the context that they name, not that of the current one."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from modelrelease.cli.main import app
from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.scene import operator_part
from tests.api.objects import bind

NOBODY = "http://127.0.0.1:9"


def two_contexts(sandbox: Sandbox, user: str, namespace: str, folder: Path) -> Path:
    """A kubeconfig whose current context, `gone`, leads nowhere; `here` is the sandbox as a user, in a namespace."""
    config = yaml.safe_load(sandbox.kubeconfig(user).read_text())
    [here] = config["contexts"]
    config["contexts"] = [
        {"name": "gone", "context": {**here["context"], "cluster": "gone"}},
        {"name": "here", "context": {**here["context"], "namespace": namespace}},
    ]
    config["clusters"].append({"name": "gone", "cluster": {"server": NOBODY}})
    config["current-context"] = "gone"
    made = folder / "two-contexts.yaml"
    made.write_text(yaml.safe_dump(config))
    return made


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("approvals", 0),
        ("status chat", 3),
        ("history chat", 3),
        ("explain chat", 3),
        ("evidence list chat", 3),
        ("audit export chat", 3),
        ("pause chat -r why", 3),
        ("approve chat --role risk -r why --yes", 3),
    ],
)
def test_a_command_asks_the_cluster_of_the_named_context_in_its_namespace(
    words: str, code: int, installed: Sandbox, namespace: str, tmp_path: Path
) -> None:
    bind(installed, namespace, "alice", "modelrelease-view")
    config = two_contexts(installed, "alice", namespace, tmp_path)
    here = CliRunner().invoke(app, [*words.split(), "--kubeconfig", str(config), "--context", "here"])
    assert here.exit_code == code, here.output
    assert f"namespace {namespace}" in here.output
    gone = CliRunner().invoke(app, [*words.split(), "--kubeconfig", str(config)])
    assert gone.exit_code == 1
    assert "that KUBECONFIG, --kubeconfig or --context means" in gone.output


def test_the_operator_leads_where_its_context_says(installed: Sandbox, namespace: str, tmp_path: Path) -> None:
    part = operator_part(installed, name="operator-context")
    part.argv[part.argv.index("--kubeconfig") + 1] = str(two_contexts(installed, "operator", namespace, tmp_path))
    part.argv += ["--context", "here"]
    part.start()
    try:
        assert part.running
    finally:
        part.stop()
