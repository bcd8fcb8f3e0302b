"""Entry gates: what a unit's offline evidence says about each demand, before any user sees the unit (R9, R10).

Evidence whose producer is not confirmed lets nothing in. What it refutes counts all the same, as an abort does whoever
said it: taking somebody's right away does not make a bad result go away.

Where several pieces of evidence measured the same with one suite, the newest counts, but none of them may fail: nobody
measures again until it passes. A wrong one is deleted by somebody who may. Where several suites measured a metric and
the gate names none, each of them must pass.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType

from modelrelease.domain.canonical import short
from modelrelease.domain.entry import Entry, EntryGate, EntryOutcome, EntryVerdict, Lack
from modelrelease.domain.offline import Measurement, OfflineEvidence
from modelrelease.governance.package import package_verdicts
from modelrelease.governance.readings import listed, worst
from modelrelease.governance.standing import Standing, Subject, standing
from modelrelease.governance.subgroups import judged_groups
from modelrelease.governance.thresholds import Finding, absolute, against_stable

EVIDENCE = "evidence"

CERTAIN: Mapping[str, str] = MappingProxyType({})
"""Nothing is doubted."""

MAX_KEPT = 65_536
"""So many findings, of a gate and a piece of evidence each, are kept from one look to the next."""


def assess(
    entry: Entry,
    evidence: Iterable[OfflineEvidence],
    *,
    subject: Subject,
    stable: Subject | None,
    now: datetime,
    doubts: Mapping[str, str] = CERTAIN,
) -> tuple[EntryVerdict, ...]:
    """One verdict per demand, the worst for each; no verdict where nothing is demanded.

    `stable` None: there is no stable unit, so that nothing can be compared with one and no such demand is made.
    `doubts`: by UID, why a piece counts for nothing good.
    """
    if not entry.demands:
        return ()
    known = tuple(evidence)
    said = _assessed(entry, known, subject, stable, now, doubts)
    if not any(found.uid in doubts for found in known):
        return said
    every = _assessed(entry, known, subject, stable, now, CERTAIN)
    refuted = {verdict.name: verdict for verdict in every if verdict.outcome is EntryOutcome.FAIL}
    return (*(refuted.pop(verdict.name, verdict) for verdict in said), *refuted.values())


def _assessed(
    entry: Entry,
    known: tuple[OfflineEvidence, ...],
    subject: Subject,
    stable: Subject | None,
    now: datetime,
    doubts: Mapping[str, str],
) -> tuple[EntryVerdict, ...]:
    own = standing(entry, known, subject=subject, now=now, doubts=doubts)
    if not own.current:
        return (_nothing(own, known, subject),)
    stables = [found for found in known if stable is not None and found.unit_digest == stable.digest]
    theirs = tuple(found for found in stables if found.uid not in doubts)
    aside = [found for found in stables if found.uid in doubts]
    gates = [_judged(gate, own, theirs, stable) for gate in entry.gates]
    if aside:
        why = f"; ReleaseEvidence {aside[-1].name} of stable does not count: {doubts[aside[-1].uid]}"
        gates = [_because(why, gate, said) for gate, said in zip(entry.gates, gates, strict=True)]
    return (*gates, *package_verdicts(entry, own.current, now=now))


def _because(why: str, gate: EntryGate, said: EntryVerdict) -> EntryVerdict:
    """The verdict with the reason why stable's results are not there to compare with."""
    compares = gate.max_difference is not None and said.outcome is EntryOutcome.MISSING
    return replace(said, sentence=said.sentence + why, lack=Lack.UNCONFIRMED) if compares else said


def failed(verdicts: Iterable[EntryVerdict]) -> EntryVerdict | None:
    """The first demand that the evidence refutes."""
    return next((verdict for verdict in verdicts if verdict.outcome is EntryOutcome.FAIL), None)


def open_demand(verdicts: Iterable[EntryVerdict]) -> EntryVerdict | None:
    """The first demand that is not met, whatever the reason."""
    return next((verdict for verdict in verdicts if verdict.outcome is not EntryOutcome.PASS), None)


def _nothing(own: Standing, known: tuple[OfflineEvidence, ...], subject: Subject) -> EntryVerdict:
    if own.aside:
        _, lack, why = own.aside[-1]
        return EntryVerdict(EVIDENCE, EntryOutcome.MISSING, why, lack)
    others = len(known)
    there = f" (what there is, {others}, is about other units)" if others else ""
    said = f"there is no ReleaseEvidence for {subject.version}, unit sha256:{short(subject.digest)}…{there}"
    return EntryVerdict(EVIDENCE, EntryOutcome.MISSING, f"{said}: submit its results", Lack.MISSING)


def _judged(
    gate: EntryGate, own: Standing, theirs: tuple[OfflineEvidence, ...], stable: Subject | None
) -> EntryVerdict:
    compared = tuple(map(_Same, theirs)) if gate.max_difference is not None else ()
    by_suite: dict[str, list[tuple[OfflineEvidence, tuple[Finding, ...]]]] = {}
    for found in own.current:
        if gate.suite in (None, found.suite.name):
            said = _said(gate, _Same(found), compared, stable)
            if said is not None:
                by_suite.setdefault(found.suite.name, []).append((found, said))
    if not by_suite:
        return _unmeasured(gate, own)
    findings: list[Finding] = []
    uids: list[str] = []
    for measured in by_suite.values():
        older = [finding for _, each in measured[:-1] for finding in each if finding[0] is EntryOutcome.FAIL]
        findings += [*older, *measured[-1][1]]
        uids += [found.uid for found, _ in measured]
    if not findings:
        alone = f"{gate.name}: {gate.metric} was measured, and no unit is stable yet that it is compared with"
        return EntryVerdict(gate.name, EntryOutcome.PASS, alone, evidence=tuple(uids))
    outcome = worst([finding[0] for finding in findings])
    wrong = listed(clause for found, clause in findings if found is outcome)
    return EntryVerdict(gate.name, outcome, f"{gate.name}: {wrong}", _LACKS.get(outcome), tuple(uids))


_LACKS = {EntryOutcome.MISSING: Lack.INCOMPLETE, EntryOutcome.UNDECIDED: Lack.UNDECIDED}


class _Same:
    """A piece of evidence as a key: the very same object, so that nothing of its content is compared."""

    __slots__ = ("it",)

    def __init__(self, it: OfflineEvidence) -> None:
        self.it = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.it is other.it


@lru_cache(maxsize=MAX_KEPT)
def _said(
    gate: EntryGate, found: _Same, theirs: tuple[_Same, ...], stable: Subject | None
) -> tuple[Finding, ...] | None:
    """What a piece of evidence says to a gate, whatever the time; None where it did not measure it.

    Kept, because a release is looked at every few seconds and its evidence never changes.
    """
    if not _measures(gate, found.it):
        return None
    return tuple(_findings(gate, found.it, tuple(each.it for each in theirs), stable))


def _measures(gate: EntryGate, found: OfflineEvidence) -> bool:
    groups = any(found.by_group(gate.metric, rule.dimension) for rule in gate.subgroups)
    return groups or found.measured(gate.metric) is not None


def _unmeasured(gate: EntryGate, own: Standing) -> EntryVerdict:
    for found, lack, why in reversed(own.aside):
        if gate.suite in (None, found.suite.name) and _measures(gate, found):
            return EntryVerdict(gate.name, EntryOutcome.MISSING, f"{gate.name}: {why}", lack)
    suite = f" of suite {gate.suite}" if gate.suite else ""
    said = f"{gate.name}: no current evidence has {gate.metric}{suite}: submit it"
    return EntryVerdict(gate.name, EntryOutcome.MISSING, said, Lack.INCOMPLETE)


def _findings(
    gate: EntryGate, found: OfflineEvidence, theirs: tuple[OfflineEvidence, ...], stable: Subject | None
) -> Iterator[Finding]:
    where = f"{found.suite.name} {found.suite.version}"
    for outcome, clause in _clauses(gate, found, theirs, stable):
        yield outcome, f"{clause} ({where})"


def _clauses(
    gate: EntryGate, found: OfflineEvidence, theirs: tuple[OfflineEvidence, ...], stable: Subject | None
) -> Iterator[Finding]:
    measured = found.measured(gate.metric)
    every = [measured] if measured else []
    every += [m for rule in gate.subgroups for m in found.by_group(gate.metric, rule.dimension).values()]
    if any(each.better is not gate.better for each in every):
        yield EntryOutcome.MISSING, f"the gate says {gate.metric} is better {gate.better} and the evidence does not"
        return
    whole = gate.minimum is not None or gate.maximum is not None or (gate.max_difference is not None and stable)
    if whole and measured is None:
        yield EntryOutcome.MISSING, f"there is no result of {gate.metric} over all subgroups: submit it"
    elif measured is not None:
        yield from filter(None, (absolute(gate, measured), _compared(gate, found, measured, theirs, stable)))
    for rule in gate.subgroups:
        yield from judged_groups(rule, found.by_group(gate.metric, rule.dimension))


def _compared(
    gate: EntryGate,
    found: OfflineEvidence,
    measured: Measurement,
    theirs: tuple[OfflineEvidence, ...],
    stable: Subject | None,
) -> Finding | None:
    """Against the best result that stable has on the very same suite, so that no weak one can be picked."""
    if gate.max_difference is None or stable is None:
        return None
    results = [result for each in theirs if each.suite == found.suite and (result := each.measured(gate.metric))]
    usable = [result for result in results if result.better is gate.better and result.figure.is_finite()]
    if not usable:
        suite = f"{found.suite.name} {found.suite.version}"
        unit = f"stable ({stable.version}, unit sha256:{short(stable.digest)}…)"
        return EntryOutcome.MISSING, f"{unit} has no result of {gate.metric} on {suite} to compare with: submit it"
    sign = 1 if gate.better.value == "Higher" else -1
    best = max(usable, key=lambda result: (sign * result.figure, -(result.total or 0), Decimal(result.count or 0)))
    return against_stable(gate, measured, best)
