"""What is said about a unit or a stage that it cannot move is told to its author, as long as it is new."""

import pytest

from modelrelease.domain.decision import Action, Identity, Standing
from modelrelease.domain.release import State
from modelrelease.engine.approving import refused
from modelrelease.engine.case import Case
from tests.engine.builders import NOW, A, B, C, as_progress, gen_decision, gen_observed, gen_progress, gen_release


def told(decision, state: State = State.OBSERVING, **progress) -> list[str]:
    before = gen_progress(state, **progress)
    seen = gen_observed(as_progress(before), decisions=(decision,))
    return [refusal.why for refusal in refused(Case(gen_release(), before, seen, NOW))]


def short(unit) -> str:
    return unit.digest.removeprefix("sha256:")[:10]


@pytest.mark.parametrize(
    ("state", "action", "about", "says"),
    [
        (State.OBSERVING, Action.ABORT, C, f"it is about unit {short(C)}, and what can be taken back now is 2, unit"),
        (State.WATCHING, Action.ABORT, A, f"it is about unit {short(A)}, and what can be taken back now is 2, unit"),
        (State.SETTLED, Action.ABORT, B, f"it is about unit {short(B)}, and there is nothing to take back"),
        (State.STOPPED, Action.ABORT, B, f"it is about unit {short(B)}, and there is nothing to take back"),
        (State.OBSERVING, Action.PROMOTE, C, f"it is about unit {short(C)}, and on its way is 2, unit {short(B)}"),
        (State.SETTLED, Action.PROMOTE, B, "nothing is on its way"),
        (State.STOPPED, Action.RETRY, C, f"it is about unit {short(C)}, and the spec names 2, unit {short(B)}: only"),
        (State.OBSERVING, Action.RETRY, B, f"2, unit {short(B)} is not stopped"),
    ],
)
def test_a_decision_about_something_else_is_told(state: State, action: Action, about, says: str) -> None:
    fields = {"stage": "pilot"} if action is Action.PROMOTE else {}
    (why,) = told(gen_decision(action, digest=about.digest, **fields), state)
    assert why.startswith(says)


@pytest.mark.parametrize(
    ("state", "action", "about"),
    [
        (State.OBSERVING, Action.ABORT, B),
        (State.WATCHING, Action.ABORT, B),
        (State.REVERTING, Action.ABORT, B),
        (State.STOPPED, Action.RETRY, B),
    ],
)
def test_one_that_is_about_what_it_can_move_is_not(state: State, action: Action, about) -> None:
    assert told(gen_decision(action, digest=about.digest), state) == []


def test_a_promote_names_the_present_stage() -> None:
    assert told(gen_decision(Action.PROMOTE, stage="pilot")) == []
    assert told(gen_decision(Action.PROMOTE, stage="full")) == [
        "it is about stage full, and the release is at stage pilot"
    ]


def test_what_was_said_before_the_release_came_here_is_history_and_nothing_is_told_twice() -> None:
    assert told(gen_decision(Action.ABORT, digest=C.digest, when=-301)) == []
    assert told(gen_decision(Action.ABORT, digest=C.digest, when=-299))
    refused_ = Identity(Standing.REFUSED, "ada may not retry")
    assert told(gen_decision(Action.RETRY, digest=C.digest, identity=refused_), State.STOPPED) == ["ada may not retry"]
