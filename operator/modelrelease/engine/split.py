"""Whether the data plane sends what the route says: a sample-ratio test on the request counters.

A sequential multinomial test with a Beta mixture over the true share (Lindon & Malek 2022), so that looking at each
tick does not raise false alarms. Smooth weighted round-robin is less random than the test assumes, which only makes
it slower to alarm. A fixed tolerance in percent was rejected: at 1 % it hides a share of zero.
"""

from collections.abc import Iterable
from math import lgamma, log

from modelrelease.domain.evidence import SplitCount
from modelrelease.domain.exposure import FULL_PERMILLE, REST, Exposure, percent

_ALPHA = 1e-4
_CONCENTRATION = 1.0
_SLACK_REQUESTS = 110
"""A deterministic weighted scheduler starts with stable after each reload: at 1 % its first 99 requests (Traefik).

Also, requests that began before a change are counted when they end. It excuses too few candidate answers and never
makes them too many.
"""


def misfit(exposure: Exposure, counts: Iterable[SplitCount]) -> str | None:
    """One sentence when the realised split of a segment cannot come from the intended one, else None."""
    for count in counts:
        share = exposure.of(count.segment) / FULL_PERMILLE
        total = count.candidate + count.stable
        if total <= 0:
            continue
        if _implausible(share, count.candidate, count.stable):
            where = "the rest" if count.segment == REST else f"segment {count.segment}"
            return (
                f"the route says {percent(exposure.of(count.segment))} of {where}, but the candidate answered "
                f"{count.candidate:,.0f} of {total:,.0f} requests"
            )
    return None


def _implausible(share: float, candidate: float, stable: float) -> bool:
    if share <= 0.0:
        return candidate > _SLACK_REQUESTS and candidate > 0.005 * (stable + candidate)
    if share >= 1.0:
        return stable > _SLACK_REQUESTS and stable > 0.05 * (stable + candidate)
    if candidate < share * (candidate + stable):
        stable = max(stable - _SLACK_REQUESTS, candidate * (1 - share) / share)
    return _log_e(share, candidate, stable) >= log(1 / _ALPHA)


def _log_e(share: float, candidate: float, stable: float) -> float:
    a, b = _CONCENTRATION * share + 0.5, _CONCENTRATION * (1 - share) + 0.5
    mixture = _log_beta(a + candidate, b + stable) - _log_beta(a, b)
    return mixture - candidate * log(share) - stable * log(1 - share)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
