"""A cluster with the product installed, an operator process, and a scene in a namespace of its own."""

from collections.abc import Iterator

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene, install, operator_part


@pytest.fixture(scope="session")
def installed(sandbox: Sandbox) -> Sandbox:
    """The session's cluster with CRDs, RBAC, admission policies and a MetricsSource."""
    install(sandbox)
    return sandbox


@pytest.fixture
def operator(installed: Sandbox) -> Iterator[Part]:
    """A running operator; what it logged is shown when the test fails."""
    part = operator_part(installed)
    part.start()
    yield part
    part.stop()
    print(part.log_tail())


@pytest.fixture
def scene(installed: Sandbox, namespace: str) -> Scene:
    """Versions v1 and v2 of a model behind a route that gives all traffic to v1."""
    made = Scene(installed, namespace)
    made.serve("v1")
    made.serve("v2")
    made.source()
    made.answers_template()
    made.route("v1")
    return made
