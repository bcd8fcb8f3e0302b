"""An image that moved behind the candidate's backend holds every raise and no revert; one of stable is told."""

import pytest

from modelrelease.domain.decision import Action
from modelrelease.domain.images import ImagesSeen, PodImages, UnitImages
from modelrelease.domain.release import State
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.conditions import conditions
from tests.engine.builders import (
    NAME,
    UNIT_A,
    UNIT_C,
    A,
    B,
    as_progress,
    gen_decision,
    gen_observed,
    gen_plan,
    gen_progress,
    gen_release,
    gen_stage,
    gen_unit,
    gen_verdict,
    unit_ref,
)
from tests.engine.steps import decide, events, lowered, raises, reasons, records, saved

ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")


def runs(unit=B, image=ONE, **fields):
    return ImagesSeen(unit.digest, (PodImages(f"{unit.revision}-x", (("server", image),)),), **fields)


def held(unit=B, image=ONE, *, partial=False):
    return UnitImages(unit.digest, (("server", (image,)),), partial)


def blind(unit=B, **why):
    return ImagesSeen(unit.digest, **why)


def intact(progress, *images, release=None):
    """The condition UnitIntact, None where it is not there."""
    release = release or gen_release()
    step = decide(progress, release=release, images=images)
    observed = gen_observed(as_progress(progress), images=images)
    return next((each for each in conditions(release, step, observed) if each.type == "UnitIntact"), None)


HELD = (held(), held(A))


def test_the_first_raise_holds_candidate_and_stable_to_what_runs():
    step = decide(gen_progress(State.PREPARING), images=(runs(), runs(A, TWO)))
    assert raises(step) and events(step) == ["ImagesSeen", "ImagesSeen"]
    assert saved(step).images == (held(), held(A, TWO))
    (raised,) = records(step)
    assert raised.body["images"]["candidate"]["heldTo"] == {"server": [ONE]}


def test_before_it_a_deployment_may_still_change_and_after_an_approval_no_more():
    """A Deployment that is applied together with its release still shows its old pods at the first look."""
    waiting = gen_plan(gen_stage("pilot", 10, approvals=("owner",)), gen_stage("full", 1000))
    asked, release = gen_progress(State.PREPARING, plan=waiting), gen_release(plan=waiting)
    assert decide(asked, release=release, images=(runs(),)).progress.images == ()
    approval = gen_decision(Action.APPROVE, plan_digest=waiting.digest, stage="pilot")
    approved = decide(asked, release=release, images=(runs(),), decisions=(approval,))
    assert saved(approved).images == (held(),) and not raises(approved)
    after = saved(approved)
    assert raises(decide(after, release=release, images=(runs(),), decisions=(approval,)))
    moved = decide(after, release=release, images=(runs(image=TWO),), decisions=(approval,))
    assert reasons(moved) == ["UnitViolated"]


def test_what_can_be_told_only_later_is_held_to_from_then_on():
    step = decide(gen_progress(), images=(runs(), runs(A, TWO)))
    assert not raises(step) and events(step) == ["ImagesSeen", "ImagesSeen"]
    assert saved(step).images == (held(), held(A, TWO))
    assert raises(decide(gen_progress(images=saved(step).images), images=(runs(), runs(A, TWO))))


def test_what_a_unit_was_released_with_is_not_forgotten_for_the_next_rollout():
    progress = gen_progress(State.PREPARING, images=(held(A, TWO),))
    assert saved(decide(progress, images=(runs(), runs(A, ONE)))).images == (held(A, TWO), held())


@pytest.mark.parametrize(("state", "stage"), [(State.PREPARING, 0), (State.OBSERVING, 0), (State.OBSERVING, 3)])
def test_a_moved_image_holds_and_says_which(state, stage):
    step = decide(gen_progress(state, stage=stage, images=HELD), images=(runs(image=TWO),))
    assert reasons(step) == ["UnitViolated"] and not step.actions
    said = step.holds[0].message
    assert f"container server is now {TWO}, was {ONE}, on pod {B.revision}-x" in said and "put the image back" in said
    assert decide(gen_progress(state, stage=stage, images=HELD), images=(runs(),)).actions


def test_a_raise_is_not_written_again_once_an_image_moved():
    step = decide(
        gen_progress(State.RAISING, stage=1, images=HELD), as_progress(gen_progress()), images=(runs(image=TWO),)
    )
    assert not raises(step)


@pytest.mark.parametrize("state", [State.PREPARING, State.OBSERVING, State.RAISING])
@pytest.mark.parametrize("images", [(), (runs(image=TWO),), (blind(unread="no answer"),)])
def test_a_revert_never_waits_for_images(state, images):
    inside = {"stage": 1} if state is State.RAISING else {}
    progress = gen_progress(state, images=HELD, **inside)
    lowered(decide(progress, images=images, verdicts=(gen_verdict(Outcome.REVERT),)))
    lowered(decide(progress, images=images, decisions=(gen_decision(Action.ABORT),)))


def test_where_images_can_never_be_told_they_are_not_asked_for():
    assert raises(decide(gen_progress(), images=(blind(unknown="none of its ready endpoints is a pod"),)))
    step = decide(gen_progress(images=(held(partial=True), held(A))), images=(runs(partial="1 of 2"), runs(A)))
    assert raises(step)


@pytest.mark.parametrize("images", [(), (blind(unknown="no pods"),), (runs(partial="1 of 2"),), (runs(image=""),)])
def test_where_they_could_be_told_not_knowing_them_any_more_holds(images):
    assert reasons(decide(gen_progress(images=HELD), images=images)) == ["ImagesUnknown"]


def test_a_failed_read_holds_until_it_is_over():
    assert reasons(decide(gen_progress(), images=(blind(unread="no answer"),))) == ["ImagesUnknown"]


def test_a_moved_image_of_stable_is_told_and_holds_nothing():
    seen = (runs(), runs(A, TWO))
    assert raises(decide(gen_progress(images=HELD), images=seen))
    found = intact(gen_progress(images=HELD), *seen)
    assert (found.status, found.reason) == ("False", "StableMoved") and TWO in found.message


def test_the_condition_says_intact_violated_or_unknown():
    well, moved = intact(gen_progress(images=HELD), runs()), intact(gen_progress(images=HELD), runs(image=TWO))
    assert (well.status, well.reason) == ("True", "Intact") and ONE in well.message
    assert (moved.status, moved.reason) == ("False", "UnitViolated")
    unknown = intact(gen_progress(), blind(unknown="none of its ready endpoints is a pod"))
    assert unknown.status == "Unknown" and "is a pod" in unknown.message
    assert intact(gen_progress()) is None and intact(gen_progress(), blind(unread="not yet")) is None
    assert intact(gen_progress(State.SETTLED), runs(A), release=gen_release(UNIT_A)) is None


def test_in_the_watch_the_released_unit_is_still_compared():
    assert intact(gen_progress(State.WATCHING, images=HELD), runs(B, TWO)).status == "False"


def test_a_sidecar_that_came_later_is_named():
    pod = PodImages("chat-x", (("proxy", TWO), ("server", ONE)))
    found = intact(gen_progress(images=HELD), ImagesSeen(B.digest, (pod,)))
    assert found.status == "True" and found.message.endswith("because it came later: container proxy")


def test_the_record_of_a_raise_says_what_was_compared():
    (raised,) = records(decide(gen_progress(images=HELD), images=(runs(), runs(A, TWO))))
    said = raised.body["images"]
    assert said["candidate"] == {"heldTo": {"server": [ONE]}, "pods": 1, "untold": "", "moved": ""}
    assert TWO in said["stable"]["moved"]
    (unknown,) = records(decide(gen_progress(), images=(blind(unknown="no pods"),)))
    assert unknown.body["images"] == {"candidate": {"pods": 0, "untold": "no pods", "moved": ""}}
    (without,) = records(decide(gen_progress()))
    assert "images" not in without.body


def test_another_unit_is_held_to_its_own_images_and_an_edited_plan_to_the_same():
    longer = gen_plan(gen_stage("pilot", 10, min_duration_s=9), gen_stage("full", 1000))
    assert saved(decide(gen_progress(images=HELD), release=gen_release(plan=longer))).images == HELD
    assert saved(decide(gen_progress(images=HELD), release=gen_release(UNIT_C))).images == (held(A),)


def test_a_retry_takes_what_runs_by_then():
    stopped = gen_progress(State.STOPPED, images=HELD)
    step = decide(stopped, decisions=(gen_decision(Action.RETRY),))
    assert saved(step).images == (held(A),)


def test_a_declared_image_that_does_not_run_is_a_violation_from_the_start():
    unit = gen_unit("2", imageDigest=TWO)
    ref = unit_ref(NAME, unit)
    progress = gen_progress(State.PREPARING, candidate=ref, images=(held(ref), held(A)))
    step = decide(progress, release=gen_release(unit), images=(runs(ref), runs(A)))
    assert reasons(step) == ["UnitViolated"]
    said = step.holds[0].message
    assert f"runs {TWO}" in said and f"it runs {ONE}" in said and "spec.unit.model.imageDigest" in said
    right = gen_progress(State.PREPARING, candidate=ref, images=(held(ref, TWO), held(A)))
    assert raises(decide(right, release=gen_release(unit), images=(runs(ref, TWO), runs(A))))
    cannot = decide(gen_progress(candidate=ref), release=gen_release(unit), images=(blind(ref, unknown="no pods"),))
    assert reasons(cannot) == ["ImagesUnknown"]
