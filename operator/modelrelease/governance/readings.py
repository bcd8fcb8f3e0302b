"""A measurement as it is judged: its figure and, where confidence is asked, the bounds that hold with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

from modelrelease.domain.entry import EntryOutcome
from modelrelease.domain.offline import Measurement
from modelrelease.governance.intervals import lower_bound, upper_bound

MOST_CLAUSES = 8
"""So many faults a sentence names: a status, an event and a record have an end."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The figure, and the bounds that it is judged by (the figure itself where no confidence is asked)."""

    figure: Decimal
    low: Decimal
    high: Decimal


def reading(measured: Measurement, confidence: str | None, *, tails: int = 1) -> Reading | str:
    """Read a measurement; a sentence where it does not say enough.

    `tails`: among how many bounds the error is shared. An interval that its producer states counts where it has the
    confidence that is asked at least (and shares its error between two bounds already).
    """
    figure = measured.figure
    if not figure.is_finite():
        return f"{measured.name} was measured on no case"
    if confidence is None:
        return Reading(figure, figure, figure)
    error = (1 - Decimal(confidence)) / tails
    if measured.count is not None and measured.total:
        bounds = (
            lower_bound(measured.count, measured.total, float(error)),
            upper_bound(measured.count, measured.total, float(error)),
        )
        return Reading(figure, *(Decimal(repr(bound)) for bound in bounds))
    given = measured.interval
    needed = 1 - 2 * error if tails > 1 else Decimal(confidence)
    if given is None or Decimal(given.confidence) < needed:
        return (
            f"{measured.name} has neither counts nor an interval with {percent(needed)} confidence: "
            "submit count and total, or such an interval"
        )
    return Reading(figure, Decimal(given.lower), Decimal(given.upper))


def within(read: Reading, minimum: str | None, maximum: str | None) -> EntryOutcome:
    """Fail where the figure breaks a bound, Pass where the confidence bounds keep it too, else Undecided."""
    least = Decimal(minimum) if minimum is not None else None
    most = Decimal(maximum) if maximum is not None else None
    if (least is not None and read.figure < least) or (most is not None and read.figure > most):
        return EntryOutcome.FAIL
    if (least is not None and read.low < least) or (most is not None and read.high > most):
        return EntryOutcome.UNDECIDED
    return EntryOutcome.PASS


def worst(outcomes: "list[EntryOutcome]") -> EntryOutcome:
    """Fail, then Missing, then Undecided, then Pass."""
    order = (EntryOutcome.FAIL, EntryOutcome.MISSING, EntryOutcome.UNDECIDED, EntryOutcome.PASS)
    return next(outcome for outcome in order if outcome in outcomes)


def listed(clauses: Iterable[str]) -> str:
    """What is wrong, each once; where that is much, the first of it and how much more there is."""
    found = tuple(dict.fromkeys(clauses))
    more = f"; and {len(found) - MOST_CLAUSES:,} more" if len(found) > MOST_CLAUSES else ""
    return "; ".join(found[:MOST_CLAUSES]) + more


def number(value: Decimal, rounding: str = ROUND_HALF_EVEN) -> str:
    """A figure for people: four significant digits, no exponent."""
    rounded = Context(prec=4, rounding=rounding).plus(value)
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def at_least(value: Decimal) -> str:
    """A lower bound in words, rounded to the side that claims less."""
    return f"at least {number(value, ROUND_FLOOR)}"


def at_most(value: Decimal) -> str:
    """An upper bound in words, rounded to the side that claims less."""
    return f"at most {number(value, ROUND_CEILING)}"


def percent(share: Decimal) -> str:
    """A share as a percent: 0.95 → `95 %`."""
    return f"{number(share * 100)} %"


def counted(measured: Measurement) -> str:
    """The figure with what it was counted from: `0.913 (1,095 of 1,200)`."""
    unit = f" {measured.unit}" if measured.unit else ""
    text = number(measured.figure) + unit
    if measured.count is not None:
        return f"{text} ({measured.count:,} of {measured.total:,})"
    return f"{text} (on {measured.total:,} cases)" if measured.total else text
