"""All planted bugs, and for each a seed whose history finds it.

A new bug is one function in `bad_raises`, `bad_reverts`, `bad_writes` or `bad_telling`. A change of the engine or of
the world moves histories: `python -m tests.engine.mutants` looks anew for each bug that its seed no longer finds
(`--all`: for all), and writes `seeds.json`. What it finds no seed for is harmless, or the world is too tame for it, or
the properties have a hole. To see a history: `python -m tests.engine.world --seed N --mutant NAME`.
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.engine import bad_raises, bad_reverts, bad_telling, bad_writes
from tests.engine.planting import MUTANTS, Mutant, planted
from tests.engine.properties import violations
from tests.engine.world import history

__all__ = ["MUTANTS", "SEEDS", "Mutant", "bad_raises", "bad_reverts", "bad_telling", "bad_writes", "finds", "planted"]

FILE = Path(__file__).with_name("seeds.json")
SEEDS: Mapping[str, int] = json.loads(FILE.read_text()) if FILE.exists() else {}
"""A seed that finds each bug, by name."""

SEARCHED = 5000


def finds(bug: Mutant, seed: int) -> bool:
    """Whether the history of a seed breaks the bug's promise."""
    with planted(bug):
        return any(found.promise == bug.promise for found in violations(history(seed)))


def hunt(bug: Mutant, seeds: Iterable[int]) -> int | None:
    """The first seed that finds a bug; None where none of those looked at does."""
    return next((seed for seed in seeds if finds(bug, seed)), None)


def main() -> None:
    """Write a seed for each bug, and print for which there is none."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.mutants", description=__doc__)
    parser.add_argument("--all", action="store_true", help="look for each bug from the beginning")
    keeps = {} if parser.parse_args().all else SEEDS
    found: dict[str, int] = {}
    for bug in MUTANTS.values():
        known = keeps.get(bug.name)
        seed = known if known is not None and finds(bug, known) else hunt(bug, range(SEARCHED))
        print(f"{bug.promise:4} {bug.name:60} {'SURVIVES' if seed is None else seed}", flush=True)
        found |= {} if seed is None else {bug.name: seed}
    FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
