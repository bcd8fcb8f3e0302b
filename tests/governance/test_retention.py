"""Records leave the cluster only from the beginning of a chain, when a verified export and a signature hold them."""

from dataclasses import replace

import pytest

from modelrelease.domain.record import Head
from modelrelease.governance import retention
from modelrelease.governance.chain import Anchor, verify
from modelrelease.governance.retention import Kept, retired
from tests.governance.test_chain import LINES

CHAIN = ("assistants", "chat")
HEADS = [verify(LINES[: count + 1]).heads[CHAIN] for count in range(len(LINES))]
EXPORTED = {(CHAIN, head.sequence): head.hash for head in HEADS}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "KEPT", 2)


def gone(*, young: int = 99, signed: int = 5, exported: dict[tuple[tuple[str, str], int], str] | None = None) -> object:
    report = verify(LINES, [Anchor(CHAIN, HEADS[signed - 1], "2026-11-21T12:00:00Z")] if signed else [])
    cluster = [Kept(head, head.sequence < young) for head in reversed(HEADS)]
    found = retired(CHAIN, cluster, EXPORTED if exported is None else exported, report)
    return [head.sequence for head in found.heads], found.why


def test_the_newest_stay_however_old() -> None:
    assert gone() == ([1, 2, 3, 4], "the newest 2 records stay")


def test_what_is_young_stays_and_so_does_all_that_follows() -> None:
    assert gone(young=3) == ([1, 2], "record 3 is not old enough")


def test_what_nobody_signed_stays() -> None:
    assert gone(signed=2) == ([1, 2], "record 3 is beyond the last checkpoint")
    assert gone(signed=0) == ([], "record 1 is beyond the last checkpoint")


def test_what_is_not_exported_as_it_is_stays() -> None:
    other = replace(HEADS[1], hash="sha256:" + "0" * 64)
    missing = {key: value for key, value in EXPORTED.items() if key[1] != 2}
    expected = ([1], "record 2 is not in the export as it is in the cluster")
    assert gone(exported=missing) == expected
    assert gone(exported={**EXPORTED, (CHAIN, 2): other.hash}) == expected
    assert gone(exported={}) == ([], "record 1 is not in the export as it is in the cluster")


def test_a_short_chain_stays_whole() -> None:
    report = verify(LINES, [Anchor(CHAIN, HEADS[-1], "2026-11-21T12:00:00Z")])
    found = retired(CHAIN, [Kept(Head(1, HEADS[0].hash), True)], EXPORTED, report)
    assert found.heads == ()
