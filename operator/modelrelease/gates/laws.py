"""How many bad events a window may hold: counts and their probabilities, few enough to bet on each."""

import math
from functools import lru_cache

POINTS = 9
"""Points of the grid of counts in each arm."""

MANY = 80.0
"""From this mean (times φ) on a count is taken by three points of the normal law instead of one by one."""


@lru_cache(maxsize=1024)
def grid(mean: float, phi: float) -> tuple[tuple[float, float], ...]:
    """Counts of one window and their probabilities, neighbours taken together at their mean; none is kept apart."""
    if mean <= 0:
        return ((0.0, 1.0),)
    if mean > MANY * phi:
        step = math.sqrt(3 * phi * mean)
        return ((mean - step, 1 / 6), (mean, 2 / 3), (mean + step, 1 / 6))
    law = law_of(mean, phi)
    found, rest = [(0.0, law[0])], 1 - law[0]
    mass = total = 0.0
    for bad, weight in enumerate(law[1:], 1):
        mass, total = mass + weight, total + bad * weight
        if mass >= rest / (POINTS - 1) or bad == len(law) - 1:
            found.append((total / mass, mass))
            mass = total = 0.0
    return tuple(found)


def law_of(mean: float, phi: float) -> list[float]:
    """Probabilities of 0, 1, 2 … bad events: Poisson for φ = 1, else negative binomial with variance φ·mean."""
    more = max(0.0, 1 - 1 / phi)
    size = mean / (phi - 1) if more else 0.0
    weight, left = (math.exp(-size * math.log(phi)) if more else math.exp(-mean)), 1.0
    found: list[float] = []
    while left > 1e-9 and len(found) < 4000:
        found.append(weight)
        left -= weight
        weight *= (more * (len(found) - 1 + size) if more else mean) / len(found)
    return found
