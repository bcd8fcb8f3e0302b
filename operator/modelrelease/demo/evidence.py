"""When the evidence for a revert was there, so that the time from evidence to revert can be measured from outside.

For failures: the first scrape in Prometheus that counts one, which may be up to a scrape interval after the first
failed answer, and some scrapes before there are enough of them to prove anything. For the rest (no single wrong answer
proves anything): the newest sample behind the verdict. The tick before was still undecided, so it was this scrape that
completed the evidence. Where the record of the revert does not name it, the newest scrape of the corrections that is
not younger than the verdict; the verdict may have been based on the one before, so that the time may come out up to
one scrape interval too short.

Rejected: the time of the verdict itself. It would leave out what reading and judging take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from modelrelease.demo.times import seconds
from modelrelease.demo.wire import failed, last_answer_s
from modelrelease.sandbox.kube import Json
from modelrelease.sandbox.load import Sample
from modelrelease.sandbox.models import call

LOOK_BACK_S = 300


def evidence_to_revert_s(
    prometheus_url: str, failures: str, *, version: str, samples: Sequence[Sample], reverted: Json
) -> float | None:
    """Seconds from the evidence to the candidate's last answer on the wire; None when either is unknown.

    `failures` picks the series in which Prometheus counts the candidate's, `reverted` is the body of the record of the
    revert.
    """
    last = last_answer_s(samples, version)
    first_failure = min((each.sent_at_s for each in samples if failed(each) and each.server == version), default=None)
    if not reverted or last is None:
        return None
    if first_failure is not None:
        seen = min((at for at in _scrapes(prometheus_url, failures) if at >= first_failure), default=None)
    else:
        seen = newest_sample_s(reverted)
        if seen is None:
            corrections = f'model_answers_total{{release="{reverted["stopped"]["revision"]}"}}'
            known = (at for at in _scrapes(prometheus_url, corrections) if at <= seconds(reverted["at"]))
            seen = max(known, default=None)
    return None if seen is None else last - seen


def newest_sample_s(reverted: Mapping[str, Any]) -> float | None:
    """The newest sample behind the verdict that said Revert, in seconds since the epoch; None when there is none."""
    moments = [
        seconds(verdict["newestSample"])
        for verdict in reverted.get("verdicts") or []
        if verdict["outcome"] == "Revert" and verdict.get("newestSample")
    ]
    return min(moments, default=None)


def _scrapes(prometheus_url: str, selector: str) -> list[float]:
    """When Prometheus saw the series above zero, in seconds since the epoch, not in order."""
    query = quote(f"{selector}[{LOOK_BACK_S}s]")
    found = call(f"{prometheus_url}/api/v1/query?query={query}")["data"]["result"]
    return [float(at) for series in found for at, value in series["values"] if float(value) > 0]
