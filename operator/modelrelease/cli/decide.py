"""People's decisions as ReleaseDecision objects: who says it is who the API server says they are.

The author is asked of the API server (SelfSubjectReview) and enforced again at admission, so a decision cannot be
written in another's name. Decisions other than Pause and Resume are bound to the unit that the person saw.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from modelrelease.cli.cluster import Cluster, Context, Kubeconfig, Namespace, Output, echo, fail, on_cluster, who_asks


def _said(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("it is empty: say why in at least one word")
    return reason


Name = Annotated[str, typer.Argument(help="Name of the ModelRelease.", show_default=False)]
Reason = Annotated[
    str, typer.Option("--reason", "-r", help="Why; kept in the record.", show_default=False, callback=_said)
]
Stage = Annotated[str | None, typer.Option(help="The stage that is meant; default: the present or the next one.")]
Role = Annotated[str, typer.Option(help="The role in which you decide.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command in (pause, resume, promote, abort, retry):
        app.command()(command)
    app.command(short_help="Let an urgent release go on outside its windows.")(override)


def pause(
    name: Name,
    reason: Reason,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Hold a release where it is. Stop conditions still take traffic back."""
    _decide("Pause", name, reason, namespace, Cluster(kubeconfig, context), output)


def resume(
    name: Name,
    reason: Reason,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Let a paused release go on."""
    _decide("Resume", name, reason, namespace, Cluster(kubeconfig, context), output)


def promote(
    name: Name,
    reason: Reason,
    stage: Stage = None,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Shorten the waiting of the present stage. Gates, samples and approvals still count."""
    _decide("Promote", name, reason, namespace, Cluster(kubeconfig, context), output, stage=stage)


def abort(
    name: Name,
    reason: Reason,
    watched: Annotated[
        bool, typer.Option("--watched", help="Take back the unit that serves and is in its watch, not the candidate.")
    ] = False,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Take the candidate's traffic back now. Final for this unit until somebody retries it.

    Without a candidate it takes back the unit that is in its watch.
    """
    _decide("Abort", name, reason, namespace, Cluster(kubeconfig, context), output, watched=watched)


def retry(
    name: Name,
    reason: Reason,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Start a stopped unit again, at the first stage."""
    _decide("Retry", name, reason, namespace, Cluster(kubeconfig, context), output)


def override(
    name: Name,
    incident: Annotated[str, typer.Option(help="The incident that it is for: number or address.", show_default=False)],
    reason: Reason,
    valid_for: Annotated[str, typer.Option("--for", help="How long it counts, such as 4h; at most 72h.")] = "4h",
    stage: Annotated[str | None, typer.Option(help="The only stage that it is for; default: all of them.")] = None,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Let an urgent release go on outside its windows and in freezes. Gates, samples and approvals still count."""
    from modelrelease.api.quantities import seconds_of

    try:
        lasts = timedelta(seconds=seconds_of(valid_for))
    except ValueError as error:
        fail(f"--for {error}", 2)
    if not timedelta(0) < lasts <= timedelta(hours=72):
        fail(f"--for {valid_for}: an override counts for at most 72h", 2)
    if not incident.strip():
        fail("--incident is empty: name the incident, such as INC-123", 2)
    until = (datetime.now(UTC) + lasts).isoformat(timespec="seconds").replace("+00:00", "Z")
    more = {"incident": incident, "expiresAt": until}
    _decide("Override", name, reason, namespace, Cluster(kubeconfig, context), output, stage=stage, more=more)


def _decide(
    action: str,
    name: str,
    reason: str,
    namespace: str,
    cluster: Cluster,
    output: str,
    *,
    stage: str | None = None,
    watched: bool = False,
    more: Mapping[str, str] | None = None,
) -> None:
    from modelrelease.controller import kube as api

    async def write(kube: Any) -> tuple[Any, Any]:
        release = await kube.get(api.RELEASES, namespace, name)
        digest = await _retried(kube, release) if action == "Retry" else None
        digest = _watched(release) if watched else digest
        body = decision(action, release, author="", reason=reason, stage=stage, digest=digest)
        body = await with_author(kube, body)
        body["spec"] |= more or {}
        return await kube.create(api.DECISIONS, namespace, body), release

    written, release = on_cluster(cluster, write)
    what = f"{action} {name}{_version(release, written['spec'].get('digest'))}, because: {reason}"
    echo(written, output, lambda: f"releasedecision {written['metadata']['name']}: {what}")


async def with_author(kube: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The decision in the name of whoever is logged in, with the groups that admission will compare."""
    user = await who_asks(kube)
    body["spec"] |= {"author": user["username"], "authorGroups": user.get("groups") or []}
    return body


def decision(
    action: str,
    release: Any,
    *,
    author: str,
    reason: str,
    stage: str | None = None,
    role: str | None = None,
    digest: str | None = None,
) -> dict[str, Any]:
    """The ReleaseDecision for what the release's status shows now; `digest` names another unit than the one on its way.

    Raises typer.Exit with a message where there is nothing to decide on (an Abort without a candidate, say).
    """
    name, namespace = release["metadata"]["name"], release["metadata"]["namespace"]
    spec: dict[str, Any] = {
        "releaseRef": {"name": name, "uid": release["metadata"]["uid"]},
        "action": action,
        "author": author,
        "reason": reason,
    }
    if action not in ("Pause", "Resume"):
        spec["digest"] = digest or _unit_digest(action, release)
    if action == "Promote":
        spec["stage"] = stage or (release["status"].get("stage") or {}).get("name")
    if action == "AcceptRisk":
        spec["stage"] = stage or _next_stage(release)
    if action in ("Approve", "Reject"):
        spec["role"] = role
    if action == "Override":
        spec["planDigest"] = release["status"].get("planDigest")
        if stage is not None:
            spec["stage"] = stage
    if action == "Approve":
        spec["planDigest"] = release["status"].get("planDigest")
        spec["evidenceDigest"] = release["status"].get("evidenceDigest")
        spec["stage"] = stage or _place(release, role)
    return {
        "apiVersion": "modelrelease.dev/v1alpha1",
        "kind": "ReleaseDecision",
        "metadata": {"name": f"{name}-{action.lower()}-{secrets.token_hex(4)}", "namespace": namespace},
        "spec": {field: value for field, value in spec.items() if value is not None},
    }


def changed_plan(release: Any) -> str:
    """The digest of the plan that a changed policy would make of a rollout under way."""
    waiting = ((release.get("status") or {}).get("policy") or {}).get("pending") or {}
    if not waiting.get("approvals"):
        name = release["metadata"]["name"]
        typer.echo(f"error: no change of a policy waits for approval at {name} (see PolicyPending)", err=True)
        raise typer.Exit(1)
    return str(waiting["planDigest"])


def _place(release: Any, role: str | None) -> str | None:
    """What the role is asked about now: a stage, or None for the whole release; the next stage where nobody asks."""
    asked = (release["status"].get("approval") or {}).get("asked") or []
    mine = [one for one in asked if one["role"] == role]
    waiting = [one for one in mine if not one.get("approvedBy")] or mine
    return waiting[0].get("stage") if waiting else _next_stage(release)


def _next_stage(release: Any) -> str:
    status = release["status"]
    stages = (status.get("plan") or {}).get("stages") or []
    index = (status.get("stage") or {}).get("index", -1) + 1
    if index >= len(stages):
        typer.echo(
            f"error: {release['metadata']['name']} has no further stage to approve; name one with --stage", err=True
        )
        raise typer.Exit(1)
    return str(stages[index]["name"])


def _unit_digest(action: str, release: Any) -> str:
    """The candidate on its way, else the unit in its watch.

    Where a candidate was stopped, the watched one is not meant without saying so: it is the one that serves well.
    """
    status = release.get("status") or {}
    name, state = release["metadata"]["name"], status.get("state", "unknown")
    watched = (status.get("watch") or {}).get("unit") or {}
    candidate = status.get("candidate") or {}
    meant = (candidate or watched) if state not in ("Stopped", "Settled") else {}
    if state == "Stopped" and watched:
        fail(
            f"{candidate.get('version', 'the candidate')} is stopped already: nothing to {action.lower()}; to take "
            f"back {watched['version']}, which serves and is in its watch: modelrelease abort {name} --watched"
        )
    if not meant:
        fail(f"{name} has no candidate under way: nothing to {action.lower()} (its state is {state})")
    return str(meant["digest"])


def _watched(release: Any) -> str:
    """The unit in its watch."""
    unit = ((release.get("status") or {}).get("watch") or {}).get("unit") or {}
    return str(unit["digest"]) if unit else fail(f"{release['metadata']['name']} has no unit in its watch")


async def _retried(kube: Any, release: Any) -> str:
    """The unit that the spec names, which is the only one that a Retry can start; it has to be stopped."""
    from modelrelease.cli.evidence_writing import unit_digest
    from modelrelease.controller.kube import Denied

    status, version = release.get("status") or {}, release["spec"]["unit"]["version"]
    stop = status.get("stop") or {}
    try:
        digest = await unit_digest(kube, release, stable=False)
    except Denied:
        if stop.get("version") != version:
            raise
        digest = str(stop["digest"])  # Who may not read its ConfigMaps can retry what was stopped last.
    if digest not in (stop.get("digest"), *(status.get("stopped") or [])):
        name, state = release["metadata"]["name"], status.get("state", "unknown")
        fail(f"{name} has no stopped unit to retry: {version} in its spec is not stopped (its state is {state})")
    return digest


def _version(release: Any, digest: str | None) -> str:
    """The version that a decision is about, with a space before it; nothing where it is about no unit."""
    status = release.get("status") or {}
    units = (status.get("candidate"), (status.get("watch") or {}).get("unit"), status.get("stop"))
    known = {unit["digest"]: unit["version"] for unit in units if unit}
    return f" {known.get(digest, release['spec']['unit']['version'])}" if digest else ""
