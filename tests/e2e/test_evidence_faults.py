"""Monitoring in trouble: ignorance never advances, an outage is borne, and a bad candidate falls all the same."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene, default_gates
from tests.e2e.lanes import Lane, delete, full, observing, stage, stage_name
from tests.faults.history import OPERATOR, assert_order, assert_stays_down, raises, route_states, top
from tests.faults.metrics import MetricsProxy, Trouble

Json = dict[str, Any]

OUTAGES = (Trouble.UNAVAILABLE, Trouble.HANGING, Trouble.WARNING)
"""The source's own fault: borne for as long as it takes."""

IGNORANCE = {
    Trouble.NAN: "Broken",
    Trouble.SEVERAL: "Broken",
    Trouble.EMPTY: "Missing",
    Trouble.STALE: "Missing",
}
"""The evidence's fault: borne for as long as the plan says, then a reason to revert."""

FAILING_S = 6
"""Some twenty failing answers: more than enough for a verdict once they can be read, before anything is raised."""

DRIFT_GATE = {"name": "drift", "template": "drift", "max": "100"}


@pytest.fixture
def metrics(scene: Scene) -> Iterator[MetricsProxy]:
    with MetricsProxy(scene.sandbox.prometheus_url) as proxy:
        yield proxy
    for source in (source_of(scene, trouble) for trouble in Trouble):
        with contextlib.suppress(ApiError):
            scene.sandbox.client().delete(f"/apis/modelrelease.dev/v1alpha1/metricssources/{source}")


def source_of(scene: Scene, trouble: Trouble) -> str:
    return f"{scene.namespace}-{trouble.name.lower()}"


def lane_of(scene: Scene, metrics: MetricsProxy, trouble: Trouble) -> Lane:
    """A release that is judged through a source of its own."""
    source = source_of(scene, trouble)
    spec = {"address": metrics.address(source), "tickInterval": "1s", "scrapeInterval": "1s"}
    kind = {"apiVersion": "modelrelease.dev/v1alpha1", "kind": "MetricsSource", "metadata": {"name": source}}
    scene.sandbox.apply({**kind, "spec": spec})
    lane = Lane(scene, trouble.name.lower(), source=source)
    lane.route("v1")
    return lane


def manifest(lane: Lane, trouble: Trouble, version: str) -> Json:
    """Little patience with ignorance; where samples end, the stage shall not be over by what was seen before."""
    gates = [*default_gates(), DRIFT_GATE] if trouble is Trouble.SEVERAL else default_gates()
    samples = 100_000 if trouble is Trouble.STALE else 5
    made = lane.manifest(version, stages=[stage("some", 20, minDuration="6s", minSamples=samples), full()], gates=gates)
    made["spec"]["strategy"]["noData"] = {"missing": "3s", "broken": "3s"}
    return made


def test_what_is_not_known_raises_nothing_an_outage_is_borne_and_anything_else_only_for_a_while(
    shared_operator: Part, scene: Scene, metrics: MetricsProxy
) -> None:
    scene.template("drift", {"metric": {"value": {"query": 'count(model_requests_total{service="${service}"})'}}})
    lanes = {trouble: lane_of(scene, metrics, trouble) for trouble in Trouble}
    with ExitStack() as loads:
        for trouble, lane in lanes.items():
            scene.sandbox.apply(manifest(lane, trouble, "v1"))
        for lane in lanes.values():
            lane.wait_state("Settled")
            loads.enter_context(LoadThread(lane.load(20, 180)))
        metrics.break_(lanes[Trouble.EMPTY].source_name, Trouble.EMPTY)
        for trouble, lane in lanes.items():
            scene.sandbox.apply(manifest(lane, trouble, "v2"))
        candidates = {trouble: observing(lane, "some")["candidate"] for trouble, lane in lanes.items()}
        for trouble, lane in lanes.items():
            if trouble is not Trouble.EMPTY:
                lane.wait("evidence", lambda _, lane=lane: lane.condition("EvidenceFresh").get("status") == "True")
            metrics.break_(lane.source_name, trouble)

        for trouble, cause in IGNORANCE.items():
            stopped = lanes[trouble].wait_state("Stopped", timeout_s=90)
            assert stopped["stop"]["reason"] == f"Evidence{cause}", trouble
        lanes[Trouble.RESETS].wait_state("Settled")
        for trouble in OUTAGES:
            status, fresh = lanes[trouble].status(), lanes[trouble].condition("EvidenceFresh")
            assert (status["state"], stage_name(status)) == ("Observing", "some"), trouble
            assert (fresh["status"], fresh["reason"]) == ("False", "SourceDown"), trouble

        for trouble in OUTAGES:
            lanes[trouble].fail(candidates[trouble]["revision"])
        time.sleep(FAILING_S)
        assert [lanes[trouble].status()["state"] for trouble in OUTAGES] == ["Observing"] * len(OUTAGES)
        for trouble in OUTAGES:
            metrics.mend(lanes[trouble].source_name)
        for trouble in OUTAGES:
            assert lanes[trouble].wait_state("Stopped")["stop"]["reason"] == "GateFailed", trouble

    assert {lane.source_name for lane in lanes.values()} <= set(metrics.fired), metrics.fired
    log = scene.sandbox.audit_events()
    for trouble, lane in lanes.items():
        states = route_states(log, scene.namespace, lane.name)
        revision, digest = candidates[trouble]["revision"], candidates[trouble]["digest"]
        if trouble is Trouble.RESETS:
            assert_order(states, revision, [200, 1000])
            assert top(states[-1], revision) == 1000
        else:
            assert raises(states, revision, user=OPERATOR) == [(0, 200)], trouble
            assert_stays_down(states, revision, digest)


def test_while_prometheus_is_down_nothing_rises_a_deletion_ends_and_afterwards_good_and_bad_are_told_apart(
    shared_operator: Part, scene: Scene
) -> None:
    good, bad, deleted = (Lane(scene, name) for name in ("good", "bad", "deleted"))
    lanes = (good, bad, deleted)
    for lane in lanes:
        lane.route("v1")
        lane.release("v1")
    for lane in lanes:
        lane.wait_state("Settled")
    with ExitStack() as loads:
        for lane in lanes:
            loads.enter_context(LoadThread(lane.load(30, 120)))
            lane.release("v2", stages=[stage("some", 20, minDuration="3s"), full()])
        candidates = {lane.name: observing(lane, "some")["candidate"] for lane in lanes}
        scene.sandbox.prometheus.stop()
        try:
            bad.fail(candidates["bad"]["revision"])
            for lane in lanes:
                lane.wait(
                    "source down", lambda _, lane=lane: lane.condition("EvidenceFresh").get("reason") == "SourceDown"
                )
                assert lane.condition("EvidenceFresh")["status"] == "False"
            delete(deleted)
            time.sleep(4)
            for lane in (good, bad):
                assert (lane.status()["state"], stage_name(lane.status())) == ("Observing", "some")
            assert not scene.sandbox.prometheus.running
        finally:
            scene.sandbox.prometheus.start()
        good.wait_state("Settled")
        assert bad.wait_state("Stopped")["stop"]["reason"] == "GateFailed"
    log = scene.sandbox.audit_events()
    states = {lane.name: route_states(log, scene.namespace, lane.name) for lane in lanes}
    assert top(states["deleted"][-1], candidates["deleted"]["revision"]) == 0
    assert_order(states["good"], candidates["good"]["revision"], [200, 1000])
    assert top(states["good"][-1], candidates["good"]["revision"]) == 1000
    assert raises(states["bad"], candidates["bad"]["revision"], user=OPERATOR) == [(0, 200)]
    assert_stays_down(states["bad"], candidates["bad"]["revision"], candidates["bad"]["digest"])
