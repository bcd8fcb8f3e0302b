"""Bundles of units that have traffic or may get it: what is not there or was altered is written anew where it can be.

Nothing that lowers exposure waits for a bundle; the check that holds raises is `checks.bundle_is_there`. Bundles of
units that nobody serves any more may go, but for the newest.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from modelrelease.domain.release import Progress, Release, State
from modelrelease.domain.unit import revision_name
from modelrelease.engine.actions import Action, Emit, Hold, KeepBundle, Step
from modelrelease.engine.case import Case

KEPT_IN = frozenset({State.PREPARING, State.OBSERVING, State.WATCHING, State.SETTLED, State.STOPPED})

AT_REST = frozenset({State.SETTLED, State.STOPPED})


@dataclass(frozen=True, slots=True)
class HeldBundle:
    """A bundle that is there: the revision that it is of, its UID, and when it was written (RFC 3339, UTC)."""

    revision: str
    uid: str
    written: str


def spare_bundles(
    held: Iterable[HeldBundle], release: Release, progress: Progress, *, kept: int
) -> tuple[HeldBundle, ...] | None:
    """The bundles of a release that may go, the oldest first; None where that cannot be said now.

    Needed are those of the units that have traffic or may get it back, of the last ones that the status tells about, of
    the one that was stopped last, and of the one that the spec asks for. Of the others the `kept` newest stay. A unit
    that comes back gets its bundle written anew from the ConfigMaps that its parts name; without them it is refused.
    """
    if progress.state not in AT_REST or progress.diverted or release.unit is None:
        return None
    digests = {past.digest for past in progress.outcomes} | {release.unit.digest}
    if progress.stop is not None:
        digests.add(progress.stop.digest)
    needed = {revision_name(release.name, digest) for digest in digests if digest}
    units = (progress.stable, progress.candidate, progress.fallback)
    needed |= {unit.revision for unit in units if unit is not None}
    others = sorted((each for each in held if each.revision not in needed), key=_age)
    return tuple(others[: max(0, len(others) - kept)])


def _age(bundle: HeldBundle) -> tuple[str, str]:
    return bundle.written, bundle.revision


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
