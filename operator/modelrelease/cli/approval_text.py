"""An approval request in words: what changed, what gates and evidence say, who approved and who is missing."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from modelrelease.cli.evidence_text import figures
from modelrelease.cli.terminal import one_line, wrapped

Json = Mapping[str, Any]

SHOWN_FIGURES = 4
"""How many figures of a piece of evidence are shown."""


def request_text(
    release: Json,
    stable: Json | None,
    candidate: Json | None,
    evidence: Sequence[Json] | None,
    *,
    width: int | None,
) -> str:
    """What somebody who approves should see, in lines of `width` columns. `stable` and `candidate` are kept units; None
    where unreadable."""
    status, spec = release.get("status") or {}, release["spec"]
    arm, base = status.get("candidate") or {}, status.get("stable") or {}
    tier = status.get("tier") or spec.get("risk")
    lines = [
        f"{release['metadata']['name']}: {arm.get('version', 'no candidate')}, now {base.get('version', 'nothing')}"
    ]
    lines += [f"  tier       {tier}"] if tier else []
    lines += [f"  changed    {line}" for line in changes(stable, candidate)]
    lines += [f"  gate       {_judged(gate)}" for gate in status.get("gates") or []]
    lines += [f"  entry      {_judged(said)}" for said in status.get("entry") or []]
    if evidence is None:
        lines.append("  evidence   cannot be read with your rights; ask for the ClusterRole modelrelease-view")
    else:
        lines += [f"  evidence   {_submitted(one)}" for one in evidence]
    lines += request_lines(status.get("approval") or {})
    return "\n".join(wrapped(lines, width))


def _judged(verdict: Json) -> str:
    """Outcome and sentence; a sentence that begins with the gate's name does not say it twice."""
    name, sentence = verdict["name"], str(verdict["sentence"])
    said = sentence if sentence.startswith(f"{name}: ") else f"{name}: {sentence}"
    return f"{verdict['outcome']:<10} {said}"


def _submitted(evidence: Json) -> str:
    spec = evidence["spec"]
    found = list(islice(figures(spec), SHOWN_FIGURES + 1))
    more = ", …" if len(found) > SHOWN_FIGURES else ""
    said = f": {', '.join(found[:SHOWN_FIGURES])}{more}" if found else ""
    suite = spec.get("suite") or {}
    which = f"{suite.get('name', '?')} {suite.get('version', '')}".strip()
    return f"{evidence['metadata']['name']} by {spec.get('producer', '?')}, {which}{said}"


def request_lines(request: Json) -> list[str]:
    """Who is asked, who approved, until when, and what to look at."""
    lines = [f"  waits      stage {request['stage']}{_times(request)}"] if request else []
    for one in request.get("asked") or []:
        place = f"stage {one['stage']}" if one.get("stage") else "the whole release"
        last = ", decides last" if one.get("accountable") else ""
        said = f"approved by {one['approvedBy']} at {one['approvedAt'][:19]}Z" if one.get("approvedBy") else "missing"
        lines.append(f"  asked      {one['role']} ({place}{last}): {said}")
    if request.get("secondPerson"):
        lines.append("  asked      one more person: who changed the release is not known by name")
    lines += [f"  notified   {', '.join(request['notify'])}"] if request.get("notify") else []
    lines += [f"  look at    {line}" for line in request.get("lookAt") or []]
    return lines


def changes(old: Json | None, new: Json | None) -> list[str]:
    """What differs between two kept units, part by part; an empty one is none at all, as before a first install."""
    if old is None or new is None:
        return ["one of the units cannot be read, or is not kept"]
    before, after = _flat(old), _flat(new)
    names = dict.fromkeys((*before, *after))
    return [
        f"{name}: {before.get(name, '(none)')} → {after.get(name, '(none)')}"
        for name in names
        if before.get(name) != after.get(name)
    ] or ["nothing but the version"]


def open_entry(release: Json) -> str | None:
    """What the first entry demand that is not met is short of; None where all are met."""
    entry = (release.get("status") or {}).get("entry") or []
    return next((one_line(str(said["sentence"])) for said in entry if said["outcome"] != "Pass"), None)


def waiting_rows(releases: Iterable[Json]) -> list[dict[str, Any]]:
    """One row for each approval that is missing."""
    rows = []
    for release in releases:
        request = (release.get("status") or {}).get("approval") or {}
        for one in request.get("asked") or []:
            if not one.get("approvedBy"):
                rows.append(
                    {
                        "release": release["metadata"]["name"],
                        "version": (release["status"].get("candidate") or {}).get("version"),
                        "role": one["role"],
                        "stage": one.get("stage"),
                        "last": bool(one.get("accountable")),
                        "since": request.get("since"),
                        "until": request.get("until"),
                        "atEnd": request.get("atEnd"),
                    }
                )
    return rows


def waiting_text(rows: Sequence[Json]) -> str:
    """The rows as lines, each with what to type."""
    return "\n".join(
        f"{row['release']} {row['version']}  {row['role']}{' (last)' if row['last'] else ''}  "
        f"{'stage ' + row['stage'] if row['stage'] else 'the whole release'}{_times(row)}\n"
        f"    modelrelease approve {row['release']} --role {row['role']} --reason …"
        for row in rows
    )


def _times(request: Json) -> str:
    since = f", asked at {request['since'][:19]}Z" if request.get("since") else ", not ready yet"
    until = f", until {request['until'][:19]}Z (then {request['atEnd']})" if request.get("until") else ""
    return since + until


def _flat(unit: Json) -> dict[str, str]:
    if not unit:
        return {}
    backend = unit.get("backend") or {}
    found = {"backend": f"{backend.get('name')}:{backend.get('port', '')}"}
    for part in unit.get("parts") or []:
        found |= {f"{part['name']} {field['name']}": field["value"] for field in part.get("fields") or []}
        content = part.get("contentDigest")
        found |= {f"{part['name']} content": content[:19]} if content else {}
    return found
