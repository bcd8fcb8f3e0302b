"""Further releases beside a scene's own: the same model servers, but each with a route, a host and a source of its own.

Starting model servers is what a scene costs; many small cases side by side need them only once. What a release is
answered with can differ all the same: model servers tell releases apart by their header.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.gateway import GATEWAY_NAME, GATEWAY_NAMESPACE
from modelrelease.sandbox.load import LoadThread, Plan
from modelrelease.sandbox.scene import LOAD_S, PATIENCE_S, Scene, default_gates
from tests.api.objects import create, decision

Json = dict[str, Any]

UNTIL_PROMOTED = "600s"
"""The minimum duration of a stage in which something has to happen, however slow the machine is."""


class Lane(Scene):
    """One release `name` in the namespace of `scene`.

    `owned`: its route is the operator's own. `source`: the MetricsSource that it is judged by.
    """

    def __init__(self, scene: Scene, name: str, *, owned: bool = False, source: str = "default") -> None:
        super().__init__(scene.sandbox, scene.namespace, name)
        self.models, self.services = scene.models, scene.services
        self.owned, self.source_name = owned, source

    @property
    def host(self) -> str:
        return f"{self.name}.{self.namespace}.local"

    def route(self, version: str, *, rule: str = "chat") -> Json:
        """All traffic of this lane's host to one version."""
        return self.sandbox.apply(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": {
                    "parentRefs": [{"name": GATEWAY_NAME, "namespace": GATEWAY_NAMESPACE}],
                    "hostnames": [self.host],
                    "rules": [
                        {
                            "name": rule,
                            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                            "backendRefs": [{"name": self.services[version].name, "port": 8080}],
                        }
                    ],
                },
            }
        )[0]

    def manifest(
        self,
        version: str,
        *,
        stages: Sequence[Mapping[str, Any]] | None = None,
        gates: Sequence[Mapping[str, Any]] | None = None,
        traffic: Mapping[str, Any] | None = None,
        backend: str = "",
        **how: Any,
    ) -> Json:
        """As a scene's, with this lane's route and source; without segments."""
        wanted = [{**gate, "source": self.source_name} for gate in (default_gates() if gates is None else gates)]
        own = {"requestsSource": self.source_name, **(traffic or {})}
        made = super().manifest(
            version,
            stages=stages or [stage("some", 20), full()],
            gates=wanted,
            traffic=own,
            backend=backend or self.services[version].name,
            **how,
        )
        del made["spec"]["traffic"]["segments"]
        if self.owned:
            del made["spec"]["traffic"]["routes"]
            gateway = {"name": GATEWAY_NAME, "namespace": GATEWAY_NAMESPACE}
            made["spec"]["traffic"] |= {"gatewayRefs": [gateway], "hostnames": [self.host]}
        return made

    def load(self, rate_per_s: float, duration_s: float = LOAD_S, *, low: float = 0.0) -> Plan:
        """Requests for this lane's host."""
        return replace(super().load(rate_per_s, duration_s, low=low), host=self.host)

    def fail(self, revision: str, *, server: str = "v2", fraction: float = 0.9) -> None:
        """Have one revision fail from now on, whoever else has the same server."""
        self.models[server].set_behaviour(release=revision, failure_fraction=fraction)


def stage(name: str, percent: int, **more: object) -> Json:
    """Two seconds and one request, unless said otherwise."""
    return {"name": name, "exposure": [{"percent": str(percent)}], "minDuration": "2s", "minSamples": 1, **more}


def full(**more: object) -> Json:
    """The last stage, entered while no gate says revert."""
    return {"name": "full", "exposure": [{"percent": "100"}], "require": "NoHarm", **more}


def stage_name(status: Json) -> str | None:
    return (status.get("stage") or {}).get("name")


def observing(scene: Scene, name: str, *, version: str = "", timeout_s: float = PATIENCE_S) -> Json:
    """Wait until the candidate (of a version, where one is said) is judged in a stage."""

    def there(status: Json) -> bool:
        candidate = status.get("candidate") or {}
        return (
            status.get("state") == "Observing" and stage_name(status) == name and version in ("", candidate["version"])
        )

    return scene.wait(f"{version or 'candidate'} in stage {name}", there, timeout_s)


def begun(scene: Scene) -> Json:
    """Wait until there is a candidate, wherever it is."""
    return scene.wait("a candidate", lambda status: bool(status.get("candidate")))


def promote(scene: Scene, seen: Json | None = None) -> None:
    """End the minimum duration of the stage that the candidate is in, or was when this status was `seen`.

    An API server that has just been started asks for patience.
    """
    obj = scene.read()
    status = seen or obj["status"]
    about = {
        "releaseRef": {"name": scene.name, "uid": obj["metadata"]["uid"]},
        "digest": status["candidate"]["digest"],
        "stage": stage_name(status),
    }
    said = {"action": "Promote", "author": "admin", "reason": "it has been seen", **about}
    name = f"{scene.name}-promote-{time.monotonic_ns()}"
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            create(scene.sandbox.client(), decision(scene.namespace, name=name, **said))
            return
        except ApiError as error:
            if error.status not in (429, 503) or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def answered_by(load: LoadThread, server: str) -> float:
    """Wait until the gateway follows the route: one server answers all that is sent for a second.

    From when on, in seconds since the epoch.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        since_s = time.time()
        time.sleep(1)
        answering = {sample.server for sample in load.samples if sample.sent_at_s > since_s and sample.answered_at_s}
        if answering == {server}:
            return since_s
        assert time.monotonic() < deadline, f"{answering} answer, not {server} alone"


def events(scene: Scene) -> list[tuple[str, str]]:
    """Reason and message of each event about the release."""
    found = scene.sandbox.client().get(f"/apis/events.k8s.io/v1/namespaces/{scene.namespace}/events")["items"]
    return [(item["reason"], item.get("note", "")) for item in found if item["regarding"]["name"] == scene.name]


def delete(scene: Scene, timeout_s: float = PATIENCE_S) -> None:
    """Delete the release and wait until the operator has let it go."""
    path = f"/apis/modelrelease.dev/v1alpha1/namespaces/{scene.namespace}/modelreleases/{scene.name}"
    scene.sandbox.client().delete(path)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            scene.read()
        except ApiError as error:
            assert error.status == 404
            return
        time.sleep(0.1)
    raise TimeoutError(f"{scene.namespace}/{scene.name} still has finalizers {scene.read()['metadata']['finalizers']}")


def delete_route(scene: Scene) -> None:
    """Delete the release's HTTPRoute, as somebody else would."""
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{scene.namespace}/httproutes/{scene.name}"
    scene.sandbox.client().delete(path)


def wipe_status(scene: Scene) -> None:
    """Lose the status, as a backup without it or `kubectl replace --subresource status` would."""
    path = f"/apis/modelrelease.dev/v1alpha1/namespaces/{scene.namespace}/modelreleases/{scene.name}/status"
    while True:
        obj = scene.read()
        obj.pop("status", None)
        try:
            scene.sandbox.client().request("PUT", path, obj)
            return
        except ApiError as error:
            if error.status != 409:
                raise
