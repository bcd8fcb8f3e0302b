"""The session's cluster with the product's kinds, roles and admission policies installed and in force."""

from __future__ import annotations

import time

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.kube import KubeClient
from modelrelease.sandbox.scene import install
from tests.api import objects

POLICY_TIMEOUT_S = 30.0


@pytest.fixture(scope="session")
def installed(sandbox: Sandbox) -> Sandbox:
    """Policies take some seconds to load: each is tried until it refuses what it must refuse."""
    install(sandbox)
    objects.lease(sandbox, "nobody")
    deadline = time.monotonic() + POLICY_TIMEOUT_S
    sandbox.create_namespace("probes")
    admin, operator = sandbox.client(), sandbox.client("operator")
    while not (
        _refused(admin, objects.decision("probes", author="somebody-else"))
        and _refused(admin, objects.record("probes"))
        and _refused(operator, objects.route("probes", holder="somebody-else"))
    ):
        assert time.monotonic() < deadline, "the admission policies did not come into force"
        time.sleep(0.2)
    objects.free_lease(sandbox)
    return sandbox


def _refused(client: KubeClient, doc: objects.Json) -> bool:
    try:
        objects.create(client, doc, dry_run=True)
    except ApiError as error:
        return "ValidatingAdmissionPolicy" in error.message
    return False
