"""`modelrelease explain`: why a gate says what it says: the verdict in a sentence, its numbers, its evidence over time.

The present comes from the release's status, the past from the workings that its records hold; those are judged again,
so that what is shown is what anybody gets from the record alone.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from modelrelease.cli.cluster import Cluster, Context, Kubeconfig, Namespace, Output, echo, fail, on_cluster
from modelrelease.cli.exits import EXIT_ERROR, EXIT_NOT_FOUND


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(short_help="Show why a release's gates say what they say.")(explain)


def explain(
    name: Annotated[str, typer.Argument(help="Name of the ModelRelease.", show_default=False)],
    gate: Annotated[str | None, typer.Option("--gate", "-g", help="Only this gate, or GATE/SEGMENT.")] = None,
    record: Annotated[
        int | None, typer.Option(min=1, help="Number of the record; default: the newest judged one.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Judge all records again; exit code 1 if one differs.")
    ] = False,
    chart: Annotated[Path | None, typer.Option(help="Draw the evidence into this file, .svg or .png.")] = None,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Show why a release's gates say what they say: sentence, numbers, and the evidence over time."""
    from modelrelease.cli import charts, explain_text
    from modelrelease.cli.impact import impact_now
    from modelrelease.cli.story import story_of
    from modelrelease.controller import kube as api

    if output not in ("text", "json", "yaml"):
        fail(f"--output {output!r}: write text, json or yaml", 2)
    if chart is not None:
        charts.check(chart)

    async def read(kube: Any) -> tuple[Any, list[Any], list[Any]]:
        release = await kube.find(api.RELEASES, namespace, name)
        records = await kube.list(api.RECORDS, namespace, labelSelector=f"modelrelease.dev/release={name}")
        evidence = await kube.list(api.EVIDENCES, namespace)
        return release, records, [item for item in evidence if item["spec"]["releaseRef"]["name"] == name]

    release, records, evidence = on_cluster(Cluster(kubeconfig, context), read)
    if release is None and not records:
        known = f"kubectl get modelreleases -n {namespace} lists those that there are"
        fail(f"there is no ModelRelease {name} in namespace {namespace}: {known}", EXIT_NOT_FOUND)
    story = story_of(release, records, name=name, namespace=namespace, gate=gate, number=record, verify=verify)
    if release is not None and gate is None:
        story = replace(story, impact=impact_now(release, evidence))
    if chart is not None:
        curves = story.record.curves if story.record else ()
        if not any(curve.points for curve in curves):
            fail(f"nothing to draw into {chart}: {explain_text.NO_CURVE.format(name)}")
        charts.save(
            curves, chart, title=f"{namespace}/{name}, record {story.record.spec['sequence'] if story.record else ''}"
        )
    echo(explain_text.as_data(story), output, lambda: explain_text.as_text(story, chart))
    again = [each for _, _, each in story.checked] + ([story.record.again] if story.record else [])
    if verify and any(each.differs for each in again):
        raise typer.Exit(EXIT_ERROR)
