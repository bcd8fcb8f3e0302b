"""A candidate that suddenly fails half of its requests beside a stable that never fails is found within seconds.

Nothing is known of how errors come here, because there were none: a clean service has no history to learn from, and it
is the one whose users notice first. `make bench-revert` shows the same on the wire.
"""

from __future__ import annotations

import random

import pytest

from modelrelease.domain.gate import AgainstStable, Gate
from modelrelease.domain.verdict import Outcome
from modelrelease.gates import judge
from modelrelease.gates.judge import JudgeSettings
from tests.gates.builders import evidence, gate, stratum, under

SETTINGS = JudgeSettings(gates=2)
GATES = (gate(rule=AgainstStable(max_ratio="1.5", floor="0.01")), gate(rule=under("0.05"), name="errors-absolute"))
STABLE, CANDIDATE = 80, 20


def _stopped(gates: tuple[Gate, ...], clean: int, seed: int) -> tuple[int, int]:
    """After how many windows of the failure, and of how many errors, the first gate says revert."""
    source = random.Random(seed)
    states = [judge.start(each, SETTINGS) for each in gates]
    failing = round(CANDIDATE * source.random())
    errors = 0
    for number in range(clean + 20):
        hit = 0 if number < clean else failing if number == clean else CANDIDATE
        bad = sum(source.random() < 0.5 for _ in range(hit))
        errors += bad
        seen = evidence(stratum(number, (CANDIDATE, bad), (STABLE, 0)))
        states = [judge.fold(each, state, seen) for each, state in zip(gates, states, strict=True)]
        found = [
            verdict
            for each, state in zip(gates, states, strict=True)
            for verdict in judge.verdicts(each, state, at=seen.at, settings=SETTINGS)
        ]
        if any(verdict.outcome is Outcome.REVERT for verdict in found):
            return number - clean + 1, errors
    raise AssertionError("never found")


@pytest.mark.parametrize("clean", [8, 60])
def test_half_failing_beside_a_stable_without_errors_is_found_within_two_scrapes(clean: int) -> None:
    found = [_stopped(GATES, clean, seed) for seed in range(60)]
    windows, errors = sorted(windows for windows, _ in found), sorted(errors for _, errors in found)
    assert windows[30] <= 2
    assert windows[-1] <= 4
    assert errors[30] <= 18
