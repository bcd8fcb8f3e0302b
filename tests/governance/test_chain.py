"""An exported chain is verified from its bytes: nothing can be changed, taken out, moved or put in unseen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.domain.record import GENESIS, Head, Record, RecordKind
from modelrelease.governance.chain import Anchor, line_of, verify

CHAIN = ("assistants", "chat")


def chain(number: int, name: str = "chat", first: int = 1, previous: str = GENESIS) -> list[Record]:
    """Records of a release, each linked to the one before."""
    found = []
    for sequence in range(first, first + number):
        body = {"release": {"namespace": "assistants", "name": name}, "message": f'nö. {sequence} says "hash":"x"'}
        record = Record(sequence, previous, RecordKind.RAISED, body)
        previous = record.hash
        found.append(record)
    return found


def lines_of(records: list[Record]) -> list[bytes]:
    fields = ("sequence", "previous", "body", "hash")
    return [line_of({**{name: getattr(one, name) for name in fields}, "kind": one.kind.value}) for one in records]


RECORDS = chain(6)
LINES = lines_of(RECORDS)


def messages(lines: list[bytes], *anchors: Anchor) -> list[str]:
    return [str(finding) for finding in verify(lines, anchors).findings]


def anchor(record: Record, chain_: tuple[str, str] = CHAIN) -> Anchor:
    return Anchor(chain_, record.head, "2026-03-01T12:00:00Z")


def test_a_whole_chain_is_right_and_unanchored() -> None:
    report = verify(LINES)
    assert report.findings == []
    assert (report.records, report.heads) == (6, {CHAIN: RECORDS[-1].head})
    assert report.unanchored == {CHAIN: (1, 6)}


def test_every_single_bit_counts() -> None:
    content = b"".join(LINES)
    for place in range(len(content) * 8):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        assert verify(bytes(changed).splitlines(keepends=True)).findings, f"bit {place}"


@given(st.integers(0, 4))
def test_a_record_taken_out_is_missed(index: int) -> None:
    found = messages(LINES[:index] + LINES[index + 1 :])
    assert len(found) == 1
    assert "missing" in found[0]


@given(st.permutations(range(6)))
def test_another_order_is_seen(order: list[int]) -> None:
    assert bool(messages([LINES[index] for index in order])) == (order != sorted(order))


@pytest.mark.parametrize("index", range(7))
def test_a_record_put_in_is_seen(index: int) -> None:
    forged = Record(index + 1, RECORDS[index - 1].hash if index else GENESIS, RecordKind.COMPLETED, RECORDS[0].body)
    found = messages(LINES[:index] + lines_of([forged]) + LINES[index:], anchor(RECORDS[-1]))
    assert bool(found) == (index < 6)


def test_a_chain_made_up_from_some_record_on_contradicts_the_checkpoint() -> None:
    other = chain(3, first=4, previous=RECORDS[2].hash)
    other[0].body["message"] = "something nicer"  # type: ignore[index]
    forged = [other[0]]
    for record in other[1:]:
        forged.append(Record(record.sequence, forged[-1].hash, record.kind, record.body))
    lines = LINES[:3] + lines_of(forged)
    assert messages(lines) == []
    (found,) = messages(lines, anchor(RECORDS[4]))
    assert "record 5 is not the one that was signed at 2026-03-01T12:00:00Z" in found


def test_a_tail_cut_off_is_seen_up_to_the_checkpoint_and_unanchored_beyond() -> None:
    signed = anchor(RECORDS[3])
    report = verify(LINES[:5], [signed])
    assert report.findings == []
    assert report.unanchored == {CHAIN: (5, 5)}
    (found,) = messages(LINES[:3], signed)
    assert "record 4 was signed at 2026-03-01T12:00:00Z and is missing" in found
    assert verify(LINES[:4], [signed]).unanchored == {}


def test_a_chain_without_its_beginning_needs_a_checkpoint_of_what_was_there() -> None:
    (found,) = messages(LINES[3:])
    assert "records 1 to 3 are missing, and no checkpoint vouches for record 3" in found
    assert messages(LINES[3:], anchor(RECORDS[2])) == []
    (wrong,) = messages(LINES[3:], Anchor(CHAIN, Head(3, GENESIS), "2026-03-01T12:00:00Z"))
    assert "missing" in wrong


def test_a_release_that_was_signed_and_is_not_there_is_missed() -> None:
    (found,) = messages(LINES, anchor(RECORDS[-1], ("assistants", "search")))
    assert found.startswith("assistants/search: record 6 was signed")


def test_releases_are_chains_of_their_own() -> None:
    other = lines_of(chain(4, "search"))
    report = verify([*LINES[:2], *other[:3], *LINES[2:], *other[3:]])
    assert report.findings == []
    assert set(report.heads) == {CHAIN, ("assistants", "search")}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "was cut off"),
        (LINES[0][:-1], "does not end in a newline"),
        (b"{}\n", "exactly the fields"),
        (b"[1]\n", "exactly the fields"),
        (b"nothing\n", "this is no record"),
        (b"\xff\xfe\n", "this is no record"),
        (LINES[0].replace(b'"sequence":1', b'"sequence":1.0'), "1.0 is not an integer"),
        (LINES[0].replace(b'"sequence":1', b'"sequence":NaN'), "NaN is not an integer"),
        (LINES[0].replace(b'"sequence":1', b'"sequence": 1'), "not the canonical form"),
        (LINES[0].replace(b'"body"', b'"body":1,"body"'), "not the canonical form"),
        (b"[" * 100_000 + b"\n", "this is no record"),
    ],
    ids=range(11),
)
def test_what_is_no_record_is_said_with_its_line(line: bytes, said: str) -> None:
    (found,) = messages([*LINES, line])
    assert found.startswith("line 7: ")
    assert said in found


def test_a_record_that_does_not_say_its_release_is_told() -> None:
    (found,) = messages(lines_of([Record(1, GENESIS, RecordKind.RAISED, {"message": "x"})]))
    assert "does not say what it is about" in found
