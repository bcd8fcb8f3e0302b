"""`modelrelease audit`: take records out of the cluster, sign how far they go, and check them offline."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from modelrelease.cli import prune
from modelrelease.cli.cluster import Cluster, Context, Kubeconfig, Namespace, Output, echo, fail, on_cluster
from modelrelease.cli.exits import EXIT_ERROR, EXIT_NOT_FOUND
from modelrelease.cli.exports import hashes, lines
from modelrelease.governance.chain import Anchor, Chain, Finding, Report, line_of, verify

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command()(prune.prune)

Some = Annotated[str | None, typer.Argument(help="Name of a release; all of the namespace when left out.")]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All releases of the cluster.")]


@app.command()
def export(
    name: Some = None,
    namespace: Namespace = "",
    all_namespaces: Everywhere = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here; default: stdout.")] = None,
) -> None:
    """Write records as JSON Lines, oldest first, in the form that `verify` checks byte by byte."""
    specs = _specs(Cluster(kubeconfig, context), name, None if all_namespaces else namespace)
    with ExitStack() as stack:
        target = stack.enter_context(out.open("wb")) if out else sys.stdout.buffer
        for spec in specs:
            target.write(line_of(spec))
    typer.echo(_sum(len(specs), len({_chain(spec) for spec in specs})), err=True)


@app.command()
def checkpoint(
    key: Annotated[Path, typer.Option("--key", metavar="PEM", help="Ed25519 private key.")],
    files: Annotated[list[Path] | None, typer.Option("--file", "-f", help="Exports, instead of the cluster.")] = None,
    namespace: Namespace = "",
    all_namespaces: Everywhere = False,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    append: Annotated[
        Path | None, typer.Option("--append", metavar="FILE", help="Add it to this file; default: stdout.")
    ] = None,
) -> None:
    """Check the records and sign how far they go. Keep the result where the operator's account cannot write."""
    from modelrelease.cli.signing import SigningError, signed

    if files:
        report = _verified(files, ())
    else:
        report = verify(map(line_of, _specs(Cluster(kubeconfig, context), None, None if all_namespaces else namespace)))
    if report.findings:
        _say(report)
        fail("nothing was signed: the records do not fit together")
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        line = signed(report.heads, now, key)
    except SigningError as error:
        fail(str(error))
    if append is None:
        sys.stdout.buffer.write(line)
        return
    with append.open("ab") as target:
        target.write(line)
    typer.echo(f"signed as of {now} in {append}: {_sum(report.records, len(report.heads))}", err=True)


@app.command("verify")
def verify_(
    files: Annotated[list[Path], typer.Argument(help="Exports, in their order.")],
    checkpoints: Annotated[Path | None, typer.Option("--checkpoints", metavar="FILE", help="What was signed.")] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="PEM", help="Ed25519 public key.")] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--earlier", metavar="FILE", help="Exports with the records before these, as after `prune`."),
    ] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Judge the recorded evidence again and compare the verdicts.")
    ] = False,
    output: Output = "text",
) -> None:
    """Check exported records offline: every byte, every link, every signature. Exit code 1 when something is wrong."""
    from modelrelease.cli.signing import SigningError, anchors_of

    if (checkpoints is None) != (key is None):
        raise typer.BadParameter("--checkpoints and --key go together")
    try:
        anchors = anchors_of(checkpoints, key) if checkpoints and key else []
    except SigningError as error:
        fail(str(error))
    known: dict[tuple[Chain, int], str] = {}
    if earlier:
        before = _verified(earlier, ())
        if before.findings:
            fail(f"--earlier: {before.findings[0]}")
        known = hashes(earlier)
    report = _verified(files, anchors, known)
    again = _judged_again(files, report) if recompute else _Again(0, ())
    echo(_as_data(report, again), output, lambda: _words(report, again if recompute else None))
    raise typer.Exit(EXIT_ERROR if report.findings else 0)


def _verified(
    files: list[Path], anchors: Iterable[Anchor], earlier: Mapping[tuple[Chain, int], str] | None = None
) -> Report:
    try:
        return verify(lines(files), anchors, earlier=earlier)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


def _specs(cluster: Cluster, name: str | None, namespace: str | None) -> list[Any]:
    from modelrelease.controller import kube as api

    async def read(kube: Any) -> list[Any]:
        chosen = {"labelSelector": f"modelrelease.dev/release={name}"} if name else {}
        return list(await kube.list(api.RECORDS, namespace, **chosen))

    specs = [obj["spec"] for obj in on_cluster(cluster, read)]
    if name and not specs:
        fail(f"there are no records of a release {name} in namespace {namespace}", EXIT_NOT_FOUND)
    return sorted(specs, key=lambda spec: (_chain(spec), spec["sequence"]))


def _chain(spec: Any) -> Chain:
    release = spec["body"]["release"]
    return str(release["namespace"]), str(release["name"])


@dataclass(frozen=True, slots=True)
class _Again:
    """How many records were judged again, and which could not be, with why: that is no fault of theirs."""

    judged: int
    unjudged: tuple[Finding, ...]


def _judged_again(files: list[Path], report: Report) -> _Again:
    """Judge again all records that hold what that takes; what differs becomes a finding."""
    import json

    from modelrelease.cli.rejudging import rejudged

    judged, unjudged = 0, []
    for number, line in enumerate(lines(files), 1):
        try:
            again = rejudged(json.loads(line)["body"])
        except (ValueError, KeyError, TypeError) as error:
            report.findings.append(Finding(number, f"it is no record that can be judged again: {error}"))
            continue
        if again is not None:
            report.findings += [Finding(number, message) for message in again.differs]
            unjudged += [Finding(number, message) for message in again.unjudged]
            judged += not again.unjudged
    return _Again(judged, tuple(unjudged))


def _as_data(report: Report, again: _Again) -> Any:
    return {
        "records": report.records,
        "recomputed": again.judged,
        "notRecomputed": [{"line": each.line, "message": each.message} for each in again.unjudged],
        "findings": [{"line": finding.line, "message": finding.message} for finding in report.findings],
        "releases": [
            {
                "namespace": chain[0],
                "name": chain[1],
                "first": report.first[chain],
                "last": head.sequence,
                "hash": head.hash,
                "signedUpTo": report.anchored[chain].head.sequence if chain in report.anchored else 0,
            }
            for chain, head in sorted(report.heads.items())
        ],
    }


def _words(report: Report, again: _Again | None) -> str:
    lines = [f"wrong: {finding}" for finding in report.findings]
    lines += [f"not judged again: {each}" for each in (again.unjudged if again else ())]
    for chain, (first, last) in sorted(report.unanchored.items()):
        which = f"record {first} is" if first == last else f"records {first} to {last} are"
        lines.append(f"unanchored: {'/'.join(chain)}: {which} beyond the last checkpoint; nobody vouches for the end")
    wrong = "1 thing is wrong" if len(report.findings) == 1 else f"{len(report.findings)} things are wrong"
    verdict = wrong if report.findings else "every byte and every link is right"
    lines.append(f"{_sum(report.records, len(report.heads))}: {verdict}")
    if again is not None:
        lines.append(f"judged again from their own numbers: {again.judged}")
    return "\n".join(lines)


def _sum(records: int, releases: int) -> str:
    return f"{records} record{'s' * (records != 1)} of {releases} release{'s' * (releases != 1)}"


def _say(report: Report) -> None:
    for finding in report.findings:
        typer.echo(f"wrong: {finding}", err=True)
