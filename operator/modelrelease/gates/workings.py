"""The workings behind a verdict: written into its record, so that anybody can judge the same counts again offline.

    account = Account.open(gate, settings)
    account.fold(evidence)                                     # each tick
    text = packed({"Stage": [account.written(at=now, settings=settings)]})     # into the record
    recompute(unpacked(text)["Stage"][0])                      # the same verdicts, from the record alone

Kept are the judge's state some strata ago and the strata since, not more than MAX_STRATA: older ones are in the state.
Sums instead of strata were rejected: the tests bet window by window, and sums cannot be judged again.
"""

import base64
import binascii
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from modelrelease.domain.canonical import canonical
from modelrelease.domain.evidence import Evidence, Problem, Stratum, Tally
from modelrelease.domain.gate import Gate, Value
from modelrelease.domain.record import NotRejudged
from modelrelease.domain.verdict import Verdict
from modelrelease.gates import judge
from modelrelease.gates.codec import decode, encode
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.state import GateState

JUDGE = 3
"""Version of the judge. Raised with each change that gives other verdicts, numbers or states from the same counts: a
record is judged again only by the version that judged it. `tests/gates/test_judge_version.py` notices."""

MAX_STRATA = 500
"""Most strata that one gate writes into a record."""

PHASES = {"Stage": "verdicts", "Watch": "watchVerdicts"}
"""The phases of workings, and the field of a record's body that holds their verdicts."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = 2**53

Bounds = tuple[float, ...]


MAX_PACKED = 256 * 1024
"""Most characters that the workings of one record may take."""


@dataclass(slots=True)
class Account:
    """The judging of one gate: its state now, and from what it came."""

    gate: Gate
    base: GateState
    state: GateState
    strata: list[Stratum] = field(default_factory=list)

    @classmethod
    def open(cls, gate: Gate, settings: JudgeSettings) -> "Account":
        """Nothing seen yet."""
        state = judge.start(gate, settings)
        return cls(gate, state, state)

    def fold(self, evidence: Evidence) -> None:
        """Judge one tick's evidence."""
        self.state = judge.fold(self.gate, self.state, evidence)
        if isinstance(self.gate.metric, Value):
            self.base = self.state
            return
        self.strata.extend(judge.in_order(evidence.strata))
        if len(self.strata) > MAX_STRATA:
            old, self.strata = self.strata[: -MAX_STRATA // 2], self.strata[-MAX_STRATA // 2 :]
            self.base = _again(self.gate, self.base, old, self.base)

    def new_stage(self) -> None:
        """What was counted before is in the records of the stages before."""
        self.base, self.strata = self.state, []

    def verdicts(self, *, at: datetime, settings: JudgeSettings) -> tuple[Verdict, ...]:
        """What the gate says now."""
        return judge.verdicts(self.gate, self.state, at=at, settings=settings)

    def written(self, *, at: datetime, settings: JudgeSettings, room: int = MAX_STRATA) -> Mapping[str, object]:
        """All that `recompute` needs, as strings, integers, lists and mappings, with at most `room` strata."""
        layouts: list[Bounds] = []
        split = max(0, len(self.strata) - room)
        base = _again(self.gate, self.base, self.strata[:split], self.base)
        rows = [_row(stratum, layouts) for stratum in self.strata[split:]]
        return {
            "judge": JUDGE,
            "gate": encode(self.gate),
            "settings": encode(settings),
            "at": encode(at),
            "before": base.to_dict(),
            "newest": encode(self.state.newest),
            "problem": encode(self.state.problem),
            "bounds": [[_number(bound) for bound in layout] for layout in layouts],
            "strata": rows,
        }


def packed(workings: Mapping[str, Sequence[Mapping[str, object]]]) -> str:
    """Workings by phase in one text for a record: canonical JSON, deflated (RFC 1950), in base64."""
    return base64.b64encode(zlib.compress(canonical(workings), 9)).decode()


def unpacked(text: str) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """What `packed` packed. Raises ValueError for anything else."""
    try:
        found = json.loads(zlib.decompress(base64.b64decode(text, validate=True)))
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"these are no workings of a record: {error}") from error
    if not isinstance(found, Mapping):
        raise ValueError("these are no workings of a record")
    return found


@dataclass(frozen=True, slots=True)
class Written:
    """What `Account.written` wrote, read back: the strata came after `base`, the last verdicts were asked at `at`."""

    gate: Gate
    settings: JudgeSettings
    base: GateState
    strata: tuple[Stratum, ...]
    at: datetime
    newest: datetime | None
    problem: Problem | None


def read(written: Mapping[str, Any]) -> Written:
    """Read one gate's workings. Raises NotRejudged for another version's, ValueError or KeyError when they are none."""
    version = written.get("judge", 0)
    if version != JUDGE:
        raise NotRejudged(f"judged by version {version} of the judge: this program has version {JUDGE}")
    layouts = [tuple(_float(bound) for bound in layout) for layout in written["bounds"]]
    return Written(
        gate=decode(written["gate"], Gate),
        settings=decode(written["settings"], JudgeSettings),
        base=GateState.from_dict(written["before"]),
        strata=tuple(_stratum(row, layouts) for row in written["strata"]),
        at=decode(written["at"], datetime),
        newest=decode(written["newest"], datetime | None),
        problem=decode(written["problem"], Problem | None),
    )


def recompute(written: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Judge again what `Account.written` wrote. Raises as `read` does when it is not that."""
    of = read(written)
    state = _again(of.gate, of.base, of.strata, replace(of.base, newest=of.newest, problem=of.problem))
    return judge.verdicts(of.gate, state, at=of.at, settings=of.settings)


def differences(body: Mapping[str, Any]) -> list[str]:
    """How a record's verdicts differ from what its own workings give; empty when they are the same.

    Outcome and sentence must be equal, numbers to 1e-9. Raises as `read` does where the workings are none.
    """
    found = []
    for phase, section in PHASES.items():
        again = {
            (verdict.gate, verdict.segment or ""): verdict
            for written in unpacked(body["workings"]).get(phase, ())
            for verdict in recompute(written)
        }
        for said in body.get(section) or ():
            key = "/".join(filter(None, (said["gate"], said.get("segment"))))
            verdict = again.get((said["gate"], said.get("segment") or ""))
            if verdict is None:
                found.append(f"{key}: recorded {said['outcome']}, but there are no workings for it")
            else:
                found += [f"{key}: {difference}" for difference in _differences(said, verdict)]
    return found


def _differences(said: Mapping[str, Any], verdict: Verdict) -> Iterable[str]:
    if said["outcome"] != verdict.outcome:
        yield f"recorded {said['outcome']}, recomputed {verdict.outcome.value}"
    if said["sentence"] != verdict.sentence:
        yield f"recorded “{said['sentence']}”, recomputed “{verdict.sentence}”"
    recorded, numbers = dict(said.get("numbers") or {}), dict(verdict.numbers)
    for name in dict.fromkeys((*recorded, *numbers)):
        if name not in recorded or name not in numbers:
            yield f"number {name} is only {'recorded' if name in recorded else 'recomputed'}"
        elif not math.isclose(float(recorded[name]), numbers[name], rel_tol=1e-9, abs_tol=1e-9):
            yield f"number {name}: recorded {recorded[name]}, recomputed {numbers[name]!r}"


def _again(gate: Gate, base: GateState, strata: Iterable[Stratum], told: GateState) -> GateState:
    """`base` with the strata in the order in which they were judged, and what `told` says of newest and problem."""
    for stratum in strata:
        base = judge.fold(gate, base, Evidence(gate.name, stratum.end, (stratum,)))
    return replace(base, newest=told.newest, problem=told.problem)


def _row(stratum: Stratum, layouts: list[Bounds]) -> list[object]:
    arms = (_arm_written(arm, layouts) for arm in (stratum.candidate, stratum.stable))
    return [_micros(stratum.start), _micros(stratum.end), stratum.segment, *arms]


def _stratum(row: list[Any], layouts: list[Bounds]) -> Stratum:
    start, end, segment, candidate, stable = row
    return Stratum(_moment(start), _moment(end), _arm(candidate, layouts), _arm(stable, layouts), segment)


def _arm_written(arm: Tally, layouts: list[Bounds]) -> list[object]:
    """Total, bad, and for a histogram the number of its layout and its events."""
    sums: list[object] = [_number(arm.total), _number(arm.bad)]
    if not arm.buckets:
        return sums
    bounds = tuple(bound for bound, _ in arm.buckets)
    if bounds not in layouts:
        layouts.append(bounds)
    return [*sums, layouts.index(bounds), *(_number(events) for _, events in arm.buckets)]


def _arm(written: list[Any], layouts: list[Bounds]) -> Tally:
    total, bad, *rest = written
    buckets = zip(layouts[rest[0]], map(_float, rest[1:]), strict=True) if rest else ()
    return Tally(_float(total), _float(bad), tuple(buckets))


def _number(number: float) -> int | str:
    """Integers as such, other floats in hexadecimal: both read back to the same float."""
    whole = number == number // 1 and abs(number) < _EXACT
    return int(number) if whole else float(number).hex()


def _float(written: int | str) -> float:
    return float.fromhex(written) if isinstance(written, str) else float(written)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
