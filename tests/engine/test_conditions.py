"""What the status says: conditions that people, kubectl wait and kstatus read."""

from dataclasses import replace

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.release import Fault, PastOutcome, Progress, State
from modelrelease.domain.traffic import Acceptance
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.conditions import conditions
from tests.engine.builders import (
    NOW,
    UNIT_A,
    UNIT_B,
    UNIT_C,
    A,
    B,
    as_progress,
    gen_arms,
    gen_decision,
    gen_observed,
    gen_plan,
    gen_progress,
    gen_release,
    gen_stage,
    gen_verdict,
    gone,
)
from tests.engine.steps import decide

FAULT = Fault("InvalidSpec", "spec.gates[0].max is not a number: write a number")


def said(progress, *routes, release=None, unread=False, **observed):
    """The conditions by type: (status, reason)."""
    release = release or gen_release()
    step = decide(progress, *routes, release=release, unread=unread, **observed)
    seen = gen_observed(*(routes or (() if unread else (as_progress(progress),))), **observed)
    return {found.type: (found.status, found.reason) for found in conditions(release, step, seen)}


def test_ready_is_always_there_and_reconciling_and_stalled_only_when_true():
    for state in State:
        progress = gen_progress(state)
        routes = (gone(),) if state is State.NEW else ()
        found = said(progress, *routes)
        assert "Ready" in found
        assert all(found[kind][0] == "True" for kind in ("Reconciling", "Stalled") if kind in found)
        assert not {"Reconciling", "Stalled"} <= set(found)


def test_a_release_at_rest_is_ready():
    found = said(gen_progress(State.SETTLED), release=gen_release(UNIT_A))
    assert found["Ready"] == ("True", "Released") and found["RouteAccepted"][0] == "True"
    assert set(found) == {"Ready", "RouteAccepted"}


def test_the_watch_is_ready_and_says_that_it_is_not_complete():
    found = said(gen_progress(State.WATCHING))
    assert found["Ready"] == ("True", "Watching") and found["WatchComplete"] == ("False", "Watching")
    past = (PastOutcome("2", B.digest, "WatchCompleted", "came through its watch", NOW),)
    done = said(gen_progress(State.SETTLED, stable=B, outcomes=past))
    assert done["WatchComplete"] == ("True", "WatchCompleted")


@pytest.mark.parametrize("state", [State.PREPARING, State.RAISING, State.OBSERVING, State.REVERTING])
def test_a_release_on_its_way_is_reconciling(state):
    progress = gen_progress(state, entered=-5, **({"stage": 1} if state is State.RAISING else {}))
    found = said(progress, as_progress(progress, acceptance=Acceptance.PENDING))
    assert found["Ready"][0] == "Unknown" and found["Reconciling"][0] == "True"


def test_a_stopped_unit_stalls_and_production_differs_from_the_spec():
    found = said(gen_progress(State.STOPPED))
    assert found["Ready"] == ("False", "GateFailed") and found["Stalled"] == ("True", "GateFailed")
    assert found["SpecSuperseded"][0] == "True"


def test_a_unit_that_was_stopped_earlier_stalls_too():
    found = said(gen_progress(State.SETTLED, stopped=(B.digest,)))
    assert found["Stalled"] == ("True", "Stopped")


def test_a_stopped_unit_that_is_asked_for_again_in_a_watch_is_not_ready():
    watching = gen_progress(State.WATCHING)
    found = said(replace(watching, stopped=(UNIT_C.digest,)), release=gen_release(UNIT_C))
    assert found["Ready"] == ("False", "Stopped") and found["Stalled"] == ("True", "Stopped")
    assert found["SpecSuperseded"][0] == "True" and found["WatchComplete"] == ("False", "Watching")


def test_a_fault_stalls_with_its_own_words():
    found = said(gen_progress(State.SETTLED), release=gen_release(None, None, faults=(FAULT,)))
    assert found["Ready"] == ("False", "InvalidSpec") and found["Stalled"] == ("True", "InvalidSpec")


@pytest.mark.parametrize(("routes", "reason"), [((gone(),), "RouteMissing"), ((), "RouteUnread")])
def test_a_first_contact_that_needs_a_person_stalls(routes, reason):
    found = said(Progress(), *routes, unread=not routes)
    assert found["Ready"][1] == reason
    assert ("Stalled" in found) is (reason == "RouteMissing")


def test_holds_show_as_conditions():
    waiting = gen_plan(gen_stage("pilot", 10), gen_stage("full", 1000, approvals=("owner",)))
    approval = said(gen_progress(plan=waiting), release=gen_release(plan=waiting))
    assert approval["AwaitingApproval"][0] == "True"
    assert said(gen_progress(), ready={A.backend: 1})["RevertCapacity"] == ("False", "TooFewEndpoints")
    paused = gen_progress(paused_by="uid-pause-1", handled=("uid-pause-1",))
    assert said(paused, decisions=(gen_decision(Action.PAUSE),))["Paused"][0] == "True"
    assert said(gen_progress(), conflict="held by other")["RouteConflict"][0] == "True"


def test_a_foreign_change_shows_as_drifted():
    assert said(gen_progress(), gen_arms((A, 500), (B, 500)))["Drifted"] == ("True", "ForeignChange")


def test_a_broken_dependency_is_visible():
    assert said(gen_progress(), verdicts=(gen_verdict(cause="SourceDown"),))["EvidenceFresh"] == ("False", "SourceDown")
    assert said(gen_progress(entered=0))["EvidenceFresh"][0] == "True"
    refused = as_progress(gen_progress(), acceptance=Acceptance.REFUSED)
    assert said(gen_progress(), refused)["RouteAccepted"] == ("False", "Refused")
    pending = as_progress(gen_progress(), acceptance=Acceptance.PENDING)
    assert said(gen_progress(), pending)["RouteAccepted"][0] == "Unknown"
    assert said(gen_progress(), pending, refused)["RouteAccepted"] == ("False", "Refused")


def test_while_the_facts_are_the_same_the_messages_are_too():
    """Otherwise a status would differ at each tick, only because time passes."""
    for held in ({"verdicts": (gen_verdict(Outcome.NO_DATA),)}, {"samples": 7}):
        texts = []
        for seconds in (0, 1):
            progress = gen_progress(entered=-300 - seconds)
            step = decide(progress, **held)
            texts.append([found.message for found in conditions(gen_release(), step, gen_observed())])
        assert texts[0] == texts[1]


def test_every_condition_type_appears_once():
    release = gen_release(UNIT_C)
    for state in State:
        step = decide(gen_progress(state), *([gone()] if state is State.NEW else []), release=release)
        types = [found.type for found in conditions(release, step, gen_observed())]
        assert len(types) == len(set(types))
    assert UNIT_B.digest == B.digest
