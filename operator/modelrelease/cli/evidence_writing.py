"""From result files to a ReleaseEvidence: times, references, the unit's digest, and a check before it is sent."""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from modelrelease.api.convert import config_maps_of, content_of, unit_of
from modelrelease.api.faults import faults_of
from modelrelease.api.names import API_VERSION, RELEASE_EVIDENCE, RELEASE_LABEL
from modelrelease.api.quantities import time_of
from modelrelease.cli.cluster import fail
from modelrelease.cli.results import Results, ResultsError, label
from modelrelease.domain.canonical import short
from modelrelease.domain.offline import ReferenceType

Json = Mapping[str, Any]


def check_confidence(text: str) -> None:
    """Raises ResultsError for what is no confidence."""
    try:
        fits = 0 < Decimal(text) < 1
    except InvalidOperation:
        fits = False
    if not fits:
        raise ResultsError("--confidence", f"{text!r}: write a number between 0 and 1, such as 0.95")


def reference(text: str, review_by: str) -> dict[str, str]:
    """`TYPE=URI[@sha256:DIGEST]` as an item of `references`. Raises ResultsError."""
    type_, _, rest = text.partition("=")
    known = ", ".join(ReferenceType)
    if type_ not in list(ReferenceType) or not rest:
        raise ResultsError("--reference", f"{text!r}: write TYPE=URI@sha256:DIGEST; types are {known}")
    uri, found, digest = rest.rpartition("@sha256:")
    item = {"type": type_, "uri": uri if found else rest}
    if found:
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise ResultsError("--reference", f"{text!r}: after @sha256: come 64 lower-case hex digits")
        item["digest"] = f"sha256:{digest}"
    if type_ == ReferenceType.READINESS_PLAN and review_by:
        item["reviewBy"] = _time("--review-by", review_by)
    return item


def content(results: Results, *, produced_at: str, expires: timedelta) -> dict[str, Any]:
    """What the files say, as ReleaseEvidence.spec without release, unit and producer. Raises ResultsError."""
    for name, option in (("name", "--suite"), ("version", "--suite-version")):
        if not results.suite.get(name):
            raise ResultsError("suite", f"the files do not say its {name}: say {option}")
    stamp = produced_at or results.produced_at or datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    when = _time("--produced-at", stamp)
    found: dict[str, Any] = {"suite": dict(results.suite), "producedAt": when}
    if results.expires_at:
        found["expiresAt"] = _time("expiresAt", results.expires_at)
    if expires:
        try:
            found["expiresAt"] = _text(time_of(when) + expires)
        except OverflowError as error:
            raise ResultsError("--expires-in", f"{expires.days} days end after the year 9999: write fewer") from error
    return {**found, **results.sections}


async def unit_digest(kube: Any, release: Json, *, stable: bool) -> str:
    """The digest of the unit in the release's spec, computed from it and its ConfigMaps, or of what is stable."""
    from modelrelease.controller import kube as api

    name, namespace = release["metadata"]["name"], release["metadata"]["namespace"]
    if stable:
        known = ((release.get("status") or {}).get("stable") or {}).get("digest")
        return str(known) if known else fail(f"ModelRelease {name} has no stable unit yet: leave --stable out")
    spec = release["spec"]
    maps = {each: await kube.find(api.CONFIG_MAPS, namespace, each) for each in config_maps_of(spec)}
    contents = {each: content_of(found) if found else None for each, found in maps.items()}
    unit = unit_of(spec, namespace, contents)
    if isinstance(unit, tuple):
        fail(f"ModelRelease {name}: {unit[0].message}")
    return unit.digest


def manifest(release: Json, found: Json, *, unit: str, producer: Json) -> dict[str, Any]:
    """The ReleaseEvidence to create; `producer` is the userInfo of who submits it."""
    name = release["metadata"]["name"]
    return {
        "apiVersion": API_VERSION,
        "kind": RELEASE_EVIDENCE.kind,
        "metadata": {
            "name": f"{name}-{label(found['suite']['name'])}-{secrets.token_hex(4)}",
            "namespace": release["metadata"]["namespace"],
            "labels": {RELEASE_LABEL: name},
        },
        "spec": {
            "releaseRef": {"name": name, "uid": release["metadata"]["uid"]},
            "unitDigest": unit,
            "producer": producer["username"],
            "producerGroups": producer.get("groups") or [],
            **found,
        },
    }


def check(body: Json) -> None:
    """End the command where the schema would refuse it: every field, what is wrong, what to write."""
    from pydantic import ValidationError

    from modelrelease.api.releaseevidence import ReleaseEvidenceSpec

    try:
        ReleaseEvidenceSpec.model_validate(body["spec"])
    except ValidationError as error:
        fail("; ".join(fault.message for fault in faults_of(error, "spec")[:5]))


def shown(body: Json) -> str:
    """What is about to be written, in a few lines."""
    from modelrelease.cli import evidence_text

    spec = body["spec"]
    release = f"{body['metadata']['namespace']}/{spec['releaseRef']['name']}"
    lines = [
        f"for      {release}, unit sha256:{short(spec['unitDigest'])}…",
        f"by       {spec['producer']}, measured {spec['producedAt']}"
        + (f", until {spec['expiresAt']}" if "expiresAt" in spec else ""),
        *evidence_text.contents(spec),
    ]
    return "\n".join(lines)


def _time(where: str, text: str) -> str:
    """RFC 3339 in UTC of a time or a date. Raises ResultsError."""
    try:
        moment = datetime.fromisoformat(text)
        return _text(moment.replace(tzinfo=moment.tzinfo or UTC))
    except (ValueError, OverflowError) as error:
        raise ResultsError(where, f"{text!r} is no time: write it such as 2026-11-20T08:00:00Z") from error


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
