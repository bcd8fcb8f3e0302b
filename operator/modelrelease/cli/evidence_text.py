"""How offline evidence is shown in a terminal: what is demanded, what there is, what each piece of it says."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from modelrelease.api.convert import evidence_of
from modelrelease.cli.terminal import one_line
from modelrelease.domain.canonical import short
from modelrelease.domain.offline import OfflineEvidence
from modelrelease.domain.release import Fault

Json = Mapping[str, Any]

_DOUBTED = re.compile(r"ReleaseEvidence (?P<name>\S+) (?:by .+?|of stable) does not count: (?P<why>.+)", re.DOTALL)


def listed(release: Json, evidence: Sequence[Json], now: datetime) -> str:
    """One line per piece of evidence."""
    if not evidence:
        return _nothing(release)
    rows: list[tuple[str, ...]] = [("NAME", "SUITE", "UNIT", "PRODUCER", "MEASURED", "COUNTS")]
    for item in evidence:
        spec = item["spec"]
        suite = f"{spec['suite']['name']} {spec['suite']['version']}"
        whose, counts = _whose(release, spec["unitDigest"]), _counts(release, item, now)
        rows.append((item["metadata"]["name"], suite, whose, spec["producer"], f"{spec['producedAt'][:16]}Z", counts))
    rows = [tuple(map(one_line, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def shown(release: Json, evidence: Sequence[Json], now: datetime) -> str:
    """The verdict on each entry demand, and the evidence of the units that are on their way or stable."""
    entry = (release.get("status") or {}).get("entry") or []
    lines = ["entry demands"] if entry else [_no_demands(release)]
    for verdict in entry:
        lines.append(one_line(f"  {verdict['outcome']:<9}  {verdict['sentence']}"))
    if not evidence:
        return "\n".join([*lines, "", _nothing(release)])
    for item in evidence:
        spec = item["spec"]
        whose = f"{_whose(release, spec['unitDigest'])}, by {spec['producer']}"
        lines += ["", one_line(f"{item['metadata']['name']}: {whose}")]
        lines += [f"  {line}" for line in contents(spec)]
    return "\n".join(lines)


def contents(spec: Json) -> Iterator[str]:
    """What a piece of evidence says, in lines."""
    return map(one_line, _contents(spec))


def figures(spec: Json) -> Iterator[str]:
    """The figures over all cases, each with its name; then scenarios and attacks, and papers by type."""
    for metric in spec.get("metrics") or ():
        yield f"{metric['name']} {_figure(metric)}"
    for section in ("scenarios", "redTeam"):
        for case in spec.get(section) or ():
            yield f"{case['name']} {case['passed']:,} of {case['total']:,}"
    for each in spec.get("references") or ():
        yield str(each["type"])


def _counts(release: Json, item: Json, now: datetime) -> str:
    """What the evidence says of its own time, and what the release's status says of its producer."""
    found = evidence_of(item)
    if isinstance(found, Fault):
        return f"no: {found.message.partition(': ')[2]}"
    if doubt := _doubt(release, found):
        return f"no: {doubt}"
    if found.expires_at is None:
        return "yes"
    return "expired" if found.expires_at <= now else f"until {item['spec']['expiresAt'][:16]}Z"


def _doubt(release: Json, found: OfflineEvidence) -> str:
    """Why the operator does not believe a piece, "" where the status doubts neither it nor its producer.

    The status names one doubted piece for each demand; a producer who may not vouch may not for the others either.
    """
    for said in (release.get("status") or {}).get("entry") or ():
        named = _DOUBTED.search(str(said["sentence"]))
        if named and (named["name"] == found.name or named["why"].startswith(f"{found.producer} may not ")):
            return named["why"]
    return ""


def _contents(spec: Json) -> Iterator[str]:
    digest = f" ({short(spec['suite']['digest'])}…)" if spec["suite"].get("digest") else ""
    yield f"suite    {spec['suite']['name']} {spec['suite'].get('version', '')}{digest}"
    for metric in spec.get("metrics") or ():
        yield f"metric   {metric['name']} {_figure(metric)}"
    for group in spec.get("subgroups") or ():
        figures = ", ".join(f"{metric['name']} {_figure(metric)}" for metric in group["metrics"])
        yield f"group    {group['dimension']} {group['group']}: {figures}"
    for section, word in (("scenarios", "scenario"), ("redTeam", "attack")):
        for case in spec.get(section) or ():
            yield f"{word:<8} {case['name']}: {case['passed']:,} of {case['total']:,}"
    for each in spec.get("data") or ():
        until = f", until {each['collectedUntil'][:10]}" if each.get("collectedUntil") else ""
        yield f"data     {each['name']}{until}{', with lineage' if each.get('lineage') else ''}"
    for each in spec.get("references") or ():
        review = f", review by {each['reviewBy'][:10]}" if each.get("reviewBy") else ""
        yield f"paper    {each['type']}: {each['uri']}{review}"
    for each in spec.get("impact") or ():
        said = f"should be {each['expected']}" if "expected" in each else f"should change by {each['change']}"
        yield f"impact   {each['gate']} {said} {each.get('unit', '')}".rstrip()


def _figure(metric: Json) -> str:
    better = " (better lower)" if metric.get("better") == "Lower" else ""
    if "count" in metric:
        share = metric["count"] / metric["total"] if metric["total"] else float("nan")
        return f"{share:.4g} ({metric['count']:,} of {metric['total']:,}){better}"
    interval = metric.get("interval")
    within = f" [{interval['lower']}, {interval['upper']}]" if interval else ""
    return f"{metric['value']}{within}{better}"


def _whose(release: Json, digest: str) -> str:
    status = release.get("status") or {}
    for role in ("stable", "candidate"):
        unit = status.get(role) or {}
        if unit.get("digest") == digest:
            return f"{role} {unit['version']}"
    return f"other ({short(digest)}…)"


def _nothing(release: Json) -> str:
    name = release["metadata"]["name"]
    return f"there is no evidence for {name}: modelrelease evidence submit --release {name} -f RESULTS"


def _no_demands(release: Json) -> str:
    demanded = bool((release.get("spec") or {}).get("entry"))
    return "no unit is on its way, so nothing is judged now" if demanded else "spec.entry demands nothing"
