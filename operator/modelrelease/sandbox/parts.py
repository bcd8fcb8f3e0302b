"""The command lines of the sandbox's programs, as data.

Must not start anything or know about users of the sandbox. Rejected: configuration files for each program; flags keep
every choice and its reason in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from modelrelease.sandbox.slots import HOST, Slot

AUDIT_LOG_MAX_MIB = 4096


class Port(IntEnum):
    """Offsets within a slot."""

    APISERVER = 0
    ETCD = 1
    ETCD_PEER = 2
    PROMETHEUS = 3
    GATEWAY = 4
    TRAEFIK_METRICS = 5
    OPERATOR = 6


@dataclass(frozen=True, slots=True)
class Layout:
    """Files and addresses of one sandbox; everything below `folder` is thrown away with it."""

    folder: Path
    slot: Slot

    @property
    def ca_file(self) -> Path:
        """Written by the API server itself at its first start: its certificate and the CA that signed it."""
        return self.folder / "apiserver" / "apiserver.crt"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    @property
    def audit_policy(self) -> Path:
        return self.folder / "audit-policy.yaml"

    @property
    def token_file(self) -> Path:
        return self.folder / "tokens.csv"

    @property
    def service_account_key(self) -> Path:
        return self.folder / "service-account.key"

    @property
    def prometheus_config(self) -> Path:
        return self.folder / "prometheus.yaml"

    @property
    def scrape_targets(self) -> Path:
        return self.folder / "scrape-targets.json"

    @property
    def api_url(self) -> str:
        return f"https://{self.address(Port.APISERVER)}"

    def address(self, port: Port) -> str:
        return f"{HOST}:{self.slot.port(port)}"

    def url(self, port: Port) -> str:
        return f"http://{self.address(port)}"


def etcd_argv(program: Path, layout: Layout) -> list[str]:
    return [
        str(program),
        f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls={layout.url(Port.ETCD)}",
        f"--advertise-client-urls={layout.url(Port.ETCD)}",
        f"--listen-peer-urls={layout.url(Port.ETCD_PEER)}",
        f"--initial-advertise-peer-urls={layout.url(Port.ETCD_PEER)}",
        f"--initial-cluster=default={layout.url(Port.ETCD_PEER)}",
        # The data need not survive a power cut, only a killed process; without fsync tests are not bound by the disk.
        "--unsafe-no-fsync=true",
        "--log-level=warn",
    ]


def apiserver_argv(program: Path, layout: Layout) -> list[str]:
    return [
        str(program),
        f"--bind-address={HOST}",
        f"--secure-port={layout.slot.port(Port.APISERVER)}",
        f"--cert-dir={layout.ca_file.parent}",
        f"--etcd-servers={layout.url(Port.ETCD)}",
        f"--service-cluster-ip-range={layout.slot.service_range}",
        # Nothing runs Pods here: no endpoints of the API server itself, no service account in every Pod.
        "--endpoint-reconciler-type=none",
        "--disable-admission-plugins=ServiceAccount",
        "--authorization-mode=RBAC",
        f"--token-auth-file={layout.token_file}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={layout.service_account_key}",
        f"--service-account-key-file={layout.service_account_key}",
        f"--audit-policy-file={layout.audit_policy}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-mode=blocking-strict",
        # Never rotate: `audit_events()` reads one file.
        f"--audit-log-maxsize={AUDIT_LOG_MAX_MIB}",
        "--profiling=false",
    ]


def prometheus_argv(program: Path, layout: Layout) -> list[str]:
    return [
        str(program),
        f"--config.file={layout.prometheus_config}",
        f"--storage.tsdb.path={layout.folder / 'prometheus'}",
        f"--web.listen-address={layout.address(Port.PROMETHEUS)}",
        "--web.enable-lifecycle",
        # Default 5 s; new scrape targets should count soon in a test.
        "--scrape.discovery-reload-interval=1s",
        "--log.level=warn",
    ]


def traefik_argv(program: Path, layout: Layout, *, token: str) -> list[str]:
    return [
        str(program),
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        f"--entrypoints.web.address={layout.address(Port.GATEWAY)}",
        f"--entrypoints.metrics.address={layout.address(Port.TRAEFIK_METRICS)}",
        "--ping=true",
        "--ping.entrypoint=metrics",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entrypoint=metrics",
        "--metrics.prometheus.addserviceslabels=true",
        "--providers.kubernetesgateway=true",
        f"--providers.kubernetesgateway.endpoint={layout.api_url}",
        f"--providers.kubernetesgateway.token={token}",
        f"--providers.kubernetesgateway.certauthfilepath={layout.ca_file}",
        # Send to ClusterIPs: on one machine they are where the model servers listen, the endpoints are stand-ins.
        "--providers.kubernetesgateway.nativelbbydefault=true",
        "--providers.providersthrottleduration=100ms",
        "--log.level=INFO",
    ]
