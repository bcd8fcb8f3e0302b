"""Starts stand-in model servers on the ClusterIPs of Services and changes how they behave.

Rejected: running them as threads of the test process. One slow server would slow the load generator and the operator.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from modelrelease.sandbox.process import Part
from modelrelease.sandbox.services import ServiceHandle

SOURCE_ROOT = Path(__file__).resolve().parents[2]
CONTROL_PORT = 19090
ANSWER_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A model server and its Service. `part` stops, kills, pauses and restarts it."""

    service: ServiceHandle
    part: Part

    @property
    def control_url(self) -> str:
        return f"http://{self.service.cluster_ip}:{CONTROL_PORT}/behaviour"

    def set_behaviour(self, *, release: str = "", **changes: float) -> None:
        """Change fields of `modelserver.Behaviour` from the next request on; `release` "": for all without their own.

        A restart of the server forgets it.
        """
        query = f"?release={quote(release)}" if release else ""
        call(f"{self.control_url}{query}", method="PUT", body=changes)

    def behaviour(self) -> dict[str, Any]:
        return call(self.control_url)


def model_part(
    service: ServiceHandle,
    *,
    name: str,
    folder: Path,
    behaviour: Mapping[str, float],
    seed: int,
    arguments: Sequence[str] = (),
) -> Part:
    """The process that serves `service`, not started."""
    argv = [sys.executable, "-m", "modelrelease.sandbox.serving", "--name", name, "--seed", str(seed)]
    argv += ["--host", service.cluster_ip, "--port", str(service.port), "--control-port", str(CONTROL_PORT)]
    argv += arguments
    for field, value in behaviour.items():
        argv += [f"--{field.replace('_', '-')}", str(value)]
    log = folder / f"model-{service.namespace}-{service.name}.log"
    return Part(f"model server {name}", argv, log=log, ready=_ready(service), env=_environment())


def _environment() -> dict[str, str]:
    """Ours, and this package importable however we came to import it."""
    paths = [str(SOURCE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def call(url: str, *, method: str = "GET", body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """JSON to and from a local server, without any proxy."""
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=ANSWER_TIMEOUT_S) as answer:
        decoded: dict[str, Any] = json.load(answer)
    return decoded


def _ready(service: ServiceHandle) -> Callable[[], bool]:
    return lambda: bool(call(f"http://{service.cluster_ip}:{CONTROL_PORT}/behaviour"))
