"""An API server that refuses, hangs, breaks off and restarts: the good completes, the failing is taken back."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene, operator_part
from tests.e2e.lanes import UNTIL_PROMOTED, Lane, delete, full, observing, promote, stage
from tests.faults.hands import edit_route, share
from tests.faults.history import (
    OPERATOR,
    STOPPED,
    assert_form,
    assert_order,
    assert_stays_down,
    raises,
    route_states,
    top,
)
from tests.faults.kubelet import Kubelet
from tests.faults.proxy import Call, Fault, FaultProxy

ON_WRITES = (Fault.CONFLICT, Fault.TOO_MANY, Fault.SERVER_ERROR, Fault.RESET, Fault.LOST_REPLY, Fault.HANG)
ON_READS = (Fault.TOO_MANY, Fault.SERVER_ERROR, Fault.RESET, Fault.LOST_REPLY, Fault.HANG)


HANGING = ("httproutes", "modelreleases/status")
"""Whose calls hang as well: each of them costs the deadline of a call."""

UNNEEDED = ("configmaps", "releaserecords", "endpointslices")
"""What a deletion can do without."""


@dataclass
class Storm:
    """Of each kind of call every third write and every eighth read fails, each time in the way used least so far."""

    blowing: threading.Event = field(default_factory=threading.Event)
    only_routes: threading.Event = field(default_factory=threading.Event)
    unreadable: threading.Event = field(default_factory=threading.Event)
    seen: Counter[str] = field(default_factory=Counter)
    used: Counter[tuple[bool, Fault]] = field(default_factory=Counter)

    def rule(self, call: Call) -> Fault:
        if self.only_routes.is_set():
            lists = call.method == "GET" and "/namespaces/" not in call.path
            return Fault.NONE if lists or call.resource == "httproutes" else Fault.HANG
        if self.unreadable.is_set() and call.method == "GET" and call.resource in UNNEEDED:
            return Fault.SERVER_ERROR
        if not self.blowing.is_set():
            return Fault.NONE
        kind = f"{call.method} {call.resource} {call.watch}"
        turn, rest = divmod(self.seen[kind], 3 if call.number else 8)
        self.seen[kind] += 1
        if rest:
            return Fault.NONE
        writes = bool(call.number)
        ways = [way for way in (ON_WRITES if writes else ON_READS) if self._fits(way, turn, call)]
        way = min(ways, key=lambda one: self.used[writes, one])
        self.used[writes, way] += not call.watch
        return way

    def _fits(self, way: Fault, turn: int, call: Call) -> bool:
        if call.watch:
            return way not in (Fault.HANG, Fault.LOST_REPLY)
        return way is not Fault.HANG or (call.resource in HANGING and turn < len(ON_WRITES))


@dataclass
class Setting:
    """An operator behind a proxy, and the kubelet that looks after it."""

    proxy: FaultProxy
    part: Part
    kubelet: Kubelet
    storm: Storm


@pytest.fixture(scope="module")
def shared_setting(installed: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    storm = Storm()
    with FaultProxy(installed.api_url, installed.ca_file, rule=storm.rule) as proxy:
        part = operator_part(installed, name="operator-proxied", lease_duration_s=15.0)
        config = tmp_path_factory.mktemp("proxied") / "kubeconfig.yaml"
        proxy.kubeconfig(installed.kubeconfig("operator"), config)
        part.argv[part.argv.index("--kubeconfig") + 1] = str(config)
        part.argv += ["--resync", "2"]
        with Kubelet(part) as kubelet:
            part.wait_ready()
            yield Setting(proxy, part, kubelet, storm)


@pytest.fixture
def setting(shared_setting: Setting) -> Iterator[Setting]:
    """The file's setting without faults from before; what the operator logged is shown when the test fails."""
    shared_setting.proxy.fired.clear()
    began = shared_setting.part.log.stat().st_size
    yield shared_setting
    shared_setting.storm.blowing.clear()
    shared_setting.storm.only_routes.clear()
    shared_setting.storm.unreadable.clear()
    log = shared_setting.part.log.read_bytes()[began:].decode(errors="replace").splitlines()
    print("\n".join(line for line in log if "source is down" not in line))


def test_in_a_storm_of_failing_calls_a_good_release_completes_and_a_failing_one_is_taken_back(
    setting: Setting, scene: Scene
) -> None:
    good, bad = Lane(scene, "good"), Lane(scene, "bad")
    for lane in (good, bad):
        lane.route("v1")
        lane.settle()
    with LoadThread(good.load(40)), LoadThread(bad.load(40)):
        bad.release("v2", stages=[stage("some", 20, minDuration="300s"), full()])
        failing = observing(bad, "some")["candidate"]
        setting.storm.blowing.set()
        good.release("v2", stages=[stage("few", 5), stage("some", 20), full()])
        setting.proxy.drop_watches()
        bad.fail(failing["revision"])
        bad.wait_state("Stopped")
        completed = good.wait_state("Settled")["stable"]
    setting.storm.blowing.clear()
    happened = {(fault, call.number > 0) for fault, call in setting.proxy.fired if not call.watch}
    assert happened >= {(fault, True) for fault in ON_WRITES} | {(fault, False) for fault in ON_READS[:-1]}
    assert {fault for fault, call in setting.proxy.fired if call.watch}, "no watch was refused"
    on_routes = {fault for fault, call in setting.proxy.fired if call.number and call.resource == "httproutes"}
    assert len(on_routes) >= 2, on_routes
    log = scene.sandbox.audit_events()
    states = {lane: route_states(log, scene.namespace, lane.name) for lane in (good, bad)}
    for lane in (good, bad):
        assert_form(states[lane], OPERATOR)
    assert_order(states[good], completed["revision"], [50, 200, 1000])
    assert top(states[good][-1], completed["revision"]) == 1000
    assert raises(states[bad], failing["revision"]) == [(0, 200)]
    assert_stays_down(states[bad], failing["revision"], failing["digest"])
    assert [record["kind"] for record in good.records()].count("Completed") == 1
    assert [record["kind"] for record in bad.records()].count("Reverted") == 1


def test_a_revert_needs_nothing_of_the_api_server_but_the_route(setting: Setting, scene: Scene) -> None:
    """Records, statuses, ConfigMaps, endpoints and events hang, and the operator was started anew on top of that."""
    content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prompt", "namespace": scene.namespace}}
    scene.sandbox.apply({**content, "data": {"system": "You are helpful."}})
    unit = {"prompt": {"version": "1", "configMapRef": {"name": "prompt"}}}
    lane = Lane(scene, "bare")
    lane.route("v1")
    lane.settle()
    with LoadThread(lane.load(40)):
        lane.release("v2", unit=unit, stages=[stage("some", 20, minDuration="300s"), full()])
        candidate = observing(lane, "some")["candidate"]
        restarts = setting.kubelet.restarts
        setting.storm.only_routes.set()
        setting.part.kill()
        lane.wait("the operator was started again", lambda _: setting.kubelet.restarts > restarts)
        lane.fail(candidate["revision"])
        lane.wait("zero on the route", lambda _: marked(lane) == candidate["digest"])
        lane.wait("all else was tried", lambda _: hung(setting.proxy) >= {*UNNEEDED, "modelreleases/status"})
        assert lane.status()["state"] == "Observing"
        setting.storm.only_routes.clear()
        lane.wait_state("Stopped")
    states = route_states(scene.sandbox.audit_events(), scene.namespace, lane.name)
    assert raises(states, candidate["revision"]) == [(0, 200)]
    assert_stays_down(states, candidate["revision"], candidate["digest"])
    assert [record["kind"] for record in lane.records()][-1] == "Reverted"


def hung(proxy: FaultProxy) -> set[str]:
    """What was asked for and never answered."""
    return {call.resource for fault, call in proxy.fired if fault is Fault.HANG}


def marked(lane: Lane) -> str | None:
    """The digest that the route says was stopped."""
    found: str | None = lane.read_route()["metadata"]["annotations"].get(STOPPED)
    return found


def test_watches_that_break_or_fall_silent_delay_no_revert_and_are_begun_anew(setting: Setting, scene: Scene) -> None:
    good, bad = Lane(scene, "good"), Lane(scene, "bad")
    for lane in (good, bad):
        lane.route("v1")
        lane.settle()
    with LoadThread(good.load(40)), LoadThread(bad.load(40)):
        bad.release("v2", stages=[stage("some", 20, minDuration="300s"), full()])
        failing = observing(bad, "some")["candidate"]
        assert setting.proxy.drop_watches() >= 4
        good.release("v2", stages=[stage("few", 5), full()])
        completed = good.wait_state("Settled")["stable"]

        restarts = setting.kubelet.restarts
        setting.proxy.silence_watches()
        bad.fail(failing["revision"])
        bad.wait_state("Stopped")
        good.release("v2a", backend="chat-v2", stages=[stage("some", 20), full()])
        good.wait("v2a settled", lambda s: s.get("state") == "Settled" and s["stable"]["version"] == "v2a")
        bad.wait("the operator was started again", lambda _: setting.kubelet.restarts > restarts)
    assert {fault for fault, _ in setting.proxy.fired} == {Fault.DROPPED_WATCH, Fault.SWALLOWED}
    log = scene.sandbox.audit_events()
    assert_order(route_states(log, scene.namespace, good.name), completed["revision"], [50, 1000])
    assert_stays_down(route_states(log, scene.namespace, bad.name), failing["revision"], failing["digest"])


def test_a_release_that_is_deleted_takes_back_what_no_watch_has_shown(setting: Setting, scene: Scene) -> None:
    """Somebody raised the candidate by hand and deleted the release while the routes' watch hung.

    What the spec refers to, records and endpoints cannot be read: that holds no deletion up.
    """
    content = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prompt", "namespace": scene.namespace}}
    scene.sandbox.apply({**content, "data": {"system": "You are helpful."}})
    unit = {"prompt": {"version": "1", "configMapRef": {"name": "prompt"}}}
    lane = Lane(scene, "unseen")
    lane.route("v1")
    lane.settle()
    lane.release("v2", unit=unit, stages=[stage("some", 20, approvals=["owner"]), full()])
    waits = lane.wait("waiting at zero", lambda _: lane.condition("AwaitingApproval").get("status") == "True")
    setting.storm.unreadable.set()
    setting.proxy.silence_watches("httproutes")
    edit_route(lane, share(600))
    delete(lane)
    assert {fault for fault, _ in setting.proxy.fired} == {Fault.SWALLOWED, Fault.SERVER_ERROR}
    assert "configmaps" in {call.resource for _, call in setting.proxy.fired}
    states = route_states(scene.sandbox.audit_events(), scene.namespace, lane.name)
    revision = waits["candidate"]["revision"]
    assert [top(state, revision) for state in states[-2:]] == [600, 0]
    assert (states[-2].user, states[-1].user) == ("admin", OPERATOR)


def test_api_server_and_etcd_are_restarted_in_the_middle_of_a_stage(
    setting: Setting, scene: Scene, tmp_path: Path
) -> None:
    good, bad = Lane(scene, "good"), Lane(scene, "bad")
    for lane in (good, bad):
        lane.route("v1")
        lane.settle()
    sandbox = scene.sandbox
    with LoadThread(good.load(40)), LoadThread(bad.load(40)):
        good.release("v2", stages=[stage("few", 5, minDuration=UNTIL_PROMOTED), stage("some", 20), full()])
        bad.release("v2", stages=[stage("some", 20, minDuration="300s"), full()])
        revision = observing(good, "few")["candidate"]["revision"]
        failing = observing(bad, "some")["candidate"]
        before = sandbox.apiserver.pid, sandbox.etcd.pid
        sandbox.apiserver.kill()
        bad.fail(failing["revision"])
        sandbox.etcd.restart()
        sandbox.apiserver.start()
        assert before != (sandbox.apiserver.pid, sandbox.etcd.pid)
        bad.wait_state("Stopped")
        promote(good)
        good.wait_state("Settled")
    log = sandbox.audit_events()
    assert_order(route_states(log, scene.namespace, good.name), revision, [50, 200, 1000])
    states = route_states(log, scene.namespace, bad.name)
    assert raises(states, failing["revision"]) == [(0, 200)]
    assert_stays_down(states, failing["revision"], failing["digest"])
