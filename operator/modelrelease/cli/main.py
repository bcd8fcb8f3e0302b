"""The entry point: one typer app, one module per group of commands.

Heavy imports happen inside the commands, so that `--help` answers at once.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from modelrelease import __version__
from modelrelease.cli import (
    approve,
    audit,
    backtest,
    decide,
    digest,
    evidence,
    explain,
    lint,
    plan,
    presets,
    sandbox,
    show,
)
from modelrelease.cli.cluster import fail
from modelrelease.cli.exits import EXIT_USAGE
from modelrelease.cli.kubeconfig import unknown_context
from modelrelease.cli.terminal import one_line

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

app = typer.Typer(
    name="modelrelease",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Release AI models in stages: traffic rises on evidence and is taken back when a stop condition trips.",
)
decide.register(app)
approve.register(app)
show.register(app)
digest.register(app)
plan.register(app)
lint.register(app)
explain.register(app)
backtest.register(app)
presets.register(app)
app.add_typer(evidence.app, name="evidence", help="Offline results of a unit: submit them, see what is missing.")
app.add_typer(audit.app, name="audit", help="Records: export, sign, verify offline, prune.")
app.add_typer(sandbox.app, name="sandbox", help="A real local cluster on loopback, without containers.")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def run(
    kubeconfig: Annotated[
        Path | None, typer.Option(envvar="KUBECONFIG", help="Kubeconfig file; default: the pod's service account.")
    ] = None,
    context: Annotated[
        str, typer.Option(help="Context of that kubeconfig; default: the current.", show_default=False)
    ] = "",
    namespace_of_lease: Annotated[str, typer.Option(help="Namespace of the leader's Lease.")] = "modelrelease-system",
    listen: Annotated[str, typer.Option(help="Where /healthz, /readyz and /metrics are; port 0: any free one.")] = (
        "127.0.0.1:8080"
    ),
    credentials_dir: Annotated[Path, typer.Option(help="Folder that MetricsSource credentials are named in.")] = Path(
        "/etc/modelrelease/credentials"
    ),
    instance: Annotated[
        str,
        typer.Option(
            envvar="MODELRELEASE_INSTANCE",
            help="What only one process at a time runs in, such as the pod's UID: its next one takes over at once.",
        ),
    ] = "",
    lease_duration: Annotated[
        float, typer.Option(min=1.0, help="Seconds that a silent leader keeps the Lease.")
    ] = 15.0,
    resync: Annotated[
        float,
        typer.Option(min=1.0, help="Seconds between two listings of everything: the most that a lost watch costs."),
    ] = 30.0,
    bundle_history: Annotated[
        int, typer.Option(min=1, help="Bundles of units without traffic that are kept for each release.")
    ] = 10,
    log_format: Annotated[str, typer.Option(help="json or text.")] = "json",
    log_level: Annotated[str, typer.Option(help=f"One of {', '.join(LOG_LEVELS)}.")] = "INFO",
) -> None:
    """Run the operator until it is stopped.

    Exit codes: 0 stopped by a signal, 1 could not start, 2 lost the Lease or a part of it ended.
    """
    from modelrelease.controller.main import run_operator
    from modelrelease.controller.settings import OperatorSettings
    from modelrelease.controller.telemetry import set_up_logs

    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(f"{listen!r} is not host:port", param_hint="--listen")
    if log_format not in ("json", "text"):
        raise typer.BadParameter(f"{log_format!r}: write json or text", param_hint="--log-format")
    if log_level.upper() not in LOG_LEVELS:
        raise typer.BadParameter(f"{log_level!r}: write one of {', '.join(LOG_LEVELS)}", param_hint="--log-level")
    if context and kubeconfig is None:
        raise typer.BadParameter("it is looked up in a kubeconfig: give --kubeconfig as well", param_hint="--context")
    if unknown := unknown_context(kubeconfig, context):
        fail(one_line(unknown), EXIT_USAGE)
    set_up_logs(as_json=log_format == "json", level=log_level.upper())
    settings = OperatorSettings(
        kubeconfig=kubeconfig,
        context=context,
        lease_namespace=namespace_of_lease,
        lease_duration_s=lease_duration,
        lease_renew_s=lease_duration / 5,
        instance=instance,
        listen_host=host,
        listen_port=int(port),
        credentials_dir=credentials_dir,
        resync_s=resync,
        bundle_history=bundle_history,
    )
    raise typer.Exit(run_operator(settings))


def main() -> None:
    """Run the command line.

    Ctrl-C ends it with code 130, and output that cannot be written with code 1, both without a traceback.
    """
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        typer.echo(f"error: {error.filename or 'the output'}: {error.strerror or error}", err=True)
        sys.exit(1)
