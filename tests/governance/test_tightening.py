"""Joining a tier's demands with a release's: the result is never looser than either, also in what it lets in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelrelease.domain.entry import Entry, EntryGate, EntryOutcome, SubgroupRule
from modelrelease.domain.offline import Better, Dataset, Reference, ReferenceType, Subgroup
from modelrelease.governance.tightening import combined, contradictions, looser, omissions, tightens
from tests.governance.offline import NOW, STABLE, counts, gate, gen_evidence, judge

decimals = st.none() | st.integers(0, 20).map(lambda twentieth: f"{twentieth / 20}")
confidences = st.none() | st.sampled_from(["0.5", "0.9", "0.99"])
groups = st.lists(st.sampled_from("ab"), max_size=2, unique=True).map(tuple)
rules = st.builds(
    SubgroupRule, st.sampled_from(["language", "age"]), groups, decimals, decimals, decimals,
    st.none() | st.sampled_from(["1", "1.2", "2"]), st.sampled_from([0, 5, 20]), confidences,
)  # fmt: skip
gates = st.builds(
    EntryGate, st.sampled_from(["one", "two"]), st.just("accuracy"), suite=st.just(None), minimum=decimals,
    maximum=decimals, max_difference=decimals, confidence=confidences,
    subgroups=st.lists(rules, max_size=2, unique_by=lambda rule: rule.dimension).map(tuple),
)  # fmt: skip
ages = st.none() | st.sampled_from([60, 7200, 10**7])
entries = st.builds(
    Entry, st.lists(gates, max_size=2, unique_by=lambda each: each.name).map(tuple),
    st.lists(st.sampled_from(list(ReferenceType)[:2]), max_size=2, unique=True).map(tuple), ages, ages, st.booleans(),
)  # fmt: skip
shares = st.tuples(st.integers(0, 20), st.just(20)) | st.tuples(st.integers(0, 4), st.just(4))
measured = st.builds(
    lambda whole, parts, aged, papers: gen_evidence(
        counts(*whole),
        subgroups=tuple(Subgroup(*key, (counts(*pair),)) for key, pair in parts.items()),
        age_h=aged,
        references=tuple(Reference(paper, "x") for paper in papers),
        data=(Dataset("d", collected_until=NOW),),
    ),
    shares,
    st.dictionaries(st.tuples(st.sampled_from(["language", "age"]), st.sampled_from("abc")), shares, max_size=4),
    st.sampled_from([0.5, 5]),
    st.lists(st.sampled_from(list(ReferenceType)[:2]), max_size=2, unique=True),
)  # fmt: skip


def let_in(entry: Entry, *evidence) -> bool:
    return all(each.outcome is EntryOutcome.PASS for each in judge(entry, *evidence))


@given(entries, entries)
def test_the_combination_asks_for_what_each_asks_for(tier: Entry, own: Entry) -> None:
    both = combined(tier, own)
    assert tightens(both, tier), list(looser(both, tier))
    assert tightens(both, own), list(looser(both, own))
    assert combined(both, both) == both


@given(entries, entries, measured, shares)
def test_what_the_combination_lets_in_each_lets_in(tier: Entry, own: Entry, found, stable) -> None:
    base = gen_evidence(counts(*stable), unit=STABLE, number=2)
    if let_in(combined(tier, own), found, base):
        assert let_in(tier, found, base)
        assert let_in(own, found, base)


@given(entries)
def test_an_entry_is_no_looser_than_itself_or_than_nothing(entry: Entry) -> None:
    assert tightens(entry, entry)
    assert tightens(entry, Entry())
    assert combined(Entry(), entry) == entry
    assert combined(entry, Entry()) == entry


@given(entries, entries)
def test_what_the_combination_adds_is_what_was_not_said(tier: Entry, own: Entry) -> None:
    """Where a release says nothing looser, the combination is what it says and what it left out."""
    both = combined(tier, own)
    if next(contradictions(own, tier), None) is None:
        assert next(contradictions(own, both), None) is None


def test_looseness_is_told_with_field_and_mend() -> None:
    rule = SubgroupRule("language", ("en", "tr"), minimum="0.85", min_samples=100)
    tier = Entry((gate(minimum="0.9", subgroups=(rule,)),), (ReferenceType.MODEL_CARD,), max_age_s=3600)
    own = Entry((gate(minimum="0.8", better=Better.LOWER, subgroups=(SubgroupRule("language", ("en",)),)),))
    assert list(contradictions(own, tier)) == [
        "gates (quality).better: Higher is demanded; write that",
        "gates (quality).min: 0.8 is looser than is demanded; write 0.9 or more",
    ]
    assert list(omissions(own, tier)) == [
        "gates (quality).subgroups (language).groups: tr must be in it; add it",
        "gates (quality).subgroups (language).min: it is not there; write 0.85",
        "gates (quality).subgroups (language).minSamples: it is not there; write 100",
        "package: ModelCard must be in it; add it",
        "maxAge: it is not there; write 3600",
    ]
    assert next(iter(looser(Entry(), tier))) == "gates: gate quality is missing; add it"
