"""Ask the engine for one decision about values from `builders`, and look at the step that it gives."""

from datetime import datetime
from typing import Any

from modelrelease.domain.record import Record
from modelrelease.domain.release import Progress, Release
from modelrelease.domain.traffic import RouteView
from modelrelease.engine.actions import Emit, Intention, Save, SetRoutes, Step, WriteRecord
from modelrelease.engine.planner import plan
from tests.engine.builders import NOW, as_progress, gen_observed, gen_release


def decide(
    progress: Progress,
    *routes: RouteView,
    release: Release | None = None,
    now: datetime = NOW,
    unread: bool = False,
    **observed: Any,
) -> Step:
    """The engine's step. Without `routes`, the route is just as `progress` intends; `unread`: none has been read."""
    found = () if unread else routes or (as_progress(progress),)
    return plan(release or gen_release(), progress, gen_observed(*found, **observed), now)


def order(step: Step) -> list[str]:
    """The step's actions by name, a route write by its intention; events are left out."""
    return [
        action.intention.value if isinstance(action, SetRoutes) else type(action).__name__
        for action in step.actions
        if not isinstance(action, Emit)
    ]


def writes(step: Step) -> list[SetRoutes]:
    """The route writes of a step."""
    return [action for action in step.actions if isinstance(action, SetRoutes)]


def raises(step: Step) -> bool:
    """Whether a step raises anybody's share."""
    return any(action.intention is Intention.RAISE for action in writes(step))


def lowered(step: Step) -> SetRoutes:
    """The one route write of a step, which lowers."""
    (write,) = writes(step)
    assert write.intention is Intention.LOWER
    return write


def records(step: Step) -> list[Record]:
    """The records that a step writes."""
    return [action.record for action in step.actions if isinstance(action, WriteRecord)]


def saved(step: Step) -> Progress:
    """What a step writes into the status."""
    (progress,) = [action.progress for action in step.actions if isinstance(action, Save)]
    return progress


def reasons(step: Step) -> list[str]:
    """The reasons of a step's holds."""
    return [hold.reason for hold in step.holds]


def events(step: Step) -> list[str]:
    """The reasons of a step's events."""
    return [action.reason for action in step.actions if isinstance(action, Emit)]
