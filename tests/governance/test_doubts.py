"""Evidence whose producer is not confirmed: it lets nothing in, and what it refutes counts all the same."""

from modelrelease.domain.entry import EntryOutcome, Lack
from tests.governance.offline import STABLE, counts, gate, gen_evidence, judge, verdict

FORGED = {"uid-1": "carol may not vouch for chat: ask for the right"}
BOUND = gate(minimum="0.9")
COMPARED = gate(max_difference="0")


def test_good_results_of_a_producer_in_doubt_let_nothing_in_and_say_what_to_do() -> None:
    said = verdict(BOUND, gen_evidence(counts(95, 100)), doubts=FORGED)
    assert (said.outcome, said.lack) == (EntryOutcome.MISSING, Lack.UNCONFIRMED)
    assert said.sentence == (
        "ReleaseEvidence e1 by carol does not count: carol may not vouch for chat: ask for the right"
    )


def test_the_same_results_by_somebody_who_may_are_enough() -> None:
    again = gen_evidence(counts(93, 100), number=2)
    said = verdict(BOUND, gen_evidence(counts(95, 100)), again, doubts=FORGED)
    assert (said.outcome, said.evidence) == (EntryOutcome.PASS, ("uid-2",))


def test_what_refutes_a_demand_counts_whoever_submitted_it() -> None:
    bad, good = gen_evidence(counts(50, 100)), gen_evidence(counts(95, 100), number=2)
    for pieces in ((bad,), (bad, good)):
        outcomes = {said.name: said.outcome for said in judge(BOUND, *pieces, doubts=FORGED)}
        assert outcomes["quality"] is EntryOutcome.FAIL


def test_stables_results_in_doubt_are_nothing_to_compare_with_and_the_reason_is_said() -> None:
    weak = gen_evidence(counts(10, 100), unit=STABLE)
    said = verdict(COMPARED, gen_evidence(counts(95, 100), number=2), weak, doubts=FORGED)
    assert (said.outcome, said.lack) == (EntryOutcome.MISSING, Lack.UNCONFIRMED)
    assert said.sentence.endswith("ReleaseEvidence e1 of stable does not count: " + FORGED["uid-1"])
    assert verdict(COMPARED, gen_evidence(counts(95, 100), number=2), weak).outcome is EntryOutcome.PASS


def test_a_doubt_about_other_evidence_changes_nothing() -> None:
    good = gen_evidence(counts(95, 100), number=2)
    assert judge(BOUND, good, doubts=FORGED) == judge(BOUND, good)
