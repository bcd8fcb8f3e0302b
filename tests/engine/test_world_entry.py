"""Simulated histories in which units need offline evidence that comes late, expires, or refutes: the promises hold.

The histories are those of `world`, with entry demands in their plans; what evidence there is when is drawn from the
seed. At each raise the evidence of that very moment must meet the demands, and the record must say so.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from random import Random

import pytest

from modelrelease.domain.entry import Entry, EntryGate, EntryOutcome
from modelrelease.domain.offline import Measurement, OfflineEvidence, Suite
from modelrelease.domain.record import Record, RecordKind
from modelrelease.domain.release import State
from modelrelease.engine.actions import Intention
from modelrelease.governance.entry import assess
from modelrelease.governance.standing import Subject
from tests.engine import sight
from tests.engine.builders import NAME, at
from tests.engine.log import Decided, RecordWrite, RouteWrite
from tests.engine.properties import violations
from tests.engine.scenarios import ACTIVE_S, NEVER, UNITS
from tests.engine.scenarios import scenario as drawn_scenario
from tests.engine.world import World

SEEDS = range(1, 121)
scenario = lru_cache(drawn_scenario)

ENTRY = Entry((EntryGate("accuracy", "accuracy", minimum="0.9"),))


def offered(seed: int, now: float) -> tuple[OfflineEvidence, ...]:
    """The evidence of each unit at a time: none at first, then good for a while or for ever, in the end for ever.

    For some units there comes one that refutes the demand, and it stays: not in quiet histories, which must complete,
    and not where nothing is served yet, which nothing could end.
    """
    rng, drawn = Random(seed * 31 + 7), scenario(seed)
    quiet = not drawn.faults and not drawn.events
    found = []
    for unit in UNITS:
        comes, lasts = rng.choice((0.0, 0.0, 60.0, 200.0)), rng.choice((90.0, NEVER, NEVER))
        refuted = rng.choice((NEVER, NEVER, NEVER, 30.0, ACTIVE_S * rng.random()))
        if quiet:
            comes, lasts = 0.0, NEVER
        if quiet or not drawn.adopted:
            refuted = NEVER
        pieces = [(comes, lasts, 95), (ACTIVE_S, NEVER, 95), (refuted, NEVER, 50)]
        found += [_piece(unit.digest, number, *piece) for number, piece in enumerate(pieces) if piece[0] <= now]
    return tuple(found)


def _piece(digest: str, number: int, since: float, lasts: float, good: int) -> OfflineEvidence:
    return OfflineEvidence(
        f"{digest[7:15]}-{number}",
        f"e{number}",
        digest,
        "carol",
        Suite("golden", "1"),
        at(since),
        at(since),
        digest,
        expires_at=at(since) + timedelta(seconds=lasts) if lasts < NEVER else None,
        metrics=(Measurement("accuracy", count=good, total=100),),
    )


@pytest.fixture(scope="module")
def worlds() -> Iterator[list[World]]:
    """All histories. Facts about offline evidence are of now, like those about gates."""
    plain = sight.facts
    patched = pytest.MonkeyPatch()
    patched.setattr(
        sight,
        "facts",
        lambda world, progress, process: (
            plain(world, progress, process) | {"offline": offered(world.scenario.seed, world.store.now)}
        ),
    )
    patched.setattr(World, "offline", lambda world: offered(world.scenario.seed, world.store.now))
    made = []
    for seed in SEEDS:
        drawn = scenario(seed)
        world = World(replace(drawn, spec=replace(drawn.spec, plan=replace(drawn.spec.plan, entry=ENTRY))))
        world.run()
        made.append(world)
    yield made
    patched.undo()


def unmet(seed: int, digest: str, when: float) -> bool:
    verdicts = assess(ENTRY, offered(seed, when), subject=Subject(digest, "x"), stable=None, now=at(when))
    return any(verdict.outcome is not EntryOutcome.PASS for verdict in verdicts)


def raises(world: World) -> Iterator[tuple[RecordWrite, RouteWrite | None]]:
    """Each record of a raise under a plan that demands evidence, and the first route write that carries it out."""
    carried = {}
    for entry in world.store.log:
        if isinstance(entry, RouteWrite) and entry.intention is Intention.RAISE and entry.record:
            carried.setdefault(entry.record, entry)
    for entry in world.store.log:
        if isinstance(entry, RecordWrite) and entry.record.kind is RecordKind.RAISED and entry.record.body.get("entry"):
            yield entry, carried.get(f"{NAME}-{entry.record.sequence:08d}")


def digest_of(record: Record) -> str:
    return str(record.body["candidate"]["digest"])  # type: ignore[index]


def test_every_promise_holds_with_entry_demands(worlds):
    found = [f"seed {world.scenario.seed}: {violation}" for world in worlds for violation in violations(world)]
    assert not found, "\n".join(found[:20])


def test_no_share_rises_that_the_evidence_of_that_moment_does_not_let_in(worlds):
    seen = 0
    for world in worlds:
        for decided, route in raises(world):
            seen += 1
            seed, digest = world.scenario.seed, digest_of(decided.record)
            assert {each["outcome"] for each in decided.record.body["entry"]["verdicts"]} == {"Pass"}
            assert not unmet(seed, digest, decided.at), f"seed {seed}: {decided.record.body['message']}"
            if route is not None and route.actor == decided.actor:
                assert route.at - decided.at <= 26, f"seed {seed}"
    assert seen > 150


def test_evidence_held_and_stopped_in_some_histories(worlds):
    steps = [entry.step for world in worlds for entry in world.store.log if isinstance(entry, Decided)]
    stops = [step.progress.stop.reason for step in steps if step.progress.stop and step.progress.state is State.STOPPED]
    assert "EntryGateFailed" in stops
    settled = [world.store.object.status for world in worlds]
    assert any(progress.state in (State.SETTLED, State.WATCHING) for progress in settled)
