"""A raise waits for the candidate's bundle, nothing else does; what can be written anew is written."""

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.release import BundleFault, PastOutcome, State
from modelrelease.domain.unit import revision_name
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.actions import KeepBundle
from modelrelease.engine.bundles import HeldBundle, spare_bundles
from modelrelease.engine.conditions import conditions
from tests.engine.builders import NOW, UNIT_A, A, B, gen_decision, gen_observed, gen_progress, gen_release, gen_verdict
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


OLD = tuple(HeldBundle(f"support-old-{day}", f"uid-{day}", f"2026-01-{day:02}T00:00:00Z") for day in range(1, 9))


def spare(*, kept=3, held=OLD, state=State.SETTLED, **more):
    found = spare_bundles(held, gen_release(), gen_progress(state, **more), kept=kept)
    return None if found is None else [bundle.revision for bundle in found]


def test_the_newest_bundles_stay_and_the_oldest_go_first():
    assert spare() == [f"support-old-{day}" for day in range(1, 6)]
    assert spare(held=OLD[::-1]) == spare()
    assert spare(kept=8) == []


@pytest.mark.parametrize("state", sorted(set(State) - {State.SETTLED, State.STOPPED}))
def test_nothing_goes_while_a_release_is_not_at_rest(state):
    assert spare(state=state) is None


def test_nothing_goes_while_traffic_is_at_the_safe_backend_or_the_spec_cannot_be_read():
    assert spare(diverted=A) is None
    assert spare_bundles(OLD, gen_release(unit=None), gen_progress(State.SETTLED), kept=0) is None


@pytest.mark.parametrize("state", [State.SETTLED, State.STOPPED])
def test_what_has_traffic_or_may_get_it_or_is_told_about_never_goes(state):
    digest = "sha256:" + "7" * 64
    told = (PastOutcome("v0", digest, "Completed", "said", NOW),)
    progress = gen_progress(state, outcomes=told)
    release = gen_release()
    needed = {unit.revision for unit in (progress.stable, progress.candidate) if unit}
    needed |= {revision_name(release.name, each) for each in (digest, release.unit.digest)}
    held = [HeldBundle(revision, revision, "2020-01-01T00:00:00Z") for revision in needed]
    found = spare_bundles([*held, *OLD], release, progress, kept=0)
    assert found is not None and {bundle.revision for bundle in found} == {bundle.revision for bundle in OLD}
