"""Each planted bug is found by the promise that it breaks, and each promise finds at least one.

`python -m tests.engine.mutants` looks for new seeds when a change has moved the histories.
"""

import pytest

from tests.engine.mutants import MUTANTS, SEEDS, Mutant, finds, planted
from tests.engine.properties import violations
from tests.engine.world import history, main

PROMISES = {*(f"S{number}" for number in range(1, 16)), *(f"L{number}" for number in range(1, 7))}
AGAIN = "look for new seeds: uv run python -m tests.engine.mutants"


@pytest.mark.parametrize("bug", MUTANTS.values(), ids=MUTANTS)
def test_a_planted_bug_is_found_by_the_promise_that_it_breaks(bug: Mutant) -> None:
    assert bug.name in SEEDS, f"no seed is known for {bug.name}; {AGAIN}"
    assert finds(bug, SEEDS[bug.name]), f"{bug.name} keeps {bug.promise} in seed {SEEDS[bug.name]}; {AGAIN}"


@pytest.mark.parametrize("seed", sorted(set(SEEDS.values())))
def test_without_the_bug_its_history_keeps_every_promise(seed: int) -> None:
    assert not violations(history(seed))


def test_every_promise_finds_a_bug() -> None:
    assert {bug.promise for bug in MUTANTS.values()} >= PROMISES


def test_every_seed_is_of_a_bug_that_is_there() -> None:
    assert set(SEEDS) == set(MUTANTS)


def test_a_bug_is_gone_when_its_history_is_over() -> None:
    bug = MUTANTS["a_raise_without_a_record"]
    with planted(bug):
        assert violations(history(SEEDS[bug.name]))
    assert not violations(history(SEEDS[bug.name]))


def test_a_history_of_a_bug_is_shown_by_one_command(capsys: pytest.CaptureFixture[str]) -> None:
    bug = MUTANTS["a_raise_without_a_record"]
    assert main(["--seed", str(SEEDS[bug.name]), "--mutant", bug.name]) == 1
    assert "S6 at line" in capsys.readouterr().out
