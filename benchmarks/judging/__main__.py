"""`make bench-judging`: all judges on simulated releases -> build/bench/judging.json, and tables on the screen."""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.figures import write
from benchmarks.judging import scenarios
from benchmarks.judging.cells import ALPHA, BETA, CELLS, DEFAULT, GATES, SHIPPED, Cell, run
from benchmarks.judging.goals import goals
from benchmarks.judging.report import show

NULL, WORSE = 2000, 400
QUICK = 10
"""A quick run has so many times fewer releases."""


def main() -> int:
    """Run the benchmark; 1 with --check when a goal is missed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=NULL, help=f"good releases in each cell (default {NULL})")
    parser.add_argument("--worse", type=int, default=None, help="releases with each regression (default: a fifth)")
    parser.add_argument("--cells", default="", help="only cells whose name holds this, such as bursts-3@50 or @500")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} times fewer releases")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulation (default 1)")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    wanted = parser.parse_args()
    releases = wanted.releases // QUICK if wanted.quick else wanted.releases
    worse = max(1, releases * WORSE // NULL if wanted.worse is None else wanted.worse)
    chosen = [cell for cell in CELLS if wanted.cells in cell.name]
    if not chosen:
        parser.error(f"no cell holds {wanted.cells!r}; there are {', '.join(cell.name for cell in CELLS)}")
    began = time.monotonic()
    results = simulate(chosen, releases=releases, worse=worse, seed=wanted.seed, jobs=wanted.jobs)
    cells = [judged for result in results for judged in result["cells"]]
    passing = [proven for result in results for proven in result["passing"]]
    found = {
        "settings": settings(releases, worse, wanted.seed),
        "seconds": round(time.monotonic() - began),
        "goals": goals(cells, passing),
        "passing": passing,
        "cells": cells,
    }
    write("judging", found, show=False)
    show(found)
    missed = [goal for goal in found["goals"] if goal["cells"] and not goal["met"] and not goal.get("exception")]
    return 1 if wanted.check and missed else 0


def simulate(cells: list[Cell], *, releases: int, worse: int, seed: int, jobs: int) -> list[dict[str, Any]]:
    """The results in the order of the cells; the same whatever the number of processes."""
    found: dict[str, dict[str, Any]] = {}
    columns = (*Progress.get_default_columns()[:2], TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress, ProcessPoolExecutor(max(1, min(jobs, len(cells)))) as pool:
        task = progress.add_task("cells", total=len(cells))
        # The cells that take longest first: bursts that are spread, and much traffic.
        order = sorted(cells, key=lambda cell: (-cell.scenario.spread_s, -cell.requests_per_s))
        running = {pool.submit(run, cell, releases=releases, worse=worse, seed=seed): cell for cell in order}
        for done in as_completed(running):
            cell = running[done]
            found[cell.name] = done.result()
            progress.update(task, advance=1, description=f"cells ({cell.name})")
    return [found[cell.name] for cell in cells]


def settings(releases: int, worse: int, seed: int) -> dict[str, Any]:
    """What was simulated, in numbers."""
    return {
        "releases": releases,
        "releases_per_regression": worse,
        "seed": seed,
        "alpha": ALPHA,
        "beta": BETA,
        "gates": GATES,
        "tick_s": scenarios.TICK_S,
        "stage_s": scenarios.STAGE_S,
        "weights": scenarios.WEIGHTS,
        "history_s": scenarios.HISTORY_S,
        "base_rate": scenarios.BASE,
        "late_onset_s": scenarios.LATE_TICK * scenarios.TICK_S,
        "default": {"max_ratio": DEFAULT.ratio, "maximum": DEFAULT.maximum},
        "shipped": {"max_ratio": SHIPPED.ratio, "maximum": SHIPPED.maximum, "floor": SHIPPED.floor},
    }


if __name__ == "__main__":
    raise SystemExit(main())
