"""A cluster with the product installed, an operator process, and a scene in a namespace of its own."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene, install, operator_part
from tests.api.objects import wait_in_force


@pytest.fixture(scope="session")
def installed(sandbox: Sandbox) -> Sandbox:
    """The session's cluster with CRDs, RBAC, admission policies and a MetricsSource."""
    install(sandbox)
    wait_in_force(sandbox)
    return sandbox


@pytest.fixture(scope="module")
def shared_part(installed: Sandbox) -> Iterator[Part]:
    """One operator for all tests of a file. A test that ends it must start it again."""
    part = operator_part(installed, name="operator-shared", lease_duration_s=15.0)
    part.argv += ["--resync", "5"]
    part.start()
    yield part
    part.stop()


@pytest.fixture
def shared_operator(shared_part: Part, namespace: str) -> Iterator[Part]:
    """The file's operator; what it logged about the test's namespace is shown when the test fails."""
    assert shared_part.running, shared_part.log_tail()
    began = shared_part.log.stat().st_size
    yield shared_part
    lines = shared_part.log.read_bytes()[began:].decode(errors="replace").splitlines()
    print("\n".join(line for line in lines if f"{namespace}/" in line or '"error"' in line))


@pytest.fixture
def scene(installed: Sandbox, namespace: str) -> Iterator[Scene]:
    """Versions v1 and v2 of a model behind a route that gives all traffic to v1. Its model servers end with it."""
    made = Scene(installed, namespace)
    made.serve("v1")
    made.serve("v2")
    made.source()
    made.answers_template()
    made.route("v1")
    _wait_served(made)
    yield made
    for model in made.models.values():
        installed.remove_scrape_target("models", model.service.address)
        model.part.kill()


def _wait_served(scene: Scene, timeout_s: float = 60.0) -> None:
    """Return when the gateway knows the route: it accepts one a moment before it serves it."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Host": f"{scene.namespace}.local", "Content-Type": "application/json"}
    deadline = time.monotonic() + timeout_s
    while True:
        request = urllib.request.Request(f"{scene.sandbox.gateway_url}/v1/predict", b"{}", headers)
        try:
            with opener.open(request, timeout=5):
                return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)
