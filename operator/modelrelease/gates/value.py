"""Gates on one PromQL sample: inside its absolute bounds or not.

There is no law to test against, so three breaches in a row say revert and one sample inside says pass; a breach that
is not the third in a row says neither. Samples are told apart by their time: the same scrape read twice counts once.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from modelrelease.domain.evidence import Cause, Problem, Stratum
from modelrelease.domain.gate import Absolute, Rule
from modelrelease.domain.habit import Habit
from modelrelease.domain.verdict import Outcome
from modelrelease.gates.machine import Bars, Numbers
from modelrelease.gates.words import count, number

BREACHES = 3
"""Samples outside the bounds in a row that mean revert."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The newest sample (None: none yet), when it was taken, and how many in a row lay outside, it included."""

    value: float | None = None
    taken_at: datetime | None = None
    breaches: int = 0
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class ValueMachine:
    """Absolute bounds, either of which may be missing."""

    maximum: float | None
    minimum: float | None

    def start(self, habit: Habit | None = None) -> Sample:
        """No sample yet."""
        return Sample()

    def update(self, state: Sample, stratum: Stratum) -> Sample:
        """Strata say nothing about a value."""
        return state

    def sample(self, state: Sample, value: float, taken_at: datetime | None) -> Sample:
        """Take one sample in. NaN and infinities are trouble and leave the row of breaches as it was."""
        if not math.isfinite(value):
            return Sample(state.value, state.taken_at, state.breaches, f"the sample is {value}, not a finite number")
        if taken_at is not None and taken_at == state.taken_at:
            return Sample(state.value, state.taken_at, state.breaches)
        return Sample(value, taken_at, state.breaches + 1 if self._breached(value) else 0)

    def log_revert(self, state: Sample) -> float:
        """Certainty after BREACHES breaches in a row, nothing before."""
        return math.inf if state.breaches >= BREACHES else -math.inf

    def log_pass(self, state: Sample) -> float:
        """Certainty while the newest sample is inside."""
        return math.inf if state.value is not None and not state.breaches else -math.inf

    def problem(self, state: Sample) -> Problem | None:
        """A sample that is no number."""
        return None if state.trouble is None else Problem(Cause.BROKEN, state.trouble)

    def compared(self, state: Sample) -> bool:
        """A value needs no stable arm."""
        return True

    def numbers(self, state: Sample) -> Numbers:
        """The sample and the breaches in a row."""
        value = () if state.value is None else (("value", state.value),)
        return (*value, ("breaches", float(state.breaches)))

    def sentence(self, state: Sample, outcome: Outcome, bars: Bars) -> str:
        """The sample, the bounds, and the breaches in a row."""
        if state.value is None:
            return "no sample yet"
        bounds = [f"at most {number(self.maximum)}"] if self.maximum is not None else []
        bounds += [f"at least {number(self.minimum)}"] if self.minimum is not None else []
        said = f"{number(state.value)}, {' and '.join(bounds)} allowed"
        if not state.breaches:
            return said
        return f"{said}; breach {count(state.breaches)} in a row, {BREACHES} mean revert"

    def _breached(self, value: float) -> bool:
        over = self.maximum is not None and value > self.maximum
        return over or (self.minimum is not None and value < self.minimum)


def value_machine(rule: Rule) -> ValueMachine:
    """The machine for one value; raises ValueError for a comparison, which one sample cannot make."""
    if not isinstance(rule, Absolute):
        raise ValueError("a value gate has absolute bounds only")
    return ValueMachine(
        None if rule.maximum is None else float(rule.maximum), None if rule.minimum is None else float(rule.minimum)
    )
