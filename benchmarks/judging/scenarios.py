"""What is simulated: noise laws, traffic, stages and regressions. All numbers that a reader may doubt are here.

Every release goes through three stages of an hour at 1, 5 and 20 %, looked at every 15 s, which is the default scrape
interval and so the operator's tick. Six hours of stable's history go before it. Stable's base rate of errors is 1 %.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TICK_S = 15
STAGE_S = 3600
WEIGHTS = (0.01, 0.05, 0.20)
HISTORY_S = 6 * 3600
BASE = 0.01

STAGE_TICKS = STAGE_S // TICK_S
TICKS = STAGE_TICKS * len(WEIGHTS)
HISTORY_TICKS = HISTORY_S // TICK_S
WEIGHT = np.repeat(WEIGHTS, STAGE_TICKS)
LATE_TICK = 3 * STAGE_TICKS // 2
"""A late regression begins in the middle of the second stage."""

REQUESTS_PER_S = (5, 50, 500)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One noise law. Rates are of errors per request; everything holds for both arms alike."""

    name: str
    says: str
    burst: float = 1.0
    """Mean number of errors in a burst, geometric; an errand that fails is retried, so the requests come with it."""
    spread_s: int = 0
    """Over how many seconds a burst's errors are spread, uniformly; 0: they come at once."""
    incidents_per_h: float = 0.0
    """Incidents that both arms share: four times the base rate (under the absolute bound) for 3 to 10 minutes."""
    drift: bool = False
    """The base rate rises from 0.5 to 2 % over the three stages, for both arms."""
    shared: float = 0.0
    own: float = 0.0
    """Standard deviation of the log rate, which wanders (Ornstein-Uhlenbeck) in both arms together, or each alone."""
    memory_s: float = 300.0
    """The wandering's correlation time."""


SCENARIOS = (
    Scenario("independent", "independent errors"),
    Scenario("bursts-3", "bursts of 3 on average, each at once", burst=3),
    Scenario("bursts-10", "bursts of 10 on average, each at once", burst=10),
    Scenario("bursts-3-spread", "bursts of 3 on average, spread over three minutes", burst=3, spread_s=180),
    Scenario("bursts-10-spread", "bursts of 10 on average, spread over three minutes", burst=10, spread_s=180),
    Scenario("incidents", "an incident per hour that both arms share, four times the errors", incidents_per_h=1),
    Scenario("drift", "the base rate drifts from 0.5 to 2 %", drift=True),
    Scenario("wander-shared", "the base rate wanders by a quarter within five minutes, for both arms", shared=0.25),
    Scenario("wander-own", "each arm's rate wanders by a quarter within five minutes, by itself", own=0.25),
)


@dataclass(frozen=True, slots=True)
class Regression:
    """What is wrong with a candidate: `ratio` times the errors, or `failing` of all its requests, from `onset` on."""

    name: str
    ratio: float = 1.0
    failing: float = 0.0
    onset: int = 0

    @property
    def is_null(self) -> bool:
        """Whether nothing is wrong."""
        return self.ratio == 1 and not self.failing


NONE = Regression("none")
_FROM_START = (
    Regression("1.5x", ratio=1.5),
    Regression("2x", ratio=2.0),
    Regression("5x", ratio=5.0),
    Regression("50%", failing=0.5),
)
REGRESSIONS = (
    *_FROM_START,
    *(Regression(f"{each.name} late", each.ratio, each.failing, LATE_TICK) for each in _FROM_START),
)
