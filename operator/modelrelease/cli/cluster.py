"""What every command that talks to a cluster shares: where it is, how errors are said, how output is formatted."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar
from unicodedata import category

import typer

Result = TypeVar("Result")


def _namespace_of_context(ctx: typer.Context, given: str) -> str:
    """What was given, else the namespace of the kubeconfig's current context, as kubectl does it."""
    import yaml

    if given:
        return given
    try:
        config = yaml.safe_load((ctx.params.get("kubeconfig") or Path.home() / ".kube" / "config").read_text())
        named = {entry["name"]: entry["context"] for entry in config["contexts"]}
        return str(named[config["current-context"]].get("namespace") or "default")
    except (OSError, yaml.YAMLError, KeyError, TypeError):
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

EXIT_ERROR, EXIT_NOT_FOUND, EXIT_DENIED = 1, 3, 4

MAY_READ = "ask for the ClusterRole modelrelease-view (cluster-wide for templates and sources) and httproutes in {}"
"""What somebody needs who may not read what a command reads."""


def on_cluster(kubeconfig: Path | None, do: Callable[[Any], Awaitable[Result]]) -> Result:  # noqa: RET503
    """Run `do` with a connection.

    Errors become one line on standard error and an exit code: 3 not found, 4 denied, 1 anything else.
    """
    from modelrelease.controller.kube import ApiError, Denied, Kube, NotFound, Unavailable

    async def connected() -> Result:
        async with Kube(kubeconfig) as kube:
            return await do(kube)

    try:
        return asyncio.run(connected())
    except NotFound as error:
        code, message = EXIT_NOT_FOUND, error.message
    except Denied as error:
        code, message = EXIT_DENIED, error.message
    except Unavailable as error:
        code, message = EXIT_ERROR, f"{error.reason or 'error'}: {error.message}"
        if not error.status:
            message += "; is the cluster up, and is it the one that KUBECONFIG or --kubeconfig means?"
    except ApiError as error:
        code, message = EXIT_ERROR, f"{error.reason or 'error'}: {error.message}"
    fail(message, code)


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
