"""Numbers as people read them in a verdict's sentence. Bounds are rounded to the side that claims less."""

import math


def count(value: float) -> str:
    """A count with thousands separators: 60950 → `60,950`; fractions of events keep one decimal."""
    return f"{value:,.0f}" if value == math.floor(value) else f"{value:,.1f}"


def number(value: float) -> str:
    """A figure with three significant digits and no exponent where one can be avoided."""
    return _plain(f"{value:.3g}", value)


def at_least(value: float) -> str:
    """A lower bound, rounded down to three significant digits."""
    return _rounded(value, up=False)


def at_most(value: float) -> str:
    """An upper bound, rounded up to three significant digits."""
    return _rounded(value, up=True)


def above(bound: str, allowed: str, sure: str) -> str:
    """What a refuted maximum says; a bound that reads like what is allowed is not said twice."""
    if bound == allowed:
        return f"above the {allowed} allowed {sure}"
    return f"at least {bound} {sure}, {allowed} allowed"


def below(bound: str, demanded: str, sure: str) -> str:
    """What a refuted minimum says."""
    if bound == demanded:
        return f"below the {demanded} demanded {sure}"
    return f"at most {bound} {sure}, {demanded} demanded"


def percent(share: float) -> str:
    """A share as it was written in a rule: 0.05 → `5 %`."""
    return f"{float(f'{100 * share:.6g}'):g} %"


def confidence(error: float) -> str:
    """One minus an error probability: 0.01 → `99 %`."""
    return percent(1 - error)


def _rounded(value: float, *, up: bool) -> str:
    if value == 0 or not math.isfinite(value):
        return number(value)
    digits = 2 - math.floor(math.log10(abs(value)))
    scaled = value * 10.0**digits
    nearest = round(scaled)
    # 1.5 · 100 may be 150.00000000000003: that is 1.5, not a reason to round up.
    whole = nearest if math.isclose(scaled, nearest, rel_tol=1e-9) else (math.ceil if up else math.floor)(scaled)
    return number(whole * 10.0**-digits)


def _plain(text: str, value: float) -> str:
    if "e" not in text:
        return text
    return f"{float(text):,.0f}" if abs(value) >= 1 else f"{float(text):.10f}".rstrip("0")
