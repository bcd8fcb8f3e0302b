"""Templates that can be asked and yet never measure what they mean: each would pass every release, or revert every one.

A matcher that nothing matches is the worst of them, because no errors and a wrong label look alike. Only what names
and matchers give away is judged; what a server really shows is not known here.
"""

import re
from collections.abc import Iterator
from itertools import combinations, product

from modelrelease.api.faults import fault
from modelrelease.api.query_faults import matchers_of, series_of
from modelrelease.domain.gate import Cost, Matcher, MatchOp, Mean, Metric, Quantile, Ratio, Series
from modelrelease.domain.release import Fault
from modelrelease.metrics.compose import PLACEHOLDERS

_LIKE_REGEX = re.compile(r"\.[*+]|\.\.|\\[dwsDWS]|\[[^\]]*-[^\]]*\]|^\^|^[^/ ]+\|[^/ ]+$")
_UNMARKED = re.compile(r"\$(\w+)|\{\{\s*\.?(\w+)\s*\}\}")
_RECORDED_RATE = re.compile(r":(?:.*_)?(?:i?rate|increase|i?delta|ratio)(?:\d+[smhdw])?(?:_[^:]*)?$")
_UNITS = {"seconds": "s", "milliseconds": "ms", "microseconds": "us"}
_UNIT_OF = {"s": "s", "sec": "s", "second": "s", "ms": "ms", "millisecond": "ms", "us": "us", "µs": "us", **_UNITS}
_UNIT_IN_NAME = re.compile(r"(?:^|[_:])(seconds|milliseconds|microseconds|ms|us)(?:_|:|$)")

Placed = tuple[str, Series]


def sense_faults(metric: Metric, arm: tuple[Matcher, ...], unit: str | None, where: str) -> tuple[Fault, ...]:
    """What such a template says that cannot be meant, with the field and the mend; () when nothing is seen."""
    parts = series_of(metric)
    inside = f"{where}.metric"
    return (
        *_matcher_faults(metric, arm, where),
        *(each for path, series in parts for each in _name_faults(f"{inside}.{path}", series)),
        *_metric_faults(metric, inside),
        *_unit_faults(parts, unit, where),
    )


def _matcher_faults(metric: Metric, arm: tuple[Matcher, ...], where: str) -> Iterator[Fault]:
    groups = matchers_of(metric, arm, where)
    for path, matchers in groups:
        for index, matcher in enumerate(matchers):
            if (wrong := _value_fault(matcher)) is not None:
                yield fault(f"{path}[{index}].value", wrong)
    for path, matchers in groups:
        others = () if path == f"{where}.arm" else arm
        pairs = (*combinations(matchers, 2), *product(matchers, others))
        for one, other in pairs:
            if _contradict(one, other):
                message = f"label {one.label} is to be {one.value} and {other.value} at once, which no series is"
                yield fault(path, f"{message}; take one of them out, or write op: Regex with both and | between them")


def _contradict(one: Matcher, other: Matcher) -> bool:
    """Two placeholders may stand for the same."""
    plain = "${" not in one.value or "${" not in other.value
    both = one.label == other.label and one.op is other.op is MatchOp.EQUAL
    return both and plain and one.value != other.value


def _value_fault(matcher: Matcher) -> str | None:
    for found in _UNMARKED.finditer(matcher.value):
        name = found[1] or found[2]
        if name in PLACEHOLDERS:
            return f"{found[0]} is taken as it is written; write ${{{name}}} for what differs between releases"
    if matcher.op in (MatchOp.EQUAL, MatchOp.NOT_EQUAL) and _LIKE_REGEX.search(matcher.value):
        return (
            f"{matcher.value!r} is a regular expression, which Equal and NotEqual compare letter by letter; write op: "
            "Regex or NotRegex (and escape what is meant as it is)"
        )
    return None


def _name_faults(path: str, series: Series) -> Iterator[Fault]:
    if _RECORDED_RATE.search(series.name):
        yield fault(
            f"{path}.name",
            f"{series.name} is a recorded rate by its name, and counters are added up here; name the counter itself",
        )
    bucket = series.name.endswith("_bucket") and path.rpartition(".")[2] != "buckets"
    if bucket and not any(matcher.label == "le" for matcher in series.matchers):
        yield fault(
            f"{path}.matchers",
            f"each bucket of {series.name} holds those below it, so that events would count many times; match one le, "
            "or name the histogram's _count",
        )


def _metric_faults(metric: Metric, where: str) -> Iterator[Fault]:
    match metric:
        case Ratio(bad=bad, total=total, apart=apart):
            yield from _ratio_faults(bad, total, f"{where}.ratio", apart=apart)
        case Quantile(buckets=buckets):
            yield from _bucket_faults(buckets, f"{where}.quantile.buckets")
        case Mean(total=total, count=count):
            if total.name.endswith("_count") and count.name.endswith("_sum"):
                yield fault(
                    f"{where}.mean", f"{total.name} and {count.name} are exchanged: sum is the _sum, count the _count"
                )
            elif total == count:
                yield fault(
                    f"{where}.mean.count",
                    "it is the same as sum, so that the mean is always 1; name the counter of observations",
                )
        case Cost(cost=cost, units=units):
            if cost == units:
                yield fault(
                    f"{where}.cost.units",
                    "it is the same as cost, so that each unit always costs 1; name the counter of units",
                )
        case _:
            return


def _ratio_faults(bad: Series, total: Series, where: str, *, apart: bool) -> Iterator[Fault]:
    if bad.name != total.name:
        return
    if set(bad.matchers) <= set(total.matchers):
        yield fault(
            f"{where}.bad.matchers",
            f"bad selects all that {'good' if apart else 'total'} selects, so that every event is bad; add the matcher "
            "that picks the bad ones, such as label code, op Regex, value 5..",
        )
        return
    for one in () if apart else total.matchers:
        if any(_disjoint(one, other) for other in bad.matchers):
            yield fault(
                f"{where}.total.matchers",
                f"total leaves out what bad counts (label {one.label}); take the matcher out, or write good instead of "
                "total",
            )


def _disjoint(one: Matcher, other: Matcher) -> bool:
    """Whether no label value fits both, as far as a plain value tells."""
    if one.label != other.label or one.label == "le" or "${" in one.value + other.value:
        return False
    for plain, matcher in ((one, other), (other, one)):
        if plain.op is MatchOp.EQUAL and matcher.op in (MatchOp.EQUAL, MatchOp.REGEX):
            if matcher.op is MatchOp.EQUAL:
                return plain.value != matcher.value
            try:
                return re.fullmatch(matcher.value, plain.value) is None
            except re.error:
                return False
    return False


def _bucket_faults(buckets: Series, where: str) -> Iterator[Fault]:
    if ":" not in buckets.name and not buckets.name.endswith("_bucket"):
        base = re.sub(r"_(count|sum)$", "", buckets.name)
        yield fault(
            f"{where}.name", f"{buckets.name} holds no buckets; name the classic histogram's own, {base}_bucket"
        )
    for index, matcher in enumerate(buckets.matchers):
        if matcher.label == "le":
            yield fault(f"{where}.matchers[{index}]", "all buckets are read, up to +Inf; take the matcher on le out")


def _unit_faults(parts: tuple[Placed, ...], unit: str | None, where: str) -> Iterator[Fault]:
    meant = _UNIT_OF.get((unit or "").strip().lower())
    for path, series in parts:
        found = _UNIT_IN_NAME.search(series.name)
        if meant is None or found is None or path not in ("quantile.buckets", "mean.sum"):
            continue
        named = _UNITS.get(found[1], found[1])
        if named != meant:
            message = f"{unit} is written, and {series.name} is in {named} by its name, so that bounds would be far off"
            yield fault(f"{where}.unit", f"{message}; write {named}, and bounds in it")
