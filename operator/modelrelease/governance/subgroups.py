"""A gate's demands on subgroups: every one keeps its bounds, and they are not far apart (R10).

A group that is demanded and not there, or any that was measured on too few cases, is unknown and holds the release:
leaving a bad group out of the evidence, or measuring it little, must never help.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from modelrelease.domain.entry import EntryOutcome, SubgroupRule
from modelrelease.domain.offline import Measurement
from modelrelease.governance.readings import Reading, at_least, at_most, counted, number, percent, reading, within
from modelrelease.governance.thresholds import Finding


def judged_groups(rule: SubgroupRule, measured: Mapping[str, Measurement]) -> Iterator[Finding]:
    """What is wrong with the groups of one dimension, or one Pass with the lowest and the highest group."""
    known: dict[str, Measurement] = {}
    found: list[Finding] = []
    for group in dict.fromkeys((*rule.groups, *sorted(measured))):
        lack = _lack(rule, group, measured.get(group))
        if lack is None:
            known[group] = measured[group]
        else:
            found.append((EntryOutcome.MISSING, lack))
    found += [*_bounds(rule, known), *_disparity(rule, known)]
    if not found and not known:
        found.append((EntryOutcome.MISSING, f"there is no result by {rule.dimension}: submit it"))
    yield from found or [(EntryOutcome.PASS, _span(rule, known))]


def _lack(rule: SubgroupRule, group: str, measured: Measurement | None) -> str | None:
    name = f"{rule.dimension} {group}"
    if measured is None:
        return f"there is no result for {name}: submit it"
    if not measured.figure.is_finite():
        return f"{name} was measured on no case"
    if rule.min_samples and (measured.total or 0) < rule.min_samples:
        said = f"on {measured.total:,} cases" if measured.total is not None else "on a number of cases that is not said"
        return f"{name} was measured {said}; {rule.min_samples:,} are needed"
    return None


def _bounds(rule: SubgroupRule, known: Mapping[str, Measurement]) -> Iterator[Finding]:
    if rule.minimum is None and rule.maximum is None:
        return
    needed = f"at least {rule.minimum}" if rule.minimum is not None else f"at most {rule.maximum}"
    for group, measured in known.items():
        read = reading(measured, rule.confidence)
        if isinstance(read, str):
            yield EntryOutcome.MISSING, f"{rule.dimension} {group}: {read}"
            continue
        outcome = within(read, rule.minimum, rule.maximum)
        if outcome is not EntryOutcome.PASS:
            yield outcome, f"{rule.dimension} {group} has {counted(measured)}{_sure(rule, read)}; {needed} is needed"


def _disparity(rule: SubgroupRule, known: Mapping[str, Measurement]) -> Iterator[Finding]:
    if (rule.max_difference is None and rule.max_ratio is None) or len(known) < 2:
        return
    reads: dict[str, Reading] = {}
    for group, measured in known.items():
        read = reading(measured, rule.confidence, tails=2 * len(known))
        if isinstance(read, str):
            yield EntryOutcome.MISSING, f"{rule.dimension} {group}: {read}"
            return
        reads[group] = read
    low, high = (pick(reads, key=lambda group: reads[group].figure) for pick in (min, max))
    said = f"{rule.dimension} {low} has {counted(known[low])}, {high} {counted(known[high])}"
    lowest, highest = min(read.low for read in reads.values()), max(read.high for read in reads.values())
    if rule.max_difference is not None:
        apart, widest = reads[high].figure - reads[low].figure, highest - lowest
        outcome = _judged(apart, widest, Decimal(rule.max_difference))
        if outcome is not EntryOutcome.PASS:
            yield outcome, f"{said}: {number(apart)} apart; {rule.max_difference} is allowed{_more(outcome)}"
    if rule.max_ratio is not None:
        if reads[low].figure < 0:
            yield EntryOutcome.MISSING, f"{said}: a ratio needs figures of 0 or more; use a difference"
            return
        apart, widest = _ratio(reads[high].figure, reads[low].figure), _ratio(highest, lowest)
        outcome = _judged(apart, widest, Decimal(rule.max_ratio))
        if outcome is not EntryOutcome.PASS:
            yield outcome, f"{said}: {_times(apart)}; {rule.max_ratio} times is allowed{_more(outcome)}"


def _judged(apart: Decimal, widest: Decimal, allowed: Decimal) -> EntryOutcome:
    if apart > allowed:
        return EntryOutcome.FAIL
    return EntryOutcome.PASS if widest <= allowed else EntryOutcome.UNDECIDED


def _ratio(high: Decimal, low: Decimal) -> Decimal:
    if high <= 0:
        return Decimal(1)
    return high / low if low > 0 else Decimal("Infinity")


def _times(ratio: Decimal) -> str:
    return f"{number(ratio)} times as much" if ratio.is_finite() else "a ratio without bound"


def _span(rule: SubgroupRule, known: Mapping[str, Measurement]) -> str:
    low, high = (pick(known, key=lambda group: known[group].figure) for pick in (min, max))
    return (
        f"{len(known)} of {rule.dimension} from {number(known[low].figure)} ({low}) "
        f"to {number(known[high].figure)} ({high})"
    )


def _sure(rule: SubgroupRule, read: Reading) -> str:
    if rule.confidence is None:
        return ""
    bound = at_least(read.low) if rule.minimum is not None else at_most(read.high)
    return f", {bound} with {percent(Decimal(rule.confidence))} confidence"


def _more(outcome: EntryOutcome) -> str:
    return ", which so few cases cannot show: measure more" if outcome is EntryOutcome.UNDECIDED else ""
