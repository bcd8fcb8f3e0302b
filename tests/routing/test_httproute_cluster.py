"""The HTTPRoute router on the real API server, with the real CRDs and a real gateway."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest

from modelrelease.domain.release import Release
from modelrelease.domain.traffic import (
    Acceptance,
    GatewayRef,
    HeaderMatch,
    RouteRef,
    RouteView,
    Segment,
    Target,
    Traffic,
)
from modelrelease.domain.unit import Backend, Unit, UnitRef, unit_ref
from modelrelease.routing import marks
from modelrelease.routing.protocol import FIELD_MANAGER, Change, ChangeKind, Guard, Unchanged
from modelrelease.sandbox import ApiError, Sandbox
from modelrelease.sandbox.gateway import GATEWAY_GROUP, GATEWAY_NAME, GATEWAY_NAMESPACE
from modelrelease.sandbox.load import LoadThread, Plan, Sample, Share, servers_of
from modelrelease.sandbox.models import call
from tests.e2e.lanes import answered_by
from tests.routing.builders import GERMAN, LOW, ROUTER, Json, rules_by_name, shares, weights
from tests.sandbox.routes import backend, http_route, rule
from tests.sandbox.waiting import eventually

T = TypeVar("T")


def unit(version: str, service: str, **fields: Any) -> UnitRef:
    return unit_ref("chat", Unit(version, Backend(service, 8080, **fields)))


STABLE = unit("v1", "stable")
CANDIDATE = unit("v2", "candidate")
"""Longer than two scrapes of the sandbox's Prometheus."""


@dataclass
class Steering:
    """What the controller does with the router: read, prepare, send."""

    sandbox: Sandbox
    release: Release
    base: UnitRef = STABLE
    other: UnitRef = CANDIDATE

    @property
    def path(self) -> str:
        return f"/apis/{GATEWAY_GROUP}/v1/namespaces/{self.release.namespace}/httproutes"

    def read(self) -> Json:
        return self.sandbox.client().get(f"{self.path}/chat")

    def view(self) -> RouteView:
        return ROUTER.view(self.release, "chat", self.read(), arms=(self.base, self.other))

    def target(self, rest: int = 0, **segments: int) -> Target:
        return Target(self.base, self.other, shares(rest, **segments), holder="process-1")

    def prepare(self, obj: Json | None, target: Target, guard: Guard) -> Change:
        change = ROUTER.change(self.release, "chat", obj, target=target, guard=guard)
        assert isinstance(change, Change), change
        return change

    def send(self, change: Change) -> Json:
        client, query = self.sandbox.client(), f"?fieldManager={FIELD_MANAGER}"
        match change.kind:
            case ChangeKind.PATCH:
                path = f"{self.path}/{change.name}{query}"
                return client.request("PATCH", path, change.body, content_type=change.content_type)
            case ChangeKind.CREATE:
                return client.request("POST", self.path + query, change.body)
            case ChangeKind.DELETE:
                return client.request("DELETE", f"{self.path}/{change.name}", change.body)

    def steer(self, target: Target, guard: Guard) -> Json:
        """Write on a fresh read; the gateway's status writes are conflicts too, and then it is read again."""

        def attempt() -> Json | None:
            try:
                return self.send(self.prepare(self.read(), target, guard))
            except ApiError as error:
                if error.status != 409:
                    raise
                return None

        return found(eventually(attempt))

    def to(self, rest: int = 0, **segments: int) -> None:
        """Lay out, raise, and wait until the gateway works to it: Accepted does not mean that it does already."""
        self.steer(self.target(), Guard.LAYOUT)
        if rest or any(segments.values()):
            self.steer(self.target(rest, **segments), Guard.RAISE)
        self.accepted()
        for headers, share in (({}, rest), ({"x-criticality": "low"}, segments.get("low", 0))):
            wanted = {arm.revision for arm, part in ((self.base, 1000 - share), (self.other, share)) if part}
            eventually(partial(self.answers, headers, wanted))

    def accepted(self) -> None:
        eventually(lambda: self.view().acceptance is Acceptance.ACCEPTED)
        eventually(lambda: {sample.status for sample in self.ask(3)} == {200})

    def served_by(self, headers: Mapping[str, str], server: str) -> bool:
        return {sample.server for sample in self.ask(10, headers=headers)} == {server}

    def answers(self, headers: Mapping[str, str], revisions: set[str]) -> bool:
        return {sample.release for sample in self.ask(20, headers=headers)} == revisions

    def ask(self, count: int, **fields: Any) -> list[Sample]:
        host = f"{self.release.namespace}.local"
        with LoadThread(
            Plan(f"{self.sandbox.gateway_url}/v1/predict", 200, max_requests=count, host=host, **fields)
        ) as load:
            return load.wait()

    def reweigh(self, index: int, *values: int) -> None:
        """Somebody else changes weights, unconditionally."""
        patch = [
            {"op": "replace", "path": f"/spec/rules/{index}/backendRefs/{position}/weight", "value": value}
            for position, value in enumerate(values)
        ]
        self.patch(patch)

    def patch(self, patch: list[Json]) -> None:
        content_type = "application/json-patch+json"
        self.sandbox.client().request(
            "PATCH", f"{self.path}/chat?fieldManager=somebody", patch, content_type=content_type
        )


def adopting(namespace: str, *segments: Segment) -> Release:
    return Release(
        namespace, "chat", "uid-1", 1, Traffic(routes=(RouteRef("chat", rules=("main",)),), segments=segments)
    )


@pytest.fixture
def steering(sandbox: Sandbox, namespace: str) -> Steering:
    """Both models run, and people wrote a route with one rule for stable."""
    for name in ("stable", "candidate"):
        sandbox.model_server(sandbox.service(namespace, name))
    sandbox.apply(http_route(namespace, "chat", rule("main", backend("stable", 1))))
    return Steering(sandbox, adopting(namespace, LOW))


def found(value: T | None) -> T:
    assert value is not None
    return value


def served(samples: list[Sample]) -> set[tuple[str, str]]:
    return {(sample.server, sample.release) for sample in samples}


def test_the_api_server_accepts_the_layout_and_reads_it_back_unchanged(steering: Steering) -> None:
    filters = [
        {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v1"}}}
    ]
    main = {**rule("main", backend("stable", 1)), "filters": filters, "timeouts": {"request": "30s"}}
    steering.sandbox.apply(http_route(steering.release.namespace, "chat", main))
    steering.release = adopting(steering.release.namespace, LOW, GERMAN)

    steering.steer(steering.target(), Guard.LAYOUT)

    obj = steering.read()
    assert list(rules_by_name(obj)) == ["main--low", "main--german", "main"]
    assert rules_by_name(obj)["main--low"]["filters"] == filters
    for guard in Guard:
        again = ROUTER.change(steering.release, "chat", obj, target=steering.target(), guard=guard)
        assert isinstance(again, Unchanged)


def test_a_segment_gets_its_share_and_nobody_else_does(steering: Steering) -> None:
    steering.to(0, low=1000)
    samples = steering.ask(200, mix=[Share(0.3, {"x-criticality": "low"})])
    counted = Counter((sample.segment, sample.server, sample.release) for sample in samples)
    assert counted == {("low", "candidate", CANDIDATE.revision): 60, ("", "stable", STABLE.revision): 140}


def test_weight_0_is_strictly_0_and_1_in_5_is_1_in_5(steering: Steering) -> None:
    steering.to(200, low=0)
    samples = steering.ask(1000, mix=[Share(0.5, {"x-criticality": "low"})])
    counted = Counter((sample.segment, sample.server) for sample in samples)
    assert counted["low", "candidate"] == 0
    assert counted["", "candidate"] == pytest.approx(100, abs=10)


def test_a_release_of_a_prompt_alone_splits_one_service_by_header(steering: Steering) -> None:
    steering.other = unit("prompt-2", "stable")
    steering.to(500, low=0)
    samples = steering.ask(200)
    assert Counter((sample.server, sample.release) for sample in samples) == {
        ("stable", STABLE.revision): 100,
        ("stable", steering.other.revision): 100,
    }


def test_the_gateway_prefers_the_more_specific_match_whatever_the_order(steering: Steering) -> None:
    """What `matches` builds its refusals on."""
    first = rule("first", backend("stable", 1), headers={"x-a": "1"})
    second = rule("second", backend("candidate", 1), headers={"x-a": "1", "x-b": "1"})
    tie = rule("tie", backend("candidate", 1), headers={"x-c": "1"})
    namespace = steering.release.namespace
    steering.sandbox.apply(http_route(namespace, "chat", first, second, tie, rule("main", backend("stable", 1))))
    steering.accepted()
    for headers, server in (({"x-a": "1", "x-b": "1"}, "candidate"), ({"x-a": "1", "x-c": "1"}, "stable")):
        eventually(partial(steering.served_by, headers, server))


def test_a_raise_on_an_old_read_is_a_conflict(steering: Steering) -> None:
    steering.to()
    change = steering.prepare(steering.read(), steering.target(10, low=10), Guard.RAISE)
    steering.patch([{"op": "add", "path": "/metadata/labels", "value": {"team": "nlp"}}])
    with pytest.raises(ApiError) as raised:
        steering.send(change)
    assert raised.value.status == 409


def test_a_raise_after_somebody_changed_the_weights_is_refused(steering: Steering) -> None:
    steering.to()
    change = steering.prepare(steering.read(), steering.target(10, low=10), Guard.RAISE)
    steering.reweigh(1, 990, 10)
    with pytest.raises(ApiError) as raised:
        steering.send(change)
    assert raised.value.status in (409, 422)


def test_a_revert_wins_against_somebody_who_changes_weights_all_the_time(steering: Steering) -> None:
    steering.to(100, low=200)
    done = threading.Event()
    written = 0

    def busy() -> None:
        nonlocal written
        while not done.wait(0.2):
            written += 1
            steering.reweigh(0, 500, 500 + written)
            steering.reweigh(1, written, 999)

    writer = threading.Thread(target=busy)
    writer.start()
    try:
        for _ in range(10):
            read = found(eventually(lambda: obj if weights(obj := steering.read(), "main") != [1000, 0] else None))
            back = replace(steering.target(), stopped=CANDIDATE.digest)
            change = steering.prepare(read, back, Guard.LOWER)
            raising = steering.prepare(read, steering.target(1000, low=1000), Guard.RAISE)
            eventually(partial(lambda seen: written >= seen + 2, written))
            with pytest.raises(ApiError):
                steering.send(raising)
            after = steering.send(change)
            assert weights(after, "main--low") == weights(after, "main") == [1000, 0]
            assert after["metadata"]["annotations"][marks.STOPPED] == CANDIDATE.digest
    finally:
        done.set()
        writer.join()
    assert written >= 20
    steering.reweigh(1, 1, 999)
    steering.steer(steering.target(), Guard.LOWER)
    eventually(lambda: served(steering.ask(20)) == {("stable", STABLE.revision)})


def test_a_revert_of_moved_rules_fails_and_works_on_the_next_read(steering: Steering) -> None:
    steering.to(100, low=200)
    change = steering.prepare(steering.read(), steering.target(), Guard.LOWER)
    steering.patch(
        [
            {
                "op": "add",
                "path": "/spec/rules/0",
                "value": rule("new", backend("stable", 1), headers={"x-new": "1", "x-newer": "1"}),
            }
        ]
    )
    with pytest.raises(ApiError) as raised:
        steering.send(change)
    assert raised.value.status == 422
    assert weights(steering.steer(steering.target(), Guard.LOWER), "main") == [1000, 0]


def test_a_revert_does_not_wipe_annotations_that_others_add(steering: Steering) -> None:
    """The server takes a test for null as a test for absence, which RFC 6902 does not have."""
    steering.to(100, low=200)
    steering.patch([{"op": "remove", "path": "/metadata/annotations"}])
    change = steering.prepare(steering.read(), steering.target(), Guard.LOWER)
    steering.patch([{"op": "add", "path": "/metadata/annotations", "value": {"team": "nlp"}}])
    with pytest.raises(ApiError) as raised:
        steering.send(change)
    assert raised.value.status == 422

    steering.patch([{"op": "remove", "path": "/metadata/annotations"}])
    after = steering.send(change)

    assert weights(after, "main") == [1000, 0]
    assert marks.same_release(after["metadata"]["annotations"][marks.RELEASE], steering.release)


def test_a_last_answer_of_the_candidate_comes_soon_after_the_revert(steering: Steering) -> None:
    steering.to(500, low=500)
    url, host = f"{steering.sandbox.gateway_url}/v1/predict", f"{steering.release.namespace}.local"
    with LoadThread(Plan(url, 100, duration_s=300, host=host)) as load:
        eventually(lambda: servers_of(load.samples)["candidate"])
        steering.steer(steering.target(), Guard.LOWER)
        alone_since_s = answered_by(load, "stable")
        time.sleep(2)
        samples = load.stop()
    assert {sample.status for sample in samples} == {200}
    assert {sample.server for sample in samples if sample.sent_at_s > alone_since_s} == {"stable"}


def refusing(steering: Steering) -> RouteView:
    return found(eventually(lambda: view if (view := steering.view()).acceptance is Acceptance.REFUSED else None))


def test_a_backend_in_another_namespace_needs_a_grant_and_is_told_so(steering: Steering) -> None:
    sandbox, namespace = steering.sandbox, steering.release.namespace
    elsewhere = sandbox.create_namespace(f"{namespace}-models")
    sandbox.model_server(sandbox.service(elsewhere, "candidate"), name="far candidate")
    steering.other = unit("v3", "candidate", namespace=elsewhere)
    steering.steer(steering.target(), Guard.LAYOUT)

    refused = refusing(steering)

    assert f"ReferenceGrant in namespace {elsewhere}" in refused.acceptance_message
    assert f"Gateway {GATEWAY_NAMESPACE}/{GATEWAY_NAME}" in refused.acceptance_message
    sandbox.apply(
        {
            "apiVersion": f"{GATEWAY_GROUP}/v1beta1",
            "kind": "ReferenceGrant",
            "metadata": {"name": "chat", "namespace": elsewhere},
            "spec": {
                "from": [{"group": GATEWAY_GROUP, "kind": "HTTPRoute", "namespace": namespace}],
                "to": [{"group": "", "kind": "Service"}],
            },
        }
    )
    steering.accepted()
    sandbox.clear_namespace(elsewhere)


def test_a_missing_backend_is_refused_with_what_to_do(steering: Steering) -> None:
    steering.other = unit("v4", "nowhere")
    steering.steer(steering.target(), Guard.LAYOUT)
    refused = refusing(steering)
    assert "create the backend" in refused.acceptance_message


def test_a_route_of_our_own_is_made_served_and_deleted(steering: Steering) -> None:
    sandbox, namespace = steering.sandbox, steering.release.namespace
    sandbox.client().delete(f"{steering.path}/chat")
    gateway = GatewayRef(GATEWAY_NAME, namespace=GATEWAY_NAMESPACE)
    traffic = Traffic(gateways=(gateway,), hostnames=(f"{namespace}.local",), segments=(LOW,))
    steering.release = replace(steering.release, traffic=traffic)

    steering.send(steering.prepare(None, Target(STABLE), Guard.LAYOUT))
    steering.accepted()
    eventually(lambda: served(steering.ask(10)) == {("stable", STABLE.revision)})
    assert isinstance(
        ROUTER.change(steering.release, "chat", steering.read(), target=Target(STABLE), guard=Guard.LAYOUT), Unchanged
    )
    old = steering.read()
    gone = ROUTER.delete(steering.release, "chat", {**old, "metadata": {**old["metadata"], "uid": "another"}})
    assert isinstance(gone, Change)
    with pytest.raises(ApiError) as raised:
        steering.send(gone)
    assert raised.value.status == 409
    delete = ROUTER.delete(steering.release, "chat", steering.read())
    assert isinstance(delete, Change)
    steering.send(delete)


def test_places_find_the_gateway_s_series_of_each_arm(steering: Steering) -> None:
    """What was asked is counted once, by the arms' series; a rule that stood at the same place before keeps its own."""
    steering.to(500, low=500)
    places = ROUTER.places(steering.release, "chat", steering.read(), candidate=CANDIDATE, stable=STABLE)
    assert len(places) == 2
    arms = [arm for place in places for arm in (place.candidate, place.stable)]

    def counted() -> list[float] | None:
        counts = [requests_of(steering, arm) for arm in arms if arm is not None]
        return [sum(count) for count in counts] if all(counts) else None

    def settled() -> list[float] | None:
        first, looks = counted(), scrapes(steering)
        eventually(lambda: scrapes(steering) >= looks + 2)
        return first if first and first == counted() else None

    before = found(eventually(settled))
    steering.ask(40, mix=[Share(0.5, {"x-criticality": "low"})])
    eventually(lambda: sum(found(counted())) - sum(before) >= 40)
    grown = [now - then for now, then in zip(found(eventually(settled)), before, strict=True)]
    assert len(grown) == 4
    assert all(grown), grown
    assert sum(grown) == 40


def scrapes(steering: Steering) -> int:
    """How often Prometheus has asked the gateway."""
    query = urlencode({"query": 'sum(count_over_time(up{job="traefik"}[1h]))'})
    (found_,) = call(f"{steering.sandbox.prometheus_url}/api/v1/query?{query}")["data"]["result"]
    return int(found_["value"][1])


def requests_of(steering: Steering, arm: Mapping[str, str]) -> list[float]:
    """The counters of one arm's series."""
    service = (
        f"httproute-{arm['namespace']}-{arm['route']}-.*-{arm['ruleIndex']}-[0-9a-f]+"
        f"-svc-{arm['serviceNamespace']}-{arm['service']}-{arm['backendIndex']}@kubernetesgateway"
    )
    query = urlencode({"query": f'traefik_service_requests_total{{service=~"{service}"}}'})
    result = call(f"{steering.sandbox.prometheus_url}/api/v1/query?{query}")["data"]["result"]
    return [float(series["value"][1]) for series in result]


def test_query_and_method_of_a_segment_reach_the_gateway(steering: Steering) -> None:
    posts = Segment("posts", query=(HeaderMatch("tier", "free"),), method="POST")
    steering.release = adopting(steering.release.namespace, posts)
    steering.to(0, posts=1000)
    plan = Plan(
        f"{steering.sandbox.gateway_url}/v1/predict?tier=free",
        100,
        max_requests=10,
        host=f"{steering.release.namespace}.local",
    )

    def servers() -> set[str]:
        with LoadThread(plan) as load:
            return {sample.server for sample in load.wait()}

    eventually(lambda: servers() == {"candidate"})
    assert {sample.server for sample in steering.ask(10)} == {"stable"}
