"""Somebody else writes the route in the middle of a release: it shows, it is answered, and it is never adopted."""

import copy
import itertools
import time
from typing import Any

import pytest

from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.e2e.lanes import UNTIL_PROMOTED, Lane, events, full, observing, promote, stage
from tests.faults.hands import BusyWriter, edit_route, share
from tests.faults.history import (
    OPERATOR,
    RouteState,
    assert_form,
    assert_order,
    assert_stays_down,
    foreign_raises,
    raises,
    route_states,
    shown,
    statuses,
    top,
)

Json = dict[str, Any]

STANDING = 25
"""Before the busy writer's next so many writes, five seconds' worth, the operator has answered."""


def history(scene: Scene) -> list[RouteState]:
    return route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)


def test_a_candidate_raised_by_hand_is_taken_back_at_once_and_what_was_raised_is_never_adopted(
    shared_operator: Part, scene: Scene
) -> None:
    scene.settle()
    with LoadThread(scene.load(50)):
        scene.release("v2", stages=[stage("few", 5, minDuration=UNTIL_PROMOTED), full(minDuration="2s")])
        revision = observing(scene, "few")["candidate"]["revision"]
        edit_route(scene, share(600))
        scene.wait("taken back", lambda _: [top(state, revision) for state in history(scene)[-2:]] == [600, 50])
        promote(scene)
        scene.wait("Settled", lambda s: s.get("state") == "Settled" and s["stable"]["version"] == "v2")
    states = history(scene)
    foreign = next(index for index, state in enumerate(states) if top(state, revision) == 600)
    assert states[foreign].user == "admin"
    answer = states[foreign + 1]
    assert (answer.user, top(answer, revision)) == (OPERATOR, 50)
    assert raises(states, revision, user=OPERATOR) == [(0, 50), (50, 1000)]
    assert_form(states, OPERATOR)
    drifts = [note for reason, note in events(scene) if reason == "Drifted"]
    assert any("somebody else raised v2 to 60 %" in note for note in drifts), drifts


def test_a_candidate_lowered_by_hand_is_shown_and_then_started_over_or_held_as_configured(
    shared_operator: Part, scene: Scene
) -> None:
    held, restored = Lane(scene, "held"), Lane(scene, "restored")
    for lane in (held, restored):
        lane.route("v1")
        lane.settle()
    stages = [stage("few", 5), stage("some", 20, minDuration=UNTIL_PROMOTED), full()]
    with LoadThread(held.load(40)), LoadThread(restored.load(40)):
        held.release("v2", stages=stages, traffic={"onDrift": "Hold"})
        restored.release("v2", stages=stages)
        revisions = {lane: observing(lane, "some")["candidate"]["revision"] for lane in (held, restored)}
        for lane in (held, restored):
            edit_route(lane, share(30))
        held.wait("Drifted", lambda s: held.condition("Drifted").get("status") == "True")
        promote(held)
        twice = [(0, 50), (50, 200)] * 2
        restored.wait("begun anew", lambda _: raises(history(restored), revisions[restored], user=OPERATOR) == twice)
        observing(restored, "some")
        promote(restored)
        restored.wait("Settled", lambda s: s.get("state") == "Settled" and s["stable"]["version"] == "v2")

        status = held.status()
        assert (status["state"], status["stage"]["name"]) == ("Observing", "some")
        assert "was changed by somebody else" in held.condition("Drifted")["message"]
        states = history(held)
        assert (states[-1].user, top(states[-1], revisions[held])) == ("admin", 30)
        edit_route(held, share(200))
        held.wait("Settled", lambda s: s.get("state") == "Settled" and s["stable"]["version"] == "v2")
    assert not held.condition("Drifted")
    assert raises(history(held), revisions[held], user=OPERATOR) == [(0, 50), (50, 200), (200, 1000)]

    states = history(restored)
    foreign = next(index for index, state in enumerate(states) if top(state, revisions[restored]) == 30)
    assert (states[foreign + 1].user, top(states[foreign + 1], revisions[restored])) == (OPERATOR, 0)
    assert raises(states, revisions[restored], user=OPERATOR) == [(0, 50), (50, 200), (0, 50), (50, 200), (200, 1000)]
    assert "Superseded" in [record["kind"] for record in restored.records()]
    seen = shown(statuses(scene.sandbox.audit_events(), scene.namespace, restored.name), "Drifted")
    assert any(one["status"] == "True" for one in seen), "the drift was never in the status"


def test_a_strangers_arm_is_taken_off_the_route_at_rest_and_in_a_stage(shared_operator: Part, scene: Scene) -> None:
    stranger = scene.sandbox.service(scene.namespace, "stranger", ready=0)

    def add_arm(route: Json) -> None:
        route["spec"]["rules"][-1]["backendRefs"].append({"name": stranger.name, "port": 8080, "weight": 500})

    def arms(states: list[RouteState]) -> list[set[str]]:
        return [{arm for rule in state.shares.values() for arm in rule} for state in states]

    scene.settle()
    edit_route(scene, add_arm)
    scene.wait("arm gone at rest", lambda _: len(scene.read_route()["spec"]["rules"][0]["backendRefs"]) == 1)
    with LoadThread(scene.load(50, low=0)):
        scene.release("v2", stages=[stage("some", 20, minDuration=UNTIL_PROMOTED), full()])
        revision = observing(scene, "some")["candidate"]["revision"]
        edit_route(scene, add_arm)
        scene.wait("begun anew", lambda _: raises(history(scene), revision, user=OPERATOR) == [(0, 200)] * 2)
        observing(scene, "some")
        promote(scene)
        scene.wait("Settled", lambda s: s.get("state") == "Settled" and s["stable"]["version"] == "v2")
    states = history(scene)
    foreign = [index for index, names in enumerate(arms(states)) if "backend stranger" in names]
    assert len(foreign) == 2
    assert [states[index].user for index in foreign] == ["admin", "admin"]
    assert [states[index + 1].user for index in foreign] == [OPERATOR, OPERATOR]
    assert raises(states, revision, user=OPERATOR) == [(0, 200), (0, 200), (200, 1000)]
    assert_form(states, OPERATOR)


def _frame(route: Json) -> Json:
    """Everything of a route that is not the operator's: no owned backendRefs, no marks, no segment rules (S10)."""
    left = copy.deepcopy(route)
    metadata = left["metadata"]
    marks = metadata.get("annotations", {})
    rules = [rule for rule in left["spec"]["rules"] if not rule["name"].startswith("chat--")]
    for rule in rules:
        if rule["name"] == "chat":
            del rule["backendRefs"]
    return {
        "annotations": {key: value for key, value in marks.items() if not key.startswith("modelrelease.dev/")},
        "labels": metadata.get("labels"),
        "spec": {**left["spec"], "rules": rules},
    }


def _edit_as_a_team(route: Json) -> None:
    """A rule in front, so that all others move; a label, an annotation; another path, filter and match of the rule."""
    metadata, rules = route["metadata"], route["spec"]["rules"]
    metadata.setdefault("labels", {})["team"] = "assistants"
    metadata.setdefault("annotations", {})["example.com/ticket"] = "CHAT-7"
    docs = {"name": "docs", "matches": [{"path": {"type": "PathPrefix", "value": "/docs"}}]}
    rules.insert(0, {**docs, "backendRefs": [{"name": "chat-v1", "port": 8080}]})
    added = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-team", "value": "a"}]}}
    for rule in rules[1:]:
        rule["filters"] = [added]
    route["spec"]["hostnames"].append("chat.example.com")


@pytest.mark.parametrize("good", [True, False], ids=["completed", "reverted"])
def test_edits_outside_the_owned_weights_are_left_alone(shared_operator: Part, scene: Scene, good: bool) -> None:
    scene.settle(traffic={"routes": [{"name": "chat", "rules": ["chat"]}]})
    with LoadThread(scene.load(60)):
        traffic = {"routes": [{"name": "chat", "rules": ["chat"]}]}
        scene.release("v2", stages=[stage("some", 20, minDuration=UNTIL_PROMOTED), full()], traffic=traffic)
        status = observing(scene, "some")
        edit_route(scene, _edit_as_a_team)
        before = _frame(scene.read_route())
        if good:
            promote(scene)
        else:
            scene.models["v2"].set_behaviour(failure_fraction=0.9)
        scene.wait_state("Settled" if good else "Stopped")
    after = _frame(scene.read_route())
    assert [rule["name"] for rule in after["spec"]["rules"]] == ["docs", "chat"]
    assert after == before
    states = history(scene)
    revision = status["candidate"]["revision"]
    if good:
        assert raises(states, revision, user=OPERATOR) == [(0, 200), (200, 1000)]
    else:
        assert_stays_down(states, revision, status["candidate"]["digest"])


def test_a_revert_wins_against_somebody_who_raises_the_candidate_five_times_a_second(
    shared_operator: Part, scene: Scene
) -> None:
    scene.settle()
    stages = [stage("some", 20, minDuration=UNTIL_PROMOTED), full()]
    with LoadThread(scene.load(60)):
        scene.release("v2", stages=stages)
        status = observing(scene, "some")
        revision = status["candidate"]["revision"]
        with BusyWriter(scene, 500) as writer:
            scene.wait("the writer is at work", lambda _: writer.writes >= 10)
            scene.models["v2"].set_behaviour(failure_fraction=0.9)
            stopped = scene.wait_state("Stopped")
            scene.wait("ten more raises are taken back", lambda _: taken_back(after_stop(scene), revision) >= 10)
        last = writer.writes
        scene.wait("zero in the end", lambda _: all(_second_weight(rule) == 0 for rule in _rules(scene)))
    time.sleep(2)
    assert stopped["stop"]["reason"] == "GateFailed"
    states = history(scene)
    assert len(foreign_raises(states, revision)) >= 15, "the writer hardly ever raised the candidate"
    assert_stays_down(states, revision, status["candidate"]["digest"])
    assert_order(states, revision, [200])
    stopped_states = after_stop(scene)
    for index, state in enumerate(stopped_states[:-1]):
        if state.user != OPERATOR and top(state, revision):
            following = stopped_states[index + 1 : index + 1 + STANDING]
            assert any(top(one, revision) == 0 for one in following), "a foreign raise was left standing"
    assert scene.read_route()["metadata"]["annotations"]["example.com/writes"] == str(last)


def after_stop(scene: Scene) -> list[RouteState]:
    """What was written from the stopped mark on."""
    states = history(scene)
    return states[next((index for index, state in enumerate(states) if state.stopped), len(states)) :]


def taken_back(states: list[RouteState], revision: str) -> int:
    """How often the operator took back all that somebody else had given the arm."""
    pairs = itertools.pairwise(states)
    return sum(after.user == OPERATOR and top(before, revision) > top(after, revision) == 0 for before, after in pairs)


def _rules(scene: Scene) -> list[Json]:
    return list(scene.read_route()["spec"]["rules"])


def _second_weight(rule: Json) -> int:
    return int(rule["backendRefs"][1]["weight"]) if len(rule["backendRefs"]) > 1 else 0
