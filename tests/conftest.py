"""Fixtures for tests against the real local cluster; whatever uses them gets the marker `cluster` by itself.

`make test` runs two processes, each with a cluster of its own; a file's tests stay together.
"""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from modelrelease.sandbox import Sandbox, binaries
from modelrelease.sandbox.progress import Progress

CLUSTER_FIXTURES = {"sandbox", "namespace"}

_numbers = itertools.count(1)


settings.register_profile("project", deadline=None)
settings.load_profile("project")
"""How long an example takes says how busy the machine is, and nothing of what is tested."""


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if CLUSTER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.cluster)
        if sys.platform != "linux" and item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.skip(reason="the sandbox needs Linux"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing here, where no test's timeout applies and people can see it."""
    wanted = any(item.get_closest_marker("cluster") for item in session.items)
    beside_others = hasattr(session.config, "workerinput")
    if not wanted or beside_others or sys.platform != "linux" or session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        binaries.ensure_all(Progress())
        binaries.ensure_gateway_api_crds(Progress())


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One cluster for the whole test run. A test that breaks a part of it must mend it again."""
    with Sandbox("tests") as running:
        yield running


@pytest.fixture
def namespace(sandbox: Sandbox) -> Iterator[str]:
    """A namespace of the test's own, emptied afterwards."""
    name = sandbox.create_namespace(f"test-{next(_numbers)}")
    yield name
    sandbox.clear_namespace(name)
