"""What is decided on what is read from the API server now, and not on a watch's cache, which may lag or hang."""

from modelrelease.domain.record import RecordKind
from modelrelease.engine.actions import Action, Intention, RemoveFinalizer, SetRoutes, Step, WriteRecord


def needs_live(step: Step) -> bool:
    """Whether a step may raise a share, change a layout, end a rollout or let go of the object.

    So is calling a raise void without taking anything back: it may have been carried out, unseen.
    """
    lowers = any(isinstance(action, SetRoutes) and action.intention is Intention.LOWER for action in step.actions)
    return any(lets_rise_or_go(action, lowers) for action in step.actions)


def lets_rise_or_go(action: Action, lowers: bool) -> bool:
    """The same for one action; `lowers`: the step takes something back too."""
    match action:
        case SetRoutes(intention=intention):
            return intention is not Intention.LOWER
        case WriteRecord(record) if record.kind is RecordKind.INTENT_VOID:
            return not lowers
        case WriteRecord(record):
            return record.kind in (RecordKind.COMPLETED, RecordKind.WATCH_COMPLETED)
        case _:
            return isinstance(action, RemoveFinalizer)
