"""Stable's past decides how a candidate is compared with it: read before the first stage, kept through a restart."""

import time

import pytest

from modelrelease.gates.workings import recompute, unpacked
from modelrelease.sandbox.load import LoadThread
from modelrelease.sandbox.process import Part
from modelrelease.sandbox.scene import Scene

HISTORY_S = 75
"""Sixty scrapes of a second and some more: with less nothing is said about stable's errors."""

STAGES = [
    {"name": "pilot", "exposure": [{"segment": "low-criticality", "percent": "20"}], "minDuration": "4s"},
    {"name": "broad", "exposure": [{"percent": "20"}], "minDuration": "120s"},
    {"name": "full", "exposure": [{"percent": "100"}], "require": "NoHarm"},
]
ERRORS = {"name": "errors", "template": "gateway-error-rate", "against": "Stable", "maxRatio": "1.5"}


@pytest.mark.timeout(240)
def test_stable_s_past_is_read_before_the_first_stage_and_kept_through_a_restart(
    shared_operator: Part, scene: Scene
) -> None:
    """Rules for segments move stable's rule to another place, by which the gateway names its series."""
    for version in ("v1", "v2"):
        scene.models[version].set_behaviour(failure_fraction=0.05)
    scene.settle()
    with LoadThread(scene.load(80, 220, low=0.5)):
        time.sleep(HISTORY_S)
        scene.release("v2", stages=STAGES, gates=[ERRORS])
        status = scene.wait("pilot", lambda s: (s.get("stage") or {}).get("name") == "pilot")
        (known,) = status["habits"]
        assert known["gate"] == "errors"
        assert float(known["phi"]) < 2
        scene.wait("broad", lambda s: (s.get("stage") or {}).get("name") == "broad")
        shared_operator.kill()
        shared_operator.start()
        shared_operator.wait_ready()
        scene.models["v2"].set_behaviour(failure_fraction=0.6)
        status = scene.wait_state("Stopped")
    assert status["stop"]["reason"] == "GateFailed"
    (reverted,) = [record for record in scene.records() if record["kind"] == "Reverted"]
    (written,) = unpacked(reverted["body"]["workings"])["Stage"]
    assert written["settings"]["phi"] == float(known["phi"]).hex()
    assert [verdict.outcome.value for verdict in recompute(written)] == ["Revert"]
