"""The release train holds the start and each raise, never anything else; an override of a person lets them go on."""

from dataclasses import replace
from datetime import timedelta

import pytest

from modelrelease.domain.decision import UNCHECKED, Action, Identity, Standing
from modelrelease.domain.plan import Require
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import State
from modelrelease.domain.train import Cron, Freeze, Schedule, Train, Weekly
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.conditions import conditions
from modelrelease.engine.train import LONGEST_OVERRIDE, train_view
from tests.engine.builders import (
    NOW,
    UNIT_A,
    C,
    as_progress,
    at,
    gen_decision,
    gen_observed,
    gen_plan,
    gen_progress,
    gen_release,
    gen_stage,
    gen_verdict,
)
from tests.engine.steps import decide, events, lowered, raises, reasons, records, saved

SHUT = Train((Schedule((Weekly("UTC", start=18 * 60, end=20 * 60),)),))  # NOW is a Sunday, 12:00
OPEN = Train((Schedule((Weekly("UTC", start=9 * 60, end=17 * 60),)),))
FROZEN = Train((), (Freeze("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "the elections", "elections"),))
CLOSED = [SHUT, FROZEN]


def with_train(train: Train, state: State = State.OBSERVING, **fields):
    """A release on its way with a train, as arguments of `decide`."""
    plan = gen_plan(train=train)
    return (gen_progress(state, plan=plan, **fields),), {"release": gen_release(plan=plan)}


def ask(train: Train, state: State = State.OBSERVING, observed=None, **fields):
    args, kwargs = with_train(train, state, **fields)
    return decide(*args, **kwargs, **(observed or {}))


def overriding(train: Train, **fields):
    bound = {"plan_digest": gen_plan(train=train).digest, "incident": "INC-7", "expires_at": at(3600)}
    return gen_decision(Action.OVERRIDE, **{**bound, **fields})


@pytest.mark.parametrize("state", [State.PREPARING, State.OBSERVING])
def test_outside_its_windows_nothing_is_raised_and_the_next_opening_is_told(state):
    step = ask(SHUT, state)
    assert reasons(step) == ["OutsideWindow"] and not step.actions
    assert step.wake_at == at(6 * 3600)
    assert step.holds[0].message == (
        "outside the release windows of spec.train: raises go on Sun 2026-03-01 18:00 UTC; "
        "urgent: modelrelease override chat --incident … --reason …"
    )


@pytest.mark.parametrize("state", [State.PREPARING, State.OBSERVING])
def test_in_a_freeze_nothing_is_raised_and_its_reason_is_told(state):
    step = ask(FROZEN, state)
    assert reasons(step) == ["Frozen"] and not step.actions
    assert step.wake_at == at(12 * 3600)
    assert (
        "freeze elections of spec.train (the elections): raises go on Mon 2026-03-02 00:00 UTC" in step.holds[0].message
    )


@pytest.mark.parametrize("state", [State.PREPARING, State.OBSERVING])
def test_within_a_window_a_raise_goes_on_and_its_record_says_so(state):
    step = ask(OPEN, state)
    assert raises(step)
    assert records(step)[0].body["train"] == {"open": True, "until": "Sun 2026-03-01 17:00 UTC"}
    assert "override" not in records(step)[0].body


def test_a_plan_without_a_train_says_nothing_about_it():
    assert "train" not in records(ask(Train()))[0].body


@pytest.mark.parametrize("train", CLOSED)
def test_a_window_that_closed_after_a_raise_was_decided_stops_it(train):
    """The route still is as before: the intent is void, nothing rises."""
    args, kwargs = with_train(train, State.RAISING, stage=1)
    before = replace(args[0], state=State.OBSERVING, exposure=args[0].plan.stages[0].exposure, stage=0)
    step = decide(args[0], as_progress(before), **kwargs)
    assert not raises(step)
    assert records(step)[0].kind is RecordKind.INTENT_VOID


# ---- what never waits


@pytest.mark.parametrize("train", CLOSED)
@pytest.mark.parametrize("state", [State.PREPARING, State.OBSERVING, State.RAISING])
def test_a_revert_never_waits_for_the_train(train, state):
    inside = {"stage": 1} if state is State.RAISING else {}
    step = ask(train, state, {"verdicts": (gen_verdict(Outcome.REVERT),)}, **inside)
    lowered(step)
    assert saved(step).state is State.REVERTING


@pytest.mark.parametrize("train", CLOSED)
def test_an_abort_and_a_git_revert_never_wait_for_the_train(train):
    lowered(ask(train, observed={"decisions": (gen_decision(Action.ABORT),)}))
    args, kwargs = with_train(train)
    lowered(decide(*args, release=gen_release(UNIT_A, kwargs["release"].plan)))


@pytest.mark.parametrize("train", CLOSED)
def test_completing_never_waits_for_the_train(train):
    step = ask(train, stage=3)
    assert records(step)[0].kind is RecordKind.COMPLETED


# ---- override


@pytest.mark.parametrize("train", CLOSED)
@pytest.mark.parametrize("state", [State.PREPARING, State.OBSERVING])
def test_an_override_lets_each_raise_go_on_and_is_recorded(train, state):
    said = overriding(train)
    step = ask(train, state, {"decisions": (said,)})
    assert raises(step)
    body = records(step)[0].body
    assert body["train"]["open"] is False
    assert (body["override"]["author"], body["override"]["incident"]) == ("ada", "INC-7")
    assert body["override"]["expiresAt"] == "2026-03-01T13:00:00Z"
    assert said.uid not in saved(step).handled
    assert said.uid not in {named["uid"] for named in body["decisions"]}


@pytest.mark.parametrize(
    "other",
    [
        {"digest": C.digest},
        {"digest": None},
        {"plan_digest": gen_plan().digest},
        {"plan_digest": None},
        {"release_uid": "uid-of-another-object"},
        {"release_uid": None},
        {"stage": "full"},
        {"incident": None},
        {"incident": ""},
        {"expires_at": None},
        {"expires_at": NOW},
        {"expires_at": at(0) + LONGEST_OVERRIDE + timedelta(seconds=1)},
        {"identity": UNCHECKED},
        {"identity": Identity(Standing.REFUSED, "may not override any more")},
        {"action": Action.APPROVE},
        {"action": Action.PROMOTE},
    ],
    ids=str,
)
def test_an_override_counts_only_for_what_it_names_and_until_it_expires(other):
    said = replace(overriding(FROZEN), **other)
    assert reasons(ask(FROZEN, observed={"decisions": (said,)})) == ["Frozen"]


def test_an_override_for_the_next_stage_counts_there():
    assert raises(ask(FROZEN, observed={"decisions": (overriding(FROZEN, stage="mixed"),)}))


def test_an_override_replaces_no_evidence_no_samples_and_no_approval():
    said = {"decisions": (overriding(FROZEN),)}
    assert not raises(ask(FROZEN, observed={**said, "verdicts": (gen_verdict(cause="Missing"),)}))
    assert not raises(ask(FROZEN, observed={**said, "samples": 0}))
    stages = (gen_stage("pilot", 10), gen_stage("full", 1000, approvals=("owner",), require=Require.NO_HARM))
    plan = gen_plan(*stages, train=FROZEN)
    step = decide(
        gen_progress(plan=plan),
        release=gen_release(plan=plan),
        decisions=(overriding(FROZEN, plan_digest=plan.digest),),
    )
    assert reasons(step) == ["AwaitingApproval"]


# ---- edits


def test_a_freeze_that_is_added_in_mid_rollout_applies_in_place():
    step = decide(gen_progress(stage=1), release=gen_release(plan=gen_plan(train=FROZEN)))
    assert records(step)[0].kind is RecordKind.TIGHTENED and "PlanTightened" in events(step)
    assert (saved(step).state, saved(step).stage, saved(step).plan.train) == (State.OBSERVING, 1, FROZEN)


@pytest.mark.parametrize(
    "train", [Train(), OPEN, Train((Schedule((*SHUT.schedules[0].windows, Cron("0 9 * * *", 60))),))]
)
def test_a_train_that_opens_more_often_starts_over(train):
    plan = gen_plan(train=SHUT)
    step = decide(gen_progress(stage=1, plan=plan), release=gen_release(plan=gen_plan(train=train)))
    assert saved(step).state is State.PREPARING


# ---- what is shown


def test_a_condition_and_the_status_say_when_it_opens():
    args, kwargs = with_train(SHUT)
    step = decide(*args, **kwargs)
    shown = {condition.type: condition for condition in conditions(kwargs["release"], step, gen_observed())}
    assert (shown["ReleaseWindowOpen"].status, shown["ReleaseWindowOpen"].reason) == ("False", "OutsideWindow")
    view = train_view(args[0], NOW)
    assert view is not None
    assert (view.open, view.changes_at, view.message) == (False, at(6 * 3600), "closed until 2026-03-01T18:00Z")
    opened = train_view(with_train(OPEN)[0][0], NOW)
    assert opened is not None
    assert (opened.open, opened.message) == (True, "open until 2026-03-01T17:00Z")
    assert train_view(with_train(FROZEN)[0][0], NOW).message == "frozen until 2026-03-02T00:00Z"  # type: ignore[union-attr]


def test_without_a_candidate_or_a_train_there_is_nothing_to_show():
    assert train_view(gen_progress(), NOW) is None
    assert train_view(gen_progress(State.SETTLED, plan=gen_plan(train=SHUT)), NOW) is None
