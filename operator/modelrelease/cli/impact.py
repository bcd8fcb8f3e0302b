"""What was projected for a release's unit beside what its gates say now, from the objects alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelrelease.api.convert import evidence_of
from modelrelease.api.plan_codec import plan_from_dict
from modelrelease.domain.offline import OfflineEvidence
from modelrelease.governance.impact import Numbers, projections, seen


def impact_now(release: Mapping[str, Any], evidence: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """One sentence per projection for the unit that is judged now; nothing where none is, or none was projected."""
    status = release.get("status") or {}
    unit = status.get("candidate") or (status.get("watch") or {}).get("unit") or {}
    if not unit.get("digest") or not status.get("plan"):
        return ()
    read = [evidence_of(item) for item in evidence]
    own = [found for found in read if isinstance(found, OfflineEvidence)]
    numbers: dict[str, list[Numbers]] = {}
    for gate in status.get("gates") or ():
        found = {name: float(value) for name, value in (gate.get("numbers") or {}).items()}
        numbers.setdefault(gate["name"], []).append(found)
    try:
        gates = plan_from_dict(status["plan"]).gates
    except ValueError:
        return ()
    return tuple(each.sentence for each in seen(projections(own, unit["digest"]), gates, numbers))
