"""What a record holds is enough to judge again: the same verdicts, to the last bit."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from modelrelease.domain.canonical import canonical
from modelrelease.domain.evidence import Cause, Evidence, Problem
from modelrelease.domain.gate import AgainstStable, Gate, Scope
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.gates.workings import JUDGE, MAX_STRATA, Account, packed, recompute, unpacked
from tests.gates.builders import (
    COST,
    LATENCY,
    SCORE,
    SETTINGS,
    T0,
    VALUE,
    evidence,
    gate,
    histogram,
    stratum,
    under,
)

FAST = {0.1: 40, 0.2: 7, 0.5: 2, 1.0: 0}


def account_of(of: Gate, *ticks: Evidence) -> Account:
    account = Account.open(of, SETTINGS)
    for tick in ticks:
        account.fold(tick)
    return account


def both(account: Account) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
    """The verdicts as judged, and as judged again from what went through canonical JSON."""
    at = (account.state.newest or T0) + timedelta(seconds=3)
    written = account.written(at=at, settings=SETTINGS)
    (again,) = unpacked(packed({"Stage": [written]}))["Stage"]
    return account.verdicts(at=at, settings=SETTINGS), recompute(again)


def counts(tick: int, segment: str | None = None) -> Evidence:
    return evidence(stratum(tick, (20 + tick % 7, tick % 3), (80.5, 1), segment))


def slow(tick: int) -> Evidence:
    return evidence(histogram(tick, {**FAST, 1.0: tick % 2}, FAST))


KINDS = [
    (gate(), counts),
    (gate(rule=under("0.02")), counts),
    (gate(rule=AgainstStable(max_difference="0.01", floor="0.001")), counts),
    (gate(LATENCY, AgainstStable(max_ratio="1.2")), slow),
    (gate(LATENCY, under("0.5")), slow),
    (gate(SCORE, AgainstStable(max_difference="0.1")), counts),
    (gate(COST, under("0.4")), counts),
    (gate(warm_up_s=60), counts),
    (gate(VALUE, under("0.3")), lambda tick: evidence(value=0.1 + tick / 100, newest=T0 + timedelta(seconds=tick))),
]


@pytest.mark.parametrize(("of", "tick"), KINDS, ids=lambda one: type(getattr(one, "metric", one)).__name__)
@pytest.mark.parametrize("number", [0, 1, 40, 3 * MAX_STRATA])
def test_the_written_workings_give_the_same_verdicts(of: Gate, tick, number: int) -> None:
    account = account_of(of, *(tick(each) for each in range(number)))
    judged, again = both(account)
    assert again == judged
    assert len(account.strata) <= MAX_STRATA


def test_segments_of_one_tick_are_judged_again_in_the_same_order() -> None:
    of = gate(scope=Scope.SEGMENT)
    late = [evidence(counts(tick, "a").strata[0], counts(tick - 1, "b").strata[0]) for tick in range(1, 60)]
    judged, again = both(account_of(of, *late))
    assert again == judged
    assert {verdict.segment for verdict in again} == {"a", "b"}


def test_a_window_longer_than_a_tick_is_open_in_both() -> None:
    account = Account.open(gate(), replace(SETTINGS, window_s=60))
    for tick in range(100):
        account.fold(counts(tick))
    assert account.state.open
    judged, again = both(account)
    assert again == judged


def test_a_problem_is_part_of_the_workings() -> None:
    account = account_of(gate(), *(counts(tick) for tick in range(5)))
    account.fold(Evidence("errors", T0, problem=Problem(Cause.SOURCE_DOWN, "no answer")))
    (judged,), (again,) = both(account)
    assert again == judged
    assert (again.outcome, again.cause) == (Outcome.NO_DATA, Cause.SOURCE_DOWN)


def test_a_new_stage_begins_from_the_state_and_not_from_nothing() -> None:
    account = account_of(gate(), *(counts(tick) for tick in range(50)))
    account.new_stage()
    assert not account.strata
    for tick in range(50, 60):
        account.fold(counts(tick))
    assert len(account.strata) == 10
    judged, again = both(account)
    assert again == judged
    assert dict(again[0].numbers)["n_c"] == sum(20 + tick % 7 for tick in range(60))


def test_with_little_room_the_older_strata_are_in_the_state() -> None:
    account = account_of(gate(), *(counts(tick) for tick in range(60)))
    written = account.written(at=T0, settings=SETTINGS, room=10)
    assert len(written["strata"]) == 10
    assert recompute(written) == account.verdicts(at=T0, settings=SETTINGS)


def test_a_changed_count_changes_the_verdict() -> None:
    account = account_of(gate(), *(counts(tick) for tick in range(40)))
    written = json.loads(canonical(account.written(at=T0, settings=SETTINGS)))
    written["strata"][7][3][1] += 5
    assert recompute(written) != account.verdicts(at=T0, settings=SETTINGS)


def test_what_is_no_workings_is_refused() -> None:
    written = json.loads(canonical(account_of(gate()).written(at=T0, settings=SETTINGS)))
    with pytest.raises(ValueError, match="Gate"):
        recompute({**written, "gate": {"is": "Something"}})
    with pytest.raises(KeyError):
        recompute({"judge": JUDGE})
    for text in ("", "%%%", "bm9uZQ==", "eJwDAAAAAAE="):
        with pytest.raises(ValueError, match=r"no workings|Expecting"):
            unpacked(text)
