"""People's decisions as ReleaseDecision objects: who says it is who the API server says they are.

The author is asked of the API server (SelfSubjectReview) and enforced again at admission, so a decision cannot be
written in another's name. Decisions other than Pause and Resume are bound to the unit that the person saw.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from modelrelease.cli.cluster import Kubeconfig, Namespace, Output, echo, fail, on_cluster

Name = Annotated[str, typer.Argument(help="Name of the ModelRelease.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; kept in the record.", show_default=False)]
Stage = Annotated[str | None, typer.Option(help="The stage that is meant; default: the present or the next one.")]
Role = Annotated[str, typer.Option(help="The role in which you decide.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    for command in (pause, resume, promote, abort, retry, override):
        app.command()(command)


def pause(
    name: Name, reason: Reason, namespace: Namespace = "", kubeconfig: Kubeconfig = None, output: Output = "text"
) -> None:
    """Hold a release where it is. Stop conditions still take traffic back."""
    _decide("Pause", name, reason, namespace, kubeconfig, output)


def resume(
    name: Name, reason: Reason, namespace: Namespace = "", kubeconfig: Kubeconfig = None, output: Output = "text"
) -> None:
    """Let a paused release go on."""
    _decide("Resume", name, reason, namespace, kubeconfig, output)


def promote(
    name: Name,
    reason: Reason,
    stage: Stage = None,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
    output: Output = "text",
) -> None:
    """Shorten the waiting of the present stage. Gates, samples and approvals still count."""
    _decide("Promote", name, reason, namespace, kubeconfig, output, stage=stage)


def abort(
    name: Name, reason: Reason, namespace: Namespace = "", kubeconfig: Kubeconfig = None, output: Output = "text"
) -> None:
    """Take the candidate's traffic back now. Final for this unit until somebody retries it."""
    _decide("Abort", name, reason, namespace, kubeconfig, output)


def retry(
    name: Name, reason: Reason, namespace: Namespace = "", kubeconfig: Kubeconfig = None, output: Output = "text"
) -> None:
    """Start a stopped unit again, at the first stage."""
    _decide("Retry", name, reason, namespace, kubeconfig, output)


def override(
    name: Name,
    incident: Annotated[str, typer.Option(help="The incident that it is for: number or address.", show_default=False)],
    reason: Reason,
    valid_for: Annotated[str, typer.Option("--for", help="How long it counts, such as 4h; at most 72h.")] = "4h",
    stage: Annotated[str | None, typer.Option(help="The only stage that it is for; default: all of them.")] = None,
    namespace: Namespace = "",
    kubeconfig: Kubeconfig = None,
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
    _decide("Override", name, reason, namespace, kubeconfig, output, stage=stage, more=more)


def _decide(
    action: str,
    name: str,
    reason: str,
    namespace: str,
    kubeconfig: Any,
    output: str,
    *,
    stage: str | None = None,
    more: Mapping[str, str] | None = None,
) -> None:
    from modelrelease.controller import kube as api

    async def write(kube: Any) -> Any:
        release = await kube.get(api.RELEASES, namespace, name)
        body = await with_author(kube, decision(action, release, author="", reason=reason, stage=stage))
        body["spec"] |= more or {}
        return await kube.create(api.DECISIONS, namespace, body)

    written = on_cluster(kubeconfig, write)
    echo(written, output, lambda: f"releasedecision {written['metadata']['name']}: {action} {name}, because: {reason}")


async def with_author(kube: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The decision in the name of whoever is logged in, with the groups that admission will compare."""
    from modelrelease.controller import kube as api

    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    user = (await kube.create(api.SELF_REVIEWS, None, review))["status"]["userInfo"]
    body["spec"] |= {"author": user["username"], "authorGroups": user.get("groups") or []}
    return body


def decision(
    action: str, release: Any, *, author: str, reason: str, stage: str | None = None, role: str | None = None
) -> dict[str, Any]:
    """The ReleaseDecision for what the release's status shows now.

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
        spec["digest"] = _unit_digest(action, release)
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
    status = release.get("status") or {}
    name = release["metadata"]["name"]
    if action == "Retry":
        found = (status.get("stop") or {}).get("digest") or next(iter(reversed(status.get("stopped") or [])), None)
        missing = f"{name} has no stopped unit to retry"
    else:
        watched = (status.get("watch") or {}).get("unit") or {}
        candidate = status.get("candidate") if status.get("state") not in ("Stopped", "Settled") else None
        found = (candidate or watched).get("digest") if (candidate or watched) else None
        missing = f"{name} has no candidate under way: nothing to {action.lower()}"
    if found is None:
        typer.echo(f"error: {missing} (its state is {status.get('state', 'unknown')})", err=True)
        raise typer.Exit(1)
    return str(found)
