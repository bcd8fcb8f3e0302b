"""The table of states is whole, nothing moves past it, and docs/states.md shows it as it is."""

from pathlib import Path

import pytest

from modelrelease.domain.release import State
from modelrelease.engine import diagram
from modelrelease.engine.states import MEANING, TRANSITIONS, IllegalTransition, Trigger, transition

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def reachable(start: State) -> set[State]:
    found, new = {start}, [start]
    while new:
        state = new.pop()
        for (source, _), targets in TRANSITIONS.items():
            if source is state:
                new += targets - found
                found |= targets
    return found


def test_every_state_has_a_meaning_and_every_trigger_a_transition():
    assert set(MEANING) == set(State)
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)


def test_every_state_is_reachable_from_the_first_and_each_but_the_last_can_be_left():
    assert reachable(State.NEW) == set(State)
    for state in set(State) - {State.DELETED}:
        assert reachable(state) > {state}


def test_every_state_with_traffic_can_be_stopped_and_every_state_deleted():
    for state in (State.PREPARING, State.RAISING, State.OBSERVING, State.WATCHING):
        assert transition(state, Trigger.STOP, State.REVERTING) is State.REVERTING
    for state in State:
        assert transition(state, Trigger.DELETE, State.DELETED) is State.DELETED


def test_a_revert_can_only_be_finished():
    """Nothing but the candidate at zero, or deletion, leads out of Reverting (S3)."""
    assert {trigger for source, trigger in TRANSITIONS if source is State.REVERTING} == {
        Trigger.REVERTED,
        Trigger.DELETE,
    }


@pytest.mark.parametrize(
    ("state", "trigger", "to"),
    [
        (State.STOPPED, Trigger.RAISE, State.RAISING),
        (State.REVERTING, Trigger.START, State.PREPARING),
        (State.PREPARING, Trigger.CONFIRM, State.OBSERVING),
        (State.OBSERVING, Trigger.RAISE, State.OBSERVING),
    ],
)
def test_a_transition_that_is_not_in_the_table_raises(state, trigger, to):
    with pytest.raises(IllegalTransition, match="not in the table"):
        transition(state, trigger, to)


def test_the_page_is_up_to_date():
    assert diagram.main(["--check", str(PAGE)]) == 0, "run `make generate`"


def test_an_old_page_is_noticed_and_writing_it_mends_it(tmp_path, capsys):
    page = tmp_path / "states.md"
    assert diagram.main(["--check", str(page)]) == 1
    page.write_text(PAGE.read_text() + "\n")
    assert diagram.main(["--check", str(page)]) == 1
    assert "make generate" in capsys.readouterr().err
    assert diagram.main([str(page)]) == 0 and diagram.main(["--check", str(page)]) == 0
    assert diagram.main([]) == 2


def test_the_page_names_every_state_trigger_and_transition():
    page = diagram.render()
    for state in State:
        assert f"| {state} |" in page
    for (source, trigger), targets in TRANSITIONS.items():
        for target in targets:
            if trigger is not Trigger.DELETE:
                assert f"{source} --> {target}: {trigger.name.capitalize()}\n" in page
