"""What each server shows at /metrics, as far as the presets read it: names, labels, types and bucket bounds.

Written from the sources that the preset files name; only the numbers are made up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

RATE_S = 60.0
"""Requests per second of each arm."""

ENVOY_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000)
ENVOY_MS += (1_800_000, 3_600_000)
PYTHON_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
GO_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
VLLM_TTFT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160)
VLLM_TTFT_S += (640, 2560)
VLLM_TPOT_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
VLLM_E2E_S = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
VLLM_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
SGLANG_TTFT_S = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400)
SGLANG_E2E_S = (*SGLANG_TTFT_S, 600, 1200, 1800, 2400)
TGI_S = tuple(0.0001 * 1.5 ** (power + 1) for power in range(35))
TGI_TOKENS = tuple(40.96 * (step + 1) for step in range(100))
TRITON_MS = (100, 500, 2000, 5000)
TRAEFIK_S = (0.1, 0.3, 1.2, 5)
LLM_D_S = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60, 120)
LLM_D_TTFT_S = LLM_D_S
LLM_D_S += (180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600)
LLM_D_TPOT_S = (0.0005, 0.00205, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
LLM_D_TPOT_S += (1, 2)
LLM_D_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
LINKERD_MS = tuple(step * 10**power for power in range(5) for step in (1, 2, 3, 4, 5))


@dataclass(frozen=True)
class Arm:
    """One arm of one release, and what it did in the seconds of its life."""

    namespace: str
    service: str
    age_s: float
    worse: bool = False
    errors: bool = True
    port: int = 8080
    backend_index: int = 0

    @property
    def revision(self) -> str:
        return f"{self.service}-r"

    @property
    def model(self) -> str:
        return f"{self.namespace}-{self.service}-model"

    @property
    def cluster(self) -> str:
        return f"httproute/{self.namespace}/chat/rule/0/backend/{self.backend_index}"

    @property
    def requests(self) -> int:
        return int(RATE_S * self.age_s)

    @property
    def bad(self) -> int:
        return self.requests * (30 if self.worse else 1) // 60 if self.errors else 0

    @property
    def good(self) -> int:
        return self.requests - self.bad

    @property
    def slow(self) -> int:
        return self.requests * (40 if self.worse else 3) // 60

    @property
    def tokens(self) -> int:
        return self.requests * (300 if self.worse else 100) + self.requests % 7

    @property
    def waiting(self) -> int:
        return 50 if self.worse else 2

    @property
    def cache_usage(self) -> float:
        return 0.99 if self.worse else 0.4

    @property
    def dollars(self) -> float:
        return self.tokens * 2e-6 * (3 if self.worse else 1)


@dataclass
class Page:
    """Prometheus' text format, samples of one family together. `created`: with what Python's client adds."""

    created: bool = False
    families: dict[str, list[str]] = field(default_factory=dict)

    def counter(self, name: str, value: float, **labels: str) -> None:
        self._add(name, "counter", f"{name}{_braces(labels)} {value}")
        if self.created:
            base = name.removesuffix("_total")
            self._add(f"{base}_created", "gauge", f"{base}_created{_braces(labels)} 1.7e+09")

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self._add(name, "gauge", f"{name}{_braces(labels)} {value}")

    def histogram(self, name: str, bounds: Sequence[float], arm: Arm, **labels: str) -> None:
        """Fast requests end in the second bucket, slow ones in the fourth."""
        fast, slow = bounds[1] * 0.9, bounds[3] * 0.9
        for bound in (*bounds, math.inf):
            count = (arm.requests - arm.slow) * (fast <= bound) + arm.slow * (slow <= bound)
            le = "+Inf" if math.isinf(bound) else str(bound)
            self._add(name, "histogram", f"{name}_bucket{_braces({**labels, 'le': le})} {count}")
        total = (arm.requests - arm.slow) * fast + arm.slow * slow
        self._ends(name, total, arm.requests, labels)

    def token_histogram(self, name: str, bounds: Sequence[float], arm: Arm, **labels: str) -> None:
        """Each request generated about as many tokens as the others of its arm."""
        each = arm.tokens / max(1, arm.requests)
        for bound in (*bounds, math.inf):
            le = "+Inf" if math.isinf(bound) else str(bound)
            line = f"{name}_bucket{_braces({**labels, 'le': le})} {arm.requests * (each <= bound)}"
            self._add(name, "histogram", line)
        self._ends(name, arm.tokens, arm.requests, labels)

    def text(self) -> str:
        return "".join(f"{line}\n" for lines in self.families.values() for line in lines)

    def _ends(self, name: str, total: float, count: int, labels: Mapping[str, str]) -> None:
        self._add(name, "histogram", f"{name}_sum{_braces(labels)} {total}")
        self._add(name, "histogram", f"{name}_count{_braces(labels)} {count}")
        if self.created:
            self._add(f"{name}_created", "gauge", f"{name}_created{_braces(labels)} 1.7e+09")

    def _add(self, name: str, kind: str, line: str) -> None:
        self.families.setdefault(name, [f"# TYPE {name} {kind}"]).append(line)


def vllm(page: Page, arm: Arm) -> None:
    labels = {"model_name": "support-7b", "engine": "0"}
    reasons = {"stop": arm.good - arm.good // 10, "length": arm.good // 10, "abort": arm.bad // 2}
    for reason, count in {**reasons, "error": arm.bad - arm.bad // 2, "repetition": 0}.items():
        page.counter("vllm:request_success_total", count, finished_reason=reason, **labels)
    page.histogram("vllm:time_to_first_token_seconds", VLLM_TTFT_S, arm, **labels)
    page.histogram("vllm:request_time_per_output_token_seconds", VLLM_TPOT_S, arm, **labels)
    page.histogram("vllm:e2e_request_latency_seconds", VLLM_E2E_S, arm, **labels)
    page.token_histogram("vllm:request_generation_tokens", VLLM_TOKENS, arm, **labels)
    page.counter("vllm:prompt_tokens_total", 7 * arm.tokens, **labels)
    page.counter("vllm:generation_tokens_total", arm.tokens, **labels)
    page.gauge("vllm:num_requests_waiting", arm.waiting, **labels)
    page.gauge("vllm:kv_cache_usage_perc", arm.cache_usage, **labels)
    page.counter("release_cost_dollars_total", arm.dollars)


def sglang(page: Page, arm: Arm) -> None:
    labels = {"model_name": "support-7b", "engine_type": "unified"}
    if arm.bad:  # Python's client shows a counter with labels from its first event on
        page.counter("sglang:num_aborted_requests_total", arm.bad, **labels)
    page.counter("sglang:num_requests_total", arm.requests, **labels)
    page.counter("sglang:prompt_tokens_total", 7 * arm.tokens, **labels)
    page.counter("sglang:generation_tokens_total", arm.tokens, **labels)
    page.histogram("sglang:time_to_first_token_seconds", SGLANG_TTFT_S, arm, **labels)
    page.histogram("sglang:e2e_request_latency_seconds", SGLANG_E2E_S, arm, **labels)


def tgi(page: Page, arm: Arm) -> None:
    for error, count in (("generation", arm.bad // 2), ("overloaded", arm.bad - arm.bad // 2)):
        if count:
            page.counter("tgi_request_failure", count, err=error)
    page.counter("tgi_request_count", arm.requests)
    page.counter("tgi_request_success", arm.good)
    page.histogram("tgi_request_duration", TGI_S, arm)
    page.histogram("tgi_request_mean_time_per_token_duration", TGI_S, arm)
    page.token_histogram("tgi_request_generated_tokens", TGI_TOKENS, arm)


def triton(page: Page, arm: Arm) -> None:
    labels = {"model": "support", "version": "1"}
    page.counter("nv_inference_request_success", arm.good, **labels)
    for reason in ("BACKEND", "CANCELED", "OTHER", "REJECTED"):
        page.counter("nv_inference_request_failure", arm.bad if reason == "BACKEND" else 0, reason=reason, **labels)
    page.counter("nv_inference_request_duration_us", arm.good * (90_000 if arm.worse else 30_000), **labels)
    page.gauge("nv_inference_pending_request_count", arm.waiting, **labels)
    page.histogram("nv_inference_first_response_histogram_ms", TRITON_MS, arm, **labels)


def kserve(page: Page, arm: Arm) -> None:
    for step in ("preprocess", "predict", "postprocess"):
        page.histogram(f"request_{step}_seconds", PYTHON_S, arm, model_name="support")


def llm_d(page: Page, arm: Arm) -> None:
    labels = {"model_name": "support", "target_model_name": arm.model, "fairness_id": "", "priority": "0"}
    page.counter("llm_d_epp_request_total", arm.requests, **labels)
    if arm.bad:
        page.counter("llm_d_epp_request_error_total", arm.bad, error_code="Internal", **labels)
    page.histogram("llm_d_epp_request_duration_seconds", LLM_D_S, arm, **labels)
    for streaming in ("true", "false"):
        page.histogram("llm_d_epp_request_ttft_seconds", LLM_D_TTFT_S, arm, streaming=streaming, **labels)
    page.histogram("llm_d_epp_request_streaming_tpot_seconds", LLM_D_TPOT_S, arm, **labels)
    page.token_histogram("llm_d_epp_request_output_tokens", LLM_D_TOKENS, arm, **labels)


def istio(page: Page, arm: Arm) -> None:
    for reporter in ("source", "destination"):
        labels = {
            "reporter": reporter,
            "source_workload": "istio-ingressgateway",
            "destination_service_name": arm.service,
            "destination_service_namespace": arm.namespace,
            "destination_workload": arm.service,
            "request_protocol": "http",
            "connection_security_policy": "unknown",
        }
        for code, count in (("200", arm.good), ("503", arm.bad)):
            page.counter("istio_requests_total", count, response_code=code, response_flags="-", **labels)
        page.histogram("istio_request_duration_milliseconds", ENVOY_MS, arm, response_code="200", **labels)


def envoy_gateway(page: Page, arm: Arm) -> None:
    for cluster in (arm.cluster, f"service/{arm.namespace}/{arm.service}/{arm.port}"):
        for code, count in (("200", arm.good), ("503", arm.bad)):
            page.counter("envoy_cluster_upstream_rq", count, envoy_response_code=code, envoy_cluster_name=cluster)
        page.histogram("envoy_cluster_upstream_rq_time", ENVOY_MS, arm, envoy_cluster_name=cluster)


def traefik(page: Page, arm: Arm) -> None:
    service = (
        f"httproute-{arm.namespace}-chat-gw-infra-main-ep-web-0-{'0123456789' * 2}-svc-{arm.namespace}-{arm.service}-"
        f"{arm.backend_index}@kubernetesgateway"
    )
    labels = {"method": "POST", "protocol": "http", "service": service}
    for code, count in (("200", arm.good), ("502", arm.bad)):
        page.counter("traefik_service_requests_total", count, code=code, **labels)
    page.histogram("traefik_service_request_duration_seconds", TRAEFIK_S, arm, code="200", **labels)


def nginx(page: Page, arm: Arm) -> None:
    """The canary's answers carry the main Ingress and the main Service; who answered stands in `canary` alone."""
    upstream = f"{arm.namespace}-{arm.service}-{arm.port}" if arm.backend_index else ""
    labels = {
        "controller_class": "k8s.io/ingress-nginx",
        "controller_namespace": "ingress-nginx",
        "controller_pod": "ingress-nginx-controller-7d",
        "method": "POST",
        "path": "/",
        "host": "chat.example.com",
        "namespace": arm.namespace,
        "ingress": "chat",
        "service": "chat-v1",
        "canary": upstream,
    }
    for status, count in (("200", arm.good), ("503", arm.bad)):
        page.counter("nginx_ingress_controller_requests", count, status=status, **labels)
    page.histogram("nginx_ingress_controller_request_duration_seconds", GO_S, arm, status="200", **labels)


def linkerd(page: Page, arm: Arm) -> None:
    labels = {
        "direction": "outbound",
        "authority": f"{arm.service}.{arm.namespace}.svc.cluster.local:8080",
        "target_addr": "10.1.2.3:8080",
        "tls": "true",
        "dst_service": arm.service,
        "dst_namespace": arm.namespace,
    }
    for kind, status, count in (("success", "200", arm.good), ("failure", "503", arm.bad)):
        page.counter(
            "response_total", count, classification=kind, status_code=status, grpc_status="", error="", **labels
        )
    page.histogram("response_latency_ms", LINKERD_MS, arm, status_code="200", **labels)


def opencost(page: Page, arm: Arm) -> None:
    """One GPU per arm; the worse arm's node is dearer. With what kube-state-metrics adds, and what the rule records."""
    node, price = ("big", 40.0) if arm.worse else ("small", 4.0)
    where = {"namespace": arm.namespace, "pod": f"{arm.service}-6b7-x"}
    page.gauge("container_gpu_allocation", 1, **where, container="server", instance=node, node=node)
    kind = {"instance_type": "g5.xlarge", "region": "eu-1", "provider_id": f"aws:///{node}", "arch": "amd64"}
    if f'node="{node}"' not in "".join(page.families.get("node_gpu_hourly_cost", ())):
        page.gauge("node_gpu_hourly_cost", price, instance=node, node=node, **kind)
    page.gauge("kube_pod_start_time", time.time() - arm.age_s, **where, uid="u")
    page.gauge("kube_pod_labels", 1, **where, uid="u", label_modelrelease_dev_revision=arm.revision)
    spent = price / 3600 * arm.age_s
    page.counter("release:gpu_allocation_dollars_total", spent, **where, release=arm.revision)


def litellm(page: Page, arm: Arm) -> None:
    labels = {"model": arm.model, "hashed_api_key": "k", "api_key_alias": "", "team": "", "team_alias": "", "user": "u"}
    page.counter("litellm_spend_metric_total", arm.dollars, end_user="None", **labels)
    page.counter("litellm_total_tokens_metric_total", arm.tokens, requested_model="support", end_user="None", **labels)


@dataclass(frozen=True)
class Server:
    """`per_pod`: each arm is a target of its own, which gets the scrape labels namespace and release."""

    write: Callable[[Page, Arm], None]
    per_pod: bool = False
    per_namespace: bool = False
    python: bool = False

    def page(self, *arms: Arm) -> str:
        page = Page(created=self.python)
        for arm in arms:
            self.write(page, arm)
        return page.text()


SERVERS: Mapping[str, Server] = {
    "vLLM": Server(vllm, per_pod=True, python=True),
    "SGLang": Server(sglang, per_pod=True, python=True),
    "TGI": Server(tgi, per_pod=True),
    "Triton": Server(triton, per_pod=True),
    "KServe Python": Server(kserve, per_pod=True, python=True),
    "llm-d EPP": Server(llm_d, per_namespace=True),
    "Istio": Server(istio),
    "Envoy Gateway": Server(envoy_gateway),
    "Traefik": Server(traefik),
    "NGINX ingress": Server(nginx),
    "Linkerd": Server(linkerd),
    "OpenCost": Server(opencost),
    "LiteLLM": Server(litellm, python=True),
}
"""By the name that the preset files give the server."""


def placeholders(arm: Arm) -> dict[str, str]:
    """What a router would fill in for the arm."""
    return {
        "namespace": arm.namespace,
        "release": "chat",
        "route": "chat",
        "rule": "main",
        "ruleIndex": "0",
        "segment": "",
        "service": arm.service,
        "serviceNamespace": arm.namespace,
        "port": str(arm.port),
        "backendIndex": str(arm.backend_index),
        "revision": arm.revision,
        "version": arm.service,
        "digest": "0123456789",
        "model": arm.model,
    }


def _braces(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{{{inside}}}" if inside else ""
