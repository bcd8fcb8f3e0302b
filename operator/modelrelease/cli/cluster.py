"""What every command that talks to a cluster shares: where it is, how errors are said, how output is formatted."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

Result = TypeVar("Result")

Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", envvar="KUBECONFIG", help="Kubeconfig file.", show_default=False)
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the release.")]
Output = Annotated[str, typer.Option("--output", "-o", help="text, json or yaml.")]

EXIT_ERROR, EXIT_NOT_FOUND, EXIT_DENIED = 1, 3, 4


def on_cluster(kubeconfig: Path | None, do: Callable[[Any], Awaitable[Result]]) -> Result:
    """Run `do` with a connection.

    Errors become one line on standard error and an exit code: 3 not found, 4 denied, 1 anything else.
    """
    from modelrelease.controller.kube import ApiError, Denied, Kube, NotFound

    async def connected() -> Result:
        async with Kube(kubeconfig) as kube:
            return await do(kube)

    try:
        return asyncio.run(connected())
    except NotFound as error:
        code, message = EXIT_NOT_FOUND, error.message
    except Denied as error:
        code, message = EXIT_DENIED, error.message
    except ApiError as error:
        code, message = EXIT_ERROR, f"{error.reason or 'error'}: {error.message}"
    except Exception as error:
        if type(error).__module__.startswith("kubernetes"):
            code, message = EXIT_ERROR, f"no cluster to talk to: {error}; set KUBECONFIG or --kubeconfig"
        else:
            raise
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
