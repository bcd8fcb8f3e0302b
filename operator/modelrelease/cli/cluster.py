"""What every command that talks to a cluster shares: where it is, how errors are said, how output is formatted."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from modelrelease.cli.exits import EXIT_ERROR, EXIT_USAGE
from modelrelease.cli.kubeconfig import namespace_of, unknown_context
from modelrelease.cli.terminal import one_line

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a cluster is: a kubeconfig, None for the usual one, and a context in it, "" for the current one."""

    kubeconfig: Path | None = None
    context: str = ""


def _namespace_of_context(ctx: typer.Context, given: str) -> str:
    """What was given, else the namespace of the context that is meant, as kubectl does it."""
    return given or namespace_of(ctx.params.get("kubeconfig"), ctx.params.get("context") or "")


Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", envvar="KUBECONFIG", is_eager=True, help="Kubeconfig file.", show_default=False),
]
Context = Annotated[
    str,
    typer.Option(
        "--context", is_eager=True, help="Context of the kubeconfig; default: the current.", show_default=False
    ),
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        callback=_namespace_of_context,
        show_default=False,
        help="Namespace of the release; default: the context's.",
    ),
]
Output = Annotated[str, typer.Option("--output", "-o", help="text, json or yaml.")]


def on_cluster(cluster: Cluster, do: Callable[[Any], Awaitable[Result]]) -> Result:
    """Run `do` with a connection.

    Errors become one line on standard error and an exit code: 2 no such context, 3 not found, 4 denied, 1 all else.
    """
    from modelrelease.cli.errors import explained
    from modelrelease.controller.kube import ApiError, Kube

    if unknown := unknown_context(cluster.kubeconfig, cluster.context):
        fail(one_line(unknown), EXIT_USAGE)

    async def connected() -> Result:
        async with Kube(cluster.kubeconfig, context=cluster.context) as kube:
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
