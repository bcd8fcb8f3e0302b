"""How a release's tier and policy are shown: lines for a terminal, and plain data for programs."""

from collections.abc import Iterator
from typing import Any

from modelrelease.cli.governed import Governance


def governed_lines(governance: Governance) -> Iterator[str]:
    """The tier, why it is this one, by whose policy, and what was not known."""
    standing = governance.standing
    if standing is not None:
        whose = "the built-in policy, which advises" if standing.built_in else f"ReleasePolicy {standing.policy}"
        yield f"tier {standing.tier.value} of {whose}: {'; '.join(standing.reasons)}"
        yield from (f"less than the tier asks for: {short}" for short in standing.shortfalls)
    if said := asked(governance, ""):
        yield f"by the policy: {'; '.join(said)}"
    yield from (f"note: {unknown}" for unknown in governance.unknown)


def asked(governance: Governance, stage: str) -> tuple[str, ...]:
    """What of a stage is the policy's; with "", what of all else."""
    return (governance.asked or {}).get(stage, ())


def governed_data(governance: Governance) -> dict[str, Any]:
    """For programs; `fromPolicy` by the name of the stage, `plan` for all that is not of one stage."""
    standing = governance.standing
    said = None if standing is None else {"name": standing.policy, "digest": standing.policy_digest}
    return {
        "tier": standing.tier.value if standing else None,
        "tierReasons": list(standing.reasons) if standing else [],
        "policy": said,
        "fromPolicy": {name or "plan": list(phrases) for name, phrases in (governance.asked or {}).items()},
        "belowTier": list(standing.shortfalls) if standing else [],
        "notKnown": list(governance.unknown),
    }
