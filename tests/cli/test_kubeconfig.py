"""Contexts of a kubeconfig: which one is meant, what its namespace is, and what is said of one that is not there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from modelrelease.cli.kubeconfig import namespace_of, unknown_context
from modelrelease.cli.main import app

TWO = "current-context: a\ncontexts: [{name: a, context: {namespace: one}}, {name: b, context: {namespace: two}}]\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "config").write_text(TWO)
    return tmp_path / "config"


def commands(command: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """Every command of the command line, with what is typed for it."""
    below = getattr(command, "commands", {})
    for name, each in below.items():
        yield from commands(each, *words, name)
    if not below:
        yield " ".join(words), command


def test_who_may_say_a_kubeconfig_may_say_a_context() -> None:
    options = {words: {param.name for param in command.params} for words, command in commands(get_command(app))}
    assert {"status", "approve", "plan", "backtest", "audit export", "evidence list", "run"} < set(options)
    alone = [words for words, names in options.items() if ("kubeconfig" in names) != ("context" in names)]
    assert alone == []


def test_the_namespace_is_that_of_the_context_that_is_meant(config: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_text("current-context: b\n")
    assert namespace_of(Path(f"{first}:{tmp_path}/none:{config}"), "") == "two"
    assert namespace_of(Path(f"{first}:{config}"), "a") == "one"
    assert (namespace_of(config, ""), namespace_of(config, "b"), namespace_of(config, "c")) == ("one", "two", "default")
    assert namespace_of(tmp_path / "none", "a") == "default"


@pytest.mark.parametrize(
    "words", ["status chat", "approvals", "pause chat -r why", "audit export", "evidence list chat", "run"]
)
def test_a_context_that_is_not_there_is_told_with_those_that_are(words: str, config: Path) -> None:
    result = CliRunner().invoke(app, [*words.split(), "--kubeconfig", str(config), "--context", "prod\x1b"])
    assert (result.exit_code, result.output) == (
        2,
        f"error: --context prod\\x1b: kubeconfig {config} has no such context; it has a, b\n",
    )


def test_of_many_contexts_some_are_named(tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.write_text("contexts:\n" + "".join(f"- {{name: c{number:02}, context: {{}}}}\n" for number in range(23)))
    said = unknown_context(many, "prod")
    assert said is not None and said.endswith(", c18, c19 and 3 more") and "it has c00, c01" in said
    many.write_text("{}")
    assert str(unknown_context(many, "prod")).endswith("has no such context; it has none")


def test_a_file_that_cannot_be_read_is_told_as_such_and_no_context_is_missed(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("contexts: [")
    result = CliRunner().invoke(app, ["status", "chat", "--kubeconfig", str(broken), "--context", "a"])
    assert result.exit_code == 1
    assert f"{broken} does not say how to reach a cluster" in result.output


def test_the_operator_looks_a_context_up_in_the_kubeconfig_that_it_is_given() -> None:
    result = CliRunner().invoke(app, ["run", "--context", "a"], env={"KUBECONFIG": ""})
    assert result.exit_code == 2
    assert "give --kubeconfig as well" in result.output
