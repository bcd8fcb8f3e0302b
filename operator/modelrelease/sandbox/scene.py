"""A served model in the sandbox: versions behind a route, releases of it, and the operator as a process of its own.

What tests, demo and benchmarks share. Everything goes through the same doors that users have: objects are applied,
the status is read, requests go through the gateway.

Rejected: running the operator inside the calling process. Killing it is one of the things to be shown.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from modelrelease.sandbox.cluster import Sandbox
from modelrelease.sandbox.gateway import GATEWAY_NAME, GATEWAY_NAMESPACE
from modelrelease.sandbox.kube import Json
from modelrelease.sandbox.load import Plan, Share
from modelrelease.sandbox.models import RunningModel
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.services import ServiceHandle

SOURCE_ROOT = Path(__file__).resolve().parents[2]
PROJECT = SOURCE_ROOT.parent
SYSTEM_NAMESPACE = "modelrelease-system"
LOW = {"x-criticality": "low"}
LOAD_S = 900.0
"""Longer than anybody waits: a load ends with its block."""
PATIENCE_S = 120.0
"""How long something may take to come on a machine with much else to do."""


def project_folder(name: str) -> Path:
    """`crds` or `manifests`, from the checkout or from the installed package."""
    for folder in (PROJECT / name, SOURCE_ROOT / "modelrelease" / "_bundled" / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"there is no folder {name} beside this package")


def install(sandbox: Sandbox) -> None:
    """Install CRDs, RBAC and admission policies as on a real cluster, except what would need a kubelet to run."""
    docs: list[Mapping[str, Any]] = [
        doc for file in sorted(project_folder("crds").glob("*.yaml")) for doc in _load(file)
    ]
    sandbox.apply(docs)
    files = sorted(project_folder("manifests").rglob("*.yaml"))
    skipped = ("Kustomization", "Deployment", "NetworkPolicy", "ReleasePolicy")
    docs = [doc for file in files for doc in _load(file) if doc.get("kind") not in skipped]
    order = {"Namespace": 0, "CustomResourceDefinition": 1}
    sandbox.apply(sorted(docs, key=lambda doc: order.get(str(doc.get("kind")), 2)))


def operator_part(sandbox: Sandbox, *, name: str = "operator", port: int = 0, lease_duration_s: float = 15.0) -> Part:
    """The operator as a process, not started. It acts as its own service account; `port` 0: a free one."""
    listen = port or _free_port()
    argv = [sys.executable, "-m", "modelrelease.cli", "run", "--kubeconfig", str(sandbox.kubeconfig("operator"))]
    argv += ["--listen", f"127.0.0.1:{listen}", "--lease-duration", str(lease_duration_s)]
    argv += ["--credentials-dir", str(sandbox.state_dir), "--instance", name]
    path = os.pathsep.join([str(SOURCE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    part = Part(
        name,
        argv,
        log=sandbox.state_dir / f"{name}.log",
        ready=lambda: _answers(f"http://127.0.0.1:{listen}/readyz"),
        env={**os.environ, "PYTHONPATH": path, "TZ": "UTC"},
    )
    part.address = f"127.0.0.1:{listen}"  # type: ignore[attr-defined]
    return part


class Scene:
    """One model called `name` in one namespace, served for the host `<namespace>.local`."""

    def __init__(self, sandbox: Sandbox, namespace: str, name: str = "chat") -> None:
        self.sandbox, self.namespace, self.name = sandbox, namespace, name
        self.models: dict[str, RunningModel] = {}
        self.services: dict[str, ServiceHandle] = {}

    # --- what is served ---

    def serve(
        self, version: str, *, ready: int = 2, seed: int = 0, arguments: Sequence[str] = (), **behaviour: float
    ) -> RunningModel:
        """Start a version of the model behind a Service of its own, `<name>-<version>`."""
        service = self.sandbox.service(self.namespace, f"{self.name}-{version}", ready=ready)
        self.services[version] = service
        self.models[version] = self.sandbox.model_server(
            service, name=version, seed=seed, job="models", labels=None, arguments=arguments, **behaviour
        )
        return self.models[version]

    def route(self, version: str, *, rule: str = "chat") -> Json:
        """An HTTPRoute, as a team would have it before the operator came: all traffic to one version."""
        backend = {"name": f"{self.name}-{version}", "port": 8080}
        route = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "parentRefs": [{"name": GATEWAY_NAME, "namespace": GATEWAY_NAMESPACE}],
                "hostnames": [f"{self.namespace}.local"],
                "rules": [
                    {
                        "name": rule,
                        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                        "backendRefs": [backend],
                    }
                ],
            },
        }
        return self.sandbox.apply(route)[0]

    def source(self, *, tick: str = "1s", scrape: str = "1s", address: str = "") -> Json:
        """The MetricsSource `default`."""
        spec = {"address": address or self.sandbox.prometheus_url, "tickInterval": tick, "scrapeInterval": scrape}
        return self.sandbox.apply(_object("MetricsSource", {"name": "default"}, spec))[0]

    def template(self, name: str, spec: Mapping[str, Any]) -> Json:
        """A GateTemplate in this namespace."""
        return self.sandbox.apply(_object("GateTemplate", self._meta(name), spec))[0]

    def answers_template(self) -> Json:
        """`wrong-answers`: the model servers' own count of wrong answers, by release header."""
        arm = [{"label": "release", "value": "${revision}"}]
        wrong = {"name": "model_answers_total", "matchers": [{"label": "verdict", "value": "wrong"}]}
        spec = {
            "metric": {"ratio": {"bad": wrong, "total": {"name": "model_answers_total"}}},
            "arm": arm,
            "kind": "Quality",
        }
        return self.template("wrong-answers", spec)

    # --- what is released ---

    def manifest(
        self,
        version: str,
        *,
        stages: Sequence[Mapping[str, Any]] | None = None,
        gates: Sequence[Mapping[str, Any]] | None = None,
        watch: str = "0s",
        traffic: Mapping[str, Any] | None = None,
        unit: Mapping[str, Any] | None = None,
        backend: str = "",
    ) -> Json:
        """A ModelRelease of one version: fast stages and the two gateway gates, unless said otherwise."""
        spec: Json = {
            "unit": {
                "version": version,
                "backend": {"name": backend or f"{self.name}-{version}", "port": 8080},
                **(unit or {}),
            },
            "traffic": {
                "routes": [{"name": self.name}],
                "segments": [{"name": "low-criticality", "headers": [{"name": "x-criticality", "value": "low"}]}],
                **(traffic or {}),
            },
            "strategy": {"stages": list(stages or fast_stages()), "watch": {"duration": watch}},
            "gates": list(default_gates() if gates is None else gates),
        }
        return _object("ModelRelease", self._meta(self.name), spec)

    def release(self, version: str, *, user: str = "admin", **how: Any) -> Json:
        """Apply a ModelRelease of one version."""
        return self.sandbox.apply(self.manifest(version, **how), user=user)[0]

    def read(self) -> Json:
        """The ModelRelease as it is now."""
        return self.sandbox.client().get(self._path("modelreleases", self.name))

    def status(self) -> Json:
        """Its status, empty when there is none."""
        found: Json = self.read().get("status") or {}
        return found

    def read_route(self) -> Json:
        """The HTTPRoute as it is now."""
        path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{self.namespace}/httproutes/{self.name}"
        return self.sandbox.client().get(path)

    def records(self) -> list[Json]:
        """The release's records, oldest first."""
        found = self.sandbox.client().get(self._path("releaserecords", ""))["items"]
        return sorted(
            (item["spec"] for item in found if item["spec"]["release"]["name"] == self.name),
            key=lambda spec: int(spec["sequence"]),
        )

    def condition(self, kind: str) -> Json:
        """One condition of the release, empty when it is not there."""
        found = [c for c in self.status().get("conditions") or [] if c["type"] == kind]
        return found[0] if found else {}

    def wait(self, what: str, check: Callable[[Json], bool], timeout_s: float = PATIENCE_S) -> Json:
        """Poll the release until `check(status)`; TimeoutError names `what` and shows the status."""
        deadline = time.monotonic() + timeout_s
        status: Json = {}
        while time.monotonic() < deadline:
            status = self.status()
            if check(status):
                return status
            time.sleep(0.1)
        text = yaml.safe_dump({k: v for k, v in status.items() if k != "plan"}, sort_keys=False)
        raise TimeoutError(f"{self.namespace}/{self.name}: {what} did not come within {timeout_s:.0f} s:\n{text}")

    def wait_state(self, *states: str, timeout_s: float = PATIENCE_S) -> Json:
        """Poll until the release is in one of the states, with the newest generation observed."""

        def there(status: Json) -> bool:
            newest = self.read()["metadata"]["generation"] == status.get("observedGeneration")
            return newest and status.get("state") in states

        return self.wait(" or ".join(states), there, timeout_s)

    def settle(self, version: str = "v1", **how: Any) -> Json:
        """Release what the route serves already and wait until it is adopted and at rest."""
        self.release(version, **how)
        self.wait_state("Settled")
        deadline = time.monotonic() + PATIENCE_S
        while "modelrelease.dev/release" not in (self.read_route()["metadata"].get("annotations") or {}):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.namespace}/{self.name}: the route was not taken over")
            time.sleep(0.1)
        return self.wait("RouteAccepted", lambda status: self.condition("RouteAccepted").get("status") == "True")

    def load(self, rate_per_s: float, duration_s: float = LOAD_S, *, low: float = 0.3) -> Plan:
        """A load plan for this model; `low` is the fraction of low-criticality requests."""
        return Plan(
            f"{self.sandbox.gateway_url}/v1/predict",
            rate_per_s,
            duration_s,
            host=f"{self.namespace}.local",
            mix=(Share(low, LOW),) if low else (),
        )

    def _meta(self, name: str) -> Json:
        return {"name": name, "namespace": self.namespace}

    def _path(self, plural: str, name: str) -> str:
        return f"/apis/modelrelease.dev/v1alpha1/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")


def fast_stages(seconds: int = 4, samples: int = 5) -> list[Json]:
    """The R14 path in seconds instead of hours."""
    timing = {"minDuration": f"{seconds}s", "minSamples": samples}
    return [
        {
            "name": "pilot",
            "exposure": [{"segment": "low-criticality", "percent": "1"}],
            "minDuration": f"{seconds}s",
            "minSamples": 1,
        },
        {"name": "mixed", "exposure": [{"percent": "5"}], **timing},
        {"name": "broad", "exposure": [{"percent": "20"}], **timing},
        {"name": "full", "exposure": [{"percent": "100"}], "minDuration": "1s", "require": "NoHarm"},
    ]


def default_gates() -> list[Json]:
    """Gateway errors: against stable, and absolute."""
    return [
        {"name": "errors", "template": "gateway-error-rate", "against": "Stable", "maxRatio": "1.5", "floor": "0.01"},
        {"name": "errors-absolute", "template": "gateway-error-rate", "max": "0.05"},
    ]


def _object(kind: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Json:
    return {"apiVersion": "modelrelease.dev/v1alpha1", "kind": kind, "metadata": dict(metadata), "spec": dict(spec)}


def _load(file: Path) -> list[Json]:
    return [doc for doc in yaml.safe_load_all(file.read_text()) if doc]


def _answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
