"""What people say about a release: approvals, Promote, Pause and Resume."""

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import State
from tests.engine.builders import (
    PLAN,
    A,
    C,
    gen_decision,
    gen_plan,
    gen_progress,
    gen_release,
    gen_stage,
    gen_verdict,
)
from tests.engine.steps import decide, raises, reasons, records, saved

APPROVED = gen_plan(
    gen_stage("pilot", 10, segment_only=True),
    gen_stage("full", 1000, approvals=("owner", "risk"), min_duration_s=0, min_samples=0),
)


PATIENT = gen_plan(*gen_plan().stages[:-1], gen_stage("full", 1000, min_samples=0))


def approve(role: str, number: int = 1, /, **fields):
    return gen_decision(Action.APPROVE, number, **{"role": role, "plan_digest": APPROVED.digest, **fields})


# ---- approvals


def decide_full(*decisions, **observed):
    return decide(gen_progress(plan=APPROVED), release=gen_release(plan=APPROVED), decisions=decisions, **observed)


def test_a_stage_waits_for_each_role():
    assert reasons(decide_full()) == ["AwaitingApproval"]
    assert reasons(decide_full(approve("owner"))) == ["AwaitingApproval"]
    step = decide_full(approve("owner"), approve("risk", 2))
    assert raises(step)
    assert {said["uid"] for said in records(step)[0].body["decisions"]} == {"uid-approve-1", "uid-approve-2"}
    assert {"uid-approve-1", "uid-approve-2"} <= set(saved(step).handled)


@pytest.mark.parametrize(
    "other",
    [
        {"digest": C.digest},
        {"digest": None},
        {"plan_digest": PLAN.digest},
        {"plan_digest": None},
        {"stage": "pilot"},
        {"stage": None},
        {"release_uid": "uid-of-another-object"},
        {"release_uid": None},
        {"role": "owner"},
    ],
    ids=lambda value: "-".join(value),
)
def test_an_approval_counts_only_for_the_release_unit_plan_stage_and_role_that_it_names(other):
    assert reasons(decide_full(approve("owner"), approve("risk", 2, **other))) == ["AwaitingApproval"]


def test_a_used_approval_does_not_count_again():
    progress = gen_progress(plan=APPROVED, handled=("uid-approve-1",))
    step = decide(progress, release=gen_release(plan=APPROVED), decisions=(approve("owner"), approve("risk", 2)))
    assert reasons(step) == ["AwaitingApproval"]


def test_approvals_replace_no_evidence():
    assert not raises(decide_full(approve("owner"), approve("risk", 2), verdicts=(gen_verdict(cause="Missing"),)))


# ---- promote, pause, resume


def test_promote_shortens_waiting_and_nothing_else():
    promote = gen_decision(Action.PROMOTE, stage="pilot")
    young = gen_progress(entered=-1)
    step = decide(young, decisions=(promote,))
    assert raises(step) and promote.uid in saved(step).handled
    for held in ({"samples": 0}, {"verdicts": (gen_verdict(cause="Broken"),)}, {"ready": {A.backend: 0}}):
        assert not raises(decide(young, decisions=(promote,), **held))
    waiting = gen_progress(entered=-1, plan=APPROVED)
    step = decide(waiting, release=gen_release(plan=APPROVED), decisions=(promote,))
    assert reasons(step) == ["AwaitingApproval"]


@pytest.mark.parametrize(
    "other", [{"digest": C.digest}, {"digest": None}, {"stage": "mixed"}, {"release_uid": "other"}]
)
def test_promote_is_for_one_unit_and_the_present_stage(other):
    step = decide(gen_progress(entered=-1), decisions=(gen_decision(Action.PROMOTE, **other),))
    assert reasons(step) == ["MinimumDuration"]


def test_a_pause_is_recorded_with_who_and_why_and_holds():
    pause = gen_decision(Action.PAUSE)
    step = decide(gen_progress(), decisions=(pause,))
    assert records(step)[0].kind is RecordKind.PAUSED and saved(step).paused_by == pause.uid
    following = decide(saved(step), decisions=(pause,))
    assert reasons(following) == ["Paused"] and following.actions == ()
    assert "ada" in following.holds[0].message and "because" in following.holds[0].message


def test_a_resume_is_recorded_and_lets_the_release_go_on():
    pause, resume = gen_decision(Action.PAUSE), gen_decision(Action.RESUME, when=1)
    paused = gen_progress(paused_by=pause.uid, handled=(pause.uid,))
    step = decide(paused, decisions=(pause, resume))
    assert records(step)[0].kind is RecordKind.RESUMED and saved(step).paused_by is None
    assert raises(decide(saved(step), decisions=(pause, resume)))


def test_what_was_said_before_a_pause_does_not_end_it_although_the_status_was_lost():
    """Found by the world: a Resume that nobody needed is in no record, so a lost status has it for new."""
    old, pause = gen_decision(Action.RESUME, when=-60), gen_decision(Action.PAUSE, 2)
    recovered = gen_progress(paused_by=pause.uid, handled=(pause.uid,))
    assert reasons(decide(recovered, decisions=(old, pause))) == ["Paused"]
    earlier, resume = gen_decision(Action.PAUSE, 3, when=-30), gen_decision(Action.RESUME, 4)
    assert raises(decide(gen_progress(handled=(resume.uid,)), decisions=(earlier, resume)))
    following = gen_decision(Action.RESUME, 5)
    assert saved(decide(recovered, decisions=(old, pause, following))).paused_by is None


def test_a_promote_of_the_last_stage_is_named_by_the_record_of_completion():
    """Found by the world: it was used up, and nothing said by whom (R17)."""
    promote = gen_decision(Action.PROMOTE, stage="full")
    progress = gen_progress(stage=3, entered=0, plan=PATIENT)
    step = decide(progress, release=gen_release(plan=PATIENT), decisions=(promote,))
    assert records(step)[0].kind is RecordKind.COMPLETED
    assert [named["uid"] for named in records(step)[0].body["decisions"]] == [promote.uid]


def test_only_a_resume_ends_a_pause():
    pause, old = gen_decision(Action.PAUSE, when=1), gen_decision(Action.RESUME, when=0)
    step = decide(gen_progress(), decisions=(pause, old))
    assert saved(step).paused_by == pause.uid
    for left in ((), (old,)):
        after_deletion = decide(saved(step), decisions=left)
        assert reasons(after_deletion) == ["Paused"] and after_deletion.actions == ()


def test_a_pause_holds_in_every_waiting_state():
    for state in (State.PREPARING, State.OBSERVING):
        assert "Paused" in reasons(decide(gen_progress(state, paused_by="uid-pause-1")))
    last = gen_progress(stage=3, paused_by="uid-pause-1")
    assert "Paused" in reasons(decide(last))
