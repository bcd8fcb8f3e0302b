"""`spec.risk` and `spec.touches`: what a release says of its own risk."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelrelease.api.faults import fault
from modelrelease.domain.release import Fault
from modelrelease.domain.tier import Tier, Touch


@dataclass(frozen=True, slots=True)
class Risk:
    """What a release says of itself. None: nothing."""

    declared: Tier | None = None
    touches: tuple[Touch, ...] = ()


def risk_of(spec: Mapping[str, Any]) -> Risk | tuple[Fault, ...]:
    """Read them; faults for words that there are not. The API server refuses those too, but an object can be older."""
    said, touches = spec.get("risk"), spec.get("touches") or []
    faults = []
    if said is not None and said not in set(Tier):
        faults.append(fault("spec.risk", f"write {', '.join(Tier)}, not {said!r}"))
    for index, touch in enumerate(touches if isinstance(touches, list) else [touches]):
        if touch not in set(Touch):
            faults.append(fault(f"spec.touches[{index}]", f"write {' or '.join(Touch)}, not {touch!r}"))
    if faults:
        return tuple(faults)
    return Risk(None if said is None else Tier(said), tuple(map(Touch, touches)))
