"""A raise waits for the candidate's bundle, nothing else does; what can be written anew is written."""

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.release import BundleFault, State
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.actions import KeepBundle
from modelrelease.engine.conditions import conditions
from tests.engine.builders import UNIT_A, A, B, gen_decision, gen_observed, gen_progress, gen_release, gen_verdict
from tests.engine.steps import decide, events, lowered, raises, reasons


def wrong(unit=B, reason="BundleMissing", *, mendable=False):
    return (BundleFault(unit.digest, reason, f"ConfigMap {unit.revision}-bundle: it is not there", mendable),)


def kept(step):
    return [action.unit for action in step.actions if isinstance(action, KeepBundle)]


@pytest.mark.parametrize("state", [State.PREPARING, State.OBSERVING])
@pytest.mark.parametrize("reason", ["BundleMissing", "BundleAltered", "BundleUnread"])
def test_nothing_is_raised_without_the_candidates_bundle(state, reason):
    step = decide(gen_progress(state), bundles=wrong(reason=reason))
    assert reasons(step) == [reason] and not step.actions
    assert raises(decide(gen_progress(state)))


def test_a_candidate_is_not_called_stable_without_its_bundle():
    assert reasons(decide(gen_progress(stage=3), bundles=wrong())) == ["BundleMissing"]


@pytest.mark.parametrize("mendable", [True, False])
@pytest.mark.parametrize("state", [State.PREPARING, State.OBSERVING, State.RAISING])
def test_a_revert_never_waits_for_a_bundle(state, mendable):
    inside = {"stage": 1} if state is State.RAISING else {}
    every = (*wrong(mendable=mendable), *wrong(A, mendable=mendable))
    lowered(decide(gen_progress(state, **inside), bundles=every, verdicts=(gen_verdict(Outcome.REVERT),)))
    lowered(decide(gen_progress(state, **inside), bundles=every, decisions=(gen_decision(Action.ABORT),)))


@pytest.mark.parametrize("state", [State.PREPARING, State.OBSERVING])
@pytest.mark.parametrize("unit", [A, B])
def test_what_can_be_written_anew_is_written_and_told(state, unit):
    step = decide(gen_progress(state), bundles=wrong(unit, mendable=True))
    assert kept(step) == [unit] and not raises(step)
    assert events(step) == ["BundleWritten"]


def test_in_the_watch_the_bundles_of_both_units_are_kept():
    step = decide(gen_progress(State.WATCHING), bundles=(*wrong(A, mendable=True), *wrong(B, mendable=True)))
    assert kept(step) == [A, B]


def test_a_stable_without_a_bundle_that_cannot_be_written_holds_nothing_and_is_told():
    step = decide(gen_progress(), bundles=wrong(A))
    assert raises(step)
    shown = {each.type: each for each in conditions(gen_release(), step, gen_observed(bundles=wrong(A)))}
    assert (shown["BundleIntact"].status, shown["BundleIntact"].reason) == ("False", "BundleMissing")


@pytest.mark.parametrize("state", [State.SETTLED, State.STOPPED])
def test_at_rest_the_bundle_of_stable_is_kept(state):
    progress = gen_progress(state)
    release = gen_release(UNIT_A) if state is State.SETTLED else gen_release()
    assert kept(decide(progress, release=release, bundles=wrong(A, mendable=True))) == [A]


def test_a_bundle_of_a_unit_that_has_no_traffic_is_nobodys():
    assert kept(decide(gen_progress(State.SETTLED, stable=B), bundles=wrong(A, mendable=True))) == []


def test_what_was_not_read_yet_is_no_condition():
    step = decide(gen_progress(), bundles=wrong(reason="BundleUnread"))
    shown = {each.type for each in conditions(gen_release(), step, gen_observed(bundles=wrong(reason="BundleUnread")))}
    assert "BundleIntact" not in shown
