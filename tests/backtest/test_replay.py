"""A replay stops where the judge would have stopped, release by release, and counts what that is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelrelease.backtest import replay as module
from modelrelease.backtest.parsing import Grid
from modelrelease.backtest.replay import Incident, Result, Timetable, Track, releases, replay
from modelrelease.domain.evidence import Evidence
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Scope
from modelrelease.domain.verdict import Outcome
from modelrelease.gates import judge
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.machine import Bars
from tests.backtest.windows import STEP_S, T0, Traffic, random_histograms, random_sums, random_windows, strata_of
from tests.gates.builders import COST, LATENCY, RATIO, SCORE, VALUE, gate

START_S = T0.timestamp() + STEP_S
"""The end of the first window."""

BARS = Bars(0.01, 0.05, 2)


def timetable(count: int, release_steps: int, *incidents: tuple[int, int]) -> Timetable:
    """Incidents as (first step, last step), both inside."""
    times = tuple(Incident(START_S + (first - 1) * STEP_S, START_S + last * STEP_S) for first, last in incidents)
    return Timetable(Grid(START_S, STEP_S, count), release_steps, times)


def track_of(of: Gate, windows: module.Windows, lanes: int = 1) -> Track:
    return Track(of, np.ones(windows.shape[1] // lanes, bool), windows=windows, lanes=lanes)


def by_judge(of: Gate, windows: module.Windows, release_steps: int, lanes: int = 1) -> list[tuple[int, str]]:
    """Step and sentence of each stop, found stratum by stratum."""
    settings = JudgeSettings(alpha=BARS.alpha, beta=BARS.beta, gates=BARS.gates, fresh_s=10**9)
    strata = strata_of(windows, 0)
    found = []
    state = judge.start(of, settings)
    for step in range(len(strata) // lanes):
        if step % release_steps == 0:
            state = judge.start(of, settings)
        now = strata[step * lanes : (step + 1) * lanes]
        end = now[-1].end
        state = judge.fold(of, state, Evidence(of.name, end, tuple(now), newest=end))
        (verdict,) = judge.verdicts(of, state, at=end, settings=settings)
        if verdict.outcome is Outcome.REVERT:
            found.append((step, verdict.sentence))
            state = judge.start(of, settings)
    return found


def stops_of(result: Result) -> list[tuple[int, str]]:
    return [(round((stop.at_s - START_S) / STEP_S), stop.said) for stop in result.stops]


@pytest.mark.parametrize("release_steps", [7, 60, 300, 1000])
@pytest.mark.parametrize(
    ("rule", "traffic"),
    [
        (Absolute(maximum="0.03"), Traffic(worse=6.0)),
        (AgainstStable(max_ratio="1.5"), Traffic(worse=9.0)),
        (AgainstStable(max_ratio="1.5", floor="0.01"), Traffic(worse=16.0, quiet=0.3)),
        (AgainstStable(max_difference="0.005"), Traffic(candidate=200.0, worse=5.0)),
    ],
)
def test_ratios_stop_where_the_judge_stops(
    release_steps: int, rule: Absolute | AgainstStable, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_REACH", 32)
    monkeypatch.setattr(module, "AGAIN_REACH", 16)
    of = gate(RATIO, rule)
    windows = random_windows(11, 1, 300, traffic)
    result = replay(track_of(of, windows), timetable(300, release_steps), BARS)
    wanted = by_judge(of, windows, release_steps)
    assert stops_of(result) == [
        (step, said if index < module.TOLD else "") for index, (step, said) in enumerate(wanted)
    ]
    assert wanted or release_steps == 7


def test_other_metrics_stop_where_the_judge_stops() -> None:
    worse = Traffic(candidate=60.0, worse=1.6)
    cases = [
        (gate(LATENCY, Absolute(maximum="1.2")), random_histograms(1, 1, 200, Traffic(worse=4.0))),
        (
            gate(LATENCY, AgainstStable(max_ratio="1.5")),
            random_histograms(2, 1, 200, Traffic(candidate=300.0, worse=8.0)),
        ),
        (gate(SCORE, AgainstStable(max_difference="0.1")), random_sums(3, 1, 200, worse)),
        (gate(COST, AgainstStable(max_ratio="1.2")), random_sums(4, 1, 200, worse, late=0.2)),
        (gate(RATIO, Absolute(maximum="0.03"), warm_up_s=120), random_windows(5, 1, 200, Traffic(worse=3.0))),
    ]
    for of, windows in cases:
        result = replay(track_of(of, windows), timetable(200, 80), BARS)
        wanted = by_judge(of, windows, 80)
        assert stops_of(result) == wanted[:20] + [(step, "") for step, _ in wanted[20:]]
        assert wanted, of


def test_segments_are_judged_together_and_stops_lie_between_steps() -> None:
    windows = random_windows(6, 1, 300, Traffic(worse=3.0, segments=3))
    for rule in (Absolute(maximum="0.03"), AgainstStable(max_ratio="1.5")):
        of = gate(RATIO, rule)
        result = replay(track_of(of, windows, lanes=3), timetable(100, 40), BARS)
        wanted = by_judge(of, windows, 40, lanes=3)
        assert stops_of(result)[:20] == wanted[:20]
        assert wanted


def test_values_stop_after_three_new_samples_outside() -> None:
    values = np.array([0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1, 0.9, 0.9, np.nan, 0.9])
    taken = np.array([1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 9, 10.0])
    of = gate(VALUE, Absolute(maximum="0.5"), name="drift")
    track = Track(of, np.isfinite(values), samples=values, taken_s=taken)
    result = replay(track, timetable(12, 100), BARS)
    assert [step for step, _ in stops_of(result)] == [4, 11]
    assert result.stops[0].said == "drift: 0.9, at most 0.5 allowed; breach 3 in a row, 3 mean revert"


def test_what_is_a_false_alarm_depends_on_the_incidents() -> None:
    bad = np.zeros((1, 400))
    bad[0, 100:140] = bad[0, 300:340] = 15.0
    full = np.full((1, 400), 20.0)
    windows = module.Windows(full, bad, full, np.zeros((1, 400)))
    track = track_of(gate(RATIO, Absolute(maximum="0.03")), windows)
    free = replay(track, timetable(400, 50), BARS)
    assert free.stops
    assert len(free.false_alarms) == len(free.stops)
    week = len(free.stops) * module.WEEK_S / (400 * STEP_S)
    assert free.per_week == pytest.approx(week)
    known = replay(track, timetable(400, 50, (100, 139), (200, 219)), BARS)
    assert {stop.incident for stop in known.stops} == {0, None}
    assert known.judged_s == pytest.approx((400 - 40 - 20) * STEP_S)
    first, missed = known.incidents
    assert first.delay_s == known.stops[0].at_s - (START_S + 99 * STEP_S)
    assert 0 < first.delay_s <= 7 * STEP_S
    assert (missed.stop, missed.delay_s, missed.judged) == (None, None, True)
    together = releases([known], timetable(400, 50, (100, 139), (200, 219)))
    assert (together.count, together.stopped) == (6, 1)


def test_an_incident_without_anything_to_judge_is_not_missed() -> None:
    windows = random_windows(7, 1, 100, Traffic())
    track = track_of(gate(RATIO, Absolute(maximum="0.9")), windows)
    track.covered[20:40] = False
    result = replay(track, timetable(100, 50, (25, 30), (35, 45)), BARS)
    assert [found.judged for found in result.incidents] == [False, True]
    assert np.isnan(result.evidence[20:40]).all()
    assert result.judged_s == (100 - 20 - 6) * STEP_S
    assert result.per_week == 0


def test_nothing_judged_has_no_rate() -> None:
    problem = replay(Track(gate(RATIO), np.zeros(10, bool), problem="no series"), timetable(10, 5, (1, 2)), BARS)
    assert problem.per_week is None
    assert not problem.incidents[0].judged


def test_the_evidence_is_that_of_each_test_in_turn() -> None:
    windows = random_windows(8, 1, 120, Traffic(worse=2.5))
    of = gate(RATIO, Absolute(maximum="0.03"))
    result = replay(track_of(of, windows), timetable(120, 30), BARS)
    assert np.isfinite(result.evidence).all()
    stopped = [step for step, _ in stops_of(result)]
    assert (result.evidence[stopped] >= result.threshold).all()
    others = np.setdiff1d(np.arange(120), stopped)
    assert (result.evidence[others] < result.threshold).all()


def test_a_gate_that_stops_all_the_time_is_cut_short_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STOPS", 3)
    full = np.full((1, 100), 50.0)
    track = track_of(gate(RATIO, Absolute(maximum="0.01")), module.Windows(full, full, full, full))
    result = replay(track, timetable(100, 50), BARS)
    assert len(result.stops) == 6
    assert result.cut == 2


def test_each_segment_says_its_name() -> None:
    windows = random_windows(9, 1, 100, Traffic(worse=8.0))
    of = replace(gate(RATIO, Absolute(maximum="0.02")), scope=Scope.SEGMENT)
    result = replay(replace(track_of(of, windows), segment="low-criticality"), timetable(100, 50), BARS)
    assert result.stops[0].said.startswith("errors in low-criticality: ")
