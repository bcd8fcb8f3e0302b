"""The real cluster: traffic follows weights, writes are audited, rights are enforced, parts break and come back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from modelrelease.sandbox import ApiError, Sandbox
from modelrelease.sandbox.load import LoadThread, Plan, Sample, Share, servers_of
from modelrelease.sandbox.models import call
from tests.sandbox.routes import backend, http_route, rule
from tests.sandbox.waiting import eventually

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}, "data": {"a": "b"}}


def query(sandbox: Sandbox, promql: str) -> list[dict[str, Any]]:
    found = call(f"{sandbox.prometheus_url}/api/v1/query?{urlencode({'query': promql})}")
    return list(found["data"]["result"])


def in_namespace(namespace: str, doc: dict[str, Any]) -> dict[str, Any]:
    return {**doc, "metadata": {**doc["metadata"], "namespace": namespace}}


def serve(sandbox: Sandbox, namespace: str, *names: str) -> None:
    for name in names:
        sandbox.model_server(sandbox.service(namespace, name))


def send(sandbox: Sandbox, namespace: str, count: int, **fields: Any) -> list[Sample]:
    plan = Plan(f"{sandbox.gateway_url}/v1/predict", 200, max_requests=count, host=f"{namespace}.local", **fields)
    with LoadThread(plan) as load:
        return load.wait()


def route_works(sandbox: Sandbox, namespace: str) -> bool:
    return [sample.status for sample in send(sandbox, namespace, 1)] == [200]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_traffic_splits_as_the_weights_say(sandbox: Sandbox, namespace: str) -> None:
    serve(sandbox, namespace, "stable", "candidate")
    main = rule("main", backend("stable", 80, release="v1"), backend("candidate", 20, release="v2"))
    sandbox.apply(http_route(namespace, "chat", main))
    eventually(lambda: route_works(sandbox, namespace))

    samples = send(sandbox, namespace, 200)

    assert {sample.status for sample in samples} == {200}
    assert {(sample.server, sample.release) for sample in samples} == {("stable", "v1"), ("candidate", "v2")}
    assert servers_of(samples)["candidate"] == pytest.approx(40, abs=2)


def test_a_segment_has_a_rule_of_its_own(sandbox: Sandbox, namespace: str) -> None:
    serve(sandbox, namespace, "stable", "candidate")
    low = rule("low", backend("candidate", 1), headers={"x-criticality": "low"})
    sandbox.apply(http_route(namespace, "chat", low, rule("main", backend("stable", 1))))
    eventually(lambda: route_works(sandbox, namespace))

    samples = send(sandbox, namespace, 100, mix=[Share(0.3, {"x-criticality": "low"})])

    assert {(sample.segment, sample.server) for sample in samples} == {("low", "candidate"), ("", "stable")}
    assert sum(sample.segment == "low" for sample in samples) == 30


def test_each_backend_of_each_rule_has_its_own_series(sandbox: Sandbox, namespace: str) -> None:
    serve(sandbox, namespace, "stable", "candidate")
    low = rule("low", backend("stable", 1), backend("candidate", 1), headers={"x-criticality": "low"})
    main = rule("main", backend("stable", 1, release="v1"), backend("stable", 1, release="v2"))
    sandbox.apply(http_route(namespace, "chat", low, main))
    eventually(lambda: route_works(sandbox, namespace))
    send(sandbox, namespace, 40, mix=[Share(0.5, {"x-criticality": "low"})])

    promql = f'traefik_service_requests_total{{service=~"httproute-{namespace}-chat-.*"}}'
    series = eventually(lambda: found if len(found := query(sandbox, promql)) == 4 else [])

    shape = rf"httproute-{namespace}-chat-gw-gateway-system-inference-ep-web-(\d)-[0-9a-f]{{20}}-svc-{namespace}-(.*)"
    services = [re.fullmatch(shape, each["metric"]["service"]) for each in series]
    assert sorted((found[1], found[2]) for found in services if found) == [
        ("0", "candidate-1@kubernetesgateway"),
        ("0", "stable-0@kubernetesgateway"),
        ("1", "stable-0@kubernetesgateway"),
        ("1", "stable-1@kubernetesgateway"),
    ]


def test_the_route_status_follows_the_generation(sandbox: Sandbox, namespace: str) -> None:
    serve(sandbox, namespace, "stable")
    [route] = sandbox.apply(http_route(namespace, "chat", rule("main", backend("stable", 1))))
    path = sandbox.client().path_of(route)
    sandbox.apply(http_route(namespace, "chat", rule("main", backend("stable", 2))))

    def conditions() -> dict[str, tuple[str, int]]:
        parents = sandbox.client().get(path).get("status", {}).get("parents", [])
        return {each["type"]: (each["status"], each["observedGeneration"]) for p in parents for each in p["conditions"]}

    eventually(lambda: conditions() == {"Accepted": ("True", 2), "ResolvedRefs": ("True", 2)})


def test_model_servers_change_while_they_run_and_are_scraped(sandbox: Sandbox, namespace: str) -> None:
    model = sandbox.model_server(sandbox.service(namespace, "stable"))
    sandbox.apply(http_route(namespace, "chat", rule("main", backend("stable", 1, release="v1"))))
    eventually(lambda: route_works(sandbox, namespace))
    model.set_behaviour(release="v1", failure_fraction=1.0, failure_status=503)

    assert {sample.status for sample in send(sandbox, namespace, 10)} == {503}
    model.set_behaviour(release="v1", failure_fraction=0.0, wrong_fraction=1.0)
    assert {sample.verdict for sample in send(sandbox, namespace, 10)} == {"wrong"}

    wrong = f'model_answers_total{{namespace="{namespace}",release="v1",verdict="wrong"}}'
    eventually(lambda: [float(each["value"][1]) for each in query(sandbox, wrong)] == [10.0])


def test_ready_endpoints_are_what_the_test_says(sandbox: Sandbox, namespace: str) -> None:
    service = sandbox.service(namespace, "stable", ready=3)
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/stable"

    def ready() -> list[bool]:
        return [each["conditions"]["ready"] for each in sandbox.client().get(path)["endpoints"] or []]

    assert ready() == [True, True, True]
    service.set_ready(1, not_ready=1)
    assert ready() == [True, False]
    service.set_ready(0)
    assert ready() == []


def test_the_audit_log_has_every_write_with_its_author(sandbox: Sandbox, namespace: str) -> None:
    sandbox.apply(http_route(namespace, "chat", rule("main", backend("stable", 1))))

    written = [event for event in sandbox.audit_events() if event.namespace == namespace and event.user == "admin"]

    [event] = [event for event in written if event.resource == "httproutes"]
    assert (event.verb, event.name, event.code) == ("patch", "chat", 201)
    assert event.request["spec"]["rules"][0]["backendRefs"][0]["name"] == "stable"
    assert not [event for event in sandbox.audit_events() if event.verb in ("get", "list", "watch")]


def test_people_without_rights_are_refused_and_audited(sandbox: Sandbox, namespace: str) -> None:
    with pytest.raises(ApiError) as refused:
        sandbox.apply(in_namespace(namespace, CONFIG_MAP), user="mallory")

    assert refused.value.status == 403
    [event] = [event for event in sandbox.audit_events() if event.user == "mallory" and event.namespace == namespace]
    assert event.code == 403


def test_users_carry_their_groups(sandbox: Sandbox) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

    who = {user: sandbox.client(user).create(path, review)["status"]["userInfo"] for user in ("bob", "operator")}

    assert "sre" in who["bob"]["groups"]
    assert who["operator"]["username"] == "system:serviceaccount:modelrelease-system:modelrelease-operator"
    assert "system:serviceaccounts:modelrelease-system" in who["operator"]["groups"]


async def test_the_kubeconfig_works_for_the_async_client(sandbox: Sandbox, namespace: str) -> None:
    from kubernetes.aio import client, config

    configuration = client.Configuration()
    await config.load_kube_config(config_file=str(sandbox.kubeconfig("admin")), client_configuration=configuration)
    async with client.ApiClient(configuration) as api:
        found = await client.CoreV1Api(api).read_namespace(namespace)

    assert found.metadata.name == namespace


def test_the_api_server_comes_back_on_the_same_port_with_its_data(sandbox: Sandbox, namespace: str) -> None:
    sandbox.apply(in_namespace(namespace, CONFIG_MAP))
    url, before = sandbox.api_url, sandbox.apiserver.pid
    path = f"/api/v1/namespaces/{namespace}/configmaps/probe"

    sandbox.kill_apiserver()
    with pytest.raises(ApiError) as unreachable:
        sandbox.client().get(path)
    sandbox.restart_apiserver()

    assert unreachable.value.status == 0
    assert (sandbox.api_url, sandbox.client().get(path)["data"]) == (url, {"a": "b"})
    assert sandbox.apiserver.pid != before


def test_traffic_flows_while_the_api_server_is_away(sandbox: Sandbox, namespace: str) -> None:
    serve(sandbox, namespace, "stable")
    sandbox.apply(http_route(namespace, "chat", rule("main", backend("stable", 1))))
    eventually(lambda: route_works(sandbox, namespace))

    sandbox.kill_apiserver()
    try:
        samples = send(sandbox, namespace, 20)
    finally:
        sandbox.apiserver.start()

    assert {sample.status for sample in samples} == {200}


@pytest.mark.parametrize("part", ["etcd", "prometheus", "traefik"])
def test_every_part_survives_a_kill(sandbox: Sandbox, namespace: str, part: str) -> None:
    sandbox.apply(in_namespace(namespace, CONFIG_MAP))
    broken = getattr(sandbox, part)

    broken.kill()
    assert not broken.running
    broken.start()

    path = f"/api/v1/namespaces/{namespace}/configmaps/probe"
    eventually(lambda: sandbox.client().ready())
    assert sandbox.client().get(path)["data"] == {"a": "b"}


def test_two_sandboxes_side_by_side_know_nothing_of_each_other(sandbox: Sandbox, namespace: str) -> None:
    sandbox.apply(in_namespace(namespace, CONFIG_MAP))
    with Sandbox("second", with_traefik=False, with_prometheus=False) as second:
        pids = [part.pid for part in second.parts]
        folder = second.state_dir
        assert second.api_url != sandbox.api_url
        ours, theirs = sandbox.service(namespace, "a"), second.service("default", "a")
        assert ours.cluster_ip.split(".")[1] != theirs.cluster_ip.split(".")[1]
        with pytest.raises(ApiError) as missing:
            second.client().get(f"/api/v1/namespaces/{namespace}")
        assert missing.value.status == 404
        assert all(pid is not None and is_alive(pid) for pid in pids)

    assert not any(pid is not None and is_alive(pid) for pid in pids)
    assert not folder.exists()
    assert sandbox.client().ready()


KILLED_PARENT = """
import json, time
from modelrelease.sandbox import Sandbox
sandbox = Sandbox("killed", with_traefik=False, with_prometheus=False).start()
print(json.dumps([part.pid for part in sandbox.parts]), sandbox.state_dir, flush=True)
time.sleep(600)
"""


def test_nothing_outlives_a_killed_parent(sandbox: Sandbox) -> None:
    source_root = Path(__file__).resolve().parents[2] / "operator"
    environment = {**os.environ, "PYTHONPATH": str(source_root)}
    with subprocess.Popen([sys.executable, "-c", KILLED_PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pids, _, folder = parent.stdout.readline().decode().strip().rpartition(" ")
        parent.send_signal(signal.SIGKILL)

    eventually(lambda: not any(is_alive(pid) for pid in json.loads(pids)))
    subprocess.run(["rm", "-r", folder], check=True)
