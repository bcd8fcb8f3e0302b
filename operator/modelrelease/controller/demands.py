"""Which evidence a release needs now, from where it stands: the stages' gates, the watch's gates, or nothing."""

from collections.abc import Sequence
from dataclasses import asdict

from modelrelease.controller.evidence import Demand
from modelrelease.controller.gathered import Gathered
from modelrelease.controller.history import HistoryWanted, can_have_habit, places_of_stable
from modelrelease.domain.canonical import digest, short
from modelrelease.domain.gate import Gate, Phase
from modelrelease.domain.plan import Limits
from modelrelease.domain.release import IN_TRAFFIC, Progress, State
from modelrelease.domain.unit import UnitRef
from modelrelease.metrics.subscription import Place


def demands_of(gathered: Gathered, progress: Progress) -> tuple[Demand, ...]:
    """The demands of a release at `progress`; none when nothing of it is judged."""
    found = []
    stages = _stages(gathered, progress)
    if stages is not None:
        found.append(stages)
    watch = _watch(gathered, progress)
    if watch is not None:
        found.append(watch)
    return tuple(found)


def history_of(gathered: Gathered, progress: Progress) -> HistoryWanted | None:
    """The history that is read before the first stage; None when none is wanted."""
    plan, candidate, stable, since = progress.plan, progress.candidate, progress.stable, progress.since
    if progress.state is not State.PREPARING or not plan or not candidate or not stable or since is None:
        return None
    gates = tuple(gate for gate in plan.gates if Phase.STAGE in gate.phases and can_have_habit(gate))
    places = places_of_stable(_places(gathered, candidate, stable))
    if not gates or not places:
        return None
    token = _token(candidate, list(gates), places, since.isoformat())
    return HistoryWanted(gathered.key, token, gates, places, since)


def _stages(gathered: Gathered, progress: Progress) -> Demand | None:
    plan, candidate, stable = progress.plan, progress.candidate, progress.stable
    if progress.state not in IN_TRAFFIC or plan is None or candidate is None or stable is None:
        return None
    since = progress.rollout_since or progress.since
    places = _places(gathered, candidate, stable)
    if since is None or not places:
        return None
    gates = tuple(gate for gate in plan.gates if Phase.STAGE in gate.phases)
    return Demand(
        key=gathered.key,
        token=_token(candidate, [plan.digest, gathered.requests, repr(progress.habits)], places, since.isoformat()),
        gates=gates,
        places=places,
        since=since,
        stage_since=progress.stage_since or since,
        limits=plan.limits,
        requests=gathered.requests,
        plan=plan,
        habits=progress.habits,
    )


def _watch(gathered: Gathered, progress: Progress) -> Demand | None:
    watch, plan = progress.watch, progress.plan
    if watch is None or plan is None or progress.state not in IN_TRAFFIC | {State.WATCHING}:
        return None
    gates = tuple(gate for gate in plan.gates if Phase.WATCH in gate.phases and not gate.comparative)
    places = _places(gathered, watch.unit, None)
    if not gates or not places:
        return None
    return Demand(
        key=f"{gathered.key}#watch",
        token=_token(watch.unit, list(gates), places, watch.since.isoformat()),
        gates=gates,
        places=places,
        since=watch.since,
        stage_since=watch.since,
        limits=plan.limits or Limits(),
        requests=None,
    )


def _places(gathered: Gathered, candidate: UnitRef, stable: UnitRef | None) -> tuple[Place, ...]:
    found = []
    for name, obj in gathered.route_objects.items():
        for place in gathered.router.places(gathered.release, name, obj, candidate=candidate, stable=stable):
            if place.candidate is None or (stable is not None and place.stable is None):
                continue
            ours = {**place.candidate, **_model(candidate)}
            theirs = {**place.stable, **_model(stable)} if place.stable and stable else {}
            found.append(Place(segment=place.segment, candidate=ours, stable=theirs))
    return tuple(found)


def _model(unit: UnitRef) -> dict[str, str]:
    return {"model": unit.model} if unit.model else {}


def _token(unit: UnitRef, read: Sequence[Gate | str | None], places: tuple[Place, ...], since: str) -> str:
    """Names all that decides what is read, so that a template that was edited meanwhile is read from the start."""
    where = [[place.segment, dict(place.candidate), dict(place.stable)] for place in places]
    what = [asdict(one) if isinstance(one, Gate) else one for one in read]
    return short(digest([unit.revision, what, where, since]), 20)
