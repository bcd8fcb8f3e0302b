"""A revert wins against other writers, and never gives the candidate more, however old the read is."""

from __future__ import annotations

import copy

import pytest

from modelrelease.domain.traffic import Target
from modelrelease.routing import marks
from modelrelease.routing.protocol import Change, Guard, Refusal, Unchanged
from tests.routing.applier import Failed, apply
from tests.routing.builders import (
    CANDIDATE,
    GERMAN,
    LOW,
    STABLE,
    Json,
    adopted,
    change,
    changed,
    laid_out,
    raised,
    ref,
    release,
    reweighted,
    route,
    rule,
    rules_by_name,
    share,
    two_arms,
    weights,
)

OF = release(LOW)
BACK = Target(STABLE, CANDIDATE, stopped=CANDIDATE.digest, holder="process-1")


def lowering(obj: Json, target: Target = BACK) -> list[Json]:
    found = change(obj, OF, target, Guard.LOWER)
    assert isinstance(found, Change) and isinstance(found.body, list), found
    return found.body


def test_a_revert_takes_everything_back_and_writes_the_stopped_mark_with_it() -> None:
    after = apply(raised(OF, two_arms(50, low=200)), lowering(raised(OF, two_arms(50, low=200))))
    assert weights(after, "chat--low") == weights(after) == [1000, 0]
    assert after["metadata"]["annotations"][marks.STOPPED] == CANDIDATE.digest


def test_a_revert_does_not_depend_on_the_resource_version_or_on_weights() -> None:
    read = raised(OF, two_arms(200, low=200))
    patch = lowering(read)
    meanwhile = reweighted(reweighted(read, "chat", 1, 999), "chat--low", 0, 1000)
    assert share(apply(meanwhile, patch), OF) == {"low": 0, "*": 0}


def test_a_revert_of_one_rule_also_covers_what_rose_in_another_since_the_read() -> None:
    read = raised(OF, two_arms(0, low=200))
    meanwhile = reweighted(read, "chat", 0, 1000)
    assert share(apply(meanwhile, lowering(read)), OF) == {"low": 0, "*": 0}


def test_a_revert_leaves_the_rules_as_such_alone() -> None:
    read = raised(OF, two_arms(200, low=200))
    rules_by_name(read)["chat"]["timeouts"] = {"request": "5s"}
    touched = {operation["path"].split("/")[-1] for operation in lowering(read) if operation["op"] != "test"}
    assert {name for name in touched if not name.startswith("modelrelease")} == {"backendRefs"}


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_revert_fails_when_rules_moved_and_works_on_the_next_read(position: int) -> None:
    read = raised(OF, two_arms(200, low=200))
    moved = copy.deepcopy(read)
    moved["spec"]["rules"].insert(position, rule("new", ref("new"), path="/new"))
    if position < 2:
        with pytest.raises(Failed):
            apply(moved, lowering(read))
    after = apply(moved, lowering(moved))
    assert share(after, OF) == {"low": 0, "*": 0}
    assert rules_by_name(after)["new"] == rules_by_name(moved)["new"]


def test_a_revert_fails_when_the_layout_changed_since_the_read() -> None:
    read = raised(release(), two_arms(200))
    laid = changed(reweighted(read, "chat", 800, 200), OF, two_arms(200, low=200), Guard.LAYOUT)
    moved = copy.deepcopy(read)
    moved["metadata"]["annotations"] = laid["metadata"]["annotations"]
    with pytest.raises(Failed):
        apply(moved, lowering(read))


def test_a_partial_lowering_is_conditioned_on_the_weights_that_it_lowers() -> None:
    read = raised(OF, two_arms(200, low=500))
    patch = lowering(read, two_arms(100, low=500))
    assert share(apply(read, patch), OF) == {"low": 500, "*": 100}
    with pytest.raises(Failed):
        apply(reweighted(read, "chat", 950, 50), patch)


def test_a_lowering_never_writes_more_than_was_read() -> None:
    read = raised(OF, two_arms(50, low=200))
    assert share(apply(read, lowering(read, two_arms(500, low=100))), OF) == {"low": 100, "*": 50}


def test_a_lowering_that_would_only_raise_is_no_write() -> None:
    read = raised(OF, two_arms(50, low=200))
    assert isinstance(change(read, OF, two_arms(500, low=900), Guard.LOWER), Unchanged)


def test_lowering_twice_is_one_write() -> None:
    after = apply(raised(OF, two_arms(200)), lowering(raised(OF, two_arms(200))))
    assert isinstance(change(after, OF, BACK, Guard.LOWER), Unchanged)


def test_a_route_at_zero_still_gets_the_stopped_mark() -> None:
    after = apply(laid_out(OF), lowering(laid_out(OF)))
    assert after["metadata"]["annotations"][marks.STOPPED] == CANDIDATE.digest


def test_the_stopped_mark_is_set_left_and_removed_as_asked() -> None:
    marked = apply(laid_out(OF), lowering(laid_out(OF)))
    left = changed(marked, OF, two_arms(100), Guard.RAISE)
    assert left["metadata"]["annotations"][marks.STOPPED] == CANDIDATE.digest
    removed = changed(marked, OF, Target(STABLE, CANDIDATE, stopped=""), Guard.LAYOUT)
    assert marks.STOPPED not in removed["metadata"]["annotations"]
    assert isinstance(change(removed, OF, Target(STABLE, CANDIDATE, stopped=""), Guard.LAYOUT), Unchanged)


def test_a_route_that_git_wrote_back_gets_its_two_arms_again_with_nothing_for_the_candidate() -> None:
    after = apply(adopted(), lowering(adopted(), two_arms(500, low=500)))
    assert share(after, OF) == {"low": 0, "*": 0}


def test_a_segment_rule_removed_by_hand_comes_back_without_raising_its_segment() -> None:
    read = raised(OF, two_arms(50, low=200))
    del read["spec"]["rules"][0]
    assert share(apply(read, lowering(read, two_arms(50, low=200))), OF) == {"low": 50, "*": 50}


def test_tidying_down_to_one_arm_takes_the_segment_rules_away_in_the_same_write() -> None:
    after = apply(raised(OF, two_arms(50, low=200)), lowering(raised(OF, two_arms(50, low=200)), Target(STABLE)))
    assert [each["name"] for each in after["spec"]["rules"]] == ["chat"]
    assert weights(after) == [1000]


def test_a_segment_that_left_the_spec_does_not_get_the_share_of_the_rest() -> None:
    of = release(LOW, GERMAN)
    read = raised(of, two_arms(500, low=500, german=10))
    after = apply(read, lowering(read, two_arms(500, low=500)))
    assert share(after, OF) == {"low": 500, "*": 10}


def test_a_renamed_rule_is_found_by_our_header_and_lowered() -> None:
    read = raised(OF, two_arms(200, low=200))
    rules_by_name(read)["chat"]["name"] = "renamed"
    after = apply(read, lowering(read))
    assert share(after, OF) == {"low": 0}
    assert [each["name"] for each in rules_by_name(after)["renamed"]["backendRefs"]] == ["chat-v1"]


def test_two_rules_of_one_name_are_both_lowered() -> None:
    read = raised(release(), two_arms(200))
    read["spec"]["rules"].append(copy.deepcopy(read["spec"]["rules"][0]))
    after = changed(read, release(), BACK, Guard.LOWER)
    assert [each["weight"] for body in after["spec"]["rules"] for each in body["backendRefs"]] == [1000, 0, 1000, 0]


def test_what_cannot_be_laid_out_any_more_is_lowered_where_it_stands() -> None:
    read = raised(OF, two_arms(200, low=200))
    read["spec"]["rules"].append(rule("beta", ref("beta"), headers={"x-beta": "1"}))
    del read["spec"]["rules"][0]
    assert isinstance(change(read, OF, two_arms(), Guard.LAYOUT), Refusal)
    after = apply(read, lowering(read))
    assert share(after, OF) == {"*": 0}


def test_a_third_backend_goes_with_the_revert() -> None:
    read = raised(OF, two_arms(200))
    rules_by_name(read)["chat"]["backendRefs"].append(ref("intruder", 300))
    assert weights(apply(read, lowering(read))) == [1000, 0]


def test_an_unnamed_rule_is_recognised_by_its_matches() -> None:
    of = release(rules=())
    read = route(rule(None, ref("chat-v1", 800), ref("chat-v2", 200)))
    found = change(read, of, BACK, Guard.LOWER)
    assert isinstance(found, Change) and isinstance(found.body, list)
    assert weights(apply(read, found.body), "main") == [1000, 0]
    other = copy.deepcopy(read)
    other["spec"]["rules"][0]["matches"][0]["path"]["value"] = "/elsewhere"
    with pytest.raises(Failed):
        apply(other, found.body)


def test_annotations_that_others_add_meanwhile_survive_a_revert() -> None:
    read = raised(OF, two_arms(200))
    read["metadata"].pop("annotations")
    meanwhile = copy.deepcopy(read)
    meanwhile["metadata"]["annotations"] = {"team": "nlp"}
    with pytest.raises(Failed):
        apply(meanwhile, lowering(read))
    after = apply(meanwhile, lowering(meanwhile))
    assert after["metadata"]["annotations"]["team"] == "nlp"
    assert weights(after) == [1000, 0]


def test_a_route_that_another_release_took_meanwhile_is_left_alone() -> None:
    read = raised(OF, two_arms(200))
    taken = copy.deepcopy(read)
    taken["metadata"]["annotations"][marks.RELEASE] = "assistants/other/uid-9"
    with pytest.raises(Failed):
        apply(taken, lowering(read))


def test_a_missing_route_needs_no_revert_and_a_foreign_one_gets_none() -> None:
    assert isinstance(change(None, OF, BACK, Guard.LOWER), Unchanged)
    assert isinstance(change(route(rule("other", ref("other"))), OF, BACK, Guard.LOWER), Refusal)


def test_a_process_that_only_starts_again_writes_nothing() -> None:
    read = raised(OF, two_arms(50, low=200))
    again = Target(STABLE, CANDIDATE, two_arms(50, low=200).exposure, holder="process-2", record="chat-9")
    for guard in Guard:
        assert isinstance(change(read, OF, again, guard), Unchanged)


def test_holder_and_record_go_with_a_write() -> None:
    target = Target(STABLE, CANDIDATE, two_arms(10).exposure, holder="process-2", record="chat-9")
    annotations = changed(laid_out(OF), OF, target, Guard.RAISE)["metadata"]["annotations"]
    assert (annotations[marks.HOLDER], annotations[marks.RECORD]) == ("process-2", "chat-9")
    assert annotations[marks.RELEASE] == "assistants/chat/uid-1"
    assert annotations["team"] == "nlp"
