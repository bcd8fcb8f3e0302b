"""`modelrelease audit prune`: delete old records that are exported, verified and vouched for by a signed checkpoint."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from modelrelease.cli.cluster import Cluster, Context, Kubeconfig, Namespace, Output, echo, fail, on_cluster
from modelrelease.cli.exports import hashes, lines
from modelrelease.domain.record import Head, record_name
from modelrelease.governance.chain import Chain, Report, verify
from modelrelease.governance.retention import Kept, Retired, retired

LEAST_DAYS = 30


def prune(
    files: Annotated[list[Path], typer.Argument(help="Exports that hold the records, in their order.")],
    checkpoints: Annotated[Path, typer.Option("--checkpoints", metavar="FILE", help="What was signed.")],
    key: Annotated[Path, typer.Option("--key", metavar="PEM", help="Ed25519 public key.")],
    older_than: Annotated[
        int, typer.Option("--older-than", metavar="DAYS", min=LEAST_DAYS, help="Age in days from which records may go.")
    ] = 400,
    namespace: Namespace = "",
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="All of the cluster.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: Output = "text",
) -> None:
    """Delete old records from the cluster; a cluster administrator's business (group system:masters).

    A record goes only when the export holds it byte for byte, a signed checkpoint vouches for it and everything before
    it, and it is older than asked for. The newest 100 of each release stay. Keep export and checkpoints: from then on
    they are the only proof of what went.
    """
    from modelrelease.cli.signing import SigningError, anchors_of

    try:
        report = verify(lines(files), anchors_of(checkpoints, key))
    except SigningError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    if report.findings:
        fail(f"nothing was deleted: the export is wrong: {report.findings[0]}; see modelrelease audit verify")
    before = datetime.now(UTC) - timedelta(days=older_than)
    found = _found(Cluster(kubeconfig, context), None if all_namespaces else namespace, before, hashes(files), report)
    count = sum(len(each.heads) for each in found)
    if count and not dry_run:
        if not yes:
            typer.echo(_words(found, done=False), err=True)
            typer.confirm(f"Delete {count} records?", abort=True, err=True)
        _delete(Cluster(kubeconfig, context), found)
    echo(_as_data(found), output, lambda: _words(found, done=not dry_run))


def _found(
    cluster: Cluster,
    namespace: str | None,
    before: datetime,
    exported: dict[tuple[Chain, int], str],
    report: Report,
) -> list[Retired]:
    from modelrelease.controller import kube as api

    async def read(kube: Any) -> list[Any]:
        return list(await kube.list(api.RECORDS, namespace))

    chains: dict[Chain, list[Kept]] = {}
    for obj in on_cluster(cluster, read):
        spec = obj["spec"]
        chain = (obj["metadata"]["namespace"], spec["release"]["name"])
        written = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
        chains.setdefault(chain, []).append(Kept(Head(spec["sequence"], spec["hash"]), written < before))
    return [retired(chain, kept, exported, report) for chain, kept in sorted(chains.items())]


def _delete(cluster: Cluster, found: Iterable[Retired]) -> None:
    """Oldest first, so that what is left after an interruption is a chain all the same."""
    from rich.console import Console
    from rich.progress import Progress

    from modelrelease.controller import kube as api
    from modelrelease.controller.kube import NotFound

    wanted = [(chain.chain, head) for chain in found for head in chain.heads]

    async def delete(kube: Any) -> None:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            for (namespace, name), head in bar.track(wanted, description="deleting"):
                try:
                    await kube.delete(api.RECORDS, namespace, record_name(name, head.sequence))
                except NotFound:
                    continue

    on_cluster(cluster, delete)


def _as_data(found: Iterable[Retired]) -> Any:
    return [
        {
            "namespace": each.chain[0],
            "name": each.chain[1],
            "records": len(each.heads),
            "through": each.heads[-1].sequence if each.heads else None,
            "stays": each.why or None,
        }
        for each in found
    ]


def _words(found: Iterable[Retired], *, done: bool) -> str:
    lines = []
    for each in found:
        where = "/".join(each.chain)
        went = f"{len(each.heads)} records, through {each.heads[-1].sequence}" if each.heads else "no record"
        lines.append(f"{where}: {went} {'went' if done else 'can go'}" + (f"; {each.why}" if each.why else ""))
    return "\n".join(lines) or "there are no records"
