"""The session's cluster with the product's kinds, roles and admission policies installed and in force."""

from __future__ import annotations

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.scene import install
from tests.api import objects


@pytest.fixture(scope="session")
def installed(sandbox: Sandbox) -> Sandbox:
    """As on a real cluster, after the first seconds."""
    install(sandbox)
    objects.wait_in_force(sandbox)
    return sandbox
