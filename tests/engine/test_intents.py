"""A raise that was decided and not carried out: written again, void, confirmed, or taken over by nobody."""

from dataclasses import replace

import pytest

from modelrelease.domain.record import GENESIS, Head, RecordKind
from modelrelease.domain.release import Fault, Progress, State
from modelrelease.domain.traffic import Target
from tests.engine.builders import (
    PLAN,
    ZERO,
    A,
    B,
    as_progress,
    at,
    gen_arms,
    gen_progress,
    gen_release,
    gen_route,
    gen_verdict,
)
from tests.engine.steps import decide, lowered, order, raises, reasons, records, saved, writes

FAULT = Fault("InvalidSpec", "spec.unit.model.digest is not a digest: write sha256:…")


def unconfirmed(**fields) -> Progress:
    return gen_progress(State.RAISING, stage=1, head=Head(7, GENESIS), **fields)


BEFORE_RAISE = gen_route(Target(A, B, PLAN.stages[0].exposure))


def test_a_raise_that_was_not_written_is_written_again_by_the_same_process_while_its_evidence_is_fresh():
    step = decide(unconfirmed(), BEFORE_RAISE)
    assert order(step) == ["Raise"]
    assert writes(step)[0].target.record == "chat-00000007"
    assert writes(step)[0].target.exposure == PLAN.stages[1].exposure


def test_an_intent_is_void_in_another_process_and_recorded_as_such():
    step = decide(unconfirmed(), BEFORE_RAISE, process="p2")
    assert not raises(step)
    assert records(step)[0].kind is RecordKind.INTENT_VOID
    assert records(step)[0].body["intent"] == "chat-00000007"
    assert (saved(step).state, saved(step).intent, saved(step).exposure) == (
        State.OBSERVING,
        None,
        PLAN.stages[0].exposure,
    )


def test_a_raise_of_one_of_two_routes_is_not_undone_while_stable_has_no_endpoint():
    """Found by the world: what was raised answers, and stable does not."""
    second = gen_route(Target(A, B, PLAN.stages[0].exposure), name="second")
    raised = as_progress(unconfirmed())
    step = decide(unconfirmed(), raised, second, process="p2", ready={A.backend: 0})
    assert step.actions == () and reasons(step) == ["NoSafePath"]
    assert lowered(decide(unconfirmed(), raised, second, process="p2")).target.exposure == PLAN.stages[0].exposure


def test_an_intent_is_void_once_its_evidence_is_stale():
    step = decide(unconfirmed(), BEFORE_RAISE, now=at(60), verdicts=(gen_verdict(when=at(60)),))
    assert records(step)[0].kind is RecordKind.INTENT_VOID


def test_a_void_intent_before_the_first_stage_leads_back_to_preparing():
    step = decide(gen_progress(State.RAISING, stage=0), gen_route(Target(A, B, ZERO)), process="p2")
    assert saved(step).state is State.PREPARING and saved(step).exposure == ZERO


def test_an_intent_carried_out_before_a_crash_is_confirmed_by_the_next_process():
    step = decide(unconfirmed(), process="p2")
    assert saved(step).state is State.OBSERVING and saved(step).stage == 1


def test_a_raise_is_not_written_again_over_somebody_elses_change():
    """A person who takes the candidate's traffic away by hand must not see it raised a second later (S8)."""
    for foreign in (gen_arms((A, 1000), (B, 0)), gen_arms((A, 700), (None, 300))):
        step = decide(unconfirmed(), foreign)
        assert not raises(step) and records(step)[0].kind is RecordKind.INTENT_VOID


@pytest.mark.parametrize(
    "held",
    [
        {"paused_by": "uid-pause-1"},
        {"observed": {"ready": {B.backend: 0}}},
        {"observed": {"ready": {A.backend: 0}}},
        {"observed": {"verdicts": (gen_verdict(cause="Broken"),)}},
        {"observed": {"violations": (FAULT,)}},
        {"release": gen_release(faults=(FAULT,))},
    ],
    ids=["paused", "candidate gone", "stable gone", "no data", "not intact", "invalid spec"],
)
def test_a_raise_is_not_written_again_once_something_holds(held):
    progress = unconfirmed(paused_by=held.get("paused_by"))
    step = decide(progress, BEFORE_RAISE, release=held.get("release"), **held.get("observed", {}))
    assert not raises(step) and records(step)[0].kind is RecordKind.INTENT_VOID


def test_a_raise_is_not_written_again_after_a_record_that_the_status_does_not_know_of():
    """Found by the world: an old picture had the raise called void, and the status of that was refused."""
    (void,) = records(decide(unconfirmed(), BEFORE_RAISE, process="p2"))
    step = decide(unconfirmed(), BEFORE_RAISE, head=void.head, newest=void)
    assert not raises(step) and records(step) == []
    assert (saved(step).state, saved(step).intent, saved(step).head) == (State.OBSERVING, None, void.head)


def test_of_two_routes_one_raised_already_the_other_follows():
    raising = unconfirmed()
    step = decide(raising, as_progress(raising), replace(BEFORE_RAISE, name="second"))
    assert order(step) == ["Raise"]


def test_of_two_routes_one_raised_already_a_void_intent_lowers_both():
    raising = unconfirmed()
    step = decide(raising, as_progress(raising), replace(BEFORE_RAISE, name="second"), process="p2")
    assert order(step) == ["Lower", "WriteRecord", "Save"]
    assert writes(step)[0].target.exposure == PLAN.stages[0].exposure
