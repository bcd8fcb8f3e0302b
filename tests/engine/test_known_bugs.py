"""Real bugs of other controllers (RELIABILITY.md, Known traps), each as far as the engine can show it."""

from dataclasses import replace

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.exposure import REST, percent, uniform
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import Progress, State
from modelrelease.domain.traffic import Target
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.actions import Emit, Save, SetRoutes, WriteRecord
from tests.engine.builders import (
    SAFE,
    SEGMENT,
    ZERO,
    A,
    B,
    as_progress,
    at,
    gen_arms,
    gen_decision,
    gen_gate,
    gen_plan,
    gen_progress,
    gen_release,
    gen_route,
    gen_verdict,
)
from tests.engine.steps import decide, lowered, raises, reasons, saved, writes

EVERY_STAGE = range(4)


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_an_abort_leaves_the_canary_at_zero_in_every_segment(stage):
    step = decide(gen_progress(stage=stage), decisions=(gen_decision(Action.ABORT),))
    assert lowered(step).target.exposure == ZERO
    again = decide(saved(step), as_progress(gen_progress(stage=stage)))
    assert lowered(again).target.exposure == ZERO and again.progress.state is State.REVERTING


def test_a_rollback_does_not_send_traffic_to_backends_that_are_not_ready():
    step = decide(
        gen_progress(stage=2),
        release=gen_release(safe_backend=SAFE),
        ready={A.backend: 0},
        verdicts=(gen_verdict(Outcome.REVERT),),
    )
    assert lowered(step).target.base.backend == SAFE


@pytest.mark.parametrize("stage", EVERY_STAGE)
@pytest.mark.parametrize("cause", ["Broken", "Missing"])
def test_nan_or_nothing_from_prometheus_advances_no_stage(stage, cause):
    step = decide(gen_progress(stage=stage), verdicts=(gen_verdict(cause=cause),))
    assert step.actions == () and reasons(step)[0] == f"Evidence{cause}"


def test_weight_zero_is_said_and_not_left_out():
    """Dropped in serialisation, a weight of 0 becomes the API's default of 1."""
    step = decide(gen_progress(), verdicts=(gen_verdict(Outcome.REVERT),))
    assert dict(lowered(step).target.exposure.shares) == {SEGMENT: 0, REST: 0}
    assert percent(0) == "0 %"


def test_a_route_with_an_omitted_weight_is_not_taken_for_the_intended_form():
    progress = gen_progress(stage=1)
    view = as_progress(progress)
    implicit = replace(view, rules=tuple(replace(rule, explicit=False) for rule in view.rules))
    assert decide(progress, implicit).drifted


def test_a_hand_edited_weight_is_not_adopted_and_jumps_nowhere():
    progress = gen_progress(stage=1)
    for share in (0, 20, 999, 1000):
        step = decide(progress, gen_arms((A, 1000 - share), (B, share)))
        assert not raises(step) and step.drifted
        assert all(write.target.exposure.within(uniform((SEGMENT,), min(share, 50))) for write in writes(step))


def test_a_candidate_is_still_watched_while_its_pods_are_unready():
    """Seen elsewhere: the analysis stops while a pod is unready, so that nobody watches the canary."""
    blind = {"ready": {B.backend: 0}}
    assert reasons(decide(gen_progress(), **blind)) == ["CandidateNotReady"]
    for said in ({"verdicts": (gen_verdict(Outcome.REVERT),)}, {"decisions": (gen_decision(Action.ABORT),)}):
        assert saved(decide(gen_progress(), **blind, **said)).state is State.REVERTING


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_run_without_any_measurement_is_no_success(stage):
    for gates, verdicts in (((), ()), ((gen_gate(),), ())):
        plan = gen_plan(gates=gates)
        step = decide(gen_progress(stage=stage, plan=plan), release=gen_release(plan=plan), verdicts=verdicts)
        assert step.actions == () and step.holds


@pytest.mark.parametrize("state", [State.PREPARING, State.RAISING, State.OBSERVING, State.WATCHING])
def test_people_are_told_after_the_revert_and_not_before(state):
    bad = (gen_verdict(Outcome.REVERT),)
    step = decide(gen_progress(state), verdicts=bad, watch_verdicts=bad)
    kinds = [type(action) for action in step.actions]
    assert kinds[0] is SetRoutes and kinds.index(Emit) > kinds.index(SetRoutes) and WriteRecord not in kinds
    assert kinds.index(Save) > kinds.index(SetRoutes)


def test_silence_is_not_counted_over_the_whole_run():
    progress = gen_progress(entered=0)
    for minute in range(60):
        now = at(60.0 * minute)
        verdict = gen_verdict(when=now, cause="Missing") if minute % 2 else gen_verdict(Outcome.UNDECIDED, when=now)
        progress = decide(replace(progress, stage_since=now), now=now, verdicts=(verdict,)).progress
    assert progress.state is State.OBSERVING


def test_of_several_verdicts_no_good_one_silently_wins():
    good, bad, blind = gen_verdict(segment=REST), gen_verdict(Outcome.REVERT), gen_verdict(cause="Broken")
    for verdicts in ((good, bad), (bad, good)):
        assert saved(decide(gen_progress(stage=1), verdicts=verdicts)).state is State.REVERTING
    for verdicts in ((good, blind), (blind, good)):
        assert not raises(decide(gen_progress(stage=1), verdicts=verdicts))


def test_a_failed_unit_does_not_start_again_by_itself_after_its_status_was_wiped():
    facts = {"revisions": (A, B), "history": {A.digest: RecordKind.ADOPTED, B.digest: RecordKind.REVERTED}}
    first = decide(Progress(), gen_route(Target(A, B, ZERO)), **facts)
    following = decide(saved(first), gen_route(Target(A)))
    assert following.progress.candidate is None and not writes(following)
