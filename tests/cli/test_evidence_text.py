"""Offline evidence in a terminal: whatever a producer wrote, a line says one thing and every piece is listed."""

from datetime import UTC, datetime

from modelrelease.cli.evidence_text import listed, shown
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
