"""Exported chains of records, verified from their bytes alone: nothing of the exporting party is believed.

A line of an export is the canonical JSON of one record, its hash included, and ends in a newline. So every bit of it
is fixed by the record's hash, and every record by the hash that the next one names. What this proves: nothing before
the newest signed checkpoint was changed, removed, reordered or added since it was signed. What it does not: a tail
that nobody has signed yet can be cut off, or made up by whoever may write records (Haber and Stornetta
1991 on linked time stamps).

Believing the API server's objects was rejected: an administrator can replace them all.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelrelease.domain.canonical import canonical, digest_of_bytes, short
from modelrelease.domain.record import GENESIS, Head, Record, RecordKind

FIELDS = ("body", "hash", "kind", "previous", "sequence")
"""The fields of a line, in their order."""

_HASH_KEY = b',"hash":"'

Chain = tuple[str, str]
"""Namespace and name of a release."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit: where (`line` from 1, 0: not in the file) and what it means."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head that a chain had when somebody signed it, at `at` (RFC 3339)."""

    chain: Chain
    head: Head
    at: str


@dataclass(slots=True)
class Report:
    """What was found: each chain's first and newest record, what does not fit, the newest anchor that fits."""

    records: int = 0
    first: dict[Chain, int] = field(default_factory=dict)
    heads: dict[Chain, Head] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    anchored: dict[Chain, Anchor] = field(default_factory=dict)

    @property
    def unanchored(self) -> dict[Chain, tuple[int, int]]:
        """The first and last number of the records of each chain that no checkpoint vouches for."""
        return {
            chain: (known.head.sequence + 1 if known else 1, head.sequence)
            for chain, head in self.heads.items()
            for known in [self.anchored.get(chain)]
            if known is None or known.head.sequence < head.sequence
        }


def line_of(spec: Mapping[str, Any]) -> bytes:
    """The line of an export for a record's `spec`, as it is: whether it fits is for `verify` to say."""
    return canonical({key: spec[key] for key in FIELDS}) + b"\n"


def verify(
    lines: Iterable[bytes], anchors: Iterable[Anchor] = (), *, earlier: Mapping[tuple[Chain, int], str] | None = None
) -> Report:
    """Check every line, every link and every anchor. Lines keep their newline; chains may be interleaved.

    `earlier`: the hashes of records that another export holds, which was verified: a chain may go on from there.
    """
    report, wanted, known = Report(), list(anchors), earlier or {}
    before = {(anchor.chain, anchor.head.sequence): anchor for anchor in wanted}
    seen = {place: known[place] for place in before if place in known}
    for number, line in enumerate(lines, 1):
        try:
            head, record, chain = _read(line)
        except ValueError as error:
            report.findings.append(Finding(number, str(error)))
            continue
        report.records += 1
        message = _misfit(record, report.heads.get(chain), chain, before, known)
        if message:
            report.findings.append(Finding(number, message))
        report.first.setdefault(chain, head.sequence)
        report.heads[chain] = head
        if (chain, head.sequence) in before:
            seen[chain, head.sequence] = head.hash
    report.findings.extend(_against(wanted, seen, report))
    return report


def _read(line: bytes) -> tuple[Head, Record, Chain]:
    """A line as a record that has the hash it names. Raises ValueError with what is wrong."""
    if not line.endswith(b"\n"):
        raise ValueError("the line does not end in a newline: it was cut off")
    try:
        read = json.loads(line, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no record ({error})") from error
    if not isinstance(read, dict) or tuple(sorted(read)) != FIELDS:
        raise ValueError(f"a record has exactly the fields {', '.join(FIELDS)}")
    written = json.dumps(read, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if written.encode("utf-8", "surrogatepass") != line[:-1]:
        raise ValueError("the bytes are not the canonical form of the record: they were changed")
    found = digest_of_bytes(_without_hash(line[:-1]))
    if found != read["hash"]:
        raise ValueError(f"the content has hash {short(found)} and not {short(str(read['hash']))}: it was changed")
    try:
        record = Record(int(read["sequence"]), str(read["previous"]), RecordKind(read["kind"]), read["body"])
        release = read["body"]["release"]
        return Head(record.sequence, read["hash"]), record, (str(release["namespace"]), str(release["name"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the record does not say what it is about ({error!r})") from error


def _without_hash(line: bytes) -> bytes:
    """The bytes that the hash is over. No text of a user's follows the body, so the last such key is the record's."""
    start = line.rindex(_HASH_KEY)
    end = line.index(b'"', start + len(_HASH_KEY)) + 1
    return line[:start] + line[end:]


def _misfit(
    record: Record,
    known: Head | None,
    chain: Chain,
    anchors: Mapping[tuple[Chain, int], Anchor],
    earlier: Mapping[tuple[Chain, int], str],
) -> str:
    """Why a record does not follow what was there before it; "" when it does."""
    where, previous = "/".join(chain), record.sequence - 1
    if known is not None:
        if record.sequence <= known.sequence:
            return f"{where}: record {record.sequence} comes after record {known.sequence}: moved or put in"
        if record.sequence > known.sequence + 1:
            return f"{where}: {_numbers(known.sequence + 1, previous)} missing"
        if record.previous != known.hash:
            return f"{where}: record {record.sequence} names another record {previous} than the one that is here"
        return ""
    if record.sequence == 1:
        return "" if record.previous == GENESIS else f"{where}: record 1 names a record before it"
    anchor = anchors.get((chain, previous))
    if record.previous in (anchor.head.hash if anchor else None, earlier.get((chain, previous))):
        return ""
    return f"{where}: {_numbers(1, previous)} missing, and no checkpoint vouches for record {previous}"


def _against(anchors: list[Anchor], seen: Mapping[tuple[Chain, int], str], report: Report) -> Iterator[Finding]:
    """What contradicts the checkpoints; what agrees is noted in the report."""
    for anchor in anchors:
        where, number = "/".join(anchor.chain), anchor.head.sequence
        found = seen.get((anchor.chain, number))
        if found is None:
            if report.first.get(anchor.chain) != number + 1:
                yield Finding(0, f"{where}: record {number} was signed at {anchor.at} and is missing")
                continue
        elif found != anchor.head.hash:
            yield Finding(0, f"{where}: record {number} is not the one that was signed at {anchor.at}")
            continue
        known = report.anchored.get(anchor.chain)
        if known is None or known.head.sequence < number:
            report.anchored[anchor.chain] = anchor


def _numbers(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _no_float(text: str) -> None:
    raise ValueError(f"{text} is not an integer; a record has no other numbers")
