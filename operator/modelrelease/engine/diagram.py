"""Draws docs/states.md from the table of states: `python -m modelrelease.engine.diagram [--check] docs/states.md`.

It must know nothing but `engine.states`. A diagram drawn by hand was rejected: it would show what somebody meant.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from modelrelease.domain.release import State
from modelrelease.engine.states import MEANING, TRANSITIONS, Trigger

_HEAD = """\
# The states of a release

Generated from `modelrelease/engine/states.py` by `make generate`; do not edit. Every change of state that the operator
can make is here: a transition that is not in this table raises an error and never happens. *Delete* leads from every
state to Deleted and is left out of the picture.
"""


def render() -> str:
    """The whole page: the diagram, what the states mean, what the triggers mean."""
    return "\n".join([_HEAD, *_diagram(), "", *_states(), "", *_triggers(), ""])


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with `--check` compare it; 1 when it is out of date, 2 when called wrongly."""
    check = "--check" in arguments
    paths = [argument for argument in arguments if argument != "--check"]
    if len(paths) != 1:
        print("usage: python -m modelrelease.engine.diagram [--check] docs/states.md", file=sys.stderr)
        return 2
    path, page = Path(paths[0]), render()
    if not check:
        path.write_text(page, encoding="utf-8")
        return 0
    if path.exists() and path.read_text(encoding="utf-8") == page:
        return 0
    print(f"{path} is out of date: run `make generate`", file=sys.stderr)
    return 1


def _diagram() -> list[str]:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.NEW}"]
    lines += [f"    {source} --> {target}: {_word(trigger)}" for source, trigger, target in _edges()]
    return [*lines, f"    {State.DELETED} --> [*]", "```"]


def _edges() -> list[tuple[State, Trigger, State]]:
    """All transitions but Delete, in the order of the enums."""
    states = list(State)
    return [
        (source, trigger, target)
        for source in states
        for trigger in Trigger
        for target in states
        if trigger is not Trigger.DELETE and target in TRANSITIONS.get((source, trigger), frozenset())
    ]


def _states() -> list[str]:
    return ["| state | meaning |", "|---|---|", *(f"| {state} | {MEANING[state]} |" for state in State)]


def _triggers() -> list[str]:
    rows = []
    for trigger in Trigger:
        sources = [source for source in State if (source, trigger) in TRANSITIONS]
        where = "every state" if len(sources) == len(State) else ", ".join(sources)
        rows.append(f"| {_word(trigger)} | {trigger.value} | {where} |")
    return ["| trigger | meaning | possible in |", "|---|---|---|", *rows]


def _word(trigger: Trigger) -> str:
    return trigger.name.capitalize()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
