"""kill -9 of the operator at each of its writes: before the send, after the commit, after the reply.

One history is walked through to its end with a crash at every write; the route's history must have all properties
and the end must be the same as without crashes.
"""

import itertools
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene, operator_part
from tests.api.objects import LEASE, LEASE_PATH
from tests.faults.history import OPERATOR, assert_form, assert_order, assert_stays_down, route_states
from tests.faults.kubelet import Kubelet
from tests.faults.proxy import Call, Fault, FaultProxy


class Crasher:
    """Two operators, as deployed. The one that leads is killed at each write of the kinds that none was killed at yet.

    The other takes over, while a kubelet starts the killed one again. The Lease of the killed one is freed: that a
    successor waits for its end is shown elsewhere (test_two_operators), and would be most of the time spent here.
    """

    def __init__(self, sandbox: Sandbox, folder: Path, fault: Fault) -> None:
        self.fault = fault
        self._armed = threading.Event()
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}
        self._proxies: list[FaultProxy] = []
        self.parts: list[Part] = []
        for name in ("a", "b"):
            proxy = FaultProxy(sandbox.api_url, sandbox.ca_file, rule=self._rule)
            part = operator_part(sandbox, name=f"operator-crashing-{name}", lease_duration_s=15.0)
            proxy.kill = partial(self._kill, part)
            self._proxies.append(proxy)
            self.parts.append(part)
        self._folder, self._sandbox = folder, sandbox
        self._kubelet = Kubelet(*self.parts)

    def __enter__(self) -> "Crasher":
        for proxy, part in zip(self._proxies, self.parts, strict=True):
            proxy.__enter__()
            config = proxy.kubeconfig(self._sandbox.kubeconfig("operator"), self._folder / f"{part.name}.yaml")
            part.argv[part.argv.index("--kubeconfig") + 1] = str(config)
        self._kubelet.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._kubelet.__exit__()
        for proxy in self._proxies:
            proxy.__exit__()

    @property
    def fired(self) -> list[tuple[Fault, Call]]:
        """All crashes so far."""
        return [one for proxy in self._proxies for one in proxy.fired]

    def arm(self) -> None:
        """From now on, crash, at the kinds of writes that come from now on."""
        self._seen.clear()
        for proxy in self._proxies:
            proxy.fired.clear()
        self._armed.set()

    def disarm(self) -> None:
        """No more crashes."""
        self._armed.clear()

    def _rule(self, call: Call) -> Fault:
        """The first two writes of each kind of object end in a crash; events only once."""
        if not call.number or not self._armed.is_set():
            return Fault.NONE
        kind = f"{call.method} {call.resource}"
        with self._lock:
            times = self._seen[kind] = self._seen.get(kind, 0) + 1
        allowed = 1 if call.resource == "events" else 2
        return self.fault if times <= allowed else Fault.NONE

    def _kill(self, part: Part) -> None:
        part.kill()
        lease = {"spec": {"holderIdentity": None}}
        self._sandbox.client().patch(f"{LEASE_PATH}/{LEASE}", lease)


FAULTS = (Fault.BEFORE_SEND, Fault.AFTER_COMMIT, Fault.AFTER_REPLY)


@pytest.fixture(scope="module", params=FAULTS, ids=lambda fault: fault.name.lower())
def shared_crasher(
    installed: Sandbox, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Crasher]:
    with Crasher(installed, tmp_path_factory.mktemp("crashing"), request.param) as made:
        yield made


@pytest.fixture
def crasher(shared_crasher: Crasher) -> Iterator[Crasher]:
    yield shared_crasher
    shared_crasher.disarm()
    print(*(part.log_tail() for part in shared_crasher.parts), sep="\n")


def stages() -> list[dict[str, object]]:
    return [
        {"name": "mixed", "exposure": [{"percent": "5"}], "minDuration": "2s", "minSamples": 1},
        {"name": "broad", "exposure": [{"percent": "20"}], "minDuration": "2s", "minSamples": 1},
        {"name": "full", "exposure": [{"percent": "100"}], "require": "NoHarm"},
    ]


def test_a_stale_intent_to_raise_is_not_carried_out(installed: Sandbox, scene: Scene, tmp_path: Path) -> None:
    """Killed between the status with the intent and the route; the candidate fails before the next start.

    First in this file, because the crashers of the others would lead meanwhile.
    """

    def rule(call: Call) -> Fault:
        if not (armed.is_set() and call.method == "PATCH" and call.resource == "httproutes"):
            return Fault.NONE
        status = scene.status()
        raising = status.get("state") == "Raising" and (status.get("stage") or {}).get("name") == "mixed"
        return Fault.BEFORE_SEND if raising else Fault.NONE

    armed = threading.Event()
    armed.set()
    with FaultProxy(installed.api_url, installed.ca_file, rule=rule) as proxy:
        config = proxy.kubeconfig(installed.kubeconfig("operator"), tmp_path / "proxied.yaml")
        part = operator_part(installed, name="operator-intent")
        part.argv[part.argv.index("--kubeconfig") + 1] = str(config)
        proxy.kill = part.kill
        try:
            part.start()
            scene.settle()
            with LoadThread(scene.load(80)):
                scene.release("v2", stages=stages())
                scene.wait("killed while raising", lambda s: s.get("state") == "Raising" and not part.running)
                scene.models["v2"].set_behaviour(failure_fraction=0.9)
                time.sleep(6)
                armed.clear()
                part.start()
                status = scene.wait_state("Stopped")
        finally:
            part.stop()
    states = route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)
    assert max(max(state.share(status["candidate"]["revision"]).values(), default=0) for state in states) == 50
    assert proxy.fired


@pytest.mark.timeout(1200)
def test_a_good_release_completes_although_the_operator_is_killed_at_each_write(crasher: Crasher, scene: Scene) -> None:
    scene.settle()
    crasher.arm()
    with LoadThread(scene.load(60)):
        scene.release("v2", stages=stages())
        status = scene.wait("v2 stable", lambda s: (s.get("stable") or {}).get("version") == "v2", 600)
    assert len(crasher.fired) >= 8, crasher.fired
    states = route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)
    assert_form(states, OPERATOR)
    assert_order(states, status["stable"]["revision"], [50, 200, 1000])
    _assert_chain(scene)
    assert [record["kind"] for record in scene.records()].count("Completed") == 1


@pytest.mark.timeout(1200)
def test_a_failing_release_stays_back_although_the_operator_is_killed_at_each_write(
    crasher: Crasher, scene: Scene
) -> None:
    scene.settle()
    with LoadThread(scene.load(60)):
        scene.release("v2", stages=[{**stages()[1], "minDuration": "300s"}, stages()[2]])
        scene.wait("broad", lambda s: (s.get("stage") or {}).get("name") == "broad")
        crasher.arm()
        scene.models["v2"].set_behaviour(failure_fraction=0.7)
        status = scene.wait_state("Stopped", timeout_s=600)
        crasher.disarm()
        time.sleep(3)
    assert crasher.fired
    states = route_states(scene.sandbox.audit_events(), scene.namespace, scene.name)
    assert_stays_down(states, status["candidate"]["revision"], status["candidate"]["digest"])
    _assert_chain(scene)
    assert [record["kind"] for record in scene.records()].count("Reverted") == 1


def _assert_chain(scene: Scene) -> None:
    """S15: numbers without gaps, each linked to the one before."""
    records = scene.records()
    assert [record["sequence"] for record in records] == list(range(1, len(records) + 1))
    for before, after in itertools.pairwise(records):
        assert after["previous"] == before["hash"]
