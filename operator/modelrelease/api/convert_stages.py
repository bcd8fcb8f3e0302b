"""`spec.strategy.stages` to stages: exposure as a whole vector over the segments, and the defaults of R14.

The checks repeat what the API server's rules refuse, because an object can be older than the rules.
"""

import itertools
from collections.abc import Iterator, Sequence

from modelrelease.api.faults import fault
from modelrelease.api.quantities import permille_of, seconds_of
from modelrelease.api.release_strategy import ExposureSpec, StageSpec
from modelrelease.domain.exposure import FULL_PERMILLE, REST, Exposure
from modelrelease.domain.plan import AtMaxDuration, Require, Stage, StageType
from modelrelease.domain.release import Fault

LOW_CRITICALITY = "low-criticality"
"""The segment that the default path starts with, where it is declared (R14)."""

DEFAULT_MIN_DURATION_S = 300
DEFAULT_MIN_SAMPLES = 100


def default_stages(segments: Sequence[str]) -> list[StageSpec]:
    """The path of R14: 1 % (of low-criticality traffic, where that is a segment), 5, 20 and 100 %."""
    first = LOW_CRITICALITY if LOW_CRITICALITY in segments else None
    return [
        StageSpec(name="pilot", exposure=[ExposureSpec(segment=first, percent="1")]),
        StageSpec(name="mixed", exposure=[ExposureSpec(percent="5")]),
        StageSpec(name="broad", exposure=[ExposureSpec(percent="20")]),
        StageSpec(name="full", exposure=[ExposureSpec(percent="100")]),
    ]


def stages_of(specs: Sequence[StageSpec], segments: Sequence[str], *, gated: bool) -> tuple[Stage, ...]:
    """The stages with their defaults; `gated`: the release has gates, so that samples are needed."""
    stages = []
    full_before = False
    for index, spec in enumerate(specs):
        exposure = _exposure(spec.exposure, segments)
        is_full = spec.type is StageType.CANARY and all(share == FULL_PERMILLE for _, share in exposure.shares)
        last = index == len(specs) - 1
        default_require = Require.PROVEN if is_full and not full_before else Require.NO_HARM
        stages.append(
            Stage(
                name=spec.name,
                exposure=exposure,
                type=spec.type,
                min_duration_s=_min_duration(spec, last=last),
                max_duration_s=None if spec.max_duration is None else seconds_of(spec.max_duration),
                at_max_duration=spec.at_max_duration or AtMaxDuration.HOLD,
                min_samples=_min_samples(spec, last=last, gated=gated),
                require=spec.require or default_require,
                approvals=tuple(spec.approvals or ()),
            )
        )
        full_before = full_before or is_full
    return tuple(stages)


def _min_duration(spec: StageSpec, *, last: bool) -> int:
    if spec.min_duration is not None:
        return seconds_of(spec.min_duration)
    return 0 if last else DEFAULT_MIN_DURATION_S


def _min_samples(spec: StageSpec, *, last: bool, gated: bool) -> int:
    if spec.min_samples is not None:
        return spec.min_samples
    return 0 if last or not gated else DEFAULT_MIN_SAMPLES


def _exposure(entries: Sequence[ExposureSpec], segments: Sequence[str]) -> Exposure:
    """The whole vector: every declared segment in order, then the rest."""
    named = {entry.segment: permille_of(entry.percent) for entry in entries}
    default = named.get(None, 0)
    return Exposure((*((segment, named.get(segment, default)) for segment in segments), (REST, default)))


def stage_faults(specs: Sequence[StageSpec], segments: Sequence[str]) -> Iterator[Fault]:
    """What is wrong with single stages as written."""
    names = [spec.name for spec in specs]
    for index, spec in enumerate(specs):
        path = f"spec.strategy.stages[{index}]"
        if names.index(spec.name) < index:
            yield fault(f"{path}.name", f"another stage is called {spec.name} already; give each its own name")
        if spec.type is StageType.SHADOW:
            yield fault(
                f"{path}.type",
                "HTTPRoute routing cannot mirror requests to a candidate yet; remove the Shadow stage",
                "UnsupportedStage",
            )
        used = [entry.segment for entry in spec.exposure]
        if len(set(used)) < len(used):
            yield fault(f"{path}.exposure", "a segment is named twice; remove one of the entries")
        for place, segment in enumerate(used):
            if segment is not None and segment not in segments:
                yield fault(
                    f"{path}.exposure[{place}].segment",
                    f"segment {segment} is not declared; add it to spec.traffic.segments or correct the name",
                )
        if spec.at_max_duration and spec.max_duration is None:
            yield fault(f"{path}.atMaxDuration", "it says what happens when maxDuration is over; add maxDuration")
        if spec.max_duration and seconds_of(spec.max_duration) < seconds_of(spec.min_duration or "0s"):
            yield fault(f"{path}.maxDuration", "it is shorter than minDuration; raise it or lower minDuration")


def order_faults(stages: Sequence[Stage], segments: Sequence[str]) -> Iterator[Fault]:
    """Shares that do not rise from one stage to the next, and a last stage that is not everything (S5)."""
    path = "spec.strategy.stages"
    if stages[0].exposure.is_zero:
        yield fault(f"{path}[0].exposure", "it gives nothing to the candidate; raise its percent, or remove the stage")
    for index, (before, after) in enumerate(itertools.pairwise(stages), start=1):
        fallen = [name for name in (*segments, REST) if before.exposure.of(name) > after.exposure.of(name)]
        if fallen and before.type is after.type:
            names = " and ".join("the rest" if name == REST else name for name in fallen)
            yield fault(
                f"{path}[{index}].exposure",
                f"stage {after.name} gives less of {names} than {before.name} before it; raise its percent or lower "
                f"the "
                "earlier one",
            )
        if before.type is after.type and before.exposure == after.exposure:
            yield fault(
                f"{path}[{index}].exposure",
                f"stage {after.name} gives the same as {before.name} before it; raise its percent, or make one stage "
                "of the two",
            )
    if any(share != FULL_PERMILLE for _, share in stages[-1].exposure.shares):
        yield fault(
            f"{path}[{len(stages) - 1}].exposure", 'the last stage must give everything; write [{percent: "100"}]'
        )
