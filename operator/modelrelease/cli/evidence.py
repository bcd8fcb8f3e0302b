"""`modelrelease evidence`: submit offline results of a unit, and see what there is and what it is still short of.

Who vouches for results is asked of the API server and enforced there, so nobody submits in another's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrelease.cli.cluster import Cluster, Context, Kubeconfig, Namespace, Output, echo, fail, on_cluster, who_asks
from modelrelease.cli.exits import EXIT_DENIED, MAY_READ

if TYPE_CHECKING:
    from modelrelease.cli.results import Wanted

EXIT_USAGE = 2

PAPERS = {"name": "package", "version": "1"}
"""The suite of evidence that holds references only."""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Release = Annotated[str, typer.Argument(help="Name of the ModelRelease.", show_default=False)]
UnitDigest = Annotated[str, typer.Option(help="Digest of the unit; default: that of the unit in the release's spec.")]
SubgroupBy = Annotated[
    list[str] | None,
    typer.Option(help="Make subgroups: by a property of test cases (junit), or of the tasks of a group (lm-eval)."),
]
References = Annotated[
    list[str] | None, typer.Option(help="A paper: TYPE=URI or TYPE=URI@sha256:DIGEST, such as ModelCard=https://….")
]
ExpiresIn = Annotated[int, typer.Option(min=0, max=36_500, help="Days after which it no longer counts; 0: never.")]


@app.command()
def submit(
    release: Annotated[str, typer.Option("--release", help="Name of the ModelRelease.", show_default=False)],
    files: Annotated[list[Path] | None, typer.Option("--file", "-f", help="Result file(s) of one suite.")] = None,
    format_: Annotated[str, typer.Option("--format", help="auto, json (or YAML), junit or lm-eval.")] = "auto",
    suite: Annotated[str, typer.Option(help="Name of the suite; default: what the files say.")] = "",
    suite_version: Annotated[str, typer.Option(help="Version of the suite; default: what the files say.")] = "",
    unit_digest: UnitDigest = "",
    stable: Annotated[bool, typer.Option("--stable", help="The results are of the unit that is stable now.")] = False,
    subgroup_by: SubgroupBy = None,
    red_team: Annotated[bool, typer.Option("--red-team", help="JUnit suites are attacks that should fail.")] = False,
    reference: References = None,
    review_by: Annotated[str, typer.Option(help="Review date of the readiness plan, such as 2027-03-31.")] = "",
    produced_at: Annotated[str, typer.Option(help="When it was measured; default: what the files say, else now.")] = "",
    expires_in: ExpiresIn = 0,
    confidence: Annotated[str, typer.Option(help="Confidence of intervals made from standard errors.")] = "0.95",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Have the API server check it and keep nothing.")] = False,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Submit offline results of a release's unit, as the user that you are."""
    from modelrelease.cli import evidence_writing
    from modelrelease.cli.results import Wanted
    from modelrelease.controller import kube as api

    if not files and not reference:
        fail(
            "there is nothing to submit: give results with -f FILE, papers with --reference TYPE=URI, or both",
            EXIT_USAGE,
        )
    content = _content(
        files or (),
        reference or (),
        Wanted(tuple(subgroup_by or ()), red_team, confidence),
        format_=format_,
        suite={name: said for name, said in (("name", suite), ("version", suite_version)) if said},
        review_by=review_by,
        produced_at=produced_at,
        expires=timedelta(days=expires_in),
    )

    async def write(kube: Any) -> Any:
        found = await kube.get(api.RELEASES, namespace, release)
        unit = unit_digest or await evidence_writing.unit_digest(kube, found, stable=stable)
        body = evidence_writing.manifest(found, content, unit=unit, producer=await who_asks(kube))
        evidence_writing.check(body)
        if output == "text":
            typer.echo(evidence_writing.shown(body))
        return await kube.create(api.EVIDENCES, namespace, body, dry_run=dry_run)

    written = on_cluster(Cluster(kubeconfig, context), write)
    kept = "checked by the API server, not kept (dry run)" if dry_run else "submitted"
    written["metadata"].pop("managedFields", None)
    echo(written, output, lambda: f"releaseevidence {written['metadata']['name']}: {kept}")


@app.command(name="list")
def list_(
    release: Release,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """List a release's offline evidence, the newest first.

    COUNTS is what a piece says of its own time, and "no" where the release's status doubts it or its producer. The
    operator asks again before each raise; `evidence show` has its verdict on each demand.
    """
    from modelrelease.cli import evidence_text

    found, evidence = on_cluster(Cluster(kubeconfig, context), lambda kube: _read(kube, release, namespace))
    echo([each["spec"] for each in evidence], output, lambda: evidence_text.listed(found, evidence, _now()))


@app.command()
def show(
    release: Release,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Show what a release's entry demands are, what its evidence says about them, and the results behind it."""
    from modelrelease.cli import evidence_text

    found, evidence = on_cluster(Cluster(kubeconfig, context), lambda kube: _read(kube, release, namespace))
    entry = (found.get("status") or {}).get("entry") or []
    data = {"release": release, "entry": entry, "evidence": [each["spec"] for each in evidence]}
    echo(data, output, lambda: evidence_text.shown(found, evidence, _now()))


def _content(
    files: Sequence[Path],
    references: Sequence[str],
    wanted: Wanted,
    *,
    format_: str,
    suite: Mapping[str, str],
    review_by: str,
    produced_at: str,
    expires: timedelta,
) -> dict[str, Any]:
    """What files and options say; what cannot be used ends the command."""
    from modelrelease.cli import evidence_writing
    from modelrelease.cli.results import ResultsError, joined
    from modelrelease.cli.results_files import read

    try:
        evidence_writing.check_confidence(wanted.confidence)
        results = joined([read(path, format_, wanted) for path in files])
        if not files:
            results.suite = dict(PAPERS)
        results.suite |= suite
        for text in references:
            results.add("references", evidence_writing.reference(text, review_by))
        return evidence_writing.content(results, produced_at=produced_at, expires=expires)
    except ResultsError as error:
        fail(str(error), EXIT_USAGE)


async def _read(kube: Any, release: str, namespace: str) -> tuple[Mapping[str, Any], list[Any]]:
    """The release, and its evidence, the newest first."""
    from modelrelease.controller import kube as api
    from modelrelease.controller.kube import Denied

    found = await kube.get(api.RELEASES, namespace, release)
    try:
        items = await kube.list(api.EVIDENCES, namespace)
    except Denied as error:
        fail(f"{error.message}; {MAY_READ.format(namespace)}", EXIT_DENIED)
    own = [item for item in items if (item["spec"].get("releaseRef") or {}).get("name") == release]
    return found, sorted(own, key=lambda item: str(item["spec"].get("producedAt")), reverse=True)


def _now() -> datetime:
    return datetime.now(UTC)
