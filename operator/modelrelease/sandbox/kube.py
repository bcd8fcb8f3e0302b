"""The few requests the sandbox itself makes to its API server: plain HTTPS and JSON, synchronous, any thread.

It must not know what runs where. Rejected: the kubernetes client. Importing it takes longer than starting etcd, and
model servers and other small processes of the sandbox import this package too.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from modelrelease.sandbox.errors import ApiError, SandboxError

Json = dict[str, Any]

FIELD_MANAGER = "modelrelease-sandbox"
REQUEST_TIMEOUT_S = 30.0
DISCOVERY_TIMEOUT_S = 20.0
POLL_S = 0.05
APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
# What others need before they can be created.
APPLY_FIRST = ("CustomResourceDefinition", "Namespace")


class KubeClient:
    """One user's view of the API server. Every refusal is an ApiError with the server's own reason and message."""

    def __init__(self, url: str, *, ca_file: Path, token: str) -> None:
        self.url = url
        self._token = token
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = {}

    @classmethod
    def of_kubeconfig(cls, path: Path) -> KubeClient:
        """As the only user in a kubeconfig that the sandbox wrote."""
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        return cls(cluster["server"], ca_file=Path(cluster["certificate-authority"]), token=user["token"])

    def request(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> Json:
        """The decoded answer ({} for an empty one, {"text": …} for plain text)."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S, context=self._tls()) as answer:
                return _decoded(answer.read())
        except urllib.error.HTTPError as error:
            status = _decoded(error.read())
            message = str(status.get("message") or status.get("text") or error.reason)
            raise ApiError(error.code, str(status.get("reason", error.reason)), message) from error
        except urllib.error.URLError as error:
            raise ApiError(0, "Unreachable", f"{self.url} does not answer ({error.reason})") from error

    def get(self, path: str) -> Json:
        return self.request("GET", path)

    def create(self, path: str, body: Json) -> Json:
        return self.request("POST", path, body)

    def patch(self, path: str, body: Any) -> Json:
        """Merge patch."""
        return self.request("PATCH", path, body, content_type=MERGE_PATCH)

    def delete(self, path: str) -> Json:
        return self.request("DELETE", path)

    def ready(self) -> bool:
        """True when the API server says so; False or OSError while it does not."""
        if not self._ca_file.exists():
            return False
        try:
            self.request("GET", "/readyz")
        except ApiError:
            return False
        return True

    def apply(self, docs: Iterable[Mapping[str, Any]]) -> list[Json]:
        """Server-side apply, CRDs and namespaces first; returns the stored objects when all CRDs are established."""
        wanted = [dict(doc) for doc in docs]
        first = [doc for doc in wanted if doc["kind"] in APPLY_FIRST]
        rest = [doc for doc in wanted if doc["kind"] not in APPLY_FIRST]
        stored = [self._apply_one(doc) for doc in first]
        for doc in first:
            if doc["kind"] == "CustomResourceDefinition":
                self._wait_established(doc["metadata"]["name"])
        return stored + [self._apply_one(doc) for doc in rest]

    def path_of(self, doc: Mapping[str, Any]) -> str:
        """The address of an object: group, version, plural, namespace (default: `default`) and name."""
        version, metadata = doc["apiVersion"], doc["metadata"]
        plural, namespaced = self._resource(version, doc["kind"])
        scope = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{api_root(version)}{scope}/{plural}/{metadata['name']}"

    def wait_condition(self, path: str, condition: str, *, timeout_s: float) -> Json:
        """The object once `status.conditions` holds `condition` as True for its current generation."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.get(path)
            if _is_true(found, condition):
                return found
            if time.monotonic() > deadline:
                conditions = found.get("status", {}).get("conditions")
                raise SandboxError(f"{path} did not become {condition} in {timeout_s:.0f} s; conditions: {conditions}")
            time.sleep(POLL_S)

    def _apply_one(self, doc: Json) -> Json:
        """An established CRD is served a moment later still; until then the API server says 429 or 503."""
        path = f"{self.path_of(doc)}?fieldManager={FIELD_MANAGER}&force=true"
        deadline = time.monotonic() + DISCOVERY_TIMEOUT_S
        while True:
            try:
                return self.request("PATCH", path, doc, content_type=APPLY_PATCH)
            except ApiError as error:
                if error.status not in (429, 503) or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)

    def _wait_established(self, name: str) -> None:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        self.wait_condition(path, "Established", timeout_s=DISCOVERY_TIMEOUT_S)

    def _resource(self, version: str, kind: str) -> tuple[str, bool]:
        """Plural and whether namespaced. A fresh CRD may take a moment to be listed."""
        deadline = time.monotonic() + DISCOVERY_TIMEOUT_S
        while (version, kind) not in self._plurals:
            try:
                for resource in self.get(api_root(version))["resources"]:
                    if "/" not in resource["name"]:
                        self._plurals[version, resource["kind"]] = (resource["name"], resource["namespaced"])
            except ApiError as error:
                if error.status != 404:
                    raise
            if (version, kind) not in self._plurals and time.monotonic() > deadline:
                raise SandboxError(f"the API server serves no {kind} in {version}: apply its CRD first")
            time.sleep(0 if (version, kind) in self._plurals else POLL_S)
        return self._plurals[version, kind]

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context(cafile=str(self._ca_file))
        return self._context


def api_root(version: str) -> str:
    """`v1` → `/api/v1`, `apps/v1` → `/apis/apps/v1`."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def load_docs(source: Path | Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> list[Json]:
    """Objects from a YAML file, a folder of them (sorted, not recursive), one object or several."""
    if isinstance(source, Mapping):
        return [dict(source)]
    if not isinstance(source, Path):
        return [dict(doc) for doc in source]
    files = sorted(source.glob("*.y*ml")) if source.is_dir() else [source]
    return [doc for file in files for doc in yaml.load_all(file.read_bytes(), _LOADER) if doc]


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _decoded(data: bytes) -> Json:
    try:
        decoded = json.loads(data) if data else {}
    except ValueError:
        return {"text": data.decode(errors="replace")}
    return decoded if isinstance(decoded, dict) else {"text": str(decoded)}


def _is_true(found: Json, condition: str) -> bool:
    generation = found["metadata"].get("generation", 0)
    return any(
        each["type"] == condition
        and each["status"] == "True"
        and each.get("observedGeneration", generation) == generation
        for each in found.get("status", {}).get("conditions", [])
    )
