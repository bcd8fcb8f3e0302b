"""What a release refers to: contents of its ConfigMaps and the templates of its gates, read when they are needed.

Contents are read once per generation of the release and then compared with what is there: a ConfigMap edited in place
is a violated unit and not a new release that rides along silently (R2).
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import structlog

from modelrelease.api.convert_gates import requests_of, templates_of
from modelrelease.api.convert_unit import config_maps_of, content_of
from modelrelease.controller import kube
from modelrelease.controller.kube import ApiError, Kube
from modelrelease.controller.store import Store
from modelrelease.domain.gate import Gate
from modelrelease.domain.release import IN_TRAFFIC, Fault, Progress
from modelrelease.metrics.presets import GATEWAY_PREFIX, preset

log = structlog.get_logger()

Contents = Mapping[str, Mapping[str, str] | None]
Templates = Mapping[str, object]

UNTOLD_GATEWAY = "traefik.io/gateway-controller"
"""Whose presets `gateway-…` names mean where the controller of the route's GatewayClass cannot be read."""


MISSING_CHECK_S = 5.0
"""How often a ConfigMap that is not there is looked for again."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was found for one generation of a release."""

    generation: int
    uid: str
    contents: Contents
    templates: Mapping[str, object]
    template_version: int
    requests: Gate | None
    checked_at: float
    changed: tuple[str, ...] = ()


class Units:
    """Reads and remembers for one process."""

    def __init__(self, kube_: Kube, store: Store, *, check_s: float) -> None:
        self._kube, self._store, self._check_s = kube_, store, check_s
        self._known: dict[str, Known] = {}
        self._comparing: dict[str, asyncio.Task[None]] = {}
        self._controllers: dict[str, tuple[float, str]] = {}

    def forget(self, key: str) -> None:
        """The release is gone."""
        self._known.pop(key, None)

    async def read(self, key: str, obj: Any, *, live: bool) -> Known:
        """Contents and templates of a release; live, or now and then, the contents are compared again.

        Only the live comparison is waited for. Raises ApiError when something that is not known yet cannot be read.
        """
        spec, metadata = obj.get("spec") or {}, obj["metadata"]
        version = self._store.versions[kube.TEMPLATES.plural] + self._store.versions[kube.CLUSTER_TEMPLATES.plural]
        known = self._known.get(key)
        if known is None or (known.generation, known.uid) != (metadata["generation"], metadata["uid"]):
            contents = await self._contents(metadata["namespace"], config_maps_of(spec))
            known = Known(metadata["generation"], metadata["uid"], contents, {}, -1, None, monotonic())
        elif known.contents and live:
            known = await self._compared(known, metadata["namespace"])
        elif known.contents and monotonic() - known.checked_at > self._pause_s(known) and key not in self._comparing:
            self._comparing[key] = asyncio.create_task(self._compare_behind(key, known, metadata["namespace"]))
        if known.template_version != version:
            templates = await self._templates(metadata["namespace"], spec)
            counted = requests_of(spec, templates)
            requests = counted if isinstance(counted, Gate) else None
            known = replace(known, templates=templates, template_version=version, requests=requests)
        self._known[key] = known
        return known

    def _pause_s(self, known: Known) -> float:
        """How long what was read counts. A ConfigMap that is not there yet is often applied just after the release."""
        missing = any(content is None for content in known.contents.values())
        return min(MISSING_CHECK_S, self._check_s) if missing else self._check_s

    def unread(self, key: str, obj: Any) -> Known:
        """What is there when reading failed: what an earlier generation referred to, else nothing at all."""
        metadata = obj["metadata"]
        return self._known.get(key) or Known(metadata["generation"], metadata["uid"], {}, {}, -1, None, monotonic())

    def violations(self, key: str, progress: Progress) -> tuple[Fault, ...]:
        """Which ConfigMaps of a candidate in traffic no longer have the content that its digest covers."""
        known = self._known.get(key)
        if known is None or progress.state not in IN_TRAFFIC:
            return ()
        return tuple(
            Fault(
                "UnitViolated", f"ConfigMap {name} was edited in place: restore it, or write a new version of the unit"
            )
            for name in known.changed
        )

    async def _contents(self, namespace: str, names: tuple[str, ...]) -> Contents:
        found: dict[str, Mapping[str, str] | None] = {}
        for name in names:
            config_map = await self._kube.find(kube.CONFIG_MAPS, namespace, name)
            found[name] = content_of(config_map) if config_map is not None else None
        return found

    async def _compare_behind(self, key: str, known: Known, namespace: str) -> None:
        try:
            compared = await self._compared(known, namespace)
            newest = self._known.get(key)
            if newest is not None and (newest.generation, newest.uid) == (known.generation, known.uid):
                self._known[key] = replace(
                    newest, contents=compared.contents, checked_at=compared.checked_at, changed=compared.changed
                )
        except ApiError as error:
            log.warning("could not compare the unit's contents", release=key, error=str(error))
        finally:
            self._comparing.pop(key, None)

    async def _compared(self, known: Known, namespace: str) -> Known:
        now = await self._contents(namespace, tuple(known.contents))
        if any(content is None for content in known.contents.values()):
            return replace(known, contents=now, checked_at=monotonic(), changed=())
        changed = tuple(name for name, content in known.contents.items() if now[name] != content)
        return replace(known, checked_at=monotonic(), changed=changed)

    async def _templates(self, namespace: str, spec: Mapping[str, Any]) -> Mapping[str, object]:
        found: dict[str, object] = {}
        for name in templates_of(spec):
            local = self._store.get(kube.TEMPLATES, f"{namespace}/{name}")
            shared = self._store.get(kube.CLUSTER_TEMPLATES, name)
            template = local or shared
            found[name] = template.get("spec") if template else await self._preset(namespace, spec, name)
        return found

    async def shared_templates(self, namespace: str, spec: Mapping[str, Any], names: Iterable[str]) -> Templates:
        """Templates of the whole cluster and presets, as a policy means them: those of the namespace do not count."""
        found: dict[str, object] = {}
        for name in names:
            shared = self._store.get(kube.CLUSTER_TEMPLATES, name)
            found[name] = shared.get("spec") if shared else await self._preset(namespace, spec, name)
        return found

    async def _preset(self, namespace: str, spec: Mapping[str, Any], name: str) -> Any:
        controller = await self._controller(namespace, spec) if name.startswith(GATEWAY_PREFIX) else ""
        return preset(name, gateway_controller=controller or UNTOLD_GATEWAY)

    async def _controller(self, namespace: str, spec: Mapping[str, Any]) -> str:
        """The controller name of the GatewayClass behind the release's first route; "" where it cannot be told."""
        traffic = spec.get("traffic") or {}
        parents = [dict(ref) for ref in traffic.get("gatewayRefs") or []]
        for ref in traffic.get("routes") or []:
            route = self._store.get(kube.HTTP_ROUTES, f"{namespace}/{ref.get('name')}")
            parents += (route or {}).get("spec", {}).get("parentRefs") or []
        if not parents:
            return ""
        place = f"{parents[0].get('namespace') or namespace}/{parents[0].get('name')}"
        known = self._controllers.get(place)
        if known is None or monotonic() - known[0] > 60:
            known = (monotonic(), await self._read_controller(place))
            self._controllers[place] = known
        return known[1]

    async def _read_controller(self, place: str) -> str:
        namespace, _, name = place.partition("/")
        gateway = await self._kube.find(kube.GATEWAYS, namespace, name)
        class_name = (gateway or {}).get("spec", {}).get("gatewayClassName")
        if not class_name:
            return ""
        found = await self._kube.find(kube.GATEWAY_CLASSES, None, class_name)
        return str((found or {}).get("spec", {}).get("controllerName", ""))
