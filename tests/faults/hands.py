"""Other people's hands on a route: an edit by kubectl, and a controller that writes it all the time."""

import threading
from collections.abc import Callable
from typing import Any, Self

from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.scene import Scene

Json = dict[str, Any]
Edit = Callable[[Json], None]
"""Changes a route in place."""


def edit_route(scene: Scene, change: Edit) -> None:
    """Read the scene's route, change it and put it back; again when somebody was faster."""
    client = scene.sandbox.client()
    path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{scene.namespace}/httproutes/{scene.name}"
    while True:
        route = scene.read_route()
        change(route)
        try:
            client.request("PUT", path, route)
            return
        except ApiError as error:
            if error.status != 409:
                raise


def share(permille: int) -> Edit:
    """Give the second arm of each rule that has two this share."""

    def change(route: Json) -> None:
        for rule in route["spec"]["rules"]:
            refs = rule["backendRefs"]
            if len(refs) == 2:
                refs[0]["weight"], refs[1]["weight"] = 1000 - permille, permille

    return change


class BusyWriter:
    """Writes the scene's route `per_second` times a second: the second arm's share, and a count as annotation."""

    def __init__(self, scene: Scene, permille: int, *, per_second: float = 5.0) -> None:
        self._scene, self._permille, self._period_s = scene, permille, 1 / per_second
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, name="busy-writer", daemon=True)
        self.writes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._over.wait(self._period_s):
            edit_route(self._scene, self._change)
            self.writes += 1

    def _change(self, route: Json) -> None:
        share(self._permille)(route)
        route["metadata"].setdefault("annotations", {})["example.com/writes"] = str(self.writes + 1)
