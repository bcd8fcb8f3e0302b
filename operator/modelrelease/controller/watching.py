"""kopf, for watching only: in its own thread and loop, feeding the store and waking releases.

`on.event` handlers with a null diff-base write nothing to any object. Per-object daemons, timers and create/update
handlers were rejected: they cost memory and hidden writes per object, and nothing about stopping may depend on a watch.
kopf's loop is its own because kopf cancels every task of the loop that it runs in when it ends.
"""

import asyncio
import copy
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import kopf
import structlog

from modelrelease.controller import kube
from modelrelease.controller.kube import Resource

log = structlog.get_logger()

WATCHED: tuple[Resource, ...] = (
    kube.RELEASES,
    kube.DECISIONS,
    kube.EVIDENCES,
    kube.POLICIES,
    kube.NAMESPACES,
    kube.SOURCES,
    kube.TEMPLATES,
    kube.CLUSTER_TEMPLATES,
    kube.HTTP_ROUTES,
)

Sink = Callable[[Resource, bool, Any], None]
"""Called in our loop with the resource, whether the object is gone, and the object."""


class _NoDiffBase(kopf.DiffBaseStorage):  # type: ignore[misc]
    """Remembers nothing, so that kopf writes no last-handled annotation."""

    def fetch(self, *, body: kopf.Body) -> None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:
        return None


class Watching:
    """Runs kopf in a thread. `alive` is False once it ended, for whatever reason."""

    def __init__(
        self, kubeconfig: Path | None, sink: Sink, *, context: str = "", resources: Collection[Resource] = WATCHED
    ) -> None:
        self._context = context
        self._kubeconfig, self._sink, self._resources = kubeconfig, sink, resources
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    @property
    def alive(self) -> bool:
        """Whether the watches run."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; events arrive in the calling loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether the watches have begun."""
        return self._ready.is_set()

    async def ended(self) -> None:
        """Return when the watches have ended."""
        await self._ended.wait()

    async def stop(self) -> None:
        """Stop the watches and wait for the thread."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 10)

    def _run(self) -> None:
        try:
            asyncio.run(self._watch())
        except Exception as error:
            log.error("the watches ended", error=repr(error))
        finally:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._ended.set)

    async def _watch(self) -> None:
        registry = kopf.OperatorRegistry()
        for resource in self._resources:
            self._register(registry, resource)
        kopf.on.login(registry=registry)(self._login)
        await kopf.operator(
            registry=registry,
            settings=_settings(),
            clusterwide=True,
            standalone=True,
            stop_flag=self._stop,
            ready_flag=self._ready,
        )

    def _register(self, registry: Any, resource: Resource) -> None:
        async def seen(*, event: Any, **_: Any) -> None:
            gone = event["type"] == "DELETED"
            obj = copy.deepcopy(dict(event["object"]))
            obj.get("metadata", {}).pop("managedFields", None)
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._sink, resource, gone, obj)

        kopf.on.event(
            resource.group, resource.version, resource.plural, registry=registry, id=f"see-{resource.plural}"
        )(seen)

    def _login(self, **kwargs: Any) -> Any:
        if self._kubeconfig is not None:
            return _from_kubeconfig(self._kubeconfig, self._context)
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.finalizer = "modelrelease.dev/kopf"
    settings.networking.request_timeout = 15
    settings.networking.error_backoffs = [0.5, 1, 2]
    settings.watching.chunk_size = 500
    settings.watching.reconnect_backoff = 0.2
    settings.scanning.disabled = True
    return settings


def _from_kubeconfig(path: Path, context: str) -> kopf.ConnectionInfo:
    import yaml

    content = yaml.safe_load(path.read_text())
    wanted = context or content.get("current-context") or content["contexts"][0]["name"]
    place = next(item["context"] for item in content["contexts"] if item["name"] == wanted)
    cluster = next(item["cluster"] for item in content["clusters"] if item["name"] == place["cluster"])
    user = next(item["user"] for item in content["users"] if item["name"] == place["user"])
    return kopf.ConnectionInfo(
        server=cluster["server"],
        ca_path=cluster.get("certificate-authority"),
        ca_data=cluster.get("certificate-authority-data"),
        insecure=cluster.get("insecure-skip-tls-verify"),
        token=user.get("token"),
        username=user.get("username"),
        password=user.get("password"),
        certificate_path=user.get("client-certificate"),
        certificate_data=user.get("client-certificate-data"),
        private_key_path=user.get("client-key"),
        private_key_data=user.get("client-key-data"),
    )
