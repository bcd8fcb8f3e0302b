"""The one function that decides: what to do now about one release.

Moves are tried in order; the first that has something to do gives the step. Everything that lowers exposure stands
before everything that could hold or raise it, so that no pause, fault or missing approval can delay a revert. One big
method that mixes reads, decisions and writes was rejected: that is where the bugs of other controllers live.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from modelrelease.domain.release import IN_TRAFFIC, Observed, Progress, Release, State
from modelrelease.engine import first_contact, intents, lowering, raising, repolicy, upkeep
from modelrelease.engine.actions import Step
from modelrelease.engine.bundles import keep_bundles
from modelrelease.engine.case import Case
from modelrelease.engine.checks import relevant
from modelrelease.engine.images import freeze_images
from modelrelease.engine.orphans import told_once, void_orphan
from modelrelease.engine.stops import no_data_limit

KEPT_HANDLED = 64
"""Used decisions that are remembered even when their object is gone; those that exist are always remembered."""

Move = Callable[[Case], Step | None]

MOVES: tuple[Move, ...] = (
    lowering.delete,
    first_contact.first_contact,
    lowering.stop,
    lowering.go_back_to_stable,
    lowering.lower_what_rose,
    lowering.finish_revert,
    lowering.undivert,
    void_orphan,
    upkeep.note_pause,
    raising.follow_spec,
    repolicy.follow_policy,
    upkeep.reject_foreign_change,
    raising.start,
    keep_bundles,
    freeze_images,
    upkeep.finish_watch,
    first_contact.install,
    intents.confirm,
    raising.prepare,
    raising.advance,
    upkeep.tidy,
)


def plan(release: Release, progress: Progress, observed: Observed, now: datetime) -> Step:
    """Decide about one release: the actions in their safe order, the next progress, the holds, when to look again.

    Pure: the same arguments give the same step. Carrying a step out and asking again until it has no actions reaches
    the state that the plan wants.
    """
    remembered = remember_no_data(release, forget_used(progress, observed), observed, now)
    case = Case(release, remembered, observed, now)
    for move in MOVES:
        step = move(case)
        if step is not None:
            return told_once(case, step)
    return Step(case.progress)


def forget_used(progress: Progress, observed: Observed) -> Progress:
    """Keep the list of used decisions short: those whose object is gone need not be remembered."""
    if len(progress.handled) <= KEPT_HANDLED:
        return progress
    existing = {decision.uid for decision in observed.decisions}
    return replace(progress, handled=tuple(uid for uid in progress.handled if uid in existing))


def remember_no_data(release: Release, progress: Progress, observed: Observed, now: datetime) -> Progress:
    """Keep since when each gate has had no data; a gate that has data again is forgotten."""
    plan_in_force = progress.plan or release.plan
    if plan_in_force is None or progress.state not in IN_TRAFFIC:
        return progress if not progress.no_data_since else replace(progress, no_data_since=())
    if not observed.verdicts:
        return progress
    before = dict(progress.no_data_since)
    counted = relevant(Case(release, progress, observed, now)) if progress.state is State.OBSERVING else ()
    after = tuple(
        (verdict.key, before.get(verdict.key, now))
        for verdict in counted
        if no_data_limit(verdict, plan_in_force.limits) is not None
    )
    return progress if after == progress.no_data_since else replace(progress, no_data_since=after)
