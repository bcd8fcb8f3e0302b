"""Records whose deed the status does not know of: written, and then the process died or the answer was lost.

What a person reads in the chain must have happened once. So a decision that is made again right after its own record
is carried on under that record and not told twice; and a raise that was recorded and never begun is called void first,
because it has to be decided anew (S5).
"""

from collections.abc import Mapping
from dataclasses import replace

from modelrelease.domain.canonical import digest
from modelrelease.domain.record import Record, RecordKind, record_name
from modelrelease.domain.release import State
from modelrelease.engine.actions import Action, Save, SetRoutes, Step, WriteRecord
from modelrelease.engine.case import Case
from modelrelease.engine.chain import STOPPING, used
from modelrelease.engine.records import record

_MOMENTARY = frozenset({"at", "message", "release", "samples", "verdicts", "watchVerdicts", "workings"})
"""What differs each time that one decision is made; the rest of a body says which decision it is."""


def void_orphan(case: Case) -> Step | None:
    """A raise was recorded, and the intent never came into the status: say that it is void."""
    orphan = _orphan(case)
    if orphan is None or case.progress.state is State.NEW or orphan.kind is not RecordKind.RAISED:
        return None
    name = record_name(case.release.name, orphan.sequence)
    message = f"the raise decided in {name} was not begun: it is decided anew"
    returned = used([orphan])
    chained = record(case, RecordKind.INTENT_VOID, message, intent=name, returned=list(returned) or None)
    progress = replace(case.progress, head=chained.head)
    return Step(progress, (WriteRecord(chained), Save(progress)))


def told_once(case: Case, step: Step) -> Step:
    """`step` without the record that says what the newest record says already, going on under that one."""
    orphan = _orphan(case)
    new = next((action.record for action in step.actions if isinstance(action, WriteRecord)), None)
    if orphan is None or new is None or _identity(new) != _identity(orphan):
        return step
    names = (record_name(case.release.name, new.sequence), record_name(case.release.name, orphan.sequence))
    rest = (action for action in step.actions if not isinstance(action, WriteRecord))
    actions = tuple(_renamed(action, orphan, *names) for action in rest)
    return replace(step, progress=replace(step.progress, head=orphan.head), actions=actions)


def _orphan(case: Case) -> Record | None:
    newest = case.observed.newest
    if newest is None or newest.sequence <= case.progress.head.sequence or newest.head != case.observed.head:
        return None
    return newest


def _identity(of: Record) -> str:
    body: Mapping[str, object] = {key: value for key, value in of.body.items() if key not in _MOMENTARY}
    return digest({"kind": of.kind.value, "body": body, "at": of.body.get("at") if of.kind in STOPPING else None})


def _renamed(action: Action, orphan: Record, new: str, old: str) -> Action:
    match action:
        case Save(progress):
            return Save(replace(progress, head=orphan.head))
        case SetRoutes(target, intention) if target.record == new:
            return SetRoutes(replace(target, record=old), intention)
        case _:
            return action
