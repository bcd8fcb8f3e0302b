"""How bugs are planted: a register of mutants, and the few ways in which they change the engine or the executor."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from modelrelease.domain.release import Observed, Progress, Release
from modelrelease.engine import intents, planner, raising
from modelrelease.engine.actions import Action, Save, SetRoutes, Step
from modelrelease.engine.case import Case
from modelrelease.engine.checks import Check
from modelrelease.engine.planner import Move

Patch = pytest.MonkeyPatch


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted bug, and the promise that it breaks first."""

    name: str
    promise: str
    plant: Callable[[Patch], None]


MUTANTS: dict[str, Mutant] = {}


def mutant(promise: str) -> Callable[[Callable[[Patch], None]], None]:
    """Put a bug into the register under its function's name."""

    def add(plant: Callable[[Patch], None]) -> None:
        MUTANTS[plant.__name__] = Mutant(plant.__name__, promise, plant)

    return add


@contextmanager
def planted(bug: Mutant) -> Iterator[None]:
    """The bug is there, and then it is not."""
    with Patch.context() as patch:
        bug.plant(patch)
        yield


def without(patch: Patch, *gone: Check) -> None:
    """These checks are in no chain."""
    for module, name in (
        (raising, "BEFORE_FIRST"),
        (raising, "BETWEEN"),
        (raising, "TO_COMPLETE"),
        (intents, "STILL"),
    ):
        patch.setattr(module, name, tuple(check for check in getattr(module, name) if check not in gone))


def move(patch: Patch, old: Move, new: Move) -> None:
    """One move is another."""
    assert old in planner.MOVES
    patch.setattr(planner, "MOVES", tuple(new if each is old else each for each in planner.MOVES))


def never(case: Case) -> Step | None:
    """A move that has nothing to do."""
    return None


def on_step(patch: Patch, change: Callable[[Case, Step], Step]) -> None:
    """Each step is changed before it is carried out."""
    original = planner.plan

    def plan(release: Release, progress: Progress, observed: Observed, now: datetime) -> Step:
        return change(Case(release, progress, observed, now), original(release, progress, observed, now))

    patch.setattr(planner, "plan", plan)


def on_sight(patch: Patch, change: Callable[[Observed], Observed]) -> None:
    """What was observed is changed before it is decided on."""
    original = planner.plan

    def plan(release: Release, progress: Progress, observed: Observed, now: datetime) -> Step:
        return original(release, progress, change(observed), now)

    patch.setattr(planner, "plan", plan)


def saving(step: Step, **fields: object) -> Step:
    """The step with other fields in what it saves and remembers."""
    changed = replace(step.progress, **fields)  # type: ignore[arg-type]
    actions = tuple(Save(changed) if isinstance(action, Save) else action for action in step.actions)
    return replace(step, progress=changed, actions=actions)


def first(step: Step, *kinds: type[Action]) -> Step:
    """The step with the actions of these kinds before the others."""
    ahead: Iterable[Action] = [action for action in step.actions if isinstance(action, kinds)]
    return replace(step, actions=(*ahead, *(action for action in step.actions if not isinstance(action, kinds))))


def lacking(step: Step, *kinds: type[Action]) -> Step:
    """The step without the actions of these kinds."""
    return replace(step, actions=tuple(action for action in step.actions if not isinstance(action, kinds)))


def enters(case: Case, step: Step, state: object) -> bool:
    """Whether a step changes the state to this one."""
    return step.progress.state is state and case.progress.state is not state


def writes_routes(step: Step) -> bool:
    """Whether a step writes a route."""
    return any(isinstance(action, SetRoutes) for action in step.actions)
