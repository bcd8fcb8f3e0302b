"""Which histogram a bucket's series belongs to, and its bound; remembered, because each tick asks for the same ones."""

import math

from modelrelease.metrics.ledger import SeriesKey

_MOST = 200_000

_known: dict[SeriesKey, tuple[SeriesKey, float]] = {}


def without_le(key: SeriesKey) -> tuple[SeriesKey, float]:
    """A bucket's key without its bound, and the bound (NaN when it has none)."""
    known = _known.get(key)
    if known is None:
        if len(_known) > _MOST:
            _known.clear()
        bound = math.nan
        for label, value in key:
            if label == "le":
                try:
                    bound = float(value)
                except ValueError:
                    bound = math.nan
        known = _known[key] = (frozenset(pair for pair in key if pair[0] != "le"), bound)
    return known
