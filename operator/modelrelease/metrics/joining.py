"""Many raw expressions as one query, each answer marked with whose it is.

Typed metrics share a query because their selectors can be merged; expressions of any form cannot, but their answers
can: each gets a label of its own and `or` puts them side by side. Rejected: a query per gate, which grows with the
number of releases.
"""

from collections.abc import Sequence

from modelrelease.metrics import promql
from modelrelease.metrics.answers import RawSeries, Samples

LABEL = "modelrelease_part"
MAX_QUERIES = 8
"""So many joined queries a tick at most, unless Prometheus refuses or is too slow for them."""

FEW = 50
"""Up to so many expressions one query will do."""


def split(texts: Sequence[str], parts: int) -> list[tuple[str, ...]]:
    """The texts in few batches of about equal size; `parts` asks for at least so many."""
    if not texts:
        return []
    number = max(parts, min(MAX_QUERIES, -(-len(texts) // FEW)))
    size = -(-len(texts) // number)
    return [tuple(texts[start : start + size]) for start in range(0, len(texts), size)]


def join(texts: Sequence[str]) -> str:
    """One query that answers all texts, which must be valid and in need of no more matchers."""
    return " or ".join(
        f'label_replace({_vector(text)}, "{LABEL}", "{index}", "", "")' for index, text in enumerate(texts)
    )


def separate(answer: Samples, count: int) -> tuple[Samples, ...]:
    """The answer of each of `count` joined texts, as it would have been by itself."""
    found: list[list[RawSeries]] = [[] for _ in range(count)]
    for series in answer.series:
        labels = dict(series.labels)
        found[int(labels.pop(LABEL))].append(RawSeries(labels, series.points))
    return tuple(Samples(tuple(each)) for each in found)


def _vector(text: str) -> str:
    return f"vector({text})" if promql.gives_scalar(text) else text
