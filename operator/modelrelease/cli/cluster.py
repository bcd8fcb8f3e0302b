"""What every command that talks to a cluster shares: where it is, how errors are said, how output is formatted."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar
from unicodedata import category

import typer

from modelrelease.cli.exits import EXIT_ERROR

Result = TypeVar("Result")


def _namespace_of_context(ctx: typer.Context, given: str) -> str:
    """What was given, else the namespace of the kubeconfig's current context, as kubectl does it."""
    return given or _current_namespace(str(ctx.params.get("kubeconfig") or Path.home() / ".kube" / "config"))


def _current_namespace(files: str) -> str:
    """The namespace that is meant where nobody names one; `files` is a path, or several as in KUBECONFIG."""
    import yaml

    current: str | None = None
    contexts: dict[str | None, dict[str, str]] = {}
    try:
        for file in map(Path, filter(None, files.split(os.pathsep))):
            config = yaml.safe_load(file.read_text()) if file.exists() else {}
            current = current or config.get("current-context")
            contexts = {entry["name"]: entry["context"] for entry in config.get("contexts") or []} | contexts
        return str(contexts[current].get("namespace") or "default")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return "default"


Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", envvar="KUBECONFIG", is_eager=True, help="Kubeconfig file.", show_default=False),
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        callback=_namespace_of_context,
        show_default=False,
        help="Namespace of the release; default: the current context's.",
    ),
]
Output = Annotated[str, typer.Option("--output", "-o", help="text, json or yaml.")]


def on_cluster(kubeconfig: Path | None, do: Callable[[Any], Awaitable[Result]]) -> Result:
    """Run `do` with a connection.

    Errors become one line on standard error and an exit code: 3 not found, 4 denied, 1 anything else.
    """
    from modelrelease.cli.errors import explained
    from modelrelease.controller.kube import ApiError, Kube

    async def connected() -> Result:
        async with Kube(kubeconfig) as kube:
            return await do(kube)

    try:
        return asyncio.run(connected())
    except ApiError as error:
        code, message = explained(error)
        fail(message, code)


async def who_asks(kube: Any) -> Mapping[str, Any]:
    """The userInfo of whoever asks, as the API server sees it."""
    from modelrelease.controller import kube as api

    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await kube.create(api.SELF_REVIEWS, None, review)
    return dict(answer["status"]["userInfo"])


def fail(message: str, code: int = EXIT_ERROR) -> NoReturn:
    """End the command with one sentence on standard error."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


def one_line(text: str) -> str:
    """Text with what a producer may have hidden in a name made visible: line ends, escapes, marks of direction."""
    return "".join(char if category(char) not in ("Cc", "Cf", "Zl", "Zp") else ascii(char)[1:-1] for char in text)


def echo(value: Any, output: str, text: Callable[[], str]) -> None:
    """Print `value` as JSON or YAML, or what `text` makes of it."""
    match output:
        case "json":
            typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
        case "yaml":
            import yaml

            typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip())
        case "text":
            typer.echo(text())
        case _:
            typer.echo(f"error: --output {output!r}: write text, json or yaml", err=True)
            sys.exit(2)
