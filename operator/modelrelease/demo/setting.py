"""Brings up what the story needs: the cluster, four model servers, the feedback service, the operator, live traffic.

In the order in which a user would do it: install the product, run the operator, apply the team's own objects.
The model servers start meanwhile, all of them: training one later would disturb the traffic that is measured.

Rejected: starting a server with its release. Nobody could say then whether the start or the release was slow.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from modelrelease.demo import story, team
from modelrelease.demo.digits import RECIPES, held_out_images
from modelrelease.demo.feedback import Messenger
from modelrelease.sandbox import Sandbox, binaries
from modelrelease.sandbox.errors import SandboxError
from modelrelease.sandbox.load import LoadThread, Plan
from modelrelease.sandbox.models import CONTROL_PORT, RunningModel
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.progress import Progress
from modelrelease.sandbox.scene import SOURCE_ROOT, SYSTEM_NAMESPACE, Scene, install, operator_part
from modelrelease.sandbox.services import ServiceHandle

LONGEST_S = 1800.0
BODIES = 9973
SERVED_TIMEOUT_S = 120.0
ADOPTION_TIMEOUT_S = 120.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""A prediction takes a fraction of a millisecond; more threads would only fight for the cores."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything that runs while the story is played. `labels` are the true digits of the load plan's bodies."""

    scene: Scene
    load: LoadThread
    labels: tuple[str, ...]
    operator: Part


@contextmanager
def set_up(progress: Progress) -> Iterator[Setting]:
    """The whole setting: v1 serves all traffic, is adopted by the operator, and people check every answer."""
    binaries.ensure_all(progress)
    with ThreadPoolExecutor() as pool, _running(Sandbox("demo", progress=progress), progress) as sandbox:
        requests = pool.submit(_requests)
        scene = Scene(sandbox, sandbox.create_namespace(story.NAMESPACE), story.NAME)
        parts, feedback = _parts(scene)
        serving = [pool.submit(sandbox.spawn, part) for part in parts]
        with progress.step("modelrelease: CRDs, rights, policies, operator"):
            sandbox.create_namespace(SYSTEM_NAMESPACE)
            install(sandbox)
            operator = sandbox.spawn(operator_part(sandbox))
        with progress.step(f"models: {len(RECIPES)} versions, trained and served"):
            wait(serving, return_when=FIRST_EXCEPTION)
            for each in serving:
                each.result()
        images, labels = requests.result()
        plan = replace(scene.load(story.RATE_PER_S, LONGEST_S, low=story.LOW_FRACTION), bodies=images)
        with progress.step(f"route: all traffic to {story.BASELINE.version}"):
            team.apply_objects(scene)
            _wait_served(plan)
        load = LoadThread(plan)
        with load, Messenger(lambda: load.samples, labels, f"{feedback.url}/feedback"):
            with progress.step(f"traffic: {story.RATE_PER_S:.0f} requests/s; {story.BASELINE.version} is adopted"):
                scene.release(story.BASELINE.version, **story.spec_of(story.BASELINE))
                scene.wait_state("Settled", timeout_s=ADOPTION_TIMEOUT_S)
            yield Setting(scene, load, labels, operator)


@contextmanager
def _running(sandbox: Sandbox, progress: Progress) -> Iterator[Sandbox]:
    """Start the sandbox, and stop it after the block."""
    with progress.step("cluster: etcd, API server, Prometheus, Traefik"):
        sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


def _requests() -> tuple[list[dict[str, list[int]]], tuple[str, ...]]:
    """A long random series of held-out images, as bodies, and what each of them shows."""
    images = random.Random(0).choices(held_out_images(), k=BODIES)
    bodies = {image: {"input": list(image.pixels)} for image in set(images)}
    return [bodies[image] for image in images], tuple(image.label for image in images)


def _parts(scene: Scene) -> tuple[list[Part], ServiceHandle]:
    """A server for each version and the feedback service, not started but scraped; and the latter's Service."""
    sandbox = scene.sandbox
    feedback = sandbox.service(scene.namespace, "feedback")
    sandbox.add_scrape_target("feedback", feedback.address)
    parts = [_part(scene, feedback, "modelrelease.demo.feedback", f"{feedback.url}/metrics")]
    bundles = ("--bundles-kubeconfig", str(team.bundle_reader(scene)), "--bundles-namespace", scene.namespace)
    for version in RECIPES:
        service = sandbox.service(scene.namespace, f"{scene.name}-{version}", ready=2)
        extra = ("--version", version, "--control-port", str(CONTROL_PORT), *bundles)
        ready = f"http://{service.cluster_ip}:{CONTROL_PORT}/behaviour"
        parts.append(_part(scene, service, "modelrelease.demo.server", ready, *extra))
        scene.services[version], scene.models[version] = service, RunningModel(service, parts[-1])
        sandbox.add_scrape_target("models", service.address, {"service": service.name})
    return parts, feedback


def _part(scene: Scene, service: ServiceHandle, module: str, ready_url: str, *extra: str) -> Part:
    argv = [sys.executable, "-m", module, "--host", service.cluster_ip, "--port", str(service.port), *extra]
    path = os.pathsep.join([str(SOURCE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return Part(
        f"server of {service.name}",
        argv,
        log=scene.sandbox.state_dir / f"{service.name}.log",
        ready=lambda: _status(ready_url) == 200,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
    )


def _wait_served(plan: Plan) -> None:
    """Return when the gateway has taken the route over; until then it would answer 404 itself."""
    deadline = time.monotonic() + SERVED_TIMEOUT_S
    while (status := _status(plan.url, host=plan.host, body=plan.bodies[0])) != 200:
        if time.monotonic() > deadline:
            raise SandboxError(f"the gateway still answers {status} for {plan.host} after {SERVED_TIMEOUT_S:.0f} s")
        time.sleep(0.1)


def _status(url: str, *, host: str = "", body: Any = None) -> int:
    """The HTTP code of one request to this machine; OSError while nobody listens."""
    headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data=data, headers=headers), timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
