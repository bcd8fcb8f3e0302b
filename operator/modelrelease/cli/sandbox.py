"""`modelrelease sandbox`: a real cluster on this machine, up in seconds, gone with Ctrl-C.

Must know nothing about how a sandbox works. Rejected: programs that run on by themselves after `--detach`; one
process owns each sandbox, so that ending that process ends everything.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from modelrelease.sandbox import Sandbox, SandboxError, access, binaries, named
from modelrelease.sandbox.progress import Progress
from modelrelease.sandbox.tools import KUBECTL

PACKAGE = Path(__file__).resolve().parents[1]
CRD_FOLDERS = (PACKAGE / "_bundled" / "crds", PACKAGE.parents[1] / "crds")
POLL_S = 0.2

app = typer.Typer(
    name="sandbox",
    help="A real local cluster without containers: API server, etcd, Prometheus and a gateway on loopback. Linux only.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Option("--name", "-n", help="Name of the sandbox; several can run side by side.")]


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


@app.command()
def up(
    name: Name = "default",
    crds: Annotated[
        Path | None, typer.Option(exists=True, help="File or folder of CRDs to install; default: this project's.")
    ] = None,
    scrape_interval: Annotated[float, typer.Option(min=0.1, help="Prometheus' scrape interval in seconds.")] = 1.0,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it is up and leave it running.")] = False,
) -> None:
    """Start a sandbox and keep it until Ctrl-C.

    The first start may take some minutes to download or build the programs; `sandbox binaries` does just that.
    """
    with _explained():
        if detach:
            _print_up(_detach(name, crds, scrape_interval), ending=f"modelrelease sandbox down {name}")
            return
        signal.signal(signal.SIGTERM, _interrupt)
        with named.owned(name) as folder:
            sandbox = Sandbox(name, scrape_interval_s=scrape_interval, state_dir=folder, progress=Progress())
            with sandbox:
                _fill(sandbox, crds)
                _print_up(named.record(sandbox), ending="press Ctrl-C")
                _watch(sandbox)


@app.command()
def down(
    which: Annotated[str | None, typer.Argument(metavar="NAME", help="Which sandbox; the same as --name.")] = None,
    name: Name = "default",
    all_: Annotated[bool, typer.Option("--all", help="End every running sandbox of yours.")] = False,
) -> None:
    """End a sandbox and delete its state."""
    with _explained():
        for each in [record.name for record in named.running()] if all_ else [which or name]:
            named.end(each)
            typer.echo(f"sandbox {each} ended")


@app.command()
def status(
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print.")] = Output.TEXT,
) -> None:
    """List the running sandboxes, their addresses and which programs answer."""
    with _explained():
        found = [(record, record.listening()) for record in named.running()]
    if output is Output.JSON:
        listed = [{**dataclasses.asdict(record), "listening": alive} for record, alive in found]
        typer.echo(json.dumps(listed, indent=2))
        return
    if not found:
        typer.echo("no sandbox is running; `modelrelease sandbox up` starts one")
    for record, alive in found:
        silent = [program for program, answers in alive.items() if not answers]
        typer.echo(f"{record.name}: {'not answering: ' + ', '.join(silent) if silent else 'all programs answer'}")
        _print_addresses(record)


@app.command("binaries")
def fetch_binaries() -> None:
    """Download or build what a sandbox needs, into the cache; takes minutes once and nothing after that."""
    with _explained():
        progress = Progress()
        for name, found in binaries.ensure_all(progress).items():
            typer.echo(f"{name:15} {found.path} ({found.origin})")
        typer.echo(f"{'Gateway API':15} {binaries.ensure_gateway_api_crds(progress)}")
        kubectl = binaries.find(KUBECTL)
        typer.echo(f"{'kubectl':15} {f'{kubectl.path} ({kubectl.origin})' if kubectl else 'not found (optional)'}")


@contextmanager
def _explained() -> Iterator[None]:
    """Errors for people instead of tracebacks; Ctrl-C is a normal end."""
    try:
        yield
    except SandboxError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fill(sandbox: Sandbox, crds: Path | None) -> None:
    """Install the CRDs and write a kubeconfig for each of the sandbox's people."""
    for user in access.USERS:
        sandbox.kubeconfig(user)
    folder = crds or next((each for each in CRD_FOLDERS if any(each.glob("*.yaml"))), None)
    if folder is not None:
        sandbox.apply(folder)


def _watch(sandbox: Sandbox) -> None:
    """Until interrupted, say it when a program ends by itself."""
    ended: set[str] = set()
    while True:
        for part in sandbox.parts:
            if not part.running and part.name not in ended:
                ended.add(part.name)
                typer.echo(f"{part.name} ended by itself; its last words ({part.log}):\n{part.log_tail()}", err=True)
        time.sleep(POLL_S)


def _detach(name: str, crds: Path | None, scrape_interval: float) -> named.Record:
    """Start `up` in a process of its own session and return when that one is up."""
    binaries.ensure_all(Progress())
    if named.is_owned(name):
        raise SandboxError(f"sandbox {name!r} is already running: end it with `modelrelease sandbox down {name}`")
    argv = [sys.executable, "-m", "modelrelease.cli.sandbox", "up", "--name", name]
    argv += ["--scrape-interval", str(scrape_interval), *(["--crds", str(crds.resolve())] if crds else [])]
    log_file = named.log_file(name)
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        while (record := named.find(name)) is None or record.pid != process.pid:
            if process.poll() is not None:
                raise SandboxError(f"sandbox {name!r} did not start:\n{log_file.read_text().strip()}")
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        process.terminate()
        raise
    return record


def _print_up(record: named.Record, *, ending: str) -> None:
    typer.echo(f"sandbox {record.name} is up; to end it {ending}")
    _print_addresses(record)
    typer.echo(f"other people: kubeconfig-<name>.yaml beside it, <name> one of {', '.join(access.USERS)}")
    typer.echo(f"\nexport KUBECONFIG={record.kubeconfig}")


def _print_addresses(record: named.Record) -> None:
    typer.echo(f"  API server  {record.api_url}")
    typer.echo(f"  Gateway     {record.gateway_url}  (gateway-system/inference, class traefik)")
    typer.echo(f"  Prometheus  {record.prometheus_url}")
    typer.echo(f"  audit log   {record.audit_log}")
    typer.echo(f"  kubeconfig  {record.kubeconfig}")


if __name__ == "__main__":
    app()
