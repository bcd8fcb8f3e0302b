"""What the records still say when a status is lost."""

import pytest

from modelrelease.domain.canonical import canonical
from modelrelease.domain.decision import Action
from modelrelease.domain.record import Record, RecordKind
from modelrelease.engine.case import Case
from modelrelease.engine.chain import history, recovered_arms, used
from modelrelease.engine.records import decision_body, record, stamp, unit_body, verdict_body
from tests.engine.builders import (
    NOW,
    A,
    B,
    C,
    gen_arms,
    gen_decision,
    gen_observed,
    gen_progress,
    gen_release,
    gen_verdict,
)

K = RecordKind
KEYS = {
    K.ADOPTED: "stable",
    K.STARTED: "candidate",
    K.RETRIED: "candidate",
    K.COMPLETED: "stable",
    K.WATCH_COMPLETED: "stable",
    K.REVERTED: "stopped",
    K.ABORTED: "stopped",
    K.WITHDRAWN: "withdrawn",
}


def chain(*said) -> list[Record]:
    """Records from (kind, unit, further fields of the body)."""
    return [
        Record(number, "sha256:x", kind, {KEYS.get(kind, "candidate"): unit_body(unit), **dict(*more)})
        for number, (kind, unit, *more) in enumerate(said, 1)
    ]


def test_the_last_word_about_a_unit_counts():
    said = chain((K.ADOPTED, A), (K.STARTED, B), (K.REVERTED, B), (K.RETRIED, B), (K.COMPLETED, B), (K.RAISED, C))
    assert history(said) == {A.digest: K.ADOPTED, B.digest: K.COMPLETED}
    assert history(said[:3]) == {A.digest: K.ADOPTED, B.digest: K.REVERTED}
    assert history(reversed(said)) == history(said)


def test_the_unit_spoken_of_last_comes_last():
    said = chain((K.COMPLETED, A), (K.COMPLETED, B), (K.STARTED, A), (K.COMPLETED, A))
    assert list(history(said)) == [B.digest, A.digest]


def test_a_revert_says_who_is_stable_now():
    said = chain((K.ADOPTED, A), (K.COMPLETED, B), (K.COMPLETED, C), (K.REVERTED, C, {"stable": unit_body(A)}))
    assert list(history(said)) == [B.digest, A.digest, C.digest]
    assert history(said)[A.digest] is K.ADOPTED


def test_what_was_superseded_is_over_and_its_successor_is_on_its_way():
    body = {"given_up": unit_body(B), "candidate": unit_body(C)}
    assert history([Record(1, "x", K.SUPERSEDED, body)]) == {B.digest: K.SUPERSEDED, C.digest: K.STARTED}
    again = {"given_up": unit_body(B), "candidate": unit_body(B)}
    assert history([Record(1, "x", K.SUPERSEDED, again)]) == {B.digest: K.STARTED}


def test_a_unit_that_was_stopped_together_with_another_is_stopped():
    said = chain((K.STARTED, C), (K.REVERTED, B, {"alsoStopped": [C.digest]}))
    assert history(said) == {B.digest: K.REVERTED, C.digest: K.REVERTED}


@pytest.mark.parametrize("body", [{}, {"stable": None}, {"stable": "text"}, {"stable": {"digest": 7}}])
def test_an_odd_body_says_nothing(body):
    assert history([Record(1, "x", K.ADOPTED, body)]) == {}
    assert used([Record(1, "x", K.ADOPTED, {"decisions": "text"}), Record(2, "x", K.ADOPTED, {"decisions": [1]})]) == ()


def test_a_decision_counts_as_used_once_a_record_names_it():
    one, two = gen_decision(Action.APPROVE, 1), gen_decision(Action.ABORT, 2)
    named = [
        Record(number, "x", K.RAISED, {"decisions": decision_body([said])}) for number, said in ((1, one), (2, two))
    ]
    assert used([*named, named[0]]) == (one.uid, two.uid)


def test_what_a_void_raise_gave_back_is_used_no_more_until_another_record_names_it():
    said = gen_decision(Action.APPROVE, 1)
    named = {"decisions": decision_body([said])}
    before = [Record(1, "x", K.RAISED, named), Record(2, "x", K.INTENT_VOID, {"returned": [said.uid]})]
    assert used(before) == ()
    assert used([Record(3, "x", K.RAISED, named), *before]) == (said.uid,)
    assert used([before[0], Record(2, "x", K.INTENT_VOID, {"returned": "text"})]) == (said.uid,)


def arms(*shown, facts, units=(A, B, C)):
    observed = gen_observed(gen_arms(*shown), revisions=units, history=facts)
    return recovered_arms(Case(gen_release(), gen_progress(), observed, NOW))


def test_the_records_say_who_is_stable_and_not_the_order_of_the_arms():
    facts = {A.digest: K.ADOPTED, B.digest: K.STARTED}
    assert arms((A, 900), (B, 100), facts=facts) == (A, B)
    assert arms((B, 900), (A, 100), facts=facts) == (A, B)
    assert arms((B, 1000), facts=facts) == (A, B)


def test_without_records_the_first_arm_is_stable_and_without_arms_nobody_is():
    assert arms((A, 900), (B, 100), facts={}) == (A, B)
    assert arms((None, 1000), facts={A.digest: K.ADOPTED}) == (None, None)


def test_where_the_stable_unit_is_not_kept_any_more_nothing_is_guessed():
    assert arms((A, 900), (B, 100), facts={A.digest: K.ADOPTED, B.digest: K.STARTED}, units=(B,)) == (None, None)


def test_a_record_links_to_the_one_before_and_has_one_spelling():
    case = Case(gen_release(), gen_progress(), gen_observed(), NOW)
    first = record(case, K.RAISED, "says", verdicts=verdict_body([gen_verdict(numbers=(("rate", 0.1),))]), nothing=None)
    assert (first.sequence, first.previous) == (8, case.observed.head.hash)
    assert "nothing" not in first.body and first.body["at"] == stamp(NOW) == "2026-03-01T12:00:00.000000Z"
    assert first.body["verdicts"][0]["numbers"] == {"rate": "0.1"}
    assert canonical(first.body) == canonical(dict(reversed(first.body.items())))
    assert first.hash != record(case, K.RAISED, "says").hash
