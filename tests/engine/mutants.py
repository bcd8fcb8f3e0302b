"""All planted bugs. A new one is one function in `bad_raises`, `bad_reverts` or `bad_writes`.

To see a history of one: `python -m tests.engine.world --seed N --mutant NAME`. To look for seeds to begin at, where
those below are out of date: `python -m tests.engine.mutants`.
"""

from tests.engine import bad_raises, bad_reverts, bad_writes
from tests.engine.planting import MUTANTS, Mutant, planted
from tests.engine.properties import violations
from tests.engine.world import history

__all__ = ["MUTANTS", "SEARCHED", "Mutant", "bad_raises", "bad_reverts", "bad_writes", "hunt", "planted"]

SEARCHED = 300
"""How many seeds a hunt looks at."""

LONG = 5000


def hunt(bug: Mutant, start: int | None = None, searched: int = SEARCHED) -> int | None:
    """The first seed whose history breaks the bug's promise; None where none of those looked at does."""
    first = bug.start if start is None else start
    with planted(bug):
        for seed in range(first, first + searched):
            if any(found.promise == bug.promise for found in violations(history(seed))):
                return seed
    return None


def main() -> None:
    """Print for each bug where a hunt from the beginning finds it."""
    for bug in MUTANTS.values():
        print(f"{bug.promise:4} {bug.name:60} {bug.start:5} → {hunt(bug, 0, LONG)}", flush=True)


if __name__ == "__main__":
    main()
