"""Joining a tier's demands with a release's: the result is never looser than either, also in what it lets in."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from modelrelease.domain.entry import Entry, EntryOutcome, SubgroupRule
from modelrelease.domain.offline import Better, ReferenceType
from modelrelease.domain.policy import Demands
from modelrelease.domain.tier import Tier
from modelrelease.governance.effective import effective
from modelrelease.governance.tightening import combined, contradictions, looser, omissions, tightens
from tests.governance.builders import declared, policy
from tests.governance.drawn_entry import entries, measured, shares
from tests.governance.offline import STABLE, counts, gate, gen_evidence, judge


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


def test_a_release_that_is_looser_than_its_tier_is_told_and_what_it_left_out_is_added() -> None:
    rule = SubgroupRule("language", ("en", "tr"), minimum="0.85")
    asked = Entry((gate(minimum="0.9", subgroups=(rule,)),), (ReferenceType.MODEL_CARD,))
    low, high = Demands(Tier.LOW, entry=asked), Demands(Tier.HIGH, entry=Entry(max_age_s=3600))
    own = replace(declared().plan, entry=Entry((gate(minimum="0.8"), gate(name="auc", minimum="0.7"))))
    plan, faults = effective(replace(declared(), plan=own), policy(low, high), Tier.HIGH)
    assert [fault.message for fault in faults] == [
        "spec.entry.gates (quality).min: 0.8 is looser than is demanded; write 0.9 or more, as tier High of "
        "ReleasePolicy strict asks"
    ]
    assert [(each.name, each.minimum, each.subgroups) for each in plan.entry.gates] == [
        ("quality", "0.9", (rule,)),
        ("auc", "0.7", ()),
    ]
    assert (plan.entry.package, plan.entry.max_age_s) == ((ReferenceType.MODEL_CARD,), 3600)
