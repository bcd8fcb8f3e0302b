"""What offline evidence says about entry demands: by figures, by bounds, against stable, and what counts at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import beta

from modelrelease.domain.entry import NO_ENTRY, Entry, EntryOutcome, Lack
from modelrelease.domain.offline import Better, Dataset, Interval, Reference, ReferenceType, Suite
from modelrelease.governance.entry import _said
from modelrelease.governance.intervals import lower_bound, upper_bound
from tests.governance.offline import GOLDEN, NOW, STABLE, counts, gate, gen_evidence, judge, value, verdict

RANK = (EntryOutcome.FAIL, EntryOutcome.UNDECIDED, EntryOutcome.PASS)


@given(st.integers(1, 10**6), st.floats(0, 1), st.sampled_from([0.2, 0.05, 0.01, 0.0001]))
def test_bounds_are_those_of_clopper_and_pearson(total: int, share: float, error: float) -> None:
    count = round(total * share)
    low = beta.ppf(error, count, total - count + 1) if count else 0.0
    high = beta.ppf(1 - error, count + 1, total - count) if count < total else 1.0
    assert lower_bound(count, total, error) == pytest.approx(low, abs=1e-9)
    assert upper_bound(count, total, error) == pytest.approx(high, abs=1e-9)


@pytest.mark.parametrize(
    ("rule", "measured", "outcome"),
    [
        ({"minimum": "0.9"}, counts(9, 10), EntryOutcome.PASS),
        ({"minimum": "0.9"}, counts(899, 1000), EntryOutcome.FAIL),
        ({"minimum": "0.9", "confidence": "0.95"}, counts(9, 10), EntryOutcome.UNDECIDED),
        ({"minimum": "0.9", "confidence": "0.95"}, counts(930, 1000), EntryOutcome.PASS),
        ({"maximum": "0.05"}, value("0.031"), EntryOutcome.PASS),
        ({"maximum": "0.05"}, value("0.06"), EntryOutcome.FAIL),
        ({"maximum": "0.05", "confidence": "0.95"}, value("0.031"), EntryOutcome.MISSING),
        (
            {"maximum": "0.05", "confidence": "0.95"},
            value("0.031", interval=Interval("0.02", "0.045", "0.95")),
            EntryOutcome.PASS,
        ),
        (
            {"maximum": "0.05", "confidence": "0.99"},
            value("0.031", interval=Interval("0.02", "0.045", "0.95")),
            EntryOutcome.MISSING,
        ),
        (
            {"maximum": "0.05", "confidence": "0.95"},
            value("0.031", interval=Interval("0.02", "0.055", "0.95")),
            EntryOutcome.UNDECIDED,
        ),
        ({"minimum": "0.9"}, counts(0, 0), EntryOutcome.MISSING),
    ],
)
def test_a_figure_or_the_end_of_its_interval_meets_the_bound(rule, measured, outcome) -> None:
    assert verdict(gate(**rule), gen_evidence(measured)).outcome is outcome


def test_a_sentence_has_the_numbers_the_suite_and_the_mend() -> None:
    said = verdict(gate(minimum="0.9", confidence="0.95"), gen_evidence(counts(92, 100)))
    assert said.sentence == (
        "quality: 0.92 (92 of 100), at least 0.8602 with 95 % confidence; at least 0.9 is needed: measure more cases "
        "and submit them (golden 12)"
    )
    assert said.lack is Lack.UNDECIDED


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300), st.sampled_from([None, "0.9", "0.99"]))
def test_worse_numbers_are_never_better_news(one: int, other: int, total: int, confidence: str | None) -> None:
    worse, better = sorted(min(each, total) for each in (one, other))
    rule = gate(minimum="0.8", max_difference="0.05", confidence=confidence)
    stable = gen_evidence(counts(170, 200), unit=STABLE, number=2)
    bad, good = (verdict(rule, gen_evidence(counts(each, total)), stable).outcome for each in (worse, better))
    assert RANK.index(bad) <= RANK.index(good)


@given(st.integers(0, 200), st.integers(0, 200), st.sampled_from([None, "0.9"]))
def test_the_better_stable_is_the_harder_it_is(one: int, other: int, confidence: str | None) -> None:
    rule = gate(max_difference="0.02", confidence=confidence)
    weak, strong = (gen_evidence(counts(each, 200), unit=STABLE, number=2) for each in sorted((one, other)))
    own = gen_evidence(counts(160, 200))
    against_strong, against_weak = verdict(rule, own, strong).outcome, verdict(rule, own, weak).outcome
    assert RANK.index(against_strong) <= RANK.index(against_weak)


def test_asking_for_confidence_never_makes_it_easier() -> None:
    for count in range(80, 101):
        sure, plain = (
            verdict(gate(minimum="0.9", confidence=asked), gen_evidence(counts(count, 100))).outcome
            for asked in ("0.95", None)
        )
        assert RANK.index(sure) <= RANK.index(plain)


def test_against_stable_on_the_same_suite_and_version_only() -> None:
    rule = gate(max_difference="0.02")
    own = gen_evidence(counts(90, 100))
    assert verdict(rule, own).outcome is EntryOutcome.MISSING
    assert "stable (v1, unit sha256:5555555555…) has no result of accuracy on golden 12" in verdict(rule, own).sentence
    other = gen_evidence(counts(90, 100), unit=STABLE, number=2, suite=Suite("golden", "11"))
    assert verdict(rule, own, other).outcome is EntryOutcome.MISSING
    same = gen_evidence(counts(93, 100), unit=STABLE, number=3, age_h=9000)
    failing = verdict(rule, own, other, same)
    assert failing.outcome is EntryOutcome.FAIL
    assert "0.9 (90 of 100) against stable's 0.93 (93 of 100): 0.03 worse; 0.02 worse is allowed" in failing.sentence
    assert verdict(rule, own, stable=None).outcome is EntryOutcome.PASS


def test_a_metric_that_is_better_lower_is_compared_the_other_way() -> None:
    rule = gate(metric="ece", better=Better.LOWER, max_difference="0.01")
    stable = gen_evidence(value("0.03", "ece", better=Better.LOWER), unit=STABLE, number=2)
    for text, outcome in (("0.01", EntryOutcome.PASS), ("0.04", EntryOutcome.PASS), ("0.05", EntryOutcome.FAIL)):
        assert verdict(rule, gen_evidence(value(text, "ece", better=Better.LOWER)), stable).outcome is outcome
    turned = verdict(rule, gen_evidence(value("0.05", "ece")), stable)
    assert turned.outcome is EntryOutcome.MISSING
    assert "the gate says ece is better Lower and the evidence does not" in turned.sentence


def test_nobody_measures_again_until_it_passes() -> None:
    bad = gen_evidence(counts(80, 100), number=1, age_h=3)
    good = gen_evidence(counts(95, 100), number=2, age_h=1)
    assert verdict(gate(minimum="0.9"), good, bad).outcome is EntryOutcome.FAIL
    assert verdict(gate(minimum="0.9"), good).outcome is EntryOutcome.PASS


def test_more_cases_settle_what_few_left_open() -> None:
    few = gen_evidence(counts(93, 100), number=1, age_h=3)
    many = gen_evidence(counts(930, 1000), number=2, age_h=1)
    assert verdict(gate(minimum="0.9", confidence="0.95"), few, many).outcome is EntryOutcome.PASS
    newest_is_few = gen_evidence(counts(93, 100), number=3, age_h=0.5)
    assert verdict(gate(minimum="0.9", confidence="0.95"), many, newest_is_few).outcome is EntryOutcome.UNDECIDED


def test_each_suite_counts_where_the_gate_names_none() -> None:
    golden = gen_evidence(counts(95, 100), number=1)
    hard = gen_evidence(counts(70, 100), number=2, suite=Suite("hard", "1"))
    assert verdict(gate(minimum="0.9"), golden, hard).outcome is EntryOutcome.FAIL
    assert verdict(gate(minimum="0.9", suite="golden"), golden, hard).outcome is EntryOutcome.PASS
    assert verdict(gate(minimum="0.9", suite="none"), golden, hard).lack is Lack.INCOMPLETE


@pytest.mark.parametrize(
    ("fields", "lack", "says"),
    [
        ({"expires_at": NOW}, Lack.EXPIRED, "ReleaseEvidence e1 expired at 2026-11-21 12:00 UTC"),
        ({"age_h": 50}, Lack.EXPIRED, "has been too old since"),
        ({"produced_at": NOW + timedelta(hours=1)}, Lack.INCOMPLETE, "produced in the future"),
        ({"suite": Suite("golden", "11")}, Lack.INCOMPLETE, "the unit names golden 12: measure with that"),
        ({"unit": "sha256:" + "0" * 64}, Lack.MISSING, "what there is, 1, is about other units"),
    ],
)
def test_evidence_that_does_not_count_holds_and_says_why(fields, lack, says) -> None:
    entry = Entry(gates=(gate(minimum="0.9"),), max_age_s=48 * 3600)
    said = verdict(entry, gen_evidence(counts(99, 100), **fields), suite=GOLDEN)
    assert (said.outcome, said.lack) == (EntryOutcome.MISSING, lack)
    assert says in said.sentence


def test_a_young_looking_time_of_production_makes_nothing_younger() -> None:
    entry = Entry(gates=(gate(minimum="0.9"),), max_age_s=48 * 3600)
    claimed = gen_evidence(counts(99, 100), produced_at=NOW, created_at=NOW - timedelta(hours=50))
    assert verdict(entry, claimed).lack is Lack.EXPIRED


def test_a_metric_whose_evidence_expired_is_named() -> None:
    old = gen_evidence(counts(99, 100), number=1, expires_at=NOW - timedelta(hours=1))
    new = gen_evidence(value("0.1", "drift"), number=2)
    said = verdict(gate(minimum="0.9"), old, new)
    assert said.lack is Lack.EXPIRED
    assert "e1 expired" in said.sentence


def test_the_package_is_complete_when_every_paper_is_there_and_reviewed_in_time() -> None:
    entry = Entry(package=(ReferenceType.MODEL_CARD, ReferenceType.READINESS_PLAN))
    card = Reference(ReferenceType.MODEL_CARD, "https://x/card")

    def plan(review_by: datetime | None) -> Reference:
        return Reference(ReferenceType.READINESS_PLAN, "https://x/plan", review_by=review_by)

    later = datetime(2027, 1, 1, tzinfo=UTC)
    assert verdict(entry, gen_evidence(references=(card, plan(later)))).outcome is EntryOutcome.PASS
    split = (gen_evidence(references=(card,)), gen_evidence(references=(plan(later),), number=2))
    assert verdict(entry, *split).outcome is EntryOutcome.PASS
    for papers, says in (
        ((card,), "the package lacks ReadinessPlan: submit evidence with --reference ReadinessPlan="),
        ((card, plan(None)), "no review date"),
        ((card, plan(NOW)), "had to be reviewed by 2026-11-21"),
    ):
        said = verdict(entry, gen_evidence(references=papers))
        assert said.outcome is EntryOutcome.MISSING
        assert says in said.sentence


def test_data_must_be_new_and_say_where_it_comes_from() -> None:
    entry = Entry(data_max_age_s=3600 * 24 * 30, data_lineage=True)
    fine = Dataset("tickets", lineage="https://x", collected_until=NOW - timedelta(days=3))
    assert verdict(entry, gen_evidence(data=(fine,))).outcome is EntryOutcome.PASS
    for sets, says in (
        ((), "which data the unit was made and measured with"),
        ((fine, Dataset("chats", lineage="https://x")), "data set chats does not say how new it is"),
        ((fine, Dataset("chats", collected_until=NOW)), "data set chats has no lineage"),
        ((Dataset("chats", lineage="x", collected_until=NOW - timedelta(days=40)),), "too old since 2026-11-11"),
        ((Dataset("chats", lineage="x", collected_until=NOW + timedelta(days=1)),), "in the future, until 2026-11-22"),
        ((Dataset("chats", lineage="x", collected_until=datetime.max.replace(tzinfo=UTC)),), "in the future"),
    ):
        said = verdict(entry, gen_evidence(data=sets))
        assert said.outcome is EntryOutcome.MISSING
        assert says in said.sentence


def test_nothing_demanded_needs_no_evidence_and_a_bare_age_needs_some() -> None:
    assert judge(NO_ENTRY) == ()
    assert verdict(Entry(max_age_s=60)).lack is Lack.MISSING


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_further_evidence_of_the_same_suite_never_turns_a_fail_into_a_pass(one: int, other: int, stable: int) -> None:
    rule = gate(minimum="0.8", max_difference="0.1")
    base = gen_evidence(counts(stable, 100), unit=STABLE, number=9)
    first = gen_evidence(counts(one, 100), number=1, age_h=2)
    assume(verdict(rule, first, base).outcome is EntryOutcome.FAIL)
    second = gen_evidence(counts(other, 100), number=2)
    assert verdict(rule, first, second, base).outcome is EntryOutcome.FAIL


def test_looking_again_at_the_same_evidence_judges_only_what_is_new() -> None:
    """A release with a hundred pieces of evidence must not keep the operator from the others at each look."""
    rule = gate(minimum="0.5", max_difference="0.9")
    there = [gen_evidence(counts(90, 100), number=number) for number in range(5)]
    there.append(gen_evidence(counts(91, 100), unit=STABLE, number=9))
    first = verdict(rule, *there)
    before = _said.cache_info().misses
    assert verdict(rule, *there, now=NOW + timedelta(minutes=1)) == first
    assert _said.cache_info().misses == before
    assert verdict(rule, *there, gen_evidence(counts(1, 100), number=6)).outcome is EntryOutcome.FAIL
    assert _said.cache_info().misses == before + 1
    better = gen_evidence(counts(100, 100), unit=STABLE, number=10)
    assert "against stable's 1 (100 of 100)" in verdict(rule, *there, better).sentence
