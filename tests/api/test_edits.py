"""What the API server lets a user change while a release is under way."""

from __future__ import annotations

import pytest

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.scene import Scene

PATH = "/apis/modelrelease.dev/v1alpha1/namespaces/{}/modelreleases/chat"


@pytest.fixture
def at_state(installed: Sandbox, namespace: str):
    """A release whose status says that it is in some state, without an operator."""
    path = PATH.format(namespace)

    def put(state: str) -> str:
        Scene(installed, namespace).release("v2")
        status = {"apiVersion": "modelrelease.dev/v1alpha1", "kind": "ModelRelease", "status": {"state": state}}
        installed.client().patch(f"{path}/status", status)
        return path

    return put


@pytest.mark.cluster
@pytest.mark.parametrize("state", ["Raising", "Observing", "Reverting"])
@pytest.mark.parametrize("change", [{"routes": [{"name": "other"}]}, {"releaseHeader": "x-other"}], ids=str)
def test_the_routes_of_a_candidate_in_traffic_stay(installed: Sandbox, at_state, state, change) -> None:
    path = at_state(state)
    with pytest.raises(ApiError) as refused:
        installed.client().patch(path, {"spec": {"traffic": change}})
    assert "spec.traffic: Invalid value" in refused.value.message
    assert "abort the release or wait for its end, then change them" in refused.value.message


@pytest.mark.cluster
@pytest.mark.parametrize("state", ["Settled", "Preparing", "Stopped", "Watching"])
def test_routes_may_change_while_no_candidate_has_traffic(installed: Sandbox, at_state, state) -> None:
    path = at_state(state)
    installed.client().patch(path, {"spec": {"traffic": {"routes": [{"name": "other"}]}}})


@pytest.mark.cluster
def test_all_else_of_the_spec_may_change_at_any_time(installed: Sandbox, at_state) -> None:
    path = at_state("Observing")
    installed.client().patch(path, {"spec": {"unit": {"version": "v3"}, "traffic": {"onDrift": "Hold"}}})
