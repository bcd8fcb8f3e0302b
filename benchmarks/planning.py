"""How good forecasts of stage lengths are: how many simulated releases were decided by the time that was named.

python -m benchmarks.planning [--runs 80]          # build/bench/planning.json, half a minute
"""

import argparse
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.figures import write
from modelrelease.domain.evidence import Evidence, Stratum, Tally
from modelrelease.domain.exposure import REST, Exposure
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Ratio, Rule, Series
from modelrelease.domain.habit import Habit
from modelrelease.domain.plan import Plan, Stage
from modelrelease.domain.verdict import Outcome
from modelrelease.gates import judge
from modelrelease.gates.expected import Bursts
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.planning import forecast
from modelrelease.gates.regressions import Worse, worse_figure
from modelrelease.gates.traffic import Flow, GateTraffic, Measured

SETTINGS = JudgeSettings(alpha=0.01, beta=0.05, gates=2)
T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Setting:
    """A gate in traffic: requests/s, the candidate's share, stable's bad share, and bursts of so many bad events.

    `wander`: by how much the rate of both arms wanders together from window to window (standard deviation of its
    logarithm). `habit`: what is known of stable; None: nothing.
    """

    name: str
    rule: Rule
    rate: float
    share: float
    bad: float
    worse: Worse | None
    burst: float = 1.0
    window_s: float = 15.0
    wander: float = 0.0
    habit: Habit | None = None


RATIO = AgainstStable("1.5")
SETTINGS_TRIED = (
    Setting("2x, 20 %", RATIO, 50, 0.2, 0.01, Worse.TWICE),
    Setting("2x, 5 %", RATIO, 50, 0.05, 0.01, Worse.TWICE),
    Setting("2x, 20 %, bursts of 3", RATIO, 50, 0.2, 0.01, Worse.TWICE, 3.0),
    Setting("5x, 5 %", RATIO, 50, 0.05, 0.01, Worse.FIVE_TIMES),
    Setting("5x, 1 %", RATIO, 50, 0.01, 0.004, Worse.FIVE_TIMES),
    Setting("5x, 20 %, bursts of 3", RATIO, 50, 0.2, 0.01, Worse.FIVE_TIMES, 3.0),
    Setting("half, 20 %", RATIO, 50, 0.2, 0.01, Worse.HALF),
    Setting("half, 1 %", RATIO, 50, 0.01, 0.01, Worse.HALF),
    Setting("2x with floor, 5 %", AgainstStable("1.5", None, "0.01"), 50, 0.05, 0.004, Worse.TWICE),
    Setting("5x by difference, 5 %", AgainstStable(None, "0.01"), 50, 0.05, 0.01, Worse.FIVE_TIMES),
    Setting("2x the bound, 5 %", Absolute("0.05"), 50, 0.05, 0.01, Worse.TWICE),
    Setting("pass 1.5, 20 %", RATIO, 50, 0.2, 0.01, None),
    Setting("pass 1.5, 20 %, bursts of 3", RATIO, 50, 0.2, 0.01, None, 3.0),
    Setting("pass 2.0, 5 %", AgainstStable("2.0"), 50, 0.05, 0.01, None),
    Setting("pass by difference, 20 %", AgainstStable(None, "0.01"), 50, 0.2, 0.01, None),
    Setting("pass under a bound, 5 %", Absolute("0.02"), 50, 0.05, 0.01, None),
    Setting("2x, 20 %, known bursts of 3", RATIO, 50, 0.2, 0.01, Worse.TWICE, 3.0, 90.0, habit=Habit(90, 5.0)),
    Setting("5x, 5 %, known bursts of 3", RATIO, 50, 0.05, 0.01, Worse.FIVE_TIMES, 3.0, 90.0, habit=Habit(90, 5.0)),
    Setting("2x, 5 %, known to wander", RATIO, 500, 0.05, 0.01, Worse.TWICE, 1.0, 120.0, 0.286, Habit(120, 50.0)),
    Setting("5x, 1 %, known to wander", RATIO, 500, 0.01, 0.01, Worse.FIVE_TIMES, 1.0, 120.0, 0.286, Habit(120, 50.0)),
)


def foretold_s(of: Gate, tried: Setting) -> float:
    """What the forecast says."""
    phi = 2 * tried.burst - 1
    bursts = Bursts(phi, (phi,) * 3, tried.habit)
    traffic = GateTraffic(of, {REST: Flow(tried.rate, tried.bad)}, bursts=bursts)
    stages = [Stage("stage", Exposure(((REST, round(1000 * tried.share)),))), Stage("full", Exposure(((REST, 1000),)))]
    found = forecast(Plan(tuple(stages), (of,)), Measured({REST: tried.rate}, (traffic,), tried.window_s), SETTINGS)
    gate = found.stages[0].gates[0]
    return (gate.proves if tried.worse is None else gate.sees[tried.worse]).seconds or 0.0


def decided_s(of: Gate, tried: Setting, seed: int, limit_s: float) -> float:
    """When one simulated release is decided, as the judge decides."""
    habit = tried.habit
    settings = SETTINGS if habit is None else replace(SETTINGS, window_s=habit.window_s, phi=habit.phi)
    rng, state = np.random.default_rng(seed), judge.start(of, settings)
    wanted = Outcome.PASS if tried.worse is None else Outcome.REVERT
    candidate = tried.bad if tried.worse is None else worse_figure(of, tried.worse, tried.bad) or 0.0
    n_c, n_s = tried.rate * tried.window_s * tried.share, tried.rate * tried.window_s * (1 - tried.share)
    for tick in range(math.ceil(limit_s / tried.window_s)):
        start = T0 + timedelta(seconds=tick * tried.window_s)
        wandering = math.exp(rng.normal(0, tried.wander) - tried.wander**2 / 2) if tried.wander else 1.0
        arms = (
            Tally(n_c, min(n_c, bursty(rng, n_c * candidate * wandering, tried.burst))),
            Tally(n_s, bursty(rng, n_s * tried.bad * wandering, tried.burst)),
        )
        end = start + timedelta(seconds=tried.window_s)
        state = judge.fold(of, state, Evidence(of.name, end, (Stratum(start, end, *arms),), newest=end))
        (said,) = judge.verdicts(of, state, at=end, settings=settings)
        if said.outcome is wanted:
            return (tick + 1) * tried.window_s
    return math.inf


def bursty(rng: np.random.Generator, mean: float, size: float) -> int:
    """A count with this mean, made of bursts of geometric sizes of mean `size` (1: independent events)."""
    bursts = rng.poisson(mean / size)
    return int(rng.geometric(1 / size, bursts).sum()) if size > 1 else int(bursts)


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line per setting and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=80)
    runs = parser.parse_args(argv).runs
    rows = []
    for tried in SETTINGS_TRIED:
        of = Gate("errors", Ratio(Series("bad"), Series("all")), tried.rule)
        foretold = foretold_s(of, tried)
        times = [decided_s(of, tried, seed, 2 * foretold + 300) for seed in range(runs)]
        share = sum(each <= foretold for each in times) / runs
        rows.append(
            {**asdict(tried), "foretoldSeconds": foretold, "medianSeconds": statistics.median(times), "by": share}
        )
        median = statistics.median(times)
        print(f"{tried.name:28} {foretold / 60:7.1f} min  median {median / 60:7.1f}  by then {share:.0%}")
    shares = sorted(float(row["by"]) for row in rows)
    print(f"decided by the time named: {shares[0]:.0%} to {shares[-1]:.0%}, median {statistics.median(shares):.0%}")
    shown = [
        {**row, "rule": str(row["rule"]), "worse": row["worse"] or "equal", "habit": str(row["habit"] or "unknown")}
        for row in rows
    ]
    write("planning", {"runs": runs, "settings": shown}, show=False)


if __name__ == "__main__":
    main()
