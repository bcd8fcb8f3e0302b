"""The door: outcomes, causes, what stays and what does not, and that a state is worth as much as its strata."""

import json
import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrelease.domain.canonical import canonical
from modelrelease.domain.evidence import Cause, Problem, Stratum
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Scope
from modelrelease.domain.verdict import Outcome
from modelrelease.gates import judge
from modelrelease.gates.state import GateState
from tests.gates.builders import (
    COST,
    LATENCY,
    SCORE,
    SETTINGS,
    T0,
    UNKNOWN,
    VALUE,
    ask,
    evidence,
    folded,
    gate,
    histogram,
    judged,
    stratum,
    under,
)

BAD = [stratum(tick, (20, 10), (80, 1)) for tick in range(8)]
GOOD = [stratum(tick, (100, 1), (400, 4)) for tick in range(200)]


@pytest.mark.parametrize(
    ("rule", "strata", "outcome"),
    [
        (AgainstStable(max_ratio="1.5"), BAD, Outcome.REVERT),
        (AgainstStable(max_ratio="1.5"), GOOD, Outcome.PASS),
        (AgainstStable(max_ratio="1.5"), GOOD[:5], Outcome.UNDECIDED),
        (AgainstStable(max_ratio="1.5", max_difference="0.05"), GOOD, Outcome.PASS),
        (AgainstStable(max_difference="0.05"), BAD, Outcome.REVERT),
        (AgainstStable(max_difference="0.05"), GOOD, Outcome.PASS),
        (AgainstStable(max_ratio="1.5", floor="0.6"), BAD, Outcome.UNDECIDED),
        (AgainstStable(max_ratio="1.5", floor="0.9"), BAD, Outcome.PASS),
        (AgainstStable(max_ratio="1.5", floor="0.05"), BAD, Outcome.REVERT),
        (under("0.05"), BAD, Outcome.REVERT),
        (under("0.05"), GOOD, Outcome.PASS),
        (Absolute(minimum="0.9"), BAD, Outcome.REVERT),
        (Absolute(minimum="0.2"), BAD, Outcome.PASS),
    ],
)
def test_outcomes_of_a_ratio(rule: Absolute | AgainstStable, strata: list[Stratum], outcome: Outcome) -> None:
    assert judged(gate(rule=rule), strata).outcome is outcome


def test_no_errors_on_either_arm_pass_by_the_floor_only() -> None:
    silent = [stratum(tick, (100, 0), (400, 0)) for tick in range(10)]
    assert judged(gate(rule=AgainstStable(max_ratio="1.5")), silent).outcome is Outcome.UNDECIDED
    assert judged(gate(rule=AgainstStable(max_ratio="1.5", floor="0.01")), silent).outcome is Outcome.PASS


@pytest.mark.parametrize("cause", list(Cause))
def test_a_problem_is_no_data_with_its_cause_and_goes_when_it_goes(cause: Cause) -> None:
    of = gate()
    state = folded(of, evidence(*GOOD), evidence(newest=GOOD[-1].end, problem=Problem(cause, "told so")))
    verdict = ask(of, state)
    assert (verdict.outcome, verdict.cause, verdict.sentence) == (Outcome.NO_DATA, cause, "errors: told so")
    assert ask(of, judge.fold(of, state, evidence(newest=GOOD[-1].end))).outcome is Outcome.PASS


def test_old_samples_are_missing() -> None:
    of, newest = gate(), GOOD[-1].end
    state = folded(of, evidence(*GOOD))
    assert ask(of, state, at=newest + timedelta(seconds=30)).outcome is Outcome.PASS
    late = ask(of, state, at=newest + timedelta(seconds=31))
    assert (late.outcome, late.cause) == (Outcome.NO_DATA, Cause.MISSING)
    never = ask(of, folded(of))
    assert (never.outcome, never.cause) == (Outcome.NO_DATA, Cause.MISSING)


def test_too_few_candidate_events_are_insufficient() -> None:
    of = gate(rule=under("0.5"))
    strata = [stratum(0, (19, 0), (500, 5))]
    settings = replace(SETTINGS, min_events=20)
    verdict = judged(of, strata, settings=settings)
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.INSUFFICIENT)
    assert "19 events of 20 needed" in verdict.sentence
    assert judged(of, strata).outcome is Outcome.PASS
    assert judged(of, [stratum(0, (0, 0), (500, 5))]).cause is Cause.INSUFFICIENT


def test_a_revert_stays_through_good_numbers_silence_and_broken_numbers() -> None:
    of = gate()
    state = folded(of, evidence(*BAD))
    later = [replace(item, start=item.start + timedelta(hours=1), end=item.end + timedelta(hours=1)) for item in GOOD]
    for step in (evidence(*later), evidence(problem=Problem(Cause.SOURCE_DOWN, "down")), evidence()):
        state = judge.fold(of, state, step)
        assert ask(of, state, at=T0 + timedelta(days=1)).outcome is Outcome.REVERT


def test_a_revert_needs_no_minimum_of_events() -> None:
    assert (
        judged(gate(rule=under("0.05")), BAD[:1], settings=replace(SETTINGS, min_events=500)).outcome is Outcome.REVERT
    )


def test_a_pass_is_judged_at_the_moment() -> None:
    of = gate()
    worse = [stratum(200 + tick, (100, 2), (400, 4)) for tick in range(100)]
    assert judged(of, GOOD).outcome is Outcome.PASS
    assert judged(of, [*GOOD, *worse]).outcome is Outcome.UNDECIDED


def test_more_gates_need_more_evidence() -> None:
    of = gate(rule=under("0.05"))
    strata = [stratum(0, (8, 4))]
    assert judged(of, strata).outcome is Outcome.REVERT
    assert judged(of, strata, settings=replace(SETTINGS, gates=1000)).outcome is Outcome.UNDECIDED


def test_a_comparison_without_stable_traffic_is_undecided_and_says_so() -> None:
    verdict = judged(gate(), [stratum(tick, (100, 50)) for tick in range(20)])
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.comparative
    assert "needs stable traffic" in verdict.sentence
    assert not judged(gate(rule=under("0.9")), [stratum(0, (100, 50))]).comparative


def test_each_segment_has_its_own_verdict_and_one_bad_one_is_not_diluted() -> None:
    of = gate(rule=under("0.05"), scope=Scope.SEGMENT)
    strata = [
        item
        for tick in range(5)
        for item in (stratum(tick, (500, 1), segment="large"), stratum(tick, (10, 5), segment="small"))
    ]
    state = folded(of, evidence(*strata))
    found = {item.key: item.outcome for item in judge.verdicts(of, state, at=strata[-1].end, settings=SETTINGS)}
    assert found == {"errors/large": Outcome.PASS, "errors/small": Outcome.REVERT}


def test_segments_that_nobody_has_seen_are_one_verdict_without_data() -> None:
    of = gate(scope=Scope.SEGMENT)
    assert ask(of, folded(of)).cause is Cause.MISSING
    assert ask(of, folded(of, evidence(newest=T0))).cause is Cause.INSUFFICIENT


@pytest.mark.parametrize("number", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_what_is_no_count_is_broken_and_changes_nothing(number: float, place: int) -> None:
    of = gate(rule=under("0.05"))
    counts = [100.0, 0.0, 400.0, 4.0]
    counts[place] = number
    bad = stratum(300, (counts[0], counts[1]), (counts[2], counts[3]))
    state = folded(of, evidence(*GOOD), evidence(bad))
    verdict = ask(of, state)
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.BROKEN)
    assert state.tracks == folded(of, evidence(*GOOD)).tracks


@pytest.mark.parametrize("rule", [Absolute(), AgainstStable(), AgainstStable(floor="0.1"), under("many")])
def test_a_rule_that_demands_nothing_never_passes(rule: Absolute | AgainstStable) -> None:
    verdict = judged(gate(rule=rule), GOOD)
    assert (verdict.outcome, verdict.cause) == (Outcome.NO_DATA, Cause.BROKEN)


def test_more_bad_events_than_events_count_as_so_many_events() -> None:
    verdict = judged(gate(rule=under("0.05")), [stratum(0, (3, 9))])
    assert dict(verdict.numbers)["n_c"] == 9


def test_numbers_hold_what_the_verdict_rests_on() -> None:
    numbers = dict(judged(gate(), BAD).numbers)
    assert {"n_c", "y_c", "n_s", "y_s", "phi", "log_e", "threshold", "log_e_pass", "threshold_pass"} == set(numbers)
    assert (numbers["n_c"], numbers["y_c"], numbers["n_s"], numbers["y_s"]) == (160, 80, 640, 8)
    assert numbers["threshold"] == pytest.approx(math.log(100))
    assert all(math.isfinite(value) for value in numbers.values())


def test_a_range_that_is_read_again_is_not_counted_again() -> None:
    of = gate()
    once, twice = folded(of, evidence(*GOOD)), folded(of, evidence(*GOOD), evidence(*GOOD[100:]))
    assert once == twice


def test_a_state_is_never_judged_by_another_rule() -> None:
    """A likelihood ratio against 2.0 would pass too easily for 1.5."""
    loose, tight = gate(rule=AgainstStable(max_ratio="2")), gate(rule=AgainstStable(max_ratio="1.5"))
    state = folded(loose, evidence(*GOOD))
    assert ask(loose, state).outcome is Outcome.PASS
    assert ask(tight, state).cause is Cause.MISSING
    anew = judge.fold(tight, state, evidence(*GOOD[:3]))
    assert anew == folded(tight, evidence(*GOOD[:3]))


def test_windows_are_compared_only_once_they_are_long_enough() -> None:
    of, settings = gate(), replace(UNKNOWN, window_s=20)
    state = folded(of, evidence(*BAD[:3]), settings=settings)
    assert dict(ask(of, state).numbers)["n_c"] == 0
    assert dict(ask(of, judge.fold(of, state, evidence(BAD[3]))).numbers)["n_c"] == 80
    by_hand = [replace(stratum(tick, (80, 40), (320, 4)), end=BAD[tick + 3].end) for tick in (0, 4)]
    assert (
        folded(of, evidence(*BAD), settings=settings).tracks == folded(of, evidence(*by_hand), settings=UNKNOWN).tracks
    )


def test_a_plain_bound_does_not_wait_for_long_windows() -> None:
    assert judged(gate(rule=under("0.05")), BAD[:1], settings=replace(SETTINGS, window_s=300)).outcome is Outcome.REVERT


counts = st.tuples(st.integers(0, 200), st.integers(0, 20)).map(lambda pair: (max(pair), min(pair)))
strata = st.lists(st.tuples(counts, counts, st.sampled_from([None, "a", "b"])), min_size=1, max_size=12).map(
    lambda items: [stratum(tick, *item) for tick, item in enumerate(items)]
)
gates = st.sampled_from(
    [
        gate(metric, rule, scope=scope, warm_up_s=warm_up_s)
        for metric in (SCORE, COST, gate().metric)
        for rule in (under("0.05"), AgainstStable(max_ratio="1.5", max_difference="0.02", floor="0.01"))
        for scope in Scope
        for warm_up_s in (0, 10)
    ]
)


@settings(max_examples=60)
@given(gates, strata, st.integers(0, 12), st.randoms(use_true_random=False))
def test_how_strata_are_delivered_does_not_matter(of: Gate, items: list[Stratum], cut: int, rng: Any) -> None:
    together = folded(of, evidence(*items))
    shuffled = rng.sample(items, len(items))
    assert folded(of, evidence(*shuffled)) == together
    assert replace(folded(of, evidence(*items[:cut]), evidence(*items[cut:])), newest=None) == replace(
        together, newest=None
    )


@settings(max_examples=60)
@given(gates, strata, strata)
def test_a_state_that_was_written_down_goes_on_as_if_it_had_not(
    of: Gate, first: list[Stratum], then: list[Stratum]
) -> None:
    later = [replace(item, start=item.start + timedelta(hours=1), end=item.end + timedelta(hours=1)) for item in then]
    state = folded(of, evidence(*first))
    again = GateState.from_dict(json.loads(canonical(state.to_dict())))
    assert again == state
    assert judge.fold(of, again, evidence(*later)) == judge.fold(of, state, evidence(*later))


@pytest.mark.parametrize(
    ("of", "step"),
    [
        (gate(LATENCY, AgainstStable(max_ratio="1.5")), evidence(histogram(0, {0.1: 5}, {0.1: 9}))),
        (gate(LATENCY, under("0.3")), evidence(histogram(0, {0.1: 5}))),
        (gate(VALUE, under("1")), evidence(value=math.pi, newest=T0)),
        (gate(VALUE, under("1")), evidence(value=math.nan, newest=T0)),
        (gate(), evidence(problem=Problem(Cause.SOURCE_DOWN, "down"))),
        (gate(rule=Absolute()), evidence(newest=T0)),
    ],
)
def test_every_kind_of_state_can_be_written_down(of: Gate, step: Any) -> None:
    state = folded(of, step)
    assert GateState.from_dict(json.loads(canonical(state.to_dict()))) == state


@pytest.mark.parametrize("change", [{"is": "Other"}, {"tracks": "none"}, {"newest": 5}])
def test_a_state_that_is_not_ours_is_refused(change: dict[str, object]) -> None:
    written = folded(gate(), evidence(*BAD)).to_dict()
    with pytest.raises(ValueError, match="expected"):
        GateState.from_dict({**written, **change})


def test_a_state_stays_small() -> None:
    written = canonical(folded(gate(), evidence(*GOOD)).to_dict())
    assert len(written) < 12_000
