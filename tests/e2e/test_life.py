"""The life of a release: installed, edited, taken back by git, deleted; its route, endpoints or status lost."""

import itertools
import time
from contextlib import ExitStack
from typing import Any

from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.load import LoadThread, servers_of
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import PATIENCE_S, Scene, default_gates
from tests.e2e.lanes import (
    UNTIL_PROMOTED,
    Lane,
    answered_by,
    delete,
    delete_route,
    events,
    full,
    observing,
    promote,
    stage,
    stage_name,
    wipe_status,
)
from tests.faults.hands import edit_route
from tests.faults.history import (
    OPERATOR,
    RouteState,
    assert_form,
    assert_order,
    assert_stays_down,
    raises,
    route_states,
    top,
)

Json = dict[str, Any]


def history(scene: Scene) -> list[RouteState]:
    return route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)


def settled(scene: Scene, version: str, timeout_s: float = PATIENCE_S) -> Json:
    """Wait until a version is stable and nothing is under way."""

    def there(status: Json) -> bool:
        return status.get("state") == "Settled" and status["stable"]["version"] == version

    return scene.wait(f"{version} settled", there, timeout_s)


def kinds(scene: Scene) -> list[str]:
    return [record["kind"] for record in scene.records()]


def test_a_first_install_waits_for_endpoints_and_then_serves_at_once_and_outlives_its_release(
    shared_operator: Part, scene: Scene
) -> None:
    kept, removed = Lane(scene, "kept", owned=True), Lane(scene, "removed", owned=True)
    scene.services["v1"].set_ready(0)
    for lane in (kept, removed):
        lane.release("v1")
    kept.wait("not ready", lambda _: kept.condition("Ready").get("reason") == "CandidateNotReady")
    assert not _has_route(kept)
    scene.services["v1"].set_ready(2)
    for lane in (kept, removed):
        first = settled(lane, "v1")["stable"]["revision"]
    with LoadThread(kept.load(40)) as load:
        kept.release("v2", stages=[stage("some", 20), full()])
        second = settled(kept, "v2")["stable"]["revision"]
        samples = load.stop()
    first_answer = next(index for index, sample in enumerate(samples) if sample.status == 200)
    assert {sample.status for sample in samples[first_answer:]} == {200}
    states = history(kept)
    assert_form(states, OPERATOR)
    assert states[0].shares == {"main": {kept.records()[0]["body"]["stable"]["revision"]: 1000}}
    assert_order(states, second, [200, 1000])
    assert first != second
    assert kinds(kept)[:2] == ["Adopted", "Started"]

    scene.sandbox.client().patch(_path(removed), {"spec": {"deletionPolicy": "Delete"}})
    delete(kept)
    delete(removed)
    assert top(history(kept)[-1], second) == 1000
    assert _has_route(kept) and not _has_route(removed)


def test_what_a_route_serves_is_the_baseline_and_a_first_release_goes_through_its_stages(
    shared_operator: Part, scene: Scene
) -> None:
    with LoadThread(scene.load(40, low=0)):
        scene.release("v2", stages=[stage("some", 20), full()])
        revision = settled(scene, "v2")["stable"]["revision"]
    assert_order(history(scene), revision, [200, 1000])
    [adopted, started, *_] = scene.records()
    assert (adopted["kind"], adopted["body"]["stable"]["version"]) == ("Adopted", "baseline")
    assert (started["kind"], started["body"]["candidate"]["version"]) == ("Started", "v2")


def three_stages(*long: str) -> list[Json]:
    """Of 5, 20 and 100 %; some of them until a person says so."""
    made = [stage("few", 5), stage("some", 20), full(minDuration="3s")]
    return [{**each, "minDuration": UNTIL_PROMOTED} if each["name"] in long else each for each in made]


def test_an_edit_at_any_stage_starts_over_and_tighter_bounds_apply_in_place(
    shared_operator: Part, scene: Scene
) -> None:
    lane = Lane(scene, "edited")
    lane.route("v1")
    order = [50, 200, 1000]
    lane.release("v1")
    settled(lane, "v1")
    tight, loose = (
        [{**gate, "max": bound} if "max" in gate else gate for gate in default_gates()] for bound in ("0.05", "0.06")
    )
    found = {}
    with LoadThread(lane.load(60)):
        for version, at in (("v2", "few"), ("v2a", "some"), ("v2b", "full")):
            lane.release(version, backend="chat-v2", stages=three_stages(at))
            found[version] = observing(lane, at, version=version)["candidate"]["revision"]
        how: Json = {"backend": "chat-v2", "stages": three_stages("some", "full")}
        lane.release("v2c", **how, gates=loose)
        found["v2c"] = observing(lane, "some", version="v2c")["candidate"]["revision"]
        lane.release("v2c", **how, gates=tight)
        lane.wait("tightened", lambda _: "Tightened" in kinds(lane))
        tightened = lane.status()
        assert (tightened["state"], stage_name(tightened)) == ("Observing", "some")
        promote(lane)
        observing(lane, "full", version="v2c")
        lane.release("v2c", backend="chat-v2", stages=three_stages(), gates=loose)
        settled(lane, "v2c")
    states = history(lane)
    assert_form(states, OPERATOR)
    for version, reached in (("v2", 50), ("v2a", 200), ("v2b", 1000), ("v2c", 1000)):
        assert_order(states, found[version], order)
        assert max(top(state, found[version]) for state in states) == reached
    for version, following in (("v2", "v2a"), ("v2a", "v2b"), ("v2b", "v2c")):
        begun = next(index for index, state in enumerate(states) if top(state, found[following]))
        assert all(top(state, found[version]) == 0 for state in states[begun:]), f"{version} beside {following}"
    assert raises(states, found["v2c"]).count((0, 50)) == 2
    assert kinds(lane).count("Superseded") == 4


def test_a_git_revert_goes_back_at_once_in_mid_rollout_and_in_the_watch(shared_operator: Part, scene: Scene) -> None:
    scene.settle(watch="1h")
    with LoadThread(scene.load(50, low=0)) as load:
        stages = [stage("some", 20, minDuration=UNTIL_PROMOTED), full()]
        scene.release("v2", stages=stages, watch="1h")
        first = observing(scene, "some")["candidate"]["revision"]
        scene.release("v1", watch="1h")
        settled(scene, "v1")
        scene.release("v2a", backend="chat-v2", stages=[stage("some", 20), full()], watch="1h")
        second = scene.wait_state("Watching")["stable"]["revision"]
        scene.release("v1", watch="1h")
        status = settled(scene, "v1")
        mark = answered_by(load, "v1")
        time.sleep(2)
        samples = load.stop()
    assert {sample.server for sample in samples if sample.sent_at_s > mark} == {"v1"}
    assert not status.get("watch") and not status.get("candidate")
    assert scene.condition("Ready")["status"] == "True"
    states = history(scene)
    assert raises(states, first) == [(0, 200)]
    assert raises(states, second) == [(0, 200), (200, 1000)]
    [back] = [after for before, after in itertools.pairwise(states) if top(before, second) > top(after, second)]
    assert top(back, second) == 0, "there was a canary on the way back"
    assert kinds(scene)[-1] == "Withdrawn"


def test_a_release_deleted_in_mid_rollout_leaves_everything_on_stable(shared_operator: Part, scene: Scene) -> None:
    stable = scene.settle()["stable"]["revision"]
    with LoadThread(scene.load(50)) as load:
        scene.release("v2", stages=[stage("some", 20, minDuration=UNTIL_PROMOTED), full()])
        revision = observing(scene, "some")["candidate"]["revision"]
        delete(scene)
        mark = answered_by(load, "v1")
        time.sleep(2)
        samples = load.stop()
    states = history(scene)
    assert raises(states, revision) == [(0, 200)]
    assert (top(states[-1], revision), top(states[-1], stable)) == (0, 1000)
    assert {sample.server for sample in samples if sample.sent_at_s > mark} == {"v1"}


def test_a_route_deleted_in_mid_rollout_comes_back_with_everything_on_stable(
    shared_operator: Part, scene: Scene
) -> None:
    """An owned route is made again by the operator, an adopted one by its team; either way the stages begin anew."""
    owned, adopted = Lane(scene, "owned", owned=True), Lane(scene, "adopted")
    lanes = (owned, adopted)
    adopted.route("v1")
    for lane in lanes:
        lane.release("v1")
    stable = {lane: settled(lane, "v1")["stable"]["revision"] for lane in lanes}
    with ExitStack() as loads:
        for lane in lanes:
            loads.enter_context(LoadThread(lane.load(40)))
            lane.release("v2", stages=[stage("some", 20, minDuration=UNTIL_PROMOTED), full()])
        revisions = {lane: observing(lane, "some")["candidate"]["revision"] for lane in lanes}
        for lane in lanes:
            delete_route(lane)
        adopted.wait("Drifted", lambda _: adopted.condition("Drifted").get("status") == "True")
        assert "is gone" in adopted.condition("Drifted")["message"]
        promote(adopted)
        time.sleep(3.5)
        assert stage_name(adopted.status()) == "some"
        adopted.route("v1")
        owned.wait("begun anew", lambda _: raises(history(owned), revisions[owned]) == [(0, 200), (0, 200)])
        observing(owned, "some")
        promote(owned)
        for lane in lanes:
            settled(lane, "v2")
    for lane in lanes:
        states = history(lane)
        gone = next(
            index
            for index, state in enumerate(states)
            if index and state.generation == 1 and top(states[index - 1], revisions[lane])
        )
        assert top(states[gone], revisions[lane]) == 0
        assert states[gone].user == (OPERATOR if lane is owned else "admin")
        assert lane is adopted or top(states[gone], stable[lane]) == 1000
        assert raises(states[gone:], revisions[lane]) == [(0, 200), (200, 1000)]


def test_nothing_rises_while_stable_could_not_take_it_back_and_a_revert_goes_to_the_safe_backend(
    shared_operator: Part, scene: Scene
) -> None:
    scene.serve("safe", ready=1)
    traffic = {"safeBackend": {"name": "chat-safe", "port": 8080}}
    scene.settle(traffic=traffic)
    scene.services["v2"].set_ready(0, not_ready=2)
    with LoadThread(scene.load(60, low=0)) as load:
        stages = [stage(name, percent, minDuration=UNTIL_PROMOTED) for name, percent in (("few", 5), ("some", 20))]
        scene.release("v2", stages=[*stages, full()], traffic=traffic)
        scene.wait("not ready", lambda _: scene.condition("Ready").get("reason") == "CandidateNotReady")
        scene.services["v2"].set_ready(2)
        revision = observing(scene, "few")["candidate"]["revision"]
        scene.services["v1"].set_ready(1, not_ready=1)
        scene.wait("capacity", lambda _: scene.condition("RevertCapacity").get("status") == "False")
        promote(scene)
        scene.wait("due", lambda _: scene.condition("Ready")["reason"] == "RevertCapacity")
        time.sleep(3)
        assert stage_name(scene.status()) == "few"
        scene.services["v1"].set_ready(2)
        observing(scene, "some")

        scene.services["v1"].set_ready(0, not_ready=2)
        scene.wait("no capacity", lambda _: "0 ready endpoints" in scene.condition("RevertCapacity").get("message", ""))
        scene.models["v2"].set_behaviour(failure_fraction=0.9)
        status = scene.wait_state("Stopped")
        diverted = answered_by(load, "safe")
        time.sleep(2)
        back_at = time.time()
        assert status["diverted"]["backend"]["name"] == "chat-safe"
        scene.services["v1"].set_ready(2)
        scene.wait("back on stable", lambda s: not s.get("diverted"))
        again = answered_by(load, "v1")
        time.sleep(2)
        samples = load.stop()
    assert {sample.server for sample in samples if diverted < sample.sent_at_s < back_at} == {"safe"}
    assert {sample.server for sample in samples if sample.sent_at_s > again} == {"v1"}
    states = history(scene)
    assert raises(states, revision) == [(0, 50), (50, 200)]
    assert_stays_down(states, revision, status["candidate"]["digest"])
    scene.wait("an event", lambda _: any(reason == "BackToStable" for reason, _ in events(scene)))


def test_a_wiped_status_makes_no_candidate_jump_and_what_was_stopped_stays_stopped(
    shared_operator: Part, scene: Scene
) -> None:
    rolling, stopped = Lane(scene, "rolling"), Lane(scene, "stopped")
    lanes = (rolling, stopped)
    for lane in lanes:
        lane.route("v1")
        lane.release("v1")
    for lane in lanes:
        settled(lane, "v1")
    with ExitStack() as loads:
        for lane in lanes:
            loads.enter_context(LoadThread(lane.load(40)))
            lane.release("v2", stages=three_stages("some"))
        candidates = {lane: observing(lane, "some")["candidate"] for lane in lanes}
        wipe_status(rolling)
        stopped.fail(candidates[stopped]["revision"])
        stopped.wait_state("Stopped")
        wipe_status(stopped)
        stopped.wait("recovered", lambda s: s.get("state") in ("Settled", "Stopped"))
        rolling.wait("adopted", lambda _: kinds(rolling).count("Adopted") == 2)
        observing(rolling, "some")
        promote(rolling)
        settled(rolling, "v2")
        edit_route(stopped, lambda route: route["metadata"].setdefault("labels", {}).update(touched="yes"))
        time.sleep(2)
    states = history(rolling)
    revision = candidates[rolling]["revision"]
    assert raises(states, revision) == [(0, 50), (50, 200), (0, 50), (50, 200), (200, 1000)]
    assert kinds(rolling).count("Adopted") == 2

    status = stopped.status()
    assert (status["stable"]["version"], status["state"]) == ("v1", "Settled")
    assert candidates[stopped]["digest"] in status["stopped"]
    assert stopped.condition("Ready")["status"] == "False"
    assert stopped.condition("SpecSuperseded")["status"] == "True"
    states = history(stopped)
    assert raises(states, candidates[stopped]["revision"]) == [(0, 50), (50, 200)]
    assert_stays_down(states, candidates[stopped]["revision"], candidates[stopped]["digest"])


def test_of_two_releases_on_one_rule_the_older_wins_until_it_goes(shared_operator: Part, scene: Scene) -> None:
    scene.settle()
    time.sleep(1.1)  # Creation times are whole seconds.
    late = scene.manifest("v2", stages=[stage("some", 20), full()])
    late["metadata"]["name"] = "late"
    with LoadThread(scene.load(50)):
        scene.sandbox.apply(late)
        newer = Scene(scene.sandbox, scene.namespace, "late")
        newer.wait("conflict", lambda _: newer.condition("RouteConflict").get("status") == "True")
        before = history(scene)
        scene.release("v2", stages=[stage("some", 20), full()])
        revision = settled(scene, "v2")["stable"]["revision"]
        assert "ModelRelease chat" in newer.condition("RouteConflict")["message"]
        assert newer.condition("Stalled")["status"] == "True"
        assert newer.status().get("state") in (None, "New")
        assert_order(history(scene)[len(before) - 1 :], revision, [200, 1000])
        delete(scene)
        newer.wait_state("Settled")
    assert not newer.condition("RouteConflict")
    annotations = scene.read_route()["metadata"]["annotations"]
    assert annotations["modelrelease.dev/release"].startswith(f"{scene.namespace}/late/")


def test_a_prompt_is_released_on_one_service_and_taken_back_when_its_answers_are_worse(
    shared_operator: Part, scene: Scene
) -> None:
    def prompt(number: int) -> Json:
        name = f"prompt-{number}"
        content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": scene.namespace}}
        scene.sandbox.apply({**content, "data": {"system": f"You are helpful, take {number}."}})
        return {"prompt": {"version": str(number), "configMapRef": {"name": name}}}

    gate = {"name": "quality", "template": "wrong-answers", "against": "Stable", "maxRatio": "1.5", "floor": "0.02"}
    how: Json = {"gates": [gate], "backend": "chat-v1", "stages": [stage("half", 50, minDuration="3s"), full()]}
    scene.models["v1"].set_behaviour(wrong_fraction=0.02)
    scene.settle("v1", unit=prompt(1), **how)
    with LoadThread(scene.load(80, low=0)) as load:
        scene.release("v1-b", unit=prompt(2), **how)
        better = settled(scene, "v1-b")["stable"]["revision"]
        slow: Json = {**how, "stages": [stage("half", 50, minDuration=UNTIL_PROMOTED), full()]}
        scene.release("v1-c", unit=prompt(3), **slow)
        status = observing(scene, "half", version="v1-c")
        worse = status["candidate"]["revision"]
        scene.models["v1"].set_behaviour(release=worse, wrong_fraction=0.6)
        stopped = scene.wait_state("Stopped")
        samples = load.stop()
    assert stopped["stop"]["gate"] == "quality"
    assert set(servers_of(samples)) == {"v1"}
    assert {better, worse} <= {sample.release for sample in samples}
    states = history(scene)
    assert_order(states, better, [500, 1000])
    assert raises(states, worse) == [(0, 500)]
    assert_stays_down(states, worse, status["candidate"]["digest"])
    assert top(states[-1], better) == 1000


def _path(scene: Scene) -> str:
    return f"/apis/modelrelease.dev/v1alpha1/namespaces/{scene.namespace}/modelreleases/{scene.name}"


def _has_route(scene: Scene) -> bool:
    try:
        scene.read_route()
    except ApiError as error:
        assert error.status == 404
        return False
    return True
