"""A range of simulated histories keeps every promise, and shows every fault, event and outcome at least once.

The range is fixed, so that a change is judged by the same histories. The environment variable WORLD_SEEDS says how many
there are: `WORLD_SEEDS=10000 pytest tests/engine/test_world.py` is a long run (about 60 seeds a second). A seed that
fails is replayed by the command that the failure names.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelrelease.domain.record import RecordKind
from modelrelease.domain.release import State
from tests.engine.log import Decided, RecordWrite
from tests.engine.properties import fired, violations
from tests.engine.scenarios import EVENTS, FAULTS
from tests.engine.world import history

SEEDS = int(os.environ.get("WORLD_SEEDS", "400"))
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(120 + SEEDS)


def replay(seed: int) -> str:
    """The command that shows the history of a seed, from the project's root."""
    return f"uv run python -m tests.engine.world --seed {seed}"


@dataclass(slots=True)
class Range:
    """What the histories of a range of seeds showed."""

    failures: list[str] = field(default_factory=list)
    fired: set[str] = field(default_factory=set)
    kinds: set[RecordKind] = field(default_factory=set)
    states: set[State] = field(default_factory=set)
    holds: set[str] = field(default_factory=set)
    overridden: int = 0

    def add(self, seed: int) -> None:
        """Run one history; one that raises is a failure like any other."""
        try:
            world = history(seed)
            found = violations(world)
        except Exception as error:
            self.failures.append(f"{replay(seed)}\n    {type(error).__name__}: {error}")
            return
        if found:
            self.failures.append(f"{replay(seed)}\n    {found[0]} (and {len(found) - 1} more)")
        self.fired |= fired(world)
        for entry in world.store.log:
            match entry:
                case RecordWrite(record=record):
                    self.kinds.add(record.kind)
                    self.overridden += "override" in record.body
                case Decided(step=step):
                    self.states.add(step.progress.state)
                    self.holds |= {hold.reason for hold in step.holds}


@pytest.fixture(scope="module")
def histories() -> Range:
    """All histories of the range."""
    found = Range()
    for seed in range(SEEDS):
        found.add(seed)
    return found


def test_every_history_keeps_every_promise(histories):
    assert not histories.failures, "\n".join(["", *histories.failures[:20]])


def test_every_fault_and_every_event_really_happened(histories):
    assert {*FAULTS, *EVENTS} - histories.fired == set()


def test_images_moved_and_pods_could_not_be_read(histories):
    """They are drawn apart from the other events (`scenarios.shows_pods`)."""
    assert {"image moved", "pods unread"} - histories.fired == set()


def test_faults_had_the_effects_that_they_are_there_for(histories):
    """A write that failed, a conflict, a writer who had lost the Lease, a process that went on after it."""
    effects = {"failed: Conflict route", "failed: Conflict status", "fenced", "a past leader went on, and it was done"}
    assert effects - histories.fired == set()


def test_people_overrode_the_release_train(histories):
    assert histories.overridden


def test_every_kind_of_record_was_written_and_every_state_entered(histories):
    assert set(RecordKind) - histories.kinds == {RecordKind.LOOSENED}, "policies are in test_repolicy"
    assert set(State) == histories.states


def test_a_seed_always_gives_the_same_history():
    for seed in (1, 5, 11, 27):
        assert history(seed).store.log == history(seed).store.log


def test_a_history_is_replayed_by_one_command_and_depends_on_nothing_else():
    shown = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-m", "tests.engine.world", "--seed", "11"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        shown.append(done.stdout)
    assert shown[0] == shown[1] and "seed 11: " in shown[0] and " 0 violations" in shown[0]
