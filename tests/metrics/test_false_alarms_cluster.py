"""False-alarm hunting where it matters what a real Prometheus does: stale samples, restarts, births, odd queries."""

from __future__ import annotations

import pytest

from modelrelease.domain.verdict import Outcome
from tests.metrics.troubled import RATE_S, TROUBLE_S, TROUBLES
from tests.metrics.window import Seen

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_with_the_evidence_of_a_good_release(name: str, window: Seen) -> None:
    row, verdict = TROUBLES[name], window.verdicts[name, TROUBLES[name].gate.name]
    assert verdict.outcome is not Outcome.REVERT, verdict.sentence
    assert (verdict.outcome in row.outcomes, verdict.cause) == (True, row.cause), verdict.sentence
    assert row.words in verdict.sentence


@pytest.mark.parametrize(
    ("name", "born_s"),
    [
        ("trouble-none", 0.0),
        ("trouble-candidate-restarts", 0.0),
        ("trouble-stable-restarts", 0.0),
        ("trouble-histogram-restarts", 0.0),
        ("trouble-candidate-born", TROUBLE_S),
    ],
)
def test_restarts_and_births_lose_nothing(name: str, born_s: float, window: Seen) -> None:
    """But for the last scrapes, and what a restart took with it since the scrape before."""
    candidate, stable = window.counted[name, TROUBLES[name].gate.name]
    for counted, seconds in ((candidate, window.length_s - born_s), (stable, window.length_s)):
        assert RATE_S * (seconds - 5) <= counted.total <= RATE_S * (seconds + 2)
