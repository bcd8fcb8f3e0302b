"""The watch after 100 %: it can still revert, a newer release may start beside it, and silence keeps it open."""

from dataclasses import replace

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.exposure import uniform
from modelrelease.domain.gate import Phase
from modelrelease.domain.plan import OnDrift, OnNoSafePath
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import State
from modelrelease.domain.traffic import Target
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.actions import Intention
from tests.engine.builders import (
    PLAN,
    SAFE,
    SEGMENT,
    UNIT_A,
    UNIT_B,
    UNIT_C,
    ZERO,
    A,
    B,
    C,
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
    gen_watch,
)
from tests.engine.steps import decide, lowered, order, reasons, records, saved, writes

EVERYTHING = uniform((SEGMENT,), 1000)
BAD = (gen_verdict(Outcome.REVERT),)
WATCHING = gen_progress(State.WATCHING)
NEWER = gen_release(UNIT_C)


def beside(state=State.OBSERVING, **fields):
    """C on its way while B is watched and A is the warm fallback."""
    common = {"stable": B, "candidate": C, "fallback": A, "watch": gen_watch()}
    if state is State.STOPPED:
        common["stopped"] = (C.digest,)
    return gen_progress(state, **{**common, **fields})


def test_in_the_watch_nothing_is_written_and_it_wakes_at_the_end():
    step = decide(WATCHING)
    assert step.actions == () and step.wake_at == at(300)


def test_a_watch_that_went_well_lets_the_fallback_go():
    step = decide(WATCHING, now=at(300), watch_verdicts=(gen_verdict(when=at(300)),))
    assert records(step)[0].kind is RecordKind.WATCH_COMPLETED
    assert (saved(step).state, saved(step).fallback, saved(step).watch) == (State.SETTLED, None, None)


@pytest.mark.parametrize(
    "verdicts",
    [
        (),
        (gen_verdict(when=at(300), cause="Missing"),),
        (gen_verdict(when=at(300), cause="Broken"),),
        (gen_verdict(when=at(300), cause="SourceDown"),),
        (gen_verdict(when=at(0)),),
    ],
    ids=["no verdict", "missing", "broken", "source down", "asked long ago"],
)
def test_missing_evidence_keeps_the_watch_open_and_reverts_nothing(verdicts):
    step = decide(WATCHING, now=at(300), watch_verdicts=verdicts)
    assert step.actions == () and reasons(step) == ["EvidenceMissing"]


def test_too_little_traffic_does_not_keep_the_watch_open():
    verdicts = (gen_verdict(when=at(300), cause="InsufficientTraffic"),)
    assert saved(decide(WATCHING, now=at(300), watch_verdicts=verdicts)).state is State.SETTLED


def test_gates_that_compare_with_stable_are_not_waited_for_in_the_watch():
    plan = gen_plan(gates=(gen_gate(), gen_gate("slow", against_stable="1.5")))
    step = decide(gen_progress(State.WATCHING, plan=plan), now=at(300), watch_verdicts=(gen_verdict(when=at(300)),))
    assert saved(step).state is State.SETTLED


@pytest.mark.parametrize("said", [{"watch_verdicts": BAD}, {"decisions": (gen_decision(Action.ABORT),)}])
def test_a_failed_watch_goes_back_to_the_fallback_at_once(said):
    step = decide(WATCHING, **said)
    assert order(step) == ["Lower", "Save"]
    assert lowered(step).target == Target(A, B, ZERO, stopped=B.digest)
    reverting = saved(step)
    assert (reverting.state, reverting.stable, reverting.candidate) == (State.REVERTING, A, B)
    assert (reverting.watch, reverting.fallback, reverting.stopped) == (None, None, (B.digest,))


@pytest.mark.parametrize("state", [State.PREPARING, State.RAISING, State.OBSERVING, State.STOPPED])
def test_a_failed_watch_stops_a_newer_candidate_too(state):
    progress = beside(state)
    step = decide(progress, release=NEWER, watch_verdicts=BAD)
    assert lowered(step).target == Target(A, B, ZERO, stopped=B.digest)
    assert (saved(step).stable, saved(step).candidate) == (A, B)
    assert set(saved(step).stopped) == {B.digest, C.digest}


def test_the_record_of_a_failed_watch_names_the_newer_candidate_so_that_it_stays_stopped_without_a_status():
    reverting = saved(decide(beside(), release=NEWER, watch_verdicts=BAD))
    step = decide(reverting, gen_route(Target(A, B, ZERO), stopped=B.digest), release=NEWER)
    assert records(step)[0].body["alsoStopped"] == [C.digest]


@pytest.mark.parametrize("state", [State.PREPARING, State.RAISING, State.OBSERVING])
def test_a_crash_after_the_route_of_a_failed_watch_was_lowered_does_not_raise_the_failed_unit_again(state):
    step = decide(beside(state), gen_route(Target(A, B, ZERO), stopped=B.digest), release=NEWER)
    assert saved(step).state is State.REVERTING and lowered(step).target.base == A


def test_a_failed_watch_goes_first_when_the_newer_candidate_fails_as_well():
    step = decide(beside(), release=NEWER, watch_verdicts=BAD, verdicts=BAD)
    assert saved(step).stable == A and set(saved(step).stopped) == {B.digest, C.digest}


def test_an_abort_without_a_digest_is_for_the_newer_candidate():
    step = decide(beside(), release=NEWER, decisions=(gen_decision(Action.ABORT, digest=None),))
    assert saved(step).stable == B and saved(step).stopped == (C.digest,)


def test_a_new_release_starts_during_a_watch_which_goes_on():
    step = decide(WATCHING, release=NEWER)
    assert writes(step)[0].target == Target(B, C, ZERO)
    assert (saved(step).state, saved(step).watch, saved(step).fallback) == (State.PREPARING, WATCHING.watch, A)


def test_a_retry_during_a_watch_is_not_kept_waiting_until_its_end():
    watching = replace(WATCHING, stopped=(C.digest,))
    step = decide(watching, release=NEWER, decisions=(gen_decision(Action.RETRY, digest=C.digest),))
    assert saved(step).candidate == C


def test_a_newer_candidate_that_fails_leaves_the_watch_open():
    reverting = saved(decide(beside(), release=NEWER, verdicts=BAD))
    stopped = saved(decide(reverting, gen_route(Target(B, C, ZERO), stopped=C.digest), release=NEWER))
    assert (stopped.state, stopped.watch, stopped.fallback) == (State.STOPPED, gen_watch(), A)
    bad = decide(stopped, release=NEWER, watch_verdicts=BAD)
    assert (saved(bad).state, saved(bad).stable) == (State.REVERTING, A)
    over = decide(stopped, release=NEWER, now=at(300), watch_verdicts=(gen_verdict(when=at(300)),))
    assert records(over)[0].kind is RecordKind.WATCH_COMPLETED and saved(over).state is State.STOPPED
    back = decide(stopped, release=gen_release(UNIT_B))
    assert (saved(back).state, saved(back).watch) == (State.WATCHING, gen_watch())


def test_a_newer_candidate_withdrawn_in_git_leads_back_into_the_watch():
    step = decide(beside(), release=gen_release(UNIT_B))
    back = saved(step)
    assert lowered(step).target == Target(B, C, ZERO)
    assert (back.state, back.watch, back.fallback) == (State.WATCHING, gen_watch(), A)
    following = decide(back, gen_route(Target(B, C, ZERO)), release=gen_release(UNIT_B))
    assert following.drifted is None and order(following) == ["Layout"]
    assert writes(following)[0].target == Target(A, B, EVERYTHING)


def test_a_watch_may_end_while_a_newer_candidate_is_on_its_way():
    verdicts = (gen_verdict(when=at(300)),)
    step = decide(beside(), release=NEWER, now=at(300), watch_verdicts=verdicts, verdicts=verdicts)
    assert records(step)[0].kind is RecordKind.WATCH_COMPLETED
    assert (saved(step).state, saved(step).candidate, saved(step).fallback) == (State.OBSERVING, C, None)


def test_missing_evidence_keeps_the_watch_open_beside_a_newer_candidate_without_holding_that_one():
    step = decide(
        beside(),
        release=NEWER,
        now=at(300),
        watch_verdicts=(gen_verdict(when=at(300), cause="Missing"),),
        verdicts=(gen_verdict(when=at(300)),),
    )
    assert saved(step).state is State.RAISING and saved(step).watch is not None


def test_the_last_unit_that_finished_a_watch_stays_the_fallback():
    step = decide(beside(stage=3), release=NEWER)
    assert (saved(step).stable, saved(step).fallback, saved(step).watch.unit) == (C, A, C)
    finished = decide(beside(stage=3, watch=None, fallback=None), release=NEWER)
    assert (saved(finished).stable, saved(finished).fallback) == (C, B)


@pytest.mark.parametrize("state", [State.WATCHING, State.OBSERVING, State.PREPARING, State.STOPPED])
def test_a_git_revert_to_the_fallback_in_the_watch_goes_back_at_once(state):
    progress = WATCHING if state is State.WATCHING else beside(state)
    step = decide(progress, release=gen_release(UNIT_A))
    assert lowered(step).target == Target(A, B, ZERO)
    assert (saved(step).state, saved(step).stable, saved(step).watch) == (State.SETTLED, A, None)
    assert records(step)[0].kind is RecordKind.WITHDRAWN


def test_a_git_revert_to_a_fallback_without_endpoints_waits_for_them():
    step = decide(WATCHING, release=gen_release(UNIT_A), ready={A.backend: 0})
    assert step.actions == () and reasons(step) == ["NoSafePath"]


def test_after_the_watch_the_former_stable_is_a_new_release():
    step = decide(gen_progress(State.SETTLED, stable=B), release=gen_release(UNIT_A))
    assert saved(step).state is State.PREPARING and writes(step)[0].target == Target(B, A, ZERO)


def test_a_failed_watch_goes_to_the_safe_backend_where_the_fallback_is_dead():
    step = decide(WATCHING, release=gen_release(safe_backend=SAFE), ready={A.backend: 0}, watch_verdicts=BAD)
    assert lowered(step).target.base.backend == SAFE and saved(step).stable == A


def test_a_failed_watch_without_a_safe_path_keeps_the_unit_where_it_is():
    """The candidate's side is the less bad one, and here it has everything."""
    step = decide(WATCHING, ready={A.backend: 0}, watch_verdicts=BAD)
    assert lowered(step).target == Target(A, B, EVERYTHING, stopped=B.digest)
    assert reasons(step) == ["NoSafePath"]
    waiting = decide(saved(step), gen_route(Target(A, B, EVERYTHING), stopped=B.digest), ready={A.backend: 0})
    assert waiting.actions == ()
    done = decide(saved(step), gen_route(Target(A, B, EVERYTHING), stopped=B.digest))
    assert lowered(done).target == Target(A, B, ZERO, stopped=B.digest)
    plan = gen_plan(on_no_safe_path=OnNoSafePath.STABLE)
    step = decide(gen_progress(State.WATCHING, plan=plan), ready={A.backend: 0}, watch_verdicts=BAD)
    assert lowered(step).target.exposure == ZERO


def test_a_watched_unit_that_somebody_else_lowered_is_shown_and_not_raised_again():
    for on_drift in OnDrift:
        progress = gen_progress(State.WATCHING, plan=gen_plan(on_drift=on_drift))
        step = decide(progress, gen_arms((A, 600), (B, 400)))
        assert step.actions == () and step.drifted and reasons(step) == ["Drifted"]


def test_the_form_of_the_route_is_mended_in_the_watch_where_nobodys_share_changes():
    for untidy in (gen_route(Target(B)), gen_route(Target(B, C, ZERO))):
        step = decide(WATCHING, untidy)
        (write,) = writes(step)
        assert write.intention is Intention.LAYOUT and write.target == Target(A, B, EVERYTHING)


def test_a_watch_gate_alone_is_judged_in_the_watch():
    plan = gen_plan(gates=(gen_gate(), gen_gate("drift", phases=(Phase.WATCH,))))
    progress = gen_progress(State.WATCHING, plan=plan)
    step = decide(progress, as_progress(progress), now=at(300), watch_verdicts=(gen_verdict(when=at(300)),))
    assert reasons(step) == ["EvidenceMissing"]
    assert PLAN.watch_s == 600
