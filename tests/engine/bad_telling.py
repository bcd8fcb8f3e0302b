"""Planted bugs of the status: what it says of which generation, and what it keeps to itself."""

from dataclasses import replace

from modelrelease.domain.release import Observed, Release
from modelrelease.engine import conditions
from modelrelease.engine.actions import Step
from tests.engine import process
from tests.engine.planting import Patch, mutant
from tests.engine.process import Process
from tests.engine.telling import Told


@mutant("L6")
def a_status_is_written_with_transitions_only(patch: Patch) -> None:
    """What breaks within a stage is not shown before the stage is over."""
    patch.setattr(Process, "_refresh", lambda self, step, gathered: None)


@mutant("L6")
def a_status_is_about_the_first_generation_for_ever(patch: Patch) -> None:
    real = process.told

    def told(release: Release, step: Step, observed: Observed) -> Told:
        return replace(real(release, step, observed), generation=1)

    patch.setattr(process, "told", told)


@mutant("L6")
def evidence_that_is_gone_is_not_shown(patch: Patch) -> None:
    patch.setattr(conditions, "_evidence", lambda progress, observed: ())


@mutant("L6")
def a_route_that_was_refused_is_not_shown(patch: Patch) -> None:
    accepted = conditions.Condition("RouteAccepted", "True", "Accepted", "")
    patch.setattr(conditions, "_route_accepted", lambda observed: accepted)
