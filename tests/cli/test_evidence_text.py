"""Offline evidence in a terminal: whatever a producer wrote, a line says one thing and every piece is listed."""

from datetime import UTC, datetime

from modelrelease.api.convert import evidence_of
from modelrelease.api.status import entry_for_status
from modelrelease.cli.evidence_text import listed, shown
from modelrelease.controller.producers import _without_right
from modelrelease.domain.entry import Entry, EntryGate
from modelrelease.domain.offline import OfflineEvidence
from modelrelease.governance.entry import assess
from modelrelease.governance.standing import Subject
from tests.api.objects import Json, offline

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
RELEASE: Json = {"metadata": {"name": "chat"}, "spec": {"entry": {}}, "status": {"entry": []}}


def test_no_name_forges_a_line_or_steers_the_terminal() -> None:
    group = "de\n  Pass       accuracy: 1 is good\x1b[2J\u202e"
    metrics = [{"name": "accuracy", "count": 1, "total": 2}]
    text = shown(RELEASE, [offline(subgroups=[{"dimension": "language", "group": group, "metrics": metrics}])], NOW)
    assert not [line for line in text.splitlines() if line.startswith("  Pass")]
    assert r"de\n  Pass       accuracy: 1 is good\x1b[2J\u202e" in text
    assert text.replace("\n", "").isprintable()


def test_what_does_not_count_is_listed_with_the_reason() -> None:
    text = listed(
        RELEASE,
        [
            offline("good", expiresAt="2027-01-01T00:00:00Z"),
            offline("old", expiresAt="2026-11-20T09:00:00Z"),
            offline("odd", expiresAt="9999-12-31T23:59:59-14:00"),
        ],
        NOW,
    )
    heading, good, old, odd = text.splitlines()
    assert heading.endswith("COUNTS")
    assert good.endswith("until 2027-01-01T00:00Z")
    assert old.endswith("expired")
    assert "no: '9999-12-31T23:59:59-14:00' lies outside the years 1 to 9999" in odd


def told(doubts: dict[str, str], *items: Json) -> list[str]:
    """The lines of the list below its heading, where the status says what the operator makes of these doubts."""
    known = [found for found in map(evidence_of, items) if isinstance(found, OfflineEvidence)]
    by_uid = {found.uid: doubts[found.name] for found in known if found.name in doubts}
    gates = Entry((EntryGate("accuracy", "accuracy", minimum="0.4", max_difference="0.1"),))
    unit, stable = Subject(known[0].unit_digest, "v2"), Subject(known[-1].unit_digest, "v1")
    verdicts = assess(gates, known, subject=unit, stable=stable, now=NOW, doubts=by_uid)
    status = {"entry": entry_for_status(verdicts)}
    return listed({**RELEASE, "status": status}, items, NOW).splitlines()[1:]


def test_evidence_whose_producer_is_doubted_is_not_told_as_counting() -> None:
    metrics = [{"name": "accuracy", "count": 90, "total": 100}]
    mine, other = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    first = offline("first", unitDigest=mine, metrics=metrics)
    second = offline("second", unitDigest=mine, metrics=metrics, producer="ci")
    third = offline("third", unitDigest=mine, metrics=metrics, producer="ci")
    base = offline("base", unitDigest=other, metrics=metrics)
    lines = told({}, first, second, third, base)
    assert [line.split()[-1] for line in lines] == ["yes"] * 4
    gone = _without_right("assistants/chat", "ci")
    lines = told({"second": gone, "third": gone}, second, third, base)
    assert [f"no: {gone}" in line for line in lines] == [True, True, False]
    late = "the admission policy was changed after it was submitted: submit the results again"
    lines = told({"base": late}, first, base)
    assert [f"no: {late}" in line for line in lines] == [False, True]
