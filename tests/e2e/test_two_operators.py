"""Two operators, as deployed: one leads, the other takes over, and one that slept through it can write no more."""

import itertools
import time
from pathlib import Path

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.audit import AuditEvent
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.scene import Scene, operator_part
from tests.api.objects import LEASE, LEASE_PATH, bind, create, decision, free_lease
from tests.e2e.lanes import UNTIL_PROMOTED, full, observing, promote, stage, stage_name
from tests.faults.history import OPERATOR, assert_stays_down, raises, route_states
from tests.faults.proxy import Call, Fault, FaultProxy

EXIT_LOST = 2
LEASE_S = 9.0
"""A leader that the machine holds up for less than two thirds of this still leads."""


def holder(sandbox: Sandbox) -> str:
    """Whom the Lease names."""
    return str(sandbox.client().get(f"{LEASE_PATH}/{LEASE}")["spec"].get("holderIdentity") or "")


def wait_refused(scene: Scene, timeout_s: float = 60.0) -> AuditEvent:
    """The first write to the route that the API server did not take."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for event in scene.sandbox.audit_events():
            if (event.resource, event.namespace) == ("httproutes", scene.namespace) and event.code >= 400:
                return event
        time.sleep(0.2)
    raise TimeoutError("no write to the route was refused")


def test_a_leader_that_sleeps_past_its_lease_in_the_middle_of_a_raise_is_succeeded_and_refused(
    installed: Sandbox, scene: Scene, tmp_path: Path
) -> None:
    """Its raise is on the way to the API server when it falls asleep, and arrives when another process leads."""
    bind(installed, scene.namespace, "alice", "modelrelease-decide")

    def rule(call: Call) -> Fault:
        raising = call.method == "PATCH" and call.resource == "httproutes" and stage_name(scene.status()) == "some"
        return Fault.HELD if raising else Fault.NONE

    with FaultProxy(installed.api_url, installed.ca_file, rule=rule) as proxy:
        first = operator_part(installed, name="operator-first", lease_duration_s=LEASE_S)
        config = proxy.kubeconfig(installed.kubeconfig("operator"), tmp_path / "proxied.yaml")
        first.argv[first.argv.index("--kubeconfig") + 1] = str(config)
        second = operator_part(installed, name="operator-second", lease_duration_s=LEASE_S)
        first.start()
        scene.settle()
        second.start()
        leader = holder(installed)
        try:
            with LoadThread(scene.load(60)):
                scene.release("v2", stages=[stage("some", 20, minDuration=UNTIL_PROMOTED), full()])
                candidate = observing(scene, "some")["candidate"]
                assert holder(installed) == leader
                promote(scene)
                scene.wait("a raise on its way", lambda _: bool(proxy.fired))
                first.pause()
                create(installed.client("alice"), decision(scene.namespace))
                scene.wait("the second leads", lambda _: holder(installed) not in ("", leader))
                scene.wait("the intent of the first is void", lambda s: s.get("state") == "Observing")

                proxy.let_go.set()
                refused = wait_refused(scene)
                assert (refused.user, refused.code) == (OPERATOR, 403)
                assert f'holder is "{leader}"' in refused.response["message"]
                first.resume()
                scene.wait("the first has ended", lambda _: not first.running)
                assert first.exit_code == EXIT_LOST

                scene.models["v2"].set_behaviour(failure_fraction=0.9)
                scene.wait_state("Stopped")
        finally:
            print(first.log_tail(), second.log_tail(), sep="\n")
            first.kill()
            second.stop()
    assert [fault for fault, _ in proxy.fired] == [Fault.HELD] * len(proxy.fired)
    states = route_states(installed.audit_events(), scene.namespace, scene.name)
    writers = [state.holder for state in states if state.user == OPERATOR]
    assert [name for name, _ in itertools.groupby(writers)] == [leader, *set(writers) - {leader}]
    assert len(set(writers)) == 2
    assert raises(states, candidate["revision"]) == [(0, 200)]
    assert_stays_down(states, candidate["revision"], candidate["digest"])
    kinds = [record["kind"] for record in scene.records()]
    assert kinds[-1] == "Reverted"
    assert {"Paused", "IntentVoid"} <= set(kinds)


def test_an_operator_that_is_started_again_takes_its_own_lease_over_without_waiting_for_its_end(
    installed: Sandbox, scene: Scene
) -> None:
    part = operator_part(installed, name="operator-restarted", lease_duration_s=600.0)
    try:
        part.start()
        scene.settle()
        leader = holder(installed)
        part.kill()
        part.start()
        scene.wait("it leads again", lambda _: holder(installed) != leader)
        with LoadThread(scene.load(60)):
            scene.release("v2", stages=[stage("some", 20), full()])
            scene.wait_state("Settled")
    finally:
        part.kill()
        free_lease(installed)
    states = route_states(installed.audit_events(), scene.namespace, scene.name)
    assert states[0].holder is None and states[1].holder == leader
    assert leader not in {state.holder for state in states[2:]}
