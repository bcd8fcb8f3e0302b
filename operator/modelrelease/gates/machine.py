"""What judging one type of metric takes: the one shape that ratio, quantile, mean, cost and value have in common.

`judge.py` knows only this. A new metric type is one module with such a class and one `case` in `judge.machine_of`.
"""

import math
from dataclasses import dataclass
from typing import Protocol, TypeVar

from modelrelease.domain.evidence import Problem, Stratum
from modelrelease.domain.habit import Habit
from modelrelease.domain.verdict import Outcome

Numbers = tuple[tuple[str, float], ...]

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Bars:
    """What counts as enough evidence: E ≥ gates/alpha to revert, E ≥ 1/beta to pass."""

    alpha: float
    beta: float
    gates: int = 1

    @property
    def log_revert(self) -> float:
        """The natural logarithm of gates/alpha."""
        return math.log(self.gates / self.alpha)

    @property
    def log_pass(self) -> float:
        """The natural logarithm of 1/beta."""
        return -math.log(self.beta)


class Machine(Protocol[S]):
    """One metric type under one rule. Its state is a frozen dataclass that `codec` can write down."""

    def start(self, habit: Habit | None = None) -> S:
        """The state before any evidence; `habit`: how stable's bad events come, None where it is unknown."""

    def update(self, state: S, stratum: Stratum) -> S:
        """The state with one stratum more."""

    def log_revert(self, state: S) -> float:
        """Log E-value against "the candidate keeps the rule"."""

    def log_pass(self, state: S) -> float:
        """Log E-value against "the candidate breaks the rule", now."""

    def problem(self, state: S) -> Problem | None:
        """Why the newest stratum cannot be judged under this rule, or None."""

    def numbers(self, state: S) -> Numbers:
        """The figures behind the sentence."""

    def compared(self, state: S) -> bool:
        """Whether the arms have met: stable had events too (always True for absolute rules)."""

    def sentence(self, state: S, outcome: Outcome, bars: Bars) -> str:
        """The facts and what follows from them, without the gate's name and without a full stop."""
