"""The main job: a good release goes to 100 %, a bad one is taken back, a quiet one writes nothing."""

import time

from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene
from tests.e2e.lanes import answered_by
from tests.faults.history import OPERATOR, assert_form, assert_order, assert_stays_down, route_states


def test_a_good_release_goes_through_all_stages(shared_operator: Part, scene: Scene) -> None:
    scene.settle()
    with LoadThread(scene.load(120)) as load:
        scene.release("v2", watch="1h")
        status = scene.wait_state("Watching")
        revision = status["stable"]["revision"]
        pilot_over = next(r["time"] for r in scene.records() if r["body"].get("stage") == "mixed")
        samples = load.stop()
    assert status["stable"]["version"] == "v2"
    assert scene.condition("Ready")["status"] == "True"
    assert scene.condition("WatchComplete")["status"] == "False"
    from datetime import datetime

    end_of_pilot = datetime.fromisoformat(pilot_over.replace("Z", "+00:00")).timestamp()
    early = [s for s in samples if s.server == "v2" and s.sent_at_s < end_of_pilot]
    assert early, "nothing reached the candidate at 1 %"
    assert {s.segment for s in early} == {"low"}
    assert {s.status for s in samples} == {200}
    states = route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)
    assert_form(states, OPERATOR)
    assert_order(states, revision, [10, 50, 200, 1000])
    assert max(states[-1].share(revision).values()) == 1000
    kinds = [record["kind"] for record in scene.records()]
    assert kinds == ["Adopted", "Started", "Raised", "Raised", "Raised", "Raised", "Completed"]


def test_a_release_that_answers_errors_is_taken_back_and_stays_back(shared_operator: Part, scene: Scene) -> None:
    scene.settle()
    with LoadThread(scene.load(100)) as load:
        scene.release("v2", stages=_broad(600))
        scene.wait("broad", lambda s: (s.get("stage") or {}).get("name") == "broad")
        scene.models["v2"].set_behaviour(failure_fraction=0.5)
        status = scene.wait_state("Stopped")
        mark = answered_by(load, "v1")
        time.sleep(2)
        samples = load.stop()
    assert status["stop"]["reason"] == "GateFailed"
    assert "on the candidate" in status["stop"]["message"]
    assert {s.server for s in samples if s.sent_at_s > mark} == {"v1"}
    ready, stalled = scene.condition("Ready"), scene.condition("Stalled")
    assert (ready["status"], stalled["status"]) == ("False", "True")
    assert status["stop"]["message"] in ready["message"]
    states = route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)
    assert_stays_down(states, status["candidate"]["revision"], status["candidate"]["digest"])
    reverted = scene.records()[-1]
    assert reverted["kind"] == "Reverted"
    assert reverted["body"]["gate"] in ("errors", "errors-absolute")


def test_worse_answers_without_any_error_are_taken_back(shared_operator: Part, scene: Scene) -> None:
    scene.models["v1"].set_behaviour(wrong_fraction=0.05)
    scene.models["v2"].set_behaviour(wrong_fraction=0.5)
    gate = {"name": "quality", "template": "wrong-answers", "against": "Stable", "maxRatio": "1.5"}
    scene.settle()
    with LoadThread(scene.load(120)):
        scene.release("v2", stages=_broad(600), gates=[gate])
        status = scene.wait_state("Stopped")
    assert status["stop"]["gate"] == "quality"


def test_a_quiet_release_writes_nothing(shared_operator: Part, scene: Scene) -> None:
    scene.settle()
    before = _writes_at_rest(scene)
    time.sleep(12)
    assert _writes(scene) == before


def test_reapplying_and_restarting_write_nothing_to_the_route(shared_operator: Part, scene: Scene) -> None:
    scene.settle()
    before = len(route_states(scene.sandbox.audit_events(), scene.namespace, scene.name))
    scene.release("v1")
    shared_operator.kill()
    shared_operator.start()
    time.sleep(4)
    assert len(route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)) == before


def _broad(seconds: int) -> list[dict[str, object]]:
    return [
        {"name": "broad", "exposure": [{"percent": "20"}], "minDuration": f"{seconds}s"},
        {"name": "full", "exposure": [{"percent": "100"}]},
    ]


def _writes_at_rest(scene: Scene, quiet_s: float = 4.0, at_most_s: float = 60.0) -> int:
    """How many there were when what follows from being settled was over."""
    deadline = time.monotonic() + at_most_s
    while True:
        before = _writes(scene)
        time.sleep(quiet_s)
        if _writes(scene) == before:
            return before
        assert time.monotonic() < deadline, "it never came to rest"


def _writes(scene: Scene) -> int:
    return sum(
        1
        for event in scene.sandbox.audit_events()
        if event.user == OPERATOR and event.resource != "leases" and event.namespace == scene.namespace
    )
