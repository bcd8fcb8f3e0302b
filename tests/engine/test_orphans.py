"""A record written before the process died: its decision is told once, and a raise that it speaks of is void."""

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.record import GENESIS, Record, RecordKind, record_name
from modelrelease.domain.release import Progress, State
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.actions import Step
from tests.engine.builders import NAME, B, at, gen_arms, gen_decision, gen_progress, gen_verdict
from tests.engine.steps import decide, order, raises, records, saved


def again(progress: Progress, written: Record, *routes, **observed) -> Step:
    """The decision after a restart that finds `written` at the end of the chain and a status that knows nothing."""
    return decide(progress, *routes, now=at(20), head=written.head, newest=written, **observed)


def reverting() -> Progress:
    step = decide(gen_progress(stage=1), verdicts=(gen_verdict(Outcome.REVERT),))
    return saved(step)


@pytest.mark.parametrize(
    ("progress", "observed"),
    [
        (gen_progress(State.SETTLED, candidate=None), {}),
        (gen_progress(stage=3), {"verdicts": (gen_verdict(Outcome.PASS),)}),
        (gen_progress(stage=1), {"decisions": (gen_decision(Action.PAUSE),)}),
        (reverting(), {}),
    ],
    ids=["started", "completed", "paused", "reverted"],
)
def test_a_decision_is_told_once_although_its_status_was_lost(progress: Progress, observed) -> None:
    first = decide(progress, **observed)
    (written,) = records(first)
    second = again(progress, written, **observed)
    assert records(second) == []
    assert [kind for kind in order(first) if kind != "WriteRecord"] == order(second)
    assert saved(second).head == second.progress.head == written.head
    assert saved(second).state == saved(first).state


def test_another_decision_than_the_orphan_s_gets_its_own_record() -> None:
    progress = gen_progress(stage=1)
    (written,) = records(decide(progress, decisions=(gen_decision(Action.PAUSE),)))
    other = gen_decision(Action.PAUSE, 2)
    (new,) = records(again(progress, written, decisions=(other,)))
    assert (new.sequence, new.previous) == (written.sequence + 1, written.hash)


def test_a_record_that_the_status_knows_is_no_orphan() -> None:
    progress = gen_progress(stage=1)
    step = decide(progress, decisions=(gen_decision(Action.PAUSE),))
    (written,) = records(step)
    later = gen_progress(stage=1, head=written.head)
    assert records(decide(later, head=written.head, newest=written, decisions=(gen_decision(Action.PAUSE),)))


def test_a_raise_that_was_recorded_and_not_begun_is_void_first_and_decided_anew() -> None:
    progress = gen_progress(stage=1)
    (written,) = records(decide(progress))
    assert written.kind is RecordKind.RAISED
    step = again(progress, written)
    (void,) = records(step)
    assert (void.kind, void.body["intent"]) == (RecordKind.INTENT_VOID, record_name(NAME, written.sequence))
    assert not raises(step)
    assert saved(step).head == void.head
    (anew,) = records(again(saved(step), void))
    assert (anew.kind, anew.sequence) == (RecordKind.RAISED, void.sequence + 1)


def test_an_orphan_never_delays_a_revert() -> None:
    progress = gen_progress(stage=1)
    orphan = Record(1, GENESIS, RecordKind.RAISED, {"message": "goes up"})
    step = again(progress, orphan, gen_arms((B, 1000)), verdicts=(gen_verdict(Outcome.REVERT),))
    assert order(step)[0] == "Lower"
