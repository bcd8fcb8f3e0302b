"""The Kubernetes API as dicts: few verbs, short deadlines, and errors told apart by what to do about them.

It stands on `kubernetes.aio` for configuration, credentials and transport. The generated typed methods were rejected:
their models drop fields that a newer server sends, and their defaults retry and wait longer than a revert may take.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
from kubernetes.aio import client, config

from modelrelease.routing.protocol import FIELD_MANAGER

GROUP = "modelrelease.dev"
VERSION = "v1alpha1"
Object = Mapping[str, Any]


class ApiError(Exception):
    """The API server said no, or nothing. `status` is the HTTP status, 0 when there was no answer."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status or 'no answer'} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409: somebody was faster, or the name is taken. Read again and decide anew."""


class Changed(ApiError):
    """422 to a JSON patch: a `test` failed, a schema refused it, or a policy denied it."""


class Denied(ApiError):
    """401 or 403: RBAC or an admission policy."""


class Unavailable(ApiError):
    """No answer in time, 429 or 5xx: try again later. The write may or may not have happened."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Where a kind lives in the API."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, sub: str | None = None) -> str:
        """The URL path of the collection, an object, or its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root, *(["namespaces", namespace] if namespace and self.namespaced else []), self.plural]
        return "/".join([*parts, *([name] if name else []), *([sub] if sub else [])])


RELEASES = Resource(GROUP, VERSION, "modelreleases")
REVISIONS = Resource(GROUP, VERSION, "releaserevisions")
DECISIONS = Resource(GROUP, VERSION, "releasedecisions")
EVIDENCES = Resource(GROUP, VERSION, "releaseevidences")
RECORDS = Resource(GROUP, VERSION, "releaserecords")
POLICIES = Resource(GROUP, VERSION, "releasepolicies", namespaced=False)
SOURCES = Resource(GROUP, VERSION, "metricssources", namespaced=False)
TEMPLATES = Resource(GROUP, VERSION, "gatetemplates")
CLUSTER_TEMPLATES = Resource(GROUP, VERSION, "clustergatetemplates", namespaced=False)
HTTP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes")
GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "gateways")
GATEWAY_CLASSES = Resource("gateway.networking.k8s.io", "v1", "gatewayclasses", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
CONFIG_MAPS = Resource("", "v1", "configmaps")
SERVICES = Resource("", "v1", "services")
PODS = Resource("", "v1", "pods")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices")
EVENTS = Resource("events.k8s.io", "v1", "events")
LEASES = Resource("coordination.k8s.io", "v1", "leases")
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", namespaced=False)
ADMISSION = ("admissionregistration.k8s.io", "v1")
VALIDATING_POLICIES = Resource(*ADMISSION, "validatingadmissionpolicies", namespaced=False)
VALIDATING_BINDINGS = Resource(*ADMISSION, "validatingadmissionpolicybindings", namespaced=False)
MUTATING_POLICIES = Resource(*ADMISSION, "mutatingadmissionpolicies", namespaced=False)
MUTATING_BINDINGS = Resource(*ADMISSION, "mutatingadmissionpolicybindings", namespaced=False)
SELF_REVIEWS = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", namespaced=False)

JSON = "application/json"
METADATA_ONLY = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

Observer = Callable[[str, str, int, float], None]


class Kube:
    """One connection to one API server. Use as an async context manager.

    `context`: of the kubeconfig, "" for its current one; with one no pod's service account is looked for.
    """

    def __init__(self, kubeconfig: Path | None = None, *, context: str = "", timeout_s: float = 5.0) -> None:
        self._kubeconfig, self._context = kubeconfig, context
        self._timeout_s = timeout_s
        self._api: Any = None
        self.observe: Observer = lambda verb, plural, status, seconds: None
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before each write but those of the Lease: a leader that stalled may renew what nobody else took."""

    async def __aenter__(self) -> Self:
        settings = client.Configuration()
        settings.connection_pool_maxsize = 64
        _refuse_missing(self._kubeconfig)
        try:
            await self._configure(settings)
        except Exception as error:  # The library raises what it stumbles over in a file that somebody wrote by hand.
            where = self._kubeconfig or "~/.kube/config"
            raise ApiError(0, "NoCluster", f"{where} does not say how to reach a cluster: {error}") from error
        self._api = client.ApiClient(configuration=settings)
        return self

    async def _configure(self, settings: Any) -> None:
        if self._kubeconfig is not None or self._context:
            file, context = self._kubeconfig and str(self._kubeconfig), self._context or None
            await config.load_kube_config(config_file=file, context=context, client_configuration=settings)
            return
        try:
            config.load_incluster_config(client_configuration=settings)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=settings)

    async def __aexit__(self, *_: object) -> None:
        await self._api.close()

    async def get(self, resource: Resource, namespace: str | None, name: str, *, timeout_s: float = 0) -> Any:
        """One object. Raises NotFound and the other ApiErrors."""
        return await self._send("GET", resource, resource.path(namespace, name), timeout_s=timeout_s)

    async def find(self, resource: Resource, namespace: str | None, name: str) -> Any | None:
        """One object, None when there is none."""
        try:
            return await self.get(resource, namespace, name)
        except NotFound:
            return None

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        timeout_s: float = 0,
        metadata_only: bool = False,
        **selectors: str,
    ) -> list[Any]:
        """All objects, page by page, or only their metadata.

        `selectors`: labelSelector, fieldSelector. `timeout_s` is for one page.
        """
        items: list[Any] = []
        query = {"limit": "500", **selectors}
        path, accept = resource.path(namespace), METADATA_ONLY if metadata_only else JSON
        while True:
            page = await self._send("GET", resource, path, query=query, timeout_s=timeout_s, accept=accept)
            items += page.get("items") or []  # null where metadata alone is listed and there is nothing
            token = page.get("metadata", {}).get("continue")
            if not token:
                return items
            query["continue"] = token

    async def create(self, resource: Resource, namespace: str | None, body: Object, *, dry_run: bool = False) -> Any:
        """Create an object. Raises Conflict when the name is taken."""
        query = {"dryRun": "All"} if dry_run else {}
        return await self._send("POST", resource, resource.path(namespace), body=body, query=query)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Any,
        *,
        content_type: str = "application/json-patch+json",
        dry_run: bool = False,
    ) -> Any:
        """Patch an object and give back what it is now."""
        path, query = resource.path(namespace, name), {"dryRun": "All"} if dry_run else {}
        return await self._send("PATCH", resource, path, body=body, content_type=content_type, query=query)

    async def replace(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Any:
        """Put an object; the resourceVersion in its metadata is the condition."""
        return await self._send("PUT", resource, resource.path(namespace, name), body=body)

    async def replace_status(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Any:
        """Put an object's status; the resourceVersion in its metadata is the condition."""
        return await self._send("PUT", resource, resource.path(namespace, name, "status"), body=body)

    async def delete(
        self, resource: Resource, namespace: str | None, name: str, *, options: Object | None = None
    ) -> Any:
        """Delete an object; `options` may carry preconditions."""
        return await self._send("DELETE", resource, resource.path(namespace, name), body=options)

    async def _send(
        self,
        verb: str,
        resource: Resource,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout_s: float = 0,
    ) -> Any:
        if verb != "GET" and resource != LEASES and not self.may_write():
            raise Unavailable(0, "NotLeader", "this process is not (or no longer) the leader: nothing was sent")
        headers = {"Accept": accept, "Content-Type": content_type}
        params = dict(query or {})
        if verb in ("POST", "PUT", "PATCH"):
            params["fieldManager"] = FIELD_MANAGER
        method, url, sent_headers, sent_body, _ = await self._api.param_serialize(
            verb,
            path,
            query_params=list(params.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        loop = asyncio.get_running_loop()
        began, status = loop.time(), 0
        try:
            async with asyncio.timeout(timeout_s or self._timeout_s):
                answer = await self._api.call_api(method, url, sent_headers, sent_body)
                raw, status = await answer.read(), answer.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(0, type(error).__name__, f"{verb} {path}: {error or 'no answer in time'}") from error
        finally:
            self.observe(verb, resource.plural, status, loop.time() - began)
        if 200 <= status < 300:
            return json.loads(raw) if raw else {}
        raise _error(verb, path, status, raw)


def _refuse_missing(kubeconfig: Path | None) -> None:
    """Raise where there is no file that could say how to reach a cluster. Several may be named, as in KUBECONFIG."""
    if kubeconfig is not None:
        if not any(Path(file).exists() for file in str(kubeconfig).split(os.pathsep) if file):
            raise ApiError(
                0, "NoCluster", f"kubeconfig {kubeconfig} does not exist: correct --kubeconfig or KUBECONFIG"
            )
    elif "KUBERNETES_SERVICE_HOST" not in os.environ and not (Path.home() / ".kube" / "config").exists():
        mend = "set KUBECONFIG, or give --kubeconfig"
        raise ApiError(0, "NoCluster", f"this is no pod, and there is no ~/.kube/config: {mend}")


def _error(verb: str, path: str, status: int, raw: bytes) -> ApiError:
    try:
        said = json.loads(raw)
        reason, message = str(said.get("reason", "")), str(said.get("message", ""))
    except (ValueError, AttributeError):
        reason, message = "", raw[:200].decode(errors="replace")
    kinds: dict[int, type[ApiError]] = {404: NotFound, 409: Conflict, 422: Changed, 401: Denied, 403: Denied}
    kind = kinds.get(status, Unavailable if status == 429 or status >= 500 else ApiError)
    return kind(status, reason, f"{verb} {path}: {message}")
