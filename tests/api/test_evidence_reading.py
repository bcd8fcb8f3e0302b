"""A ReleaseEvidence that the API server lets in becomes offline evidence, or a Fault: why it does not count."""

from __future__ import annotations

import pytest

from modelrelease.api.convert import evidence_of
from modelrelease.domain.offline import DATA_QUALITY, OfflineEvidence
from modelrelease.domain.release import Fault
from tests.api.objects import Json, offline


def read(**spec: object) -> OfflineEvidence | Fault:
    return evidence_of(offline(**spec))


def test_evidence_is_read_with_its_identity_and_figures() -> None:
    found = read()
    assert isinstance(found, OfflineEvidence)
    assert (found.uid, found.name, found.producer) == ("uid-golden", "golden", "carol")
    assert str(found.metrics[0].figure) == "0.9"


@pytest.mark.parametrize(
    "spec",
    [
        {"producedAt": "0001-01-01T00:00:00+14:00"},
        {"expiresAt": "9999-12-31T23:59:59-14:00"},
        {"data": [{"name": "tickets", "collectedUntil": "9999-12-31T23:59:59-14:00"}]},
        {"references": [{"type": "ModelCard", "uri": "https://x", "reviewBy": "9999-12-31T23:59:59-14:00"}]},
    ],
)
def test_a_time_that_no_calendar_has_in_utc_makes_it_unreadable_and_nothing_worse(spec: Json) -> None:
    found = read(**spec)
    assert isinstance(found, Fault)
    assert "outside the years 1 to 9999" in found.message


def test_a_good_data_set_never_hides_a_bad_one_of_the_same_name() -> None:
    bad, good = {"passed": 1, "total": 10}, {"passed": 10, "total": 10}
    found = read(
        data=[
            {"name": "tickets", "version": "1", "checks": bad},
            {"name": "tickets", "version": "2", "checks": good},
            {"name": "chats", "checks": good},
        ]
    )
    assert isinstance(found, OfflineEvidence)
    groups = {name: str(each.figure) for name, each in found.by_group(DATA_QUALITY, "dataset").items()}
    assert groups == {"tickets 1": "0.1", "tickets 2": "1", "chats": "1"}
    twice = read(data=[{"name": "tickets", "checks": bad}, {"name": "tickets", "checks": good}])
    assert isinstance(twice, Fault)
    assert "two data sets are called tickets" in twice.message
