"""What is played: three releases, the path that each takes, the gates that judge it and how it should end.

Data only. Rejected: a path per release; the point is that one plan lets the good one through and stops the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LOW_FRACTION = 0.5
RATE_PER_S = 200.0
NAMESPACE = "shop"
NAME = "digits"
BASELINE = "v1"


class Outcome(StrEnum):
    """How a release may end."""

    COMPLETED = "Completed"
    REVERTED = "Reverted"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One release. `fails_in`: the stage in which half of its answers turn into 500s, "" for never."""

    version: str
    title: str
    expected: Outcome
    fails_in: str = ""


CHAPTERS = (
    Chapter("v2", "a better model", Outcome.COMPLETED),
    Chapter("v3", "a cheaper model that is wrong more often", Outcome.REVERTED),
    Chapter("v4", "a good model that starts to fail", Outcome.REVERTED, fails_in="broad"),
)

FAILS_AFTER_S = 3.0
FAILURE_FRACTION = 0.5

STAGES: tuple[dict[str, Any], ...] = (
    {
        "name": "pilot",
        "exposure": [{"segment": "low-criticality", "percent": "1"}],
        "minDuration": "7s",
        "minSamples": 3,
    },
    {"name": "mixed", "exposure": [{"percent": "5"}], "minDuration": "7s", "minSamples": 20},
    {"name": "broad", "exposure": [{"percent": "20"}], "minDuration": "6s", "minSamples": 100},
    {"name": "full", "exposure": [{"percent": "100"}], "minDuration": "2s", "require": "Proven"},
)

INTENDED_PERCENT = tuple(float(stage["exposure"][0]["percent"]) for stage in STAGES)

GATES: tuple[dict[str, Any], ...] = (
    {"name": "errors", "template": "gateway-error-rate", "against": "Stable", "maxRatio": "1.5", "floor": "0.01"},
    {"name": "errors-absolute", "template": "gateway-error-rate", "max": "0.05"},
    {"name": "wrong-answers", "template": "wrong-answers", "against": "Stable", "maxRatio": "1.5"},
    {"name": "latency", "template": "gateway-latency", "max": "0.3"},
)
