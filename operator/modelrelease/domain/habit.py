"""How stable's bad events come, as its history shows it: found before the start, frozen there, and known to every test.

Where nothing is known the tests learn what they can on the way (`gates/dispersion.py`). `gates/windows.py` finds a
habit.
"""

from dataclasses import dataclass

INDEPENDENT = 1.25
"""Up to this φ bad events count as independent: a likelihood ratio at φ = 1.25 errs at α^(1/1.25), less than its
mixture gives away."""

HIGHEST_KNOWN = 12.0
"""A larger φ is hardly one of bursts but of a rate that wanders, which both arms may share; stakes would vanish."""

WANDERS = 30.0
"""From this φ on it is taken for a rate that wanders: bursts would have to be of more than fifteen events."""


@dataclass(frozen=True, slots=True)
class Habit:
    """`window_s`: for how long bad events stay correlated; 0: not from one tick to the next.

    `phi`: variance over mean of stable's bad events over that time: 1 when they are independent, 5 in bursts of about
    three; None where there is too little history to tell.
    """

    window_s: int
    phi: float | None

    @property
    def together(self) -> float:
        """φ as the tests use it: exactly 1 for independent events, and not above HIGHEST_KNOWN."""
        phi = self.phi or 1.0
        return 1.0 if phi <= INDEPENDENT else min(phi, HIGHEST_KNOWN)

    @property
    def wanders(self) -> bool:
        """Whether stable's rate seems to wander, rather than its bad events to come in bursts."""
        return (self.phi or 1.0) >= WANDERS
