"""Bundles of units that have traffic or may get it: what is not there or was altered is written anew where it can be.

Nothing that lowers exposure waits for a bundle; the check that holds raises is `checks.bundle_is_there`.
"""

from modelrelease.domain.release import State
from modelrelease.engine.actions import Action, Emit, Hold, KeepBundle, Step
from modelrelease.engine.case import Case

KEPT_IN = frozenset({State.PREPARING, State.OBSERVING, State.WATCHING, State.SETTLED, State.STOPPED})


def keep_bundles(case: Case) -> Step | None:
    """Write what is missing or was altered, and tell people."""
    progress = case.progress
    if progress.state not in KEPT_IN:
        return None
    units = {unit.digest: unit for unit in (progress.fallback, progress.stable, progress.candidate) if unit}
    mended = [found for found in case.observed.bundles if found.mendable and found.digest in units]
    if not mended:
        return None
    actions: list[Action] = []
    for found in mended:
        actions += [
            KeepBundle(units[found.digest]),
            Emit("BundleWritten", f"{found.message}; written anew", warning=True),
        ]
    return Step(progress, tuple(actions), holds=(Hold(mended[0].reason, mended[0].message),))
