"""A real local cluster without containers: etcd, kube-apiserver, Prometheus and Traefik as plain processes on loopback.

    with Sandbox() as sandbox:
        sandbox.apply(Path("route.yaml"))

Everything listens on 127.x.y.z, needs no privileges and is gone when the block ends. Linux only.
"""

from modelrelease.sandbox.cluster import Sandbox
from modelrelease.sandbox.errors import ApiError, SandboxError
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.prometheus import ScrapeTarget
from modelrelease.sandbox.services import ServiceHandle

__all__ = ["ApiError", "Part", "Sandbox", "SandboxError", "ScrapeTarget", "ServiceHandle"]
