"""What an operator can see of the world: ready endpoints, request counters, and what the gates make of them."""

from typing import TYPE_CHECKING, Any

from modelrelease.domain.evidence import Cause, SplitCount
from modelrelease.domain.exposure import REST
from modelrelease.domain.gate import Gate, Phase, Scope
from modelrelease.domain.images import ImagesSeen, PodImages
from modelrelease.domain.release import IN_TRAFFIC, Fault, Progress, State
from modelrelease.domain.unit import Backend, UnitRef
from modelrelease.domain.verdict import Outcome, Verdict
from modelrelease.engine.chain import history, used
from tests.engine.builders import NAMESPACE, SAFE, SEGMENT, at
from tests.engine.scenarios import CAUSES, NEVER, shows_pods

if TYPE_CHECKING:
    from tests.engine.process import Process
    from tests.engine.world import World

SCRAPE_S = 3.0
SEEN_FOR_PASS, SEEN_FOR_REVERT = 40, 15
"""How many requests a gate needs to call a unit good, or bad."""

FORGETS_S = 60.0
RUNS, MOVED = (f"sha256:{digit * 64}" for digit in "12")
TAMPERED = Fault("UnitChanged", "configMap prompts was edited in place: name a new version")


def facts(world: "World", progress: Progress, process: "Process") -> dict[str, Any]:
    """The fields of `Observed` that are of now, whatever the cache of objects says."""
    found: dict[str, Any] = {
        "ready": ready(world),
        "verdicts": _verdicts(world, progress, process),
        "watch_verdicts": _watch_verdicts(world, progress, process),
        "samples": _samples(world, progress),
        "split": _split(world, progress),
        "decisions": tuple(world.store.decisions),
        "conflict": f"{NAMESPACE}/other" if world.lasts("route conflict") else None,
        "violations": (TAMPERED,) if world.lasts("unit tampered") else (),
        "images": _images(world, progress),
    }
    if progress.state is State.NEW:
        records = list(world.store.records.values())
        found |= {
            "revisions": tuple(world.store.units.values()),
            "history": history(records),
            "used": used(records),
            "baseline": _baseline(world),
        }
    return found


def ready(world: "World") -> dict[Backend, int | None]:
    """Ready endpoints of every backend. `stable` is who takes everything back."""
    progress, found = world.store.object.status, {ref.backend: 3 for ref in world.refs.values()}
    stable = progress.fallback if progress.state is State.WATCHING else progress.stable
    if stable and world.lasts("stable shrunk"):
        found[stable.backend] = 1
    if stable and world.lasts("stable down"):
        found[stable.backend] = 0
    if progress.candidate and world.lasts("candidate down"):
        found[progress.candidate.backend] = 0
    return {**found, SAFE: 0 if world.lasts("safe down") else 2}


def _images(world: "World", progress: Progress) -> tuple[ImagesSeen, ...]:
    """What the nodes say about the pods of candidate and stable. An image can only have moved after it was seen."""
    if not shows_pods(world.scenario.seed) or progress.state not in IN_TRAFFIC:
        return ()
    units = [unit for unit in (progress.candidate, progress.stable) if unit]
    if world.lasts("pods unread"):
        return tuple(ImagesSeen(unit.digest, unread="no answer") for unit in units)
    held = {images.digest for images in world.store.object.status.images}
    moved = world.lasts("image moved")
    found = {unit.digest: MOVED if moved and unit.digest in held else RUNS for unit in units}
    return tuple(
        ImagesSeen(digest, (PodImages(f"pod-{digest[-4:]}", (("server", image),)),)) for digest, image in found.items()
    )


def _baseline(world: "World") -> Backend | None:
    """What an adopted route serves."""
    route = world.store.routes.get(world.route_names[0])
    served = {arm.backend for _, arms in route.content.rules for arm in arms if arm.permille} if route else set()
    return served.pop() if len(served) == 1 else None


def _samples(world: "World", progress: Progress) -> int | None:
    """The candidate's requests since its stage began, as far as the counters can be read."""
    if progress.candidate is None or progress.stage_since is None or world.lasts("source down"):
        return None
    return int(sum(_since(world, progress, segment)[0] for segment in (SEGMENT, REST)))


def _split(world: "World", progress: Progress) -> tuple[SplitCount, ...]:
    """The realised split since the stage began; a gateway that does something else shows half and half."""
    if progress.state is not State.OBSERVING or progress.stage_since is None or world.lasts("source down"):
        return ()
    found = []
    for segment in (SEGMENT, REST):
        candidate, stable = _since(world, progress, segment)
        if world.lasts("split wrong") and candidate + stable > 100 and 0 < progress.exposure.of(segment) < 1000:
            candidate, stable = (candidate + stable) * 0.6, (candidate + stable) * 0.4
        found.append(SplitCount(segment, candidate, stable))
    return tuple(found)


def _since(world: "World", progress: Progress, segment: str) -> tuple[float, float]:
    """Requests of candidate and stable in one segment since the stage began."""
    assert progress.stage_since is not None and progress.candidate is not None and progress.stable is not None
    before = world.marks.get((progress.stage_since - at(0)).total_seconds(), {})
    candidate, stable = ((segment, unit.revision) for unit in (progress.candidate, progress.stable))
    return (
        world.counts.get(candidate, 0.0) - before.get(candidate, 0.0),
        world.counts.get(stable, 0.0) - before.get(stable, 0.0),
    )


def broken(world: "World") -> frozenset[tuple[str, str]]:
    """What the status must show of what is broken now."""
    found: set[tuple[str, str]] = set()
    if world.store.object.spec.faults:
        found.add(("Ready", "False"))
    if any(route.refused for route in world.store.routes.values()):
        found.add(("RouteAccepted", "False"))
    causes = [CAUSES[event.what] for event in world.lasting if event.what in CAUSES]
    blind = causes and causes[0] is not Cause.INSUFFICIENT
    if blind and world.store.object.status.state is State.OBSERVING:
        found.add(("EvidenceFresh", "False"))
    return frozenset(found)


def _verdicts(world: "World", progress: Progress, process: "Process") -> tuple[Verdict, ...]:
    """What the gates of the stages say about the candidate."""
    plan, candidate = progress.plan, progress.candidate
    if progress.state not in IN_TRAFFIC or plan is None or candidate is None:
        return ()
    gates = [gate for gate in plan.gates if Phase.STAGE in gate.phases]
    return tuple(_verdict(world, gate, segment, candidate, process) for gate in gates for segment in _segments_of(gate))


def _watch_verdicts(world: "World", progress: Progress, process: "Process") -> tuple[Verdict, ...]:
    """What the gates of the watch say about the watched unit."""
    watch, plan = progress.watch, progress.plan
    if watch is None or plan is None:
        return ()
    gates = [gate for gate in plan.gates if Phase.WATCH in gate.phases and not gate.comparative]
    return tuple(_verdict(world, gate, None, watch.unit, process) for gate in gates)


def _verdict(world: "World", gate: Gate, segment: str | None, unit: UnitRef, process: "Process") -> Verdict:
    now, cause = world.store.now, next((CAUSES[event.what] for event in world.lasting if event.what in CAUSES), None)
    segments = (segment,) if segment else (SEGMENT, REST)
    seen = sum(world.counts.get((name, unit.revision), 0.0) for name in segments)
    start, end = world.bad.get(unit.version, (NEVER, NEVER))
    outcome = Outcome.UNDECIDED if seen < SEEN_FOR_PASS else Outcome.PASS
    if start <= now < end and seen >= SEEN_FOR_REVERT and not _forgot(world, process):
        outcome, cause = Outcome.REVERT, None
    elif cause is None and seen < 1:
        cause = Cause.INSUFFICIENT
    if cause is not None:
        outcome = Outcome.NO_DATA
    blind = cause not in (None, Cause.INSUFFICIENT)
    return Verdict(
        gate.name,
        outcome,
        f"{gate.name}: {outcome.value}",
        at(now),
        cause=cause,
        segment=segment,
        newest=None if blind else at(_newest(world)),
        comparative=gate.comparative,
    )


def _newest(world: "World") -> float:
    """When the newest sample was taken: at the last scrape, or the last one before Prometheus stood still."""
    frozen = [event.at for event in world.lasting if event.what == "evidence frozen"]
    now = min([world.store.now, *frozen])
    return now - now % SCRAPE_S


def _forgot(world: "World", process: "Process") -> bool:
    """A new process does not know yet what an earlier one had measured."""
    young = world.store.now - process.started < FORGETS_S and world.deaths > 1
    return world.scenario.forgetful and world.faulty and young


def _segments_of(gate: Gate) -> tuple[str | None, ...]:
    return (SEGMENT, REST) if gate.scope is Scope.SEGMENT else (None,)
