"""The sandbox as one object: start it, use it from tests, demos and benchmarks, break parts of it, throw it away.

Everything is real except what would need a container engine: no kubelet and no controller manager, so no Pods run.
Nothing survives `stop`; a sandbox is cheap to make and never repaired.

Rejected: one long-lived cluster shared by everybody. Leftovers of one test would decide the outcome of the next.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from modelrelease.sandbox import access, assembly, audit, binaries, gateway, slots
from modelrelease.sandbox.cleaning import clear_namespace
from modelrelease.sandbox.errors import SandboxError, StartError
from modelrelease.sandbox.kube import Json, KubeClient, load_docs
from modelrelease.sandbox.models import RunningModel, model_part
from modelrelease.sandbox.parts import Layout, Port
from modelrelease.sandbox.process import READY_TIMEOUT_S, Part
from modelrelease.sandbox.progress import Progress
from modelrelease.sandbox.prometheus import ScrapeTarget, ScrapeTargets
from modelrelease.sandbox.services import ServiceHandle, create_service
from modelrelease.sandbox.tools import ETCD, KUBE_APISERVER, PROMETHEUS, TRAEFIK, Tool


class Sandbox:
    """A context manager: a cluster inside the block, nothing left after it.

    `state_dir` None means a fresh temporary folder; a given one must be empty or absent. Either is deleted in the end,
    unless a part did not start. `etcd`, `apiserver`, `prometheus` and `traefik` are Parts: stop, kill, pause, resume,
    start and restart them to see what the operator does.
    """

    def __init__(
        self,
        name: str = "default",
        *,
        with_traefik: bool = True,
        with_prometheus: bool = True,
        scrape_interval_s: float = 1.0,
        scrape_targets: Sequence[ScrapeTarget] = (),
        state_dir: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.name = name
        optional = ((PROMETHEUS, with_prometheus), (TRAEFIK, with_traefik))
        self._tools = (ETCD, KUBE_APISERVER, *(tool for tool, wanted in optional if wanted))
        self._scrape_interval_s = scrape_interval_s
        self._initial_targets = scrape_targets
        self._state_dir = state_dir
        self._progress = progress or Progress(quiet=not sys.stderr.isatty())
        self._tokens = access.new_tokens()
        self._clients: dict[str, KubeClient] = {}
        self._parts: dict[str, Part] = {}
        self._others: list[Part] = []
        self._lock = threading.RLock()
        self._layout: Layout | None = None
        self._owner_pid = 0

    # --- life ---

    def start(self) -> Self:
        """Return when everything answers and the Gateway is programmed; on any failure nothing is left running."""
        if sys.platform != "linux":
            raise SandboxError("the sandbox needs Linux, because only there every 127.x.y.z address is local")
        self._gateway_api_crds = binaries.ensure_gateway_api_crds(self._progress)
        found = binaries.ensure_all(self._progress, self._tools)
        self._owner_pid = os.getpid()
        atexit.register(self.stop)
        try:
            self._prepare()
            self._start_parts({name: program.path for name, program in found.items()})
        except BaseException as error:
            self._shut_down(keep_files=isinstance(error, StartError))
            raise
        return self

    def stop(self) -> None:
        """End every process and delete the state; harmless when repeated, or in a forked child."""
        self._shut_down(keep_files=False)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    # --- addresses and access ---

    @property
    def state_dir(self) -> Path:
        return self._running.folder

    @property
    def api_url(self) -> str:
        return self._running.api_url

    @property
    def ca_file(self) -> Path:
        return self._running.ca_file

    @property
    def etcd_url(self) -> str:
        return self._running.url(Port.ETCD)

    @property
    def prometheus_url(self) -> str:
        return self._running.url(Port.PROMETHEUS)

    @property
    def gateway_url(self) -> str:
        """Where clients send model requests: the Gateway's listener."""
        return self._running.url(Port.GATEWAY)

    @property
    def traefik_metrics_address(self) -> str:
        """host:port of Traefik's /metrics."""
        return self._running.address(Port.TRAEFIK_METRICS)

    @property
    def audit_log(self) -> Path:
        return self._running.audit_log

    def addresses(self) -> dict[str, str]:
        """host:port of each program, by name."""
        ports = {ETCD: Port.ETCD, KUBE_APISERVER: Port.APISERVER, PROMETHEUS: Port.PROMETHEUS, TRAEFIK: Port.GATEWAY}
        return {tool.name: self._running.address(ports[tool]) for tool in self._tools}

    def token(self, user: str = "admin") -> str:
        """The bearer token of a user, by short name (`operator`, `alice` …) or full user name."""
        return self._tokens[access.short_name(user)]

    def client(self, user: str = "admin") -> KubeClient:
        """A small synchronous client that acts as `user`."""
        short = access.short_name(user)
        with self._lock:
            if short not in self._clients:
                self._clients[short] = KubeClient(self.api_url, ca_file=self.ca_file, token=self._tokens[short])
            return self._clients[short]

    def kubeconfig(self, user: str = "admin") -> Path:
        """A kubeconfig file that acts as `user`."""
        short = access.short_name(user)
        path = self.state_dir / f"kubeconfig-{short}.yaml"
        name = f"sandbox-{self.name}"
        content = access.kubeconfig(
            user=short, token=self._tokens[short], server=self.api_url, ca_file=self.ca_file, name=name
        )
        assembly.write_secret(path, content)
        return path

    def audit_events(self) -> list[audit.AuditEvent]:
        """Every write so far, oldest first, also the refused ones."""
        return audit.read(self.audit_log)

    # --- contents ---

    def apply(
        self, source: Path | Mapping[str, Any] | Iterable[Mapping[str, Any]], *, user: str = "admin"
    ) -> list[Json]:
        """Server-side apply of a YAML file, a folder of them, or objects; returns when CRDs among them are served."""
        return self.client(user).apply(load_docs(source))

    def create_namespace(self, name: str, *, labels: Mapping[str, str] | None = None) -> str:
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}})
        return name

    def clear_namespace(self, namespace: str) -> None:
        """Delete what is in it, finalizers or not (nothing here would ever finish deleting the namespace itself)."""
        clear_namespace(self.client(), namespace)

    def service(self, namespace: str, name: str, port: int = 8080, *, ready: int = 1) -> ServiceHandle:
        """A Service with a ClusterIP that a process of this machine can bind."""
        return create_service(self.client(), namespace=namespace, name=name, port=port, ready=ready)

    def model_server(
        self,
        service: ServiceHandle,
        *,
        name: str = "",
        job: str = "models",
        labels: Mapping[str, str] | None = None,
        seed: int = 0,
        arguments: Sequence[str] = (),
        **behaviour: float,
    ) -> RunningModel:
        """Serve `service` with a stand-in model called `name` (default: the Service's) and have it scraped as `job`.

        `behaviour` are the fields of `modelserver.Behaviour`, `arguments` more of its command line.
        """
        name = name or service.name
        part = model_part(
            service, name=name, folder=self.state_dir, behaviour=behaviour, seed=seed, arguments=arguments
        )
        self.spawn(part)
        self.add_scrape_target(
            job, service.address, {"namespace": service.namespace, "service": service.name} | dict(labels or {})
        )
        return RunningModel(service, part)

    def add_scrape_target(self, job: str, address: str, labels: Mapping[str, str] | None = None) -> None:
        """Have Prometheus scrape host:port at /metrics; it notices within a few seconds."""
        self._targets.add(ScrapeTarget(job, address, labels or {}))

    def remove_scrape_target(self, job: str, address: str) -> None:
        self._targets.remove(job, address)

    def spawn(self, part: Part) -> Part:
        """Start a further program that must not outlive this sandbox, and wait until it is ready."""
        with self._lock:
            self._others.append(part)
        part.start()
        return part

    # --- parts and faults ---

    @property
    def etcd(self) -> Part:
        return self._part(ETCD)

    @property
    def apiserver(self) -> Part:
        return self._part(KUBE_APISERVER)

    @property
    def prometheus(self) -> Part:
        return self._part(PROMETHEUS)

    @property
    def traefik(self) -> Part:
        return self._part(TRAEFIK)

    @property
    def parts(self) -> tuple[Part, ...]:
        return (*self._parts.values(), *self._others)

    def restart_apiserver(self) -> None:
        self.apiserver.restart()

    def kill_apiserver(self) -> None:
        self.apiserver.kill()

    def stop_prometheus(self) -> None:
        self.prometheus.stop()

    def start_prometheus(self) -> None:
        self.prometheus.start()

    # --- inside ---

    @property
    def _running(self) -> Layout:
        if self._layout is None:
            raise SandboxError(f"sandbox {self.name!r} is not running: use it as a context manager or call start()")
        return self._layout

    def _part(self, tool: Tool) -> Part:
        if tool.name not in self._parts:
            raise SandboxError(f"sandbox {self.name!r} has no {tool.name}: it is not running, or was made without it")
        return self._parts[tool.name]

    def _prepare(self) -> None:
        """Claim a slot and write the files that the programs read."""
        folder = self._state_dir
        if folder is not None and folder.exists() and any(folder.iterdir()):
            raise SandboxError(
                f"state_dir {folder} is not empty: stopping would delete what is in it, name a new folder"
            )
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix=f"modelrelease-sandbox-{self.name}-"))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._layout = layout = Layout(folder.resolve(), slots.claim())
        assembly.write_files(
            layout,
            tokens=self._tokens,
            scrape_interval_s=self._scrape_interval_s,
            with_traefik=TRAEFIK in self._tools,
        )
        self._targets = ScrapeTargets(layout.scrape_targets)
        for target in self._initial_targets:
            self._targets.add(target)

    def _start_parts(self, programs: Mapping[str, Path]) -> None:
        """Start together what can start together; the API server takes longest, so nothing waits beside it."""
        self._parts = assembly.assemble(
            self._running, programs=programs, client=self.client(), traefik_token=self.token("traefik")
        )
        self.etcd.spawn()
        if PROMETHEUS in self._tools:
            self.prometheus.spawn()
        self.etcd.wait_ready()
        self.apiserver.start()
        self.client().apply(load_docs(self._gateway_api_crds))
        if TRAEFIK in self._tools:
            self._start_gateway()
        if PROMETHEUS in self._tools:
            self.prometheus.wait_ready()

    def _start_gateway(self) -> None:
        self.client().apply(gateway.manifests(self._running.slot.port(Port.GATEWAY)))
        self.traefik.start()
        self.client().wait_condition(gateway.CLASS_PATH, "Accepted", timeout_s=READY_TIMEOUT_S)
        self.client().wait_condition(gateway.GATEWAY_PATH, "Programmed", timeout_s=READY_TIMEOUT_S)

    def _shut_down(self, *, keep_files: bool) -> None:
        """Nothing is asked to finish its work: the state is thrown away."""
        with self._lock:
            if self._layout is None or self._owner_pid != os.getpid():
                return
            atexit.unregister(self.stop)
            for part in (*self._others, *reversed(self._parts.values())):
                part.kill()
            layout, self._layout = self._layout, None
            self._others, self._parts, self._clients = [], {}, {}
            if not keep_files:
                shutil.rmtree(layout.folder, ignore_errors=True)
            layout.slot.release()
