"""Subgroups: every one must pass, none may be left out, and they may not be far apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.domain.entry import Entry, EntryOutcome, SubgroupRule
from modelrelease.domain.offline import Measurement, Subgroup
from modelrelease.governance.entry import failed
from tests.governance.offline import STABLE, by_language, counts, gate, gen_evidence, judge, languages, value, verdict

RANK = (EntryOutcome.FAIL, EntryOutcome.MISSING, EntryOutcome.UNDECIDED, EntryOutcome.PASS)


def test_one_small_bad_group_fails_although_the_average_is_better_than_stables() -> None:
    fair = by_language(groups=("en", "de", "tr"), minimum="0.85", min_samples=50)
    rule = gate(minimum="0.9", max_difference="0", subgroups=fair.subgroups)
    own = gen_evidence(counts(950, 1000), subgroups=languages(en=(600, 620), de=(309, 320), tr=(41, 60)))
    stable = gen_evidence(counts(930, 1000), unit=STABLE, number=2)
    said = verdict(rule, own, stable)
    assert said.outcome is EntryOutcome.FAIL
    assert said.sentence == "quality: language tr has 0.6833 (41 of 60); at least 0.85 is needed (golden 12)"


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"en": (95, 100)}, "there is no result for language tr: submit it"),
        ({"en": (95, 100), "tr": (9, 9)}, "language tr was measured on 9 cases; 50 are needed"),
        ({"en": (95, 100), "tr": (0, 0)}, "language tr was measured on no case"),
        ({"en": (95, 100), "tr": (95, 100), "is": (3, 3)}, "language is was measured on 3 cases"),
    ],
)
def test_a_group_that_is_not_known_well_enough_holds(groups: dict[str, tuple[int, int]], says: str) -> None:
    rule = by_language(groups=("en", "tr"), minimum="0.8", min_samples=50)
    said = verdict(rule, gen_evidence(subgroups=languages(**groups)))
    assert said.outcome is EntryOutcome.MISSING
    assert says in said.sentence


def test_a_value_without_a_number_of_cases_is_too_little_where_one_is_demanded() -> None:
    groups = tuple(Subgroup("language", name, (value("0.9"),)) for name in ("en", "tr"))
    said = verdict(by_language(groups=("en", "tr"), min_samples=50), gen_evidence(subgroups=groups))
    assert said.outcome is EntryOutcome.MISSING
    assert "on a number of cases that is not said" in said.sentence


@pytest.mark.parametrize(
    ("rule", "groups", "outcome"),
    [
        ({"max_difference": "0.05"}, {"en": (95, 100), "tr": (91, 100)}, EntryOutcome.PASS),
        ({"max_difference": "0.05"}, {"en": (95, 100), "tr": (89, 100)}, EntryOutcome.FAIL),
        ({"max_ratio": "1.1"}, {"en": (95, 100), "tr": (90, 100)}, EntryOutcome.PASS),
        ({"max_ratio": "1.1"}, {"en": (95, 100), "tr": (80, 100)}, EntryOutcome.FAIL),
        ({"max_ratio": "1.1"}, {"en": (5, 100), "tr": (0, 100)}, EntryOutcome.FAIL),
        ({"max_ratio": "1.1"}, {"en": (0, 100), "tr": (0, 100)}, EntryOutcome.PASS),
        ({"max_difference": "0.05", "confidence": "0.9"}, {"en": (95, 100), "tr": (94, 100)}, EntryOutcome.UNDECIDED),
        (
            {"max_difference": "0.05", "confidence": "0.9"},
            {"en": (95000, 100000), "tr": (94000, 100000)},
            EntryOutcome.PASS,
        ),
        ({"maximum": "0.05"}, {"en": (1, 100), "tr": (6, 100)}, EntryOutcome.FAIL),
        ({"minimum": "0.9", "confidence": "0.95"}, {"en": (950, 1000), "tr": (47, 50)}, EntryOutcome.UNDECIDED),
    ],
)
def test_bounds_and_disparity(rule, groups, outcome) -> None:
    assert verdict(by_language(**rule), gen_evidence(subgroups=languages(**groups))).outcome is outcome


def test_a_disparity_names_both_groups_and_their_numbers() -> None:
    said = verdict(
        by_language(max_difference="0.05"), gen_evidence(subgroups=languages(en=(95, 100), de=(94, 100), tr=(80, 100)))
    )
    expected = "language tr has 0.8 (80 of 100), en 0.95 (95 of 100): 0.15 apart; 0.05 is allowed"
    assert expected in said.sentence


def test_scenarios_are_subgroups_of_their_pass_rate() -> None:
    metric = "red-team-pass-rate"
    attacks = tuple(
        Subgroup("attack", name, (Measurement(metric, count=passed, total=100),))
        for name, passed in (("injection", 100), ("leak", 97))
    )
    own = gen_evidence(counts(197, 200, metric), subgroups=attacks)
    rule = gate(metric=metric, minimum="0.98")
    assert verdict(rule, own).outcome is EntryOutcome.PASS
    every = gate(metric=metric, subgroups=(SubgroupRule("attack", minimum="0.98"),))
    assert "attack leak has 0.97 (97 of 100)" in verdict(every, own).sentence


shares = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 60), st.just(60)), min_size=1)


@given(shares, st.sampled_from("abcdef"), st.integers(1, 60), st.sampled_from([None, "0.9"]))
def test_a_worse_group_is_never_better_news(groups, worse: str, by: int, confidence: str | None) -> None:
    lowest = min(groups, key=lambda name: groups[name][0])
    victim = worse if worse in groups and groups[worse][0] == groups[lowest][0] else lowest
    rule = by_language(groups=("a",), minimum="0.7", max_difference="0.3", max_ratio="1.5", confidence=confidence)
    harmed = {**groups, victim: (max(0, groups[victim][0] - by), 60)}
    before, after = (verdict(rule, gen_evidence(subgroups=languages(**each))).outcome for each in (groups, harmed))
    assert RANK.index(after) <= RANK.index(before)


@given(shares, st.sampled_from("abcdef"))
def test_leaving_a_demanded_group_out_never_lets_a_release_in(groups, left_out: str) -> None:
    rule = by_language(groups=tuple("abcdef"), minimum="0.7")
    rest = {name: pair for name, pair in groups.items() if name != left_out}
    found = judge(Entry(gates=(rule,)), gen_evidence(counts(1, 1), subgroups=languages(**rest)))
    assert all(each.outcome is not EntryOutcome.PASS for each in found)


def test_the_first_failure_is_what_stops() -> None:
    entry = Entry(gates=(gate(minimum="0.99"), by_language(groups=("en",))))
    found = failed(judge(entry, gen_evidence(counts(9, 10))))
    assert found is not None
    assert found.name == "quality"
