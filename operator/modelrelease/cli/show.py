"""`modelrelease status`: where a release stands, in words: stages, gates with their numbers, records, why it waits."""

import sys
from typing import Annotated, Any

import typer

from modelrelease.cli.approval_text import request_lines
from modelrelease.cli.cluster import Cluster, Context, Kubeconfig, Namespace, Output, echo, on_cluster
from modelrelease.cli.terminal import one_line, width_of, wrapped


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command()(status)
    app.command()(history)


def status(
    name: Annotated[str, typer.Argument(help="Name of the ModelRelease.")],
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Show where a release stands and why it waits."""
    from modelrelease.controller import kube as api

    async def read(kube: Any) -> Any:
        return await kube.get(api.RELEASES, namespace, name)

    release = on_cluster(Cluster(kubeconfig, context), read)
    echo(release, output, lambda: describe(release, width=width_of(sys.stdout)))


def history(
    name: Annotated[str, typer.Argument(help="Name of the ModelRelease.")],
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Show a release's records, oldest first."""
    from modelrelease.controller import kube as api

    async def read(kube: Any) -> list[Any]:
        found = await kube.list(api.RECORDS, namespace, labelSelector=f"modelrelease.dev/release={name}")
        if not found:  # Records outlive their release, so only where there are none does it have to be there.
            await kube.get(api.RELEASES, namespace, name)
        return list(found)

    records = sorted(on_cluster(Cluster(kubeconfig, context), read), key=lambda record: record["spec"]["sequence"])
    specs = [record["spec"] for record in records]
    lines = [
        one_line(f"{s['sequence']:>4}  {s['body'].get('at', '')[:19]}Z  {s['kind']:<15} {s['body'].get('message', '')}")
        for s in specs
    ]
    echo(specs, output, lambda: "\n".join(lines) or f"no records of {name} in namespace {namespace}")


def describe(release: Any, *, width: int | None = None) -> str:
    """A release in words, from the object alone; in lines of `width` columns, or as long as they come."""
    said = release.get("status") or {}
    metadata = release["metadata"]
    lines = [f"{metadata['namespace']}/{metadata['name']}  state {said.get('state', 'unknown')}"]
    for role in ("stable", "candidate", "fallback"):
        unit = said.get(role)
        if unit:
            lines.append(f"  {role:<10} {unit['version']}  ({unit['revision']}, {unit['backend']['name']})")
    if said.get("tier"):
        policy = said.get("policy") or {}
        why = "; ".join(policy.get("reasons") or [])
        lines.append(f"  tier       {said['tier']}, policy {policy.get('name', 'unknown')}: {why}")
    stage = said.get("stage") or {}
    if stage.get("name"):
        lines.append(
            f"  stage      {stage['name']} ({stage['index'] + 1} of {stage.get('count', '?')}), {said.get('weight')}"
        )
    for gate in said.get("gates") or []:
        where = f" [{gate['segment']}]" if gate.get("segment") else ""
        called = f"{gate['name']}/{gate['segment']}" if gate.get("segment") else gate["name"]
        sentence = gate["sentence"].removeprefix(f"{called}: ")
        lines.append(f"  gate       {gate['outcome']:<10} {gate['name']}{where}: {sentence}")
    for verdict in said.get("entry") or []:
        lines.append(f"  entry      {verdict['outcome']:<10} {verdict['sentence']}")
    lines += request_lines(said.get("approval") or {})
    for condition in said.get("conditions") or []:
        lines.append(
            f"  condition  {condition['type']}={condition['status']} {condition['reason']}: {condition['message']}"
        )
    for outcome in said.get("outcomes") or []:
        lines.append(
            f"  outcome    {outcome['at'][:19]}Z {outcome['version']} {outcome['outcome']}: {outcome['message']}"
        )
    return "\n".join(wrapped(lines, width))
