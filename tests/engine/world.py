"""A simulated world: a clock, an API store, a gateway, Prometheus, people, strangers, and operators that die.

It drives the real engine through one history per seed, and everything that is written is in the store's log, on which
`properties` are checked. To see one history: `python -m tests.engine.world --seed 7`.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from modelrelease.domain.decision import Action, Decision
from modelrelease.domain.evidence import Cause, SplitCount
from modelrelease.domain.exposure import REST
from modelrelease.domain.gate import Gate, Phase, Scope
from modelrelease.domain.plan import OnDrift
from modelrelease.domain.release import IN_TRAFFIC, Fault, Progress, State
from modelrelease.domain.traffic import Arm, Target
from modelrelease.domain.unit import Backend, UnitRef, unit_ref
from modelrelease.domain.verdict import Outcome, Verdict
from tests.engine import scenarios
from tests.engine.builders import NAME, SAFE, SEGMENT, UID, UNIT_A, at, gen_gate
from tests.engine.process import Died, Process
from tests.engine.properties import intended, violations
from tests.engine.scenarios import ACTIVE_S, CAUSES, TICK_S, UNITS, Event, Scenario, scenario
from tests.engine.store import ApiError, Content, Decided, Entry, Happened, Looked, Route, RouteWrite, Store, content_of

RATE = {SEGMENT: 6.0, REST: 14.0}
"""Requests per second in the segment and in the rest."""

SCRAPE_S = 3.0
CALM_S = 150.0
"""How long nothing at all must be written in the end."""

LIMIT_S = 3000.0
PART_FAULT = Fault("SegmentEmpty", "spec.traffic.segments[0] has no condition: give it headers")
FAULT = Fault("InvalidSpec", "spec.gates[0].max is not a number: write a number")


class World:
    """One history."""

    def __init__(self, plan: Scenario) -> None:
        self.scenario, self.rng = plan, Random(plan.seed * 7919 + 1)
        self.store = Store(plan.spec)
        self.route_names = plan.route_names
        self.owned = not plan.adopted
        self.faulty = True
        self.lasting: list[Event] = []
        self.coming = list(plan.events)
        self.zombies: list[tuple[float, Process, Callable[[], Any]]] = []
        self.numbers = 0
        self.deaths = 0
        self.busy = False
        self.calm = False
        self.restarted = 0
        self.counts: dict[tuple[str, str | None], float] = {}
        self.counted_at = 0.0
        self.marks: dict[float, dict[tuple[str, str | None], float]] = {0.0: {}}
        self.refs = {unit.version: unit_ref(NAME, unit) for unit in UNITS.values()}
        if plan.adopted:
            for name in self.route_names:
                self._serve_by_hand(name)
        self._first = {name: route.content for name, route in self.store.routes.items()}
        self.process = self._start()

    @property
    def undisturbed(self) -> bool:
        """Whether this history has no fault and no event."""
        return not self.scenario.faults and not self.scenario.events

    @property
    def always_good(self) -> bool:
        """Whether the unit that the spec names never becomes bad."""
        return self.scenario.bad_from.get(self.scenario.spec.unit.version, 1e9) > LIMIT_S

    def first_contents(self) -> dict[str, Content]:
        """What the routes held before anything happened."""
        return dict(self._first)

    def requests(self, revision: str, since: float, until: float) -> float:
        """How many requests a unit really got between two times."""
        before, after = self.marks.get(since, {}), self.marks.get(until, {})
        return sum(after.get((name, revision), 0.0) - before.get((name, revision), 0.0) for name in RATE)

    # ---- running

    def run(self) -> None:
        """The eventful part, then quiet until nothing is written any more (or for too long)."""
        while self.store.now < ACTIVE_S and self.store.object.exists:
            self.advance(TICK_S)
            self.look()
        self.calm_down()
        calm_since = self.store.now
        while self.store.now - calm_since < CALM_S and self.store.now < LIMIT_S:
            written = len(self.store.log)
            self.advance(TICK_S)
            self.help_along()
            self.look()
            if any(not isinstance(entry, Happened | Decided) for entry in self.store.log[written:]):
                calm_since = self.store.now
        self.calm = self.store.now - calm_since >= CALM_S
        self.restarted = len(self.store.log)
        self.process = self._start()
        for _ in range(5):
            self.advance(TICK_S)
            self.look()

    def look(self) -> None:
        """The operator looks once, unless it dies."""
        began = len(self.store.log)
        try:
            self.process.tick()
        except Died as death:
            self.store.happened(f"crash {death}", self.process.name)
            self.process = self._start()
            return
        if not any(isinstance(entry, Happened) for entry in self.store.log[began:]):
            for revision in self.process.found_bad:
                self.store.log.append(Looked(self.store.now, self.process.name, revision))

    def advance(self, seconds: float) -> None:
        """Let time pass: requests are counted, gateways report, things happen."""
        until = self.store.now + seconds
        while self.coming and self.coming[0].at <= until:
            event = self.coming.pop(0)
            self._pass(max(self.store.now, event.at))
            self.happen(event)
        self._pass(until)
        for zombie in [zombie for zombie in self.zombies if zombie[0] <= until]:
            self.zombies.remove(zombie)
            self._resume(*zombie[1:])
        self.lasting = [event for event in self.lasting if event.until > until]
        slow = self.lasts("gateway slow")
        for name in self.route_names:
            if name in self.store.routes:
                self.store.routes[name].refused = self.lasts("gateway refuses")
                if not slow:
                    self.store.accept(name)
        self.marks[self.store.now] = dict(self.counts)
        self.approve()

    def calm_down(self) -> None:
        """The end of all faults: what was broken is mended, what people held is let go."""
        self.faulty, self.lasting, self.coming = False, [], []
        for _, process, do in self.zombies:
            self._resume(process, do)
        self.zombies = []
        if self.store.object.spec.faults:
            self.store.edit(faults=())
        self.say(Action.RESUME)

    def help_along(self) -> None:
        """In the quiet part a person mends what only a person can: a held drift, a pause."""
        progress = self.store.object.status
        if progress.paused_by and not any(said.action is Action.RESUME for said in self.store.decisions[-3:]):
            self.say(Action.RESUME)
        plan = progress.plan or self.store.object.spec.plan
        wanted = intended(progress, self.store.segments)
        held = plan.on_drift is OnDrift.HOLD or progress.state is State.WATCHING
        if not held or wanted is None or progress.state in (State.RAISING, State.REVERTING, State.INSTALLING):
            return
        for name in self.route_names:
            route = self.store.routes.get(name)
            if route is None or not _same_shares(route.content, wanted, progress, self.store.segments):
                self.store.foreign_route(name, wanted)

    # ---- faults

    def strikes(self, what: str, process: Process | None = None) -> bool:
        """Whether a fault fires now."""
        if what == "retry":
            return self.rng.random() < 0.5
        if not self.faulty or what not in self.scenario.faults:
            return False
        if self.rng.random() >= self.scenario.faults[what]:
            return False
        self.store.happened(f"fault: {what}", process.name if process else self.process.name)
        return True

    def meanwhile(self) -> None:
        """Between two calls of the operator somebody else may act."""
        if not self.busy and self.coming and self.strikes("meanwhile"):
            event = self.coming.pop(0)
            self.busy = True
            self.happen(replace(event, until=self.store.now + event.until - event.at))
            self.busy = False

    def pause(self, process: Process, do: Callable[[], Any]) -> None:
        """The process stands still at a call; another one starts, and later this one goes on."""
        self.zombies.append((self.store.now + self.rng.choice((6.0, 15.0, 40.0)), process, do))

    def _resume(self, process: Process, do: Callable[[], Any]) -> None:
        try:
            do()
            self.store.happened("a past leader went on, and it was done", process.name)
        except ApiError as error:
            self.store.happened(f"a past leader went on: {type(error).__name__}", process.name)

    def _start(self) -> Process:
        self.deaths += 1
        self.store.holder = f"p{self.deaths}"
        return Process(self, self.store.holder)

    def lasts(self, what: str) -> bool:
        """Whether an event that lasts is on."""
        return any(event.what == what for event in self.lasting)

    # ---- events

    def happen(self, event: Event) -> None:
        """Make one event happen."""
        self.store.happened(event.what)
        do = getattr(self, "_do_" + event.what.replace(" ", "_"), None)
        if do is not None:
            do()
        else:
            self.lasting.append(event)

    def _shares(self, candidate: int, *, foreign: int = 0, explicit: bool = True) -> None:
        """A stranger writes weights for the candidate (and somebody of his own) into a route."""
        progress = self.store.object.status
        stable, other = progress.stable, progress.candidate or progress.fallback
        name = self.rng.choice(self.route_names)
        if stable is None or name not in self.store.routes:
            return
        if progress.state is State.WATCHING and progress.fallback:
            stable, other = progress.fallback, progress.stable
        arms = [Arm(stable.revision, stable.backend, 1000 - foreign - (candidate if other else 0))]
        if other:
            arms.append(Arm(other.revision, other.backend, candidate))
        if foreign:
            arms.append(Arm(None, Backend("strange", 80), foreign))
        segments = (*self.store.segments, REST) if len(self.store.routes[name].content.rules) > 1 else (REST,)
        self.store.foreign_route(name, Content(tuple((segment, tuple(arms)) for segment in segments), explicit))

    def _do_candidate_raised(self) -> None:
        self._shares(self.rng.choice((300, 1000)))

    def _do_candidate_lowered(self) -> None:
        self._shares(self.rng.choice((0, 5)))

    def _do_weight_dropped(self) -> None:
        self._shares(self.rng.choice((0, 500)), explicit=False)

    def _do_stranger_on_the_route(self) -> None:
        self._shares(0, foreign=300)

    def _do_route_touched(self) -> None:
        name = self.rng.choice(self.route_names)
        if name in self.store.routes:
            self.store.foreign_route(name, None)

    def _do_route_deleted(self) -> None:
        self.store.routes.pop(self.route_names[0], None)

    def _do_status_wiped(self) -> None:
        self.store.wipe()

    def _do_spec_broken(self) -> None:
        self.store.edit(faults=() if self.store.object.spec.faults else (self.rng.choice((FAULT, PART_FAULT)),))

    def _do_edit_unit(self) -> None:
        self.store.edit(unit=scenarios.units_but(self.store.object.spec.unit, self.rng))

    def _do_edit_plan(self) -> None:
        self.store.edit(plan=scenarios.draw_plan(self.rng))

    def _do_tighten(self) -> None:
        self._bounds("0.02")

    def _do_loosen(self) -> None:
        self._bounds("0.20")

    def _bounds(self, maximum: str) -> None:
        plan = self.store.object.spec.plan
        first, *rest = plan.gates
        self.store.edit(plan=replace(plan, gates=(gen_gate(maximum=maximum, scope=first.scope), *rest)))

    def _do_git_revert(self) -> None:
        progress = self.store.object.status
        known = {ref.digest: unit for unit in UNITS.values() if (ref := self.refs[unit.version])}
        back = progress.fallback or progress.stable
        if back is not None and back.digest in known:
            self.store.edit(unit=known[back.digest])

    def _do_delete(self) -> None:
        self.store.delete()

    def _do_pause(self) -> None:
        self.say(Action.PAUSE)
        self.coming.append(Event(self.store.now + 40, "resume"))
        self.coming.sort(key=lambda event: event.at)

    def _do_resume(self) -> None:
        self.say(Action.RESUME)

    def _do_abort(self) -> None:
        self._about_candidate(Action.ABORT)

    def _do_reject(self) -> None:
        self._about_candidate(Action.REJECT)

    def _do_promote(self) -> None:
        progress = self.store.object.status
        if progress.plan and progress.stage >= 0:
            self._about_candidate(Action.PROMOTE, stage=progress.plan.stages[progress.stage].name)

    def _do_retry(self) -> None:
        stopped = self.store.object.status.stopped
        unit = self.refs[self.store.object.spec.unit.version]
        self.say(Action.RETRY, digest=self.rng.choice((*stopped, unit.digest)))

    def _do_wrong_approval(self) -> None:
        progress, spec = self.store.object.status, self.store.object.spec
        unit = progress.candidate or self.refs[spec.unit.version]
        wrong = self.rng.choice(
            ({"digest": "sha256:other"}, {"plan_digest": "sha256:other"}, {"stage": "pilot"}, {"stage": None})
        )
        bound = {"digest": unit.digest, "plan_digest": spec.plan.digest, "stage": "full", "role": "owner"}
        self.say(Action.APPROVE, **{**bound, **wrong})

    def _about_candidate(self, action: Action, **bound: str) -> None:
        candidate = self.store.object.status.candidate
        if candidate is not None:
            self.say(action, digest=candidate.digest, **bound)

    # ---- people

    def say(self, action: Action, **bound: str | None) -> None:
        """A person makes a decision for this release."""
        self.numbers += 1
        name = f"{action.value.lower()}-{self.numbers}"
        self.store.say(Decision(f"uid-{name}", name, action, "ada", "because", at(self.store.now), UID, **bound))

    def approve(self) -> None:
        """Approve what waits for it, once it has waited long enough; in the quiet part at once."""
        progress = self.store.object.status
        plan, candidate = progress.plan, progress.candidate
        if progress.state is not State.OBSERVING or plan is None or candidate is None or progress.since is None:
            return
        upcoming = plan.stages[progress.stage + 1 : progress.stage + 2]
        if not upcoming or not upcoming[0].approvals:
            return
        if self.faulty and (at(self.store.now) - progress.since).total_seconds() < self.scenario.approves_after:
            return
        for role in upcoming[0].approvals:
            bound = {"digest": candidate.digest, "plan_digest": plan.digest, "stage": upcoming[0].name, "role": role}
            if not self._usable(progress, bound):
                self.say(Action.APPROVE, **bound)

    def _usable(self, progress: Progress, bound: dict[str, str]) -> bool:
        return any(
            said.action is Action.APPROVE
            and said.uid not in progress.handled
            and all(getattr(said, field) == value for field, value in bound.items())
            for said in self.store.decisions
        )

    # ---- what is observed

    def ready(self) -> dict[Backend, int | None]:
        """Ready endpoints of every backend."""
        progress, found = self.store.object.status, {ref.backend: 3 for ref in self.refs.values()}
        if progress.stable and self.lasts("stable down"):
            found[progress.stable.backend] = 0
        if progress.candidate and self.lasts("candidate down"):
            found[progress.candidate.backend] = 0
        return {**found, SAFE: 2}

    def baseline(self) -> Backend | None:
        """What an adopted route serves."""
        route = self.store.routes.get(self.route_names[0])
        served = {arm.backend for _, arms in route.content.rules for arm in arms if arm.permille} if route else set()
        return served.pop() if len(served) == 1 else None

    def samples(self, progress: Progress) -> int | None:
        """The candidate's requests since its stage began, as far as the counters can be read."""
        if progress.candidate is None or progress.stage_since is None or self.lasts("source down"):
            return None
        return int(sum(self._since(progress, segment)[0] for segment in (SEGMENT, REST)))

    def split(self, progress: Progress) -> tuple[SplitCount, ...]:
        """The realised split since the stage began; a gateway that does something else shows half and half."""
        if progress.state is not State.OBSERVING or progress.stage_since is None or self.lasts("source down"):
            return ()
        found = []
        for segment in (SEGMENT, REST):
            candidate, stable = self._since(progress, segment)
            if self.lasts("split wrong") and candidate + stable > 100 and 0 < progress.exposure.of(segment) < 1000:
                candidate, stable = (candidate + stable) * 0.6, (candidate + stable) * 0.4
            found.append(SplitCount(segment, candidate, stable))
        return tuple(found)

    def _since(self, progress: Progress, segment: str) -> tuple[float, float]:
        assert progress.stage_since is not None and progress.candidate is not None and progress.stable is not None
        before = self.marks.get((progress.stage_since - at(0)).total_seconds(), {})
        return tuple(  # type: ignore[return-value]
            self.counts.get((segment, unit.revision), 0.0) - before.get((segment, unit.revision), 0.0)
            for unit in (progress.candidate, progress.stable)
        )

    def verdicts(self, progress: Progress, process: Process) -> tuple[Verdict, ...]:
        """What the gates of the stages say about the candidate."""
        plan, candidate = progress.plan, progress.candidate
        if progress.state not in IN_TRAFFIC or plan is None or candidate is None:
            return ()
        gates = [gate for gate in plan.gates if Phase.STAGE in gate.phases]
        return tuple(self._verdict(gate, segment, candidate, process) for gate in gates for segment in _scopes(gate))

    def watch_verdicts(self, progress: Progress, process: Process) -> tuple[Verdict, ...]:
        """What the gates of the watch say about the watched unit."""
        watch, plan = progress.watch, progress.plan
        if watch is None or plan is None:
            return ()
        gates = [gate for gate in plan.gates if Phase.WATCH in gate.phases and not gate.comparative]
        return tuple(self._verdict(gate, None, watch.unit, process) for gate in gates)

    def _verdict(self, gate: Gate, segment: str | None, unit: UnitRef, process: Process) -> Verdict:
        now, cause = self.store.now, next((CAUSES[e.what] for e in self.lasting if e.what in CAUSES), None)
        newest = at(now - now % SCRAPE_S)
        segments = (segment,) if segment else (SEGMENT, REST)
        seen = sum(self.counts.get((name, unit.revision), 0.0) for name in segments)
        bad = now >= self.scenario.bad_from.get(unit.version, 1e9)
        forgot = self.scenario.forgetful and self.faulty and now - process.started < 60 and self.deaths > 1
        outcome = Outcome.UNDECIDED if seen < 40 else Outcome.PASS
        if bad and seen >= 15 and not forgot:
            outcome, cause = Outcome.REVERT, None
        elif cause is None and seen < 1:
            cause = Cause.INSUFFICIENT
        if cause is not None:
            outcome = Outcome.NO_DATA
        said = f"{gate.name}: {outcome.value}"
        return Verdict(
            gate.name,
            outcome,
            said,
            at(now),
            cause=cause,
            segment=segment,
            newest=None if cause is not None and cause is not Cause.INSUFFICIENT else newest,
            comparative=gate.comparative,
        )

    # ---- traffic

    def _pass(self, until: float) -> None:
        """Requests flow as the first route says until a time (its gateway is quick; acceptance is what may be late)."""
        route = self.store.routes.get(self.route_names[0])
        seconds = until - self.counted_at
        if route is not None and seconds > 0 and not self.lasts("no traffic"):
            rules = dict(route.content.rules)
            for segment, rate in RATE.items():
                for arm in rules.get(segment, rules[REST]):
                    key = (segment, arm.revision)
                    self.counts[key] = self.counts.get(key, 0.0) + seconds * rate * arm.permille / 1000
        self.counted_at = self.store.now = until

    def _serve_by_hand(self, name: str) -> None:
        """An adopted route as people made it: one backend, no weight written, no header."""
        target = Target(unit_ref(NAME, UNIT_A))
        content = content_of(target, self.store.segments)
        plain = tuple((segment, tuple(replace(arm, revision=None) for arm in arms)) for segment, arms in content.rules)
        self.store.routes[name] = Route(name, Content(plain, explicit=False), self.store.version())


def _same_shares(content: Content, wanted: Content, progress: Progress, segments: tuple[str, ...]) -> bool:
    units = [unit for unit in (progress.stable, progress.candidate, progress.fallback, progress.diverted) if unit]
    loose = not content.explicit and progress.state in (State.OBSERVING, State.WATCHING)
    return not loose and all(
        content.share(unit.revision, segments) == wanted.share(unit.revision, segments) for unit in units
    )


def _scopes(gate: Gate) -> tuple[str | None, ...]:
    return (SEGMENT, REST) if gate.scope is Scope.SEGMENT else (None,)


def history(seed: int) -> World:
    """Run the history of a seed."""
    world = World(scenario(seed))
    world.run()
    return world


def show(entry: Entry) -> str:
    """One line of the log for people."""
    text = repr(entry)
    match entry:
        case Happened(what=what):
            text = what
        case Decided(progress=before, step=step):
            kinds = [
                a.intention.value if hasattr(a, "intention") else type(a).__name__
                for a in step.actions  # type: ignore[union-attr]
            ]
            text = f"{before.state} → {step.progress.state}: {', '.join(kinds)}"
        case RouteWrite(route=name, after=after, intention=intention):
            rules = "; ".join(
                f"{segment}: " + " ".join(f"{arm.revision or arm.backend.name}={arm.permille}" for arm in arms)
                for segment, arms in after.rules
            )
            text = f"route {name} ({intention or 'by hand'}) {rules} mark={entry.stopped} record={entry.record}"
    return f"{entry.at:7.1f} {entry.actor:9} {type(entry).__name__:14} {text[:230]}"


def main() -> int:
    """Print the history of one seed and what it violates."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.world", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    seed = parser.parse_args().seed
    world = history(seed)
    for entry in world.store.log:
        print(show(entry))
    found = violations(world)
    print(f"\nseed {seed}: {world.store.object.status.state}, {len(found)} violations")
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
