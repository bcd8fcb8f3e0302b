"""A gate's demands on the whole: absolute bounds, and how much worse than stable's own result."""

from decimal import Decimal

from modelrelease.domain.entry import EntryGate, EntryOutcome
from modelrelease.domain.offline import Better, Measurement
from modelrelease.governance.readings import Reading, at_least, at_most, counted, number, percent, reading, within

Finding = tuple[EntryOutcome, str]
"""An outcome and the clause of the sentence that says why."""


def absolute(gate: EntryGate, measured: Measurement) -> Finding | None:
    """The figure against `minimum` and `maximum`; None where the gate has neither."""
    if gate.minimum is None and gate.maximum is None:
        return None
    read = reading(measured, gate.confidence)
    if isinstance(read, str):
        return EntryOutcome.MISSING, read
    outcome = within(read, gate.minimum, gate.maximum)
    return outcome, f"{counted(measured)}{_bound(gate, read)}; {_needed(gate)}{_mend(outcome)}"


def against_stable(gate: EntryGate, measured: Measurement, stable: Measurement) -> Finding:
    """The figure against stable's own on the same suite, at most `max_difference` worse."""
    assert gate.max_difference is not None
    ours, theirs = (reading(each, gate.confidence, tails=2) for each in (measured, stable))
    if isinstance(ours, str):
        return EntryOutcome.MISSING, ours
    if isinstance(theirs, str):
        return EntryOutcome.MISSING, f"stable's {theirs}"
    allowed = Decimal(gate.max_difference)
    higher = gate.better is Better.HIGHER
    worse = theirs.figure - ours.figure if higher else ours.figure - theirs.figure
    most = theirs.high - ours.low if higher else ours.high - theirs.low
    outcome = EntryOutcome.FAIL if worse > allowed else EntryOutcome.PASS
    if outcome is EntryOutcome.PASS and most > allowed:
        outcome = EntryOutcome.UNDECIDED
    sure = f", {at_most(most)} with {percent(Decimal(gate.confidence))} confidence" if gate.confidence else ""
    said = (
        f"{counted(measured)} against stable's {counted(stable)}: "
        f"{number(abs(worse))} {'worse' if worse > 0 else 'better'}{sure}; {gate.max_difference} worse is allowed"
    )
    return outcome, said + _mend(outcome)


def _bound(gate: EntryGate, read: Reading) -> str:
    if gate.confidence is None:
        return ""
    sides = []
    if gate.minimum is not None:
        sides.append(at_least(read.low))
    if gate.maximum is not None:
        sides.append(at_most(read.high))
    return f", {' and '.join(sides)} with {percent(Decimal(gate.confidence))} confidence"


def _needed(gate: EntryGate) -> str:
    sides = []
    if gate.minimum is not None:
        sides.append(f"at least {gate.minimum}")
    if gate.maximum is not None:
        sides.append(f"at most {gate.maximum}")
    return f"{' and '.join(sides)} is needed"


def _mend(outcome: EntryOutcome) -> str:
    return ": measure more cases and submit them" if outcome is EntryOutcome.UNDECIDED else ""
