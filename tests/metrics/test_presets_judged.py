"""Every preset end to end: its server's exposition, a real Prometheus, the collector, the judge."""

from __future__ import annotations

import pytest

from modelrelease.domain.verdict import Outcome
from modelrelease.metrics.presets import presets
from tests.metrics.conftest import RECORDED, recording_rule
from tests.metrics.judged_presets import CLEAN, EQUAL, SPARSE, WORSE
from tests.metrics.window import JUDGED, Seen

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("name", presets())
def test_a_worse_candidate_is_reverted(name: str, window: Seen) -> None:
    verdict = window.verdicts[WORSE, name]
    assert verdict.outcome is Outcome.REVERT, verdict.sentence


@pytest.mark.parametrize("name", presets())
def test_an_equal_candidate_is_judged_and_not_reverted(name: str, window: Seen) -> None:
    verdict = window.verdicts[EQUAL, name]
    assert verdict.outcome in JUDGED, verdict.sentence


@pytest.mark.parametrize("name", SPARSE)
def test_an_error_counter_that_its_server_does_not_show_yet_counts_as_none(name: str, window: Seen) -> None:
    verdict = window.verdicts[CLEAN, name]
    assert verdict.outcome in JUDGED, verdict.sentence
    assert ": 0 of " in verdict.sentence


def test_the_recording_rule_for_opencost_gives_what_its_preset_reads(window: Seen) -> None:
    made, read = window.asked[recording_rule()], window.asked[RECORDED]
    assert len(made) == 4
    assert made == pytest.approx(read, rel=0.1)


def test_a_tick_costs_one_query_per_series_of_a_template(window: Seen) -> None:
    assert window.queries_a_tick < 60
