"""`modelrelease approve`, `reject`, `accept-risk`, `approvals`: what is decided on is shown, then asked, then written.

An approval is bound to what was shown: unit, plan, stage and evidence. Rejected: writing at once as the other decisions
do; whoever approves should have seen what changed and what the gates say.
"""

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from modelrelease.cli.approval_text import open_entry, request_text, waiting_rows, waiting_text
from modelrelease.cli.cluster import Cluster, Context, Kubeconfig, Namespace, Output, echo, fail, on_cluster
from modelrelease.cli.decide import Name, Reason, Role, Stage, changed_plan, decision, with_author
from modelrelease.cli.terminal import width_of

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command(short_help="Approve a stage, after a look at what changed.")(approve)
    app.command(short_help="Reject the candidate: it is taken back.")(reject)
    app.command()(approvals)
    app.command(name="accept-risk", short_help="Let one undecided gate count as passed, for a time.")(accept_risk)


def approve(
    name: Name,
    role: Role,
    reason: Reason,
    stage: Stage = None,
    policy_change: Annotated[
        bool, typer.Option("--policy-change", help="Approve what PolicyPending shows, for the rollout under way.")
    ] = False,
    yes: Yes = False,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Approve a stage in a role that RBAC grants you, after a look at what changed and what the gates say.

    Bound to the unit, the plan and the evidence that are shown.
    """
    _decide(
        "Approve",
        name,
        reason,
        namespace,
        Cluster(kubeconfig, context),
        output,
        role=role,
        stage=stage,
        yes=yes,
        changed=policy_change,
    )


def reject(
    name: Name,
    role: Role,
    reason: Reason,
    yes: Yes = False,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Reject the candidate in a role that its plan asks: it is taken back, and stays so until somebody retries it."""
    _decide("Reject", name, reason, namespace, Cluster(kubeconfig, context), output, role=role, yes=yes)


def accept_risk(
    name: Name,
    gate: Annotated[str, typer.Option(help="The gate that is still undecided.", show_default=False)],
    reason: Reason,
    until: Annotated[str, typer.Option(help="For how long, such as 24h.")] = "24h",
    stage: Stage = None,
    yes: Yes = False,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Let one gate that is still undecided count as passed before one stage. A gate that fails is never accepted."""
    from modelrelease.api.quantities import seconds_of

    try:
        ends = datetime.now(UTC) + timedelta(seconds=seconds_of(until))
    except ValueError as error:
        fail(f"--until {until!r}: write hours, minutes and seconds, such as 24h ({error})", 2)
    more = {"gate": gate, "expiresAt": ends.isoformat(timespec="seconds").replace("+00:00", "Z")}
    _decide(
        "AcceptRisk", name, reason, namespace, Cluster(kubeconfig, context), output, stage=stage, yes=yes, more=more
    )


def approvals(
    name: Annotated[str | None, typer.Argument(help="Name of one ModelRelease; default: all.")] = None,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """List what waits for whom, since when and until when."""
    from modelrelease.controller import kube as api

    async def read(kube: Any) -> list[Any]:
        if name is not None:
            return [await kube.get(api.RELEASES, namespace, name)]
        return list(await kube.list(api.RELEASES, namespace))

    rows = waiting_rows(on_cluster(Cluster(kubeconfig, context), read))
    echo(rows, output, lambda: waiting_text(rows) or f"nothing waits for an approval in namespace {namespace}")


def _decide(
    action: str,
    name: str,
    reason: str,
    namespace: str,
    cluster: Cluster,
    output: str,
    *,
    yes: bool,
    role: str | None = None,
    stage: str | None = None,
    more: dict[str, str] | None = None,
    changed: bool = False,
) -> None:
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        fail(f"there is no terminal to ask on: look at modelrelease status {name}, then say --yes", 2)

    async def prepare(kube: Any) -> tuple[Any, str]:
        from modelrelease.controller import kube as api

        release = await kube.get(api.RELEASES, namespace, name)
        if action == "Approve" and not changed:
            _refuse_too_early(name, release)
        body = await with_author(kube, decision(action, release, author="", reason=reason, stage=stage, role=role))
        body["spec"] |= more or {}
        if changed:
            body["spec"]["planDigest"] = changed_plan(release)
        return body, await _shown(kube, namespace, release, width_of(sys.stdout if output == "text" else sys.stderr))

    body, shown = on_cluster(cluster, prepare)
    typer.echo(shown, err=output != "text")
    place = body["spec"].get("stage") or ("the whole release" if action == "Approve" else "this unit")
    place = "the changed policy" if changed else place
    question = f"{action} {name} ({place}) as {role or body['spec']['author']}?"
    if not yes and not _says_yes(question):
        fail("nothing was written")

    async def write(kube: Any) -> Any:
        from modelrelease.controller import kube as api

        return await kube.create(api.DECISIONS, namespace, body)

    written = on_cluster(cluster, write)
    echo(written, output, lambda: f"releasedecision {written['metadata']['name']}: {action} {name}, because: {reason}")


def _refuse_too_early(name: str, release: Any) -> None:
    """Entry evidence that is still to come changes what an approval is about: one given before it cannot count."""
    lacking = open_entry(release)
    if lacking is not None:
        fail(
            f"there is nothing to approve yet: {name} lacks entry evidence, and an approval counts for the evidence "
            f"that was shown. {lacking} (modelrelease evidence show {name})"
        )


def _says_yes(question: str) -> bool:
    """Ask on the terminal; Ctrl-C and the end of the input are a no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        typer.echo(err=True)
        return False


async def _shown(kube: Any, namespace: str, release: Any, width: int | None) -> str:
    """What is decided on, with as much of it as this person may read."""
    from modelrelease.controller import kube as api

    status = release.get("status") or {}
    units = {}
    for arm in ("stable", "candidate"):
        revision = (status.get(arm) or {}).get("revision")
        try:
            units[arm] = (await kube.get(api.REVISIONS, namespace, revision))["spec"]["unit"] if revision else {}
        except api.ApiError:
            units[arm] = None
    digest = (status.get("candidate") or {}).get("digest")
    try:
        listed = await kube.list(api.EVIDENCES, namespace)
        evidence = [each for each in listed if each["spec"].get("unitDigest") == digest]
    except api.ApiError:
        evidence = None
    return request_text(release, units["stable"], units["candidate"], evidence, width=width)
