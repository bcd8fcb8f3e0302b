"""What the API server's rules say of entry demands, for objects that were not checked by them."""

from collections.abc import Iterator
from decimal import Decimal

from modelrelease.api.faults import fault
from modelrelease.api.release_entry import DisparitySpec, EntryGateSpec, EntrySpec, SubgroupRuleSpec
from modelrelease.domain.release import Fault


def entry_rule_faults(spec: EntrySpec, path: str) -> Iterator[Fault]:
    """What is wrong with the bounds of the gates of an `entry` section at `path`."""
    for index, gate in enumerate(spec.gates or ()):
        where = f"{path}.gates[{index}]"
        if not (gate.min or gate.max or gate.max_difference or gate.subgroups):
            yield fault(where, "write what is demanded: min, max, maxDifference (against stable) or subgroups")
        if gate.max_difference is not None and Decimal(gate.max_difference) < 0:
            yield fault(f"{where}.maxDifference", 'it is how much worse than stable is allowed: write "0" or more')
        yield from _bounds(gate, where)
        for place, rule in enumerate(gate.subgroups or ()):
            yield from _subgroups(rule, f"{where}.subgroups[{place}]")


def _subgroups(rule: SubgroupRuleSpec, path: str) -> Iterator[Fault]:
    if not (rule.min or rule.max or rule.max_disparity or rule.min_samples):
        yield fault(path, "write what is demanded of the groups: min, max, maxDisparity or minSamples")
    yield from _bounds(rule, path)
    disparity = rule.max_disparity or DisparitySpec(ratio="1")
    if disparity.difference is None and disparity.ratio is None:
        yield fault(f"{path}.maxDisparity", 'write difference (such as "0.05"), ratio (such as "1.25") or both')
    if disparity.ratio is not None and Decimal(disparity.ratio) < 1:
        yield fault(f"{path}.maxDisparity.ratio", 'it is the highest group over the lowest: write 1 or more, as "1.25"')


def _bounds(spec: EntryGateSpec | SubgroupRuleSpec, path: str) -> Iterator[Fault]:
    if spec.confidence is not None and not Decimal("0.5") <= Decimal(spec.confidence) < 1:
        yield fault(f"{path}.confidence", 'it lies between 0.5 and 1: write one such as "0.95"')
    if spec.min is not None and spec.max is not None and Decimal(spec.min) > Decimal(spec.max):
        yield fault(f"{path}.min", "it is above max, so that nothing could ever pass: swap or correct them")
