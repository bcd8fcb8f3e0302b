"""The states of a release and every transition between them, as data. `docs/states.md` is generated from this table.

Rules of this file: all transitions stand here; nobody sets `Progress.state` without `transition`; a transition that is
not in the table is a bug and raises. Encoding the machine in if-statements was rejected: nobody could draw it.
"""

from enum import StrEnum

from modelrelease.domain.release import State


class Trigger(StrEnum):
    """What makes a release change its state."""

    ADOPT = "adopt what the route serves"
    INSTALL = "install where nothing is served"
    INSTALLED = "owned route confirmed"
    START = "a new unit, or a retry"
    RAISE = "raise decided and recorded"
    CONFIRM = "route confirmed"
    VOID = "intent void"
    COMPLETE = "last stage passed"
    WATCHED = "watch over"
    STOP = "stop condition"
    REVERTED = "candidate at zero"
    WITHDRAW = "spec went back to stable"
    RESTART = "spec or plan changed, or the exposure fell"
    DELETE = "object deleted"


class IllegalTransition(Exception):
    """A transition that the table does not have: a bug in the engine, never the user's fault."""


S, T = State, Trigger

MEANING: dict[State, str] = {
    S.NEW: "Nothing is remembered: first contact, or a status that was lost.",
    S.INSTALLING: "Nothing was served yet; the own route is being made and waits for its gateway.",
    S.SETTLED: "Stable has all traffic and nothing is under way.",
    S.PREPARING: "A candidate is on its way and has no traffic: routes are laid out, the first stage is waited for.",
    S.RAISING: "A raise is decided and recorded; the route and its gateway have not confirmed it yet.",
    S.OBSERVING: "The candidate has its stage's share and is judged.",
    S.WATCHING: "The new unit is stable and has all traffic; the watch can still take it back to the fallback.",
    S.REVERTING: "A stop condition held: the candidate is being brought to zero.",
    S.STOPPED: "The candidate is at zero and stays there until a person retries it or the spec names another unit.",
    S.DELETED: "The object is being deleted and the candidate has no traffic.",
}

TRANSITIONS: dict[tuple[State, Trigger], frozenset[State]] = {
    (S.NEW, T.ADOPT): frozenset({S.SETTLED, S.WATCHING}),
    (S.NEW, T.INSTALL): frozenset({S.INSTALLING}),
    (S.INSTALLING, T.INSTALLED): frozenset({S.SETTLED}),
    (S.INSTALLING, T.RESTART): frozenset({S.INSTALLING}),
    (S.SETTLED, T.START): frozenset({S.PREPARING}),
    (S.WATCHING, T.START): frozenset({S.PREPARING}),
    (S.STOPPED, T.START): frozenset({S.PREPARING}),
    (S.PREPARING, T.RAISE): frozenset({S.RAISING}),
    (S.OBSERVING, T.RAISE): frozenset({S.RAISING}),
    (S.RAISING, T.CONFIRM): frozenset({S.OBSERVING}),
    (S.RAISING, T.VOID): frozenset({S.PREPARING, S.OBSERVING}),
    (S.OBSERVING, T.COMPLETE): frozenset({S.WATCHING, S.SETTLED}),
    (S.WATCHING, T.WATCHED): frozenset({S.SETTLED}),
    (S.PREPARING, T.STOP): frozenset({S.REVERTING}),
    (S.RAISING, T.STOP): frozenset({S.REVERTING}),
    (S.OBSERVING, T.STOP): frozenset({S.REVERTING}),
    (S.WATCHING, T.STOP): frozenset({S.REVERTING}),
    (S.STOPPED, T.STOP): frozenset({S.REVERTING}),
    (S.REVERTING, T.REVERTED): frozenset({S.STOPPED}),
    (S.PREPARING, T.WITHDRAW): frozenset({S.SETTLED, S.WATCHING}),
    (S.RAISING, T.WITHDRAW): frozenset({S.SETTLED, S.WATCHING}),
    (S.OBSERVING, T.WITHDRAW): frozenset({S.SETTLED, S.WATCHING}),
    (S.WATCHING, T.WITHDRAW): frozenset({S.SETTLED}),
    (S.STOPPED, T.WITHDRAW): frozenset({S.SETTLED, S.WATCHING}),
    (S.PREPARING, T.RESTART): frozenset({S.PREPARING}),
    (S.RAISING, T.RESTART): frozenset({S.PREPARING}),
    (S.OBSERVING, T.RESTART): frozenset({S.PREPARING}),
    **{(state, T.DELETE): frozenset({S.DELETED}) for state in S},
}


def transition(state: State, trigger: Trigger, to: State) -> State:
    """Give back `to` where the table allows it.

    Raises IllegalTransition otherwise.
    """
    if to not in TRANSITIONS.get((state, trigger), frozenset()):
        raise IllegalTransition(f"{state} --{trigger}--> {to} is not in the table")
    return to
