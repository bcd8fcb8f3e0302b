"""What a forecast means for the plan, in words: a verdict per stage, and what to change where a stage is too short."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from modelrelease.gates.planning import Forecast, Need, StageForecast, Sufficiency
from modelrelease.gates.regressions import Worse
from modelrelease.gates.words import count, number

_STEPS = ((120.0, 10.0), (5400.0, 60.0), (6 * 3600.0, 600.0), (2 * 86400.0, 3600.0), (math.inf, 86400.0))
"""Times up to the first figure are rounded up to the second, in seconds: nobody needs 3 h 17 min 12 s of a forecast."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A stage that is too short: the field that says so, and a sentence with the numbers and the mend."""

    stage: str
    field: str
    message: str


def shortfalls(forecast: Forecast) -> tuple[Shortfall, ...]:
    """All stages that are too short, in order."""
    return tuple(short for stage in forecast.stages for short in _shortfalls(stage))


def unknowns(forecast: Forecast) -> tuple[str, ...]:
    """Why stages cannot be told to be long enough, each reason once."""
    stages = [stage for stage in forecast.stages if stage.sufficiency is Sufficiency.UNKNOWN]
    return tuple(dict.fromkeys(_why(need) for stage in stages for need in stage.problems))


def verdict(stage: StageForecast) -> str:
    """The verdict on one stage: "too short: needs about 3 h 20 min, maxDuration 1 h"."""
    match stage.sufficiency:
        case Sufficiency.TOO_SHORT:
            longest = max(need.seconds or 0.0 for need, _ in _lacking(stage))
            most_s = stage.stage.max_duration_s
            limit = f"maxDuration {about(most_s)}" if most_s is not None else "no maxDuration ends it"
            return f"too short: needs {roughly(longest)}, {limit}"
        case Sufficiency.EARLY:
            shows = f"{_least(stage).words} shows after {roughly(stage.sight.seconds)}"
            return f"goes on after {about(stage.leaves_s)}; {shows}"
        case Sufficiency.UNKNOWN:
            gates = ", ".join(dict.fromkeys(need.gate for need in stage.problems if need.gate))
            notes = [need.note for need in stage.problems if not need.gate]
            return f"unknown: {'; '.join([*notes, *([f'too little is known of {gates}'] if gates else [])])}"
        case Sufficiency.ENOUGH:
            return "enough"


def _why(need: Need) -> str:
    return f"gate {need.gate}: {need.note}" if need.gate else need.note


def about(seconds: float | None) -> str:
    """A time as people say it, rounded up: 11900 → `3 h 20 min`; `never` for infinite ones, `–` for none."""
    if seconds is None:
        return "–"
    if math.isinf(seconds):
        return "never"
    whole = _rounded(seconds)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if whole < 120:
        return f"{whole} s"
    if whole < 5400 and whole % 3600:
        return f"{whole // 60} min"
    if days >= 2:
        return f"{days} days"
    hours += 24 * days
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def roughly(seconds: float | None) -> str:
    """As `about`, for the middle of a sentence: "about 3 h 20 min", "more than 90 days"."""
    if seconds is not None and math.isinf(seconds):
        return "more than 90 days"
    return f"about {about(seconds)}"


def duration(seconds: float) -> str:
    """A duration to write into a manifest that is at least so long: 11900 → `3h20m`."""
    whole = _rounded(max(seconds, 1.0))
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount)


def _rounded(seconds: float) -> int:
    step = next(step for most, step in _STEPS if seconds <= most) if seconds > 10 else 1.0
    return int(step * math.ceil(seconds / step - 1e-9))


def _least(stage: StageForecast) -> Worse:
    """The least regression that the slowest gate looks for."""
    gate = next((gate for gate in stage.gates if gate.sight == stage.sight), None)
    return (
        next((worse for worse, need in gate.sees.items() if need == stage.sight), Worse.TWICE) if gate else Worse.TWICE
    )


def _lacking(stage: StageForecast) -> list[tuple[Need, str]]:
    """The needs that the stage cannot have, with what each is."""
    most_s = math.inf if stage.stage.max_duration_s is None else stage.stage.max_duration_s
    found = [(stage.samples, "samples")]
    if stage.proof_needed:
        found.append((stage.proof, "proof"))
    if not math.isinf(most_s):
        found.append((stage.sight, "sight"))
    return [(need, what) for need, what in found if need.seconds is not None and not need.seconds <= _finite(most_s)]


def _finite(seconds: float) -> float:
    return seconds if math.isfinite(seconds) else 1e12


def _shortfalls(stage: StageForecast) -> Iterator[Shortfall]:
    name, path = stage.stage.name, f"spec.strategy.stages[{stage.index}]"
    most_s = stage.stage.max_duration_s
    ends = f"and may last {about(most_s)}" if most_s is not None else "and nothing ends it"
    for need, what in _lacking(stage):
        seconds = need.seconds or 0.0
        longer = f"raise it to {duration(seconds)}, " if math.isfinite(seconds) and most_s is not None else ""
        match what:
            case "samples":
                rate = stage.candidate_per_s or 0.0
                fewer = f", or lower minSamples to {count(math.floor(rate * most_s))}" if most_s is not None else ""
                yield Shortfall(
                    name,
                    f"{path}.minSamples",
                    f"stage {name} gets its {stage.stage.min_samples:,} requests after {roughly(seconds)}, at "
                    f"{number(rate)} requests/s on the candidate, {ends}; raise maxDuration to {duration(seconds)}"
                    f"{fewer}",
                )
            case "proof":
                yield Shortfall(
                    name,
                    f"{path}.maxDuration",
                    f"stage {name} needs {roughly(seconds)} until gate {need.gate} passes a candidate that equals "
                    f"stable, as the next stage requires, {ends}; {longer}give the stage a larger percent, widen the "
                    "margin or give the gate a floor",
                )
            case _:
                yield Shortfall(
                    name,
                    f"{path}.maxDuration",
                    f"stage {name} needs {roughly(seconds)} until gate {need.gate} shows a candidate that is "
                    f"{_least(stage).words}, {ends}; {longer}or give the stage a larger percent",
                )
