"""`modelrelease status` in words, from an object alone."""

from modelrelease.cli.show import describe


def test_it_says_tier_policy_and_why() -> None:
    reasons = ["unit.model changed: at least High", "spec.risk says Low"]
    policy = {"name": "strict", "digest": "sha256:1", "reasons": reasons}
    status = {"state": "Observing", "tier": "High", "policy": policy}
    lines = describe({"metadata": {"name": "chat", "namespace": "assistants"}, "status": status}).splitlines()
    assert "  tier       High, policy strict: unit.model changed: at least High; spec.risk says Low" in lines
    assert not any("tier" in line for line in describe({"metadata": {"name": "a", "namespace": "b"}}).splitlines())


def test_a_gate_is_named_once() -> None:
    gates = [
        {"name": "errors", "outcome": "Pass", "sentence": "errors: 0 of 71 on the candidate"},
        {"name": "errors", "segment": "low", "outcome": "Revert", "sentence": "errors/low: 9 of 9 on the candidate"},
    ]
    said = describe({"metadata": {"name": "a", "namespace": "b"}, "status": {"gates": gates}})
    assert "gate       Pass       errors: 0 of 71 on the candidate" in said
    assert "gate       Revert     errors [low]: 9 of 9 on the candidate" in said
