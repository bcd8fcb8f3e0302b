"""Monitoring in trouble: ignorance never advances, an outage is borne, and a bad candidate falls all the same."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene, default_gates
from tests.e2e.lanes import UNTIL_PROMOTED, Lane, begun, delete, full, observing, promote, stage, stage_name
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

FAILING = 25
"""So many failing answers are more than enough for a verdict once they can be read, before anything is raised."""

SCRAPE_S = 1.0

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
    """Little patience with ignorance; where samples end, the stage shall not be over by what was seen before.

    The stage lasts until the trouble is there.
    """
    gates = [*default_gates(), DRIFT_GATE] if trouble is Trouble.SEVERAL else default_gates()
    samples = 100_000 if trouble is Trouble.STALE else 5
    made = lane.manifest(version, stages=[until_promoted(samples), full()], gates=gates)
    made["spec"]["strategy"]["noData"] = {"missing": "3s", "broken": "3s"}
    return made


def until_promoted(samples: int = 1) -> Json:
    """A fifth of all."""
    return stage("some", 20, minDuration=UNTIL_PROMOTED, minSamples=samples)


def troubled(lane: Lane, trouble: Trouble, metrics: MetricsProxy) -> Callable[[Json], bool]:
    """Whether the status says that the evidence is not there, or what followed from it.

    Counters that fall are no trouble: that the operator was told so is all.
    """

    def told(status: Json) -> bool:
        if trouble is Trouble.RESETS:
            return metrics.fired[lane.source_name] > 0
        fresh = lane.condition("EvidenceFresh").get("status")
        return fresh == "False" or status["state"] in ("Reverting", "Stopped")

    return told


def failing(load: LoadThread) -> bool:
    """Enough failing answers have been given."""
    return sum(sample.status >= 500 for sample in load.samples) >= FAILING


def test_what_is_not_known_raises_nothing_an_outage_is_borne_and_anything_else_only_for_a_while(
    shared_operator: Part, scene: Scene, metrics: MetricsProxy
) -> None:
    scene.template("drift", {"metric": {"value": {"query": 'count(model_requests_total{service="${service}"})'}}})
    lanes = {trouble: lane_of(scene, metrics, trouble) for trouble in Trouble}
    loads: dict[Trouble, LoadThread] = {}
    with ExitStack() as running:
        for trouble, lane in lanes.items():
            scene.sandbox.apply(manifest(lane, trouble, "v1"))
        for trouble, lane in lanes.items():
            lane.wait_state("Settled")
            loads[trouble] = running.enter_context(LoadThread(lane.load(20)))
        metrics.break_(lanes[Trouble.EMPTY].source_name, Trouble.EMPTY)
        for trouble, lane in lanes.items():
            scene.sandbox.apply(manifest(lane, trouble, "v2"))
        candidates = {trouble: begun(lane)["candidate"] for trouble, lane in lanes.items()}
        for trouble, lane in lanes.items():
            if trouble is Trouble.EMPTY:
                continue
            seen = observing(lane, "some")
            lane.wait("evidence", lambda _, lane=lane: lane.condition("EvidenceFresh").get("status") == "True")
            metrics.break_(lane.source_name, trouble)
            lane.wait("the trouble", troubled(lane, trouble, metrics))
            promote(lane, seen)

        for trouble, cause in IGNORANCE.items():
            stopped = lanes[trouble].wait_state("Stopped")
            assert stopped["stop"]["reason"] == f"Evidence{cause}", trouble
        lanes[Trouble.RESETS].wait_state("Settled")
        for trouble in OUTAGES:
            lane = lanes[trouble]
            lane.wait("down", lambda _, lane=lane: lane.condition("EvidenceFresh").get("reason") == "SourceDown")
            status, fresh = lanes[trouble].status(), lanes[trouble].condition("EvidenceFresh")
            assert (status["state"], stage_name(status)) == ("Observing", "some"), trouble
            assert (fresh["status"], fresh["reason"]) == ("False", "SourceDown"), trouble

        for trouble in OUTAGES:
            lanes[trouble].fail(candidates[trouble]["revision"])
        for trouble in OUTAGES:
            lanes[trouble].wait("failing answers", lambda _, trouble=trouble: failing(loads[trouble]))
        time.sleep(2 * SCRAPE_S)
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
    with ExitStack() as running:
        loads = {lane: running.enter_context(LoadThread(lane.load(30))) for lane in lanes}
        for lane in lanes:
            lane.release("v2", stages=[until_promoted(), full()])
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
            for lane in (good, bad):
                promote(lane)
            bad.wait("failing answers", lambda _: failing(loads[bad]))
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
