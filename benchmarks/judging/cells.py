"""One cell: a noise law at one traffic, judged by everybody, without and with each regression."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.figures import nearest_rank
from benchmarks.judging import rivals, wald
from benchmarks.judging.default import Pair, reverted_at
from benchmarks.judging.habits import habits, no_history
from benchmarks.judging.passing import passed
from benchmarks.judging.scenarios import LATE_TICK, NONE, REGRESSIONS, SCENARIOS, TICK_S, WEIGHTS, Regression, Scenario
from benchmarks.judging.traffic import Traffic, draw

ALPHA, BETA, GATES = 0.01, 0.05, 2
THRESHOLD = math.log(GATES / ALPHA)
CHUNK = 250
"""Releases that are simulated at once; each chunk has a seed of its own, so that results do not depend on it."""

DEFAULT = Pair(ratio=1.0, maximum=0.05)
"""What is compared with Wald's test: "no more errors than stable" and "at most 5 %". A margin of 1 makes the candidate
that is as good as stable the hardest one to let live, and everything worse a regression."""

SHIPPED = Pair(ratio=1.5, maximum=0.05, floor=0.01)
"""The pair of `sandbox.scene.default_gates`: a margin that leaves room."""

PASSING_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class Cell:
    """Where we are."""

    scenario: Scenario
    requests_per_s: int

    @property
    def name(self) -> str:
        """Such as bursts-3@50."""
        return f"{self.scenario.name}@{self.requests_per_s}"


CELLS = tuple(Cell(scenario, rate) for scenario in SCENARIOS for rate in (5, 50, 500))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one judge did with the releases of one kind: the tick after which it reverted (0: never), and how many
    requests the candidate had had since the onset."""

    tick: np.ndarray
    samples: np.ndarray


Judge = Callable[[Traffic, "Basis", Regression], np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """What judges share about a chunk: its scenario, and stable's habits as the operator would choose them."""

    scenario: Scenario
    ticks: np.ndarray
    phi: np.ndarray


def _default(pair: Pair, *, history: bool = True) -> Judge:
    def judge(traffic: Traffic, basis: Basis, wrong: Regression) -> np.ndarray:
        counts = (traffic.n_c, traffic.y_c, traffic.n_s, traffic.y_s)
        ticks, phi = (basis.ticks, basis.phi) if history else no_history(len(traffic.n_c))
        return reverted_at(pair, counts, ticks, phi, THRESHOLD)

    return judge


def _wald(traffic: Traffic, basis: Basis, wrong: Regression) -> np.ndarray:
    told = REGRESSIONS[1] if wrong.is_null else wrong
    return wald.detected_at(basis.scenario, traffic, told, THRESHOLD)


JUDGES: Mapping[str, Judge] = {
    "wald": _wald,
    "default": _default(DEFAULT),
    "default, no history": _default(DEFAULT, history=False),
    "shipped": _default(SHIPPED),
    "flagger": lambda traffic, basis, wrong: rivals.flagger(traffic),
    "argo": lambda traffic, basis, wrong: rivals.argo(traffic),
    "kayenta": lambda traffic, basis, wrong: rivals.kayenta(traffic),
}
"""Wald's test is told what is wrong; without a regression it looks for twice the errors. "default, no history" is the
default judge where Prometheus holds nothing of stable's past."""

FEW = ("shipped",)
"""Who judges the first chunk only."""

PROVERS = ("default", "default, no history")
"""Who is asked whether it would pass a release."""


def run(cell: Cell, *, releases: int, worse: int, seed: int) -> dict[str, Any]:
    """Judge `releases` good releases and `worse` of each regression: the cells of the report, one for each judge."""
    rate = cell.requests_per_s
    null, proven = _releases(cell, NONE, releases, seed)
    found = {wrong.name: _releases(cell, wrong, worse, seed) for wrong in REGRESSIONS}
    margin = next(wrong.name for wrong in REGRESSIONS if wrong.ratio == PASSING_MARGIN)
    cells = [
        {
            "scenario": cell.name,
            "says": f"{cell.scenario.says}; {rate} requests/s",
            "judge": judge,
            "alpha": ALPHA,
            "releases": len(null[judge].tick),
            "false_reverts": int(np.count_nonzero(null[judge].tick)),
            "detect": {name: _detection(each[0][judge], each[0]["wald"], name) for name, each in found.items()},
        }
        for judge in JUDGES
    ]
    passing = [_passing(cell, judge, (worse, found[margin][1][judge]), (releases, proven[judge])) for judge in PROVERS]
    return {"cells": cells, "passing": passing}


Proofs = tuple[int, list[float], list[int]]
"""How many releases ever passed, after how many minutes, and how many passed at the end of each stage."""


def _passing(cell: Cell, judge: str, at_margin: tuple[int, Proofs], good: tuple[int, Proofs]) -> dict[str, Any]:
    """What a judge passes of so many releases at the margin, and of so many that are as good as stable."""
    ever, minutes, _ = good[1]
    return {
        "scenario": cell.name,
        "judge": judge,
        "beta": BETA,
        "margin": PASSING_MARGIN,
        "at_margin": {
            "releases": at_margin[0],
            "passed_ever": at_margin[1][0],
            "passed_at_stage_ends": at_margin[1][2],
        },
        "as_good_as_stable": {
            "releases": good[0],
            "passed_ever": ever,
            "minutes_p50": round(nearest_rank(minutes, 0.5), 1) if ever * 2 > good[0] else None,
        },
    }


def _releases(cell: Cell, wrong: Regression, releases: int, seed: int) -> tuple[dict[str, Found], dict[str, Proofs]]:
    """What all judges say of so many releases, and how many the product would pass."""
    ticks: dict[str, list[np.ndarray]] = {judge: [] for judge in JUDGES}
    samples: dict[str, list[np.ndarray]] = {judge: [] for judge in JUDGES}
    proofs: dict[str, Proofs] = {judge: (0, [], [0] * len(WEIGHTS)) for judge in PROVERS}
    for chunk, start in enumerate(range(0, releases, CHUNK)):
        rng = np.random.default_rng([seed, SCENARIOS.index(cell.scenario), cell.requests_per_s, _number(wrong), chunk])
        traffic = draw(rng, cell.scenario, cell.requests_per_s, min(CHUNK, releases - start), wrong)
        basis = Basis(cell.scenario, *habits(traffic.before_n, traffic.before_y))
        for name, judge in JUDGES.items():
            if chunk and name in FEW:
                continue
            tick = judge(traffic, basis, wrong)
            ticks[name].append(tick)
            samples[name].append(_requests(traffic, tick, wrong))
        if wrong.is_null or (wrong.ratio == PASSING_MARGIN and not wrong.onset):
            unknown = no_history(len(traffic.n_c))
            for name, habit in zip(PROVERS, ((basis.ticks, basis.phi), unknown), strict=True):
                proofs[name] = _proven(traffic, habit, proofs[name])
    return {name: Found(np.concatenate(ticks[name]), np.concatenate(samples[name])) for name in JUDGES}, proofs


def _proven(traffic: Traffic, habit: tuple[np.ndarray, np.ndarray], before: Proofs) -> Proofs:
    """What was passed, with these releases too."""
    ever, minutes, ends = before
    first, at_ends = passed(traffic, *habit, PASSING_MARGIN, math.log(1 / BETA))
    passes = [float(tick) * TICK_S / 60 for tick in first if tick]
    return ever + len(passes), minutes + passes, [a + int(b) for a, b in zip(ends, at_ends, strict=True)]


def _number(wrong: Regression) -> int:
    return 0 if wrong.is_null else 1 + REGRESSIONS.index(wrong)


def _requests(traffic: Traffic, tick: np.ndarray, wrong: Regression) -> np.ndarray:
    """The candidate's requests from the onset up to the given tick; infinite where it is 0."""
    sums = np.concatenate([np.zeros((len(tick), 1)), np.cumsum(traffic.n_c, axis=1)], axis=1)
    rows = np.arange(len(tick))
    return np.where(tick > 0, sums[rows, tick] - sums[rows, np.minimum(wrong.onset, tick)], np.inf)


def _detection(found: Found, limit: Found, name: str) -> dict[str, Any]:
    """The median over the releases that were found, and Wald's requests at the same rank of all releases.

    Releases that were reverted before a late onset are no detections and are left out.
    """
    onset = LATE_TICK if name.endswith("late") else 0
    honest = (found.tick == 0) | (found.tick > onset)
    samples = found.samples[honest]
    ticks = np.where(found.tick > 0, found.tick - onset, 0)[honest]
    detected = np.isfinite(samples)
    if not detected.any():
        return {"detected": 0.0, "samples_p50": None, "ratio_to_wald": None, "minutes_p50": None}
    median = nearest_rank(samples[detected], 0.5)
    rank = detected.mean() / 2
    least = nearest_rank(limit.samples, rank)
    return {
        "detected": round(float(detected.mean()), 4),
        "samples_p50": round(median),
        "ratio_to_wald": round(median / least, 3) if math.isfinite(least) and least > 0 else None,
        "minutes_p50": round(nearest_rank(ticks[detected], 0.5) * TICK_S / 60, 2),
    }
