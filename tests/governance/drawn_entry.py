"""Drawn entry demands and evidence: small enough that bounds are met, broken and left open."""

from __future__ import annotations

from hypothesis import strategies as st

from modelrelease.domain.entry import Entry, EntryGate, SubgroupRule
from modelrelease.domain.offline import Dataset, Reference, ReferenceType, Subgroup
from tests.governance.offline import NOW, counts, gen_evidence

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
