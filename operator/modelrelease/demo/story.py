"""What is played: four releases, the path that each takes, the gates that judge it and how it should end.

Data only. Rejected: a path per release; the point is that one plan lets the good one through and stops the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

LOW_FRACTION = 0.5
RATE_PER_S = 200.0
NAMESPACE = "shop"
NAME = "digits"

PROMPTS: Mapping[str, str] = MappingProxyType(
    {
        "1": "# Look at the picture as it is.\nlook: grey\n",
        "2": "# Black and white, so that faint strokes count like strong ones.\nlook: ink\ninkFrom: 4\n",
    }
)
"""What the model is told, by version; see `instruction`."""


class Outcome(StrEnum):
    """How a release may end."""

    COMPLETED = "Completed"
    REVERTED = "Reverted"


@dataclass(frozen=True, slots=True)
class Chapter:
    """One release: a unit of `model` ("": the model of its own version) and `prompt`.

    `fails_in`: the stage in which half of its answers turn into 500s, "" for never.
    """

    version: str
    title: str
    expected: Outcome
    model: str = ""
    prompt: str = "1"
    fails_in: str = ""

    @property
    def served_by(self) -> str:
        """The version of the model that answers."""
        return self.model or self.version

    @property
    def is_prompt_alone(self) -> bool:
        """Whether it runs in the process, and behind the Service, that stable has."""
        return bool(self.model)


BASELINE = Chapter("v1", "what serves already", Outcome.COMPLETED)

CHAPTERS = (
    Chapter("v2", "a better model", Outcome.COMPLETED),
    Chapter("v2.1", "the same model, only the prompt is new", Outcome.REVERTED, model="v2", prompt="2"),
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


def _gates(errors: str, latency: str, slowest_s: str) -> tuple[dict[str, Any], ...]:
    """The same limits, whoever counts errors and seconds; people count what is wrong."""
    return (
        {"name": "errors", "template": errors, "against": "Stable", "maxRatio": "1.5", "floor": "0.01"},
        {"name": "errors-absolute", "template": errors, "max": "0.05"},
        {"name": "wrong-answers", "template": "wrong-answers", "against": "Stable", "maxRatio": "1.5"},
        {"name": "latency", "template": latency, "max": slowest_s},
    )


SERVER_ERRORS, SERVER_LATENCY = "server-error-rate", "server-latency"
GATES = _gates("gateway-error-rate", "gateway-latency", "0.3")
PROMPT_GATES = _gates(SERVER_ERRORS, SERVER_LATENCY, "0.25")
"""For a prompt alone: the gateway counts per Service, in which both arms are; the server counts per release."""


def spec_of(chapter: Chapter) -> dict[str, Any]:
    """What `Scene.release` is told beside the version."""
    prompt = {"version": chapter.prompt, "configMapRef": {"name": prompt_name(chapter.prompt)}}
    return {
        "backend": f"{NAME}-{chapter.served_by}",
        "unit": {"model": {"name": NAME, "version": chapter.served_by}, "prompt": prompt},
        "stages": STAGES,
        "gates": PROMPT_GATES if chapter.is_prompt_alone else GATES,
        "traffic": {"requestsTemplate": SERVER_ERRORS} if chapter.is_prompt_alone else {},
    }


def prompt_name(version: str) -> str:
    """The ConfigMap of a version of the prompt."""
    return f"{NAME}-prompt-{version}"
