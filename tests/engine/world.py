"""A simulated world: a clock, an API store, a gateway, Prometheus, people, strangers, and operators that die.

It drives the real engine through one history per seed, and everything that is written is in the store's log, on which
`properties` are checked. To see one history: `python -m tests.engine.world --seed 7`, with a planted bug from
`mutants`: `--mutant NAME`.
"""

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from random import Random
from typing import Any

from modelrelease.domain.decision import CONFIRMED, Action, Decision
from modelrelease.domain.exposure import REST
from modelrelease.domain.offline import OfflineEvidence
from modelrelease.domain.plan import OnDrift, Plan
from modelrelease.domain.release import IN_TRAFFIC, Progress, State
from modelrelease.domain.traffic import Target
from modelrelease.domain.unit import unit_ref
from modelrelease.governance.approvals import Demand, demands, evidence_digest, install_demands
from tests.engine.builders import NAME, UID, UNIT_A, at
from tests.engine.happenings import AT_ONCE, wrong_approval
from tests.engine.liveness import RATE
from tests.engine.log import Content, Decided, Entry, Happened, Leads, Looked, RouteWrite, Shown, content_of
from tests.engine.process import Died, Process, Stalled
from tests.engine.properties import violations
from tests.engine.scenarios import ACTIVE_S, NEVER, TICK_S, UNITS, Event, Scenario, scenario
from tests.engine.seen import intended
from tests.engine.sight import broken
from tests.engine.store import ApiError, Route, Store
from tests.engine.timetable import override

CALM_S, CALM_ON_THE_WAY_S = 150.0, 900.0
"""How long nothing at all must be written in the end. A small share takes long to show enough, and to count anew."""

LIMIT_S = 6000.0
LATER_S = 30.0
"""For how long at most an event is put off at a time."""

CONTENDED = frozenset({"failed: Conflict route", "failed: ApiError contended"})
"""What a look says that only a busy stranger disturbed."""


class World:
    """One history."""

    def __init__(self, plan: Scenario) -> None:
        self.scenario, self.rng = plan, Random(plan.seed * 7919 + 1)
        self.store = Store(plan.spec)
        self.route_names = plan.route_names
        self.owned = not plan.adopted
        self.bad = dict(plan.bad)
        self.faulty = True
        self.lasting: list[Event] = []
        self.coming = list(plan.events)
        self.zombies: list[tuple[float, Process, Callable[[], None]]] = []
        self.numbers = 0
        self.deaths = 0
        self.busy = False
        self.calm = False
        self.restarted = 0
        self.counts: dict[tuple[str, str | None], float] = {}
        self.counted_at = 0.0
        self.marks: dict[float, dict[tuple[str, str | None], float]] = {0.0: {}}
        self.refs = {unit.version: unit_ref(NAME, unit) for unit in UNITS}
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
        return self.scenario.bad.get(self.scenario.spec.unit.version, (NEVER, NEVER))[0] > LIMIT_S

    def first_contents(self) -> dict[str, Content]:
        """What the routes held before anything happened."""
        return dict(self._first)

    def requests(self, revision: str, since: float, until: float) -> float:
        """How many requests a unit really got between two times."""
        before, after = self.marks.get(since, {}), self.marks.get(until, {})
        return sum(after.get((name, revision), 0.0) - before.get((name, revision), 0.0) for name in RATE)

    # ---- running

    def run(self) -> None:
        """The eventful part, then quiet until nothing is written any more (or for too long), then a restart."""
        while self.store.now < ACTIVE_S and self.store.object.exists:
            self.advance(TICK_S)
            self.look()
        self.calm_down()
        calm_since = self.store.now
        while not self._calm_since(calm_since) and self.store.now < LIMIT_S:
            written = len(self.store.log)
            self.advance(TICK_S)
            self.help_along()
            self.look()
            if any(not isinstance(entry, Happened | Decided | Shown) for entry in self.store.log[written:]):
                calm_since = self.store.now
        self.calm = self._calm_since(calm_since)
        self.process = self._start()
        self.restarted = len(self.store.log)
        for _ in range(5):
            self.advance(TICK_S)
            self.look()

    def _calm_since(self, moment: float) -> bool:
        on_the_way = self.store.object.status.state in IN_TRAFFIC
        return self.store.now - moment >= (CALM_ON_THE_WAY_S if on_the_way else CALM_S)

    def look(self) -> None:
        """The operator looks once, unless it dies."""
        began = len(self.store.log)
        try:
            self.process.tick()
        except Stalled as stall:
            self.store.happened(f"crash {stall}", self.process.name)
            later = self.store.now + self.rng.choice((6.0, 15.0, 40.0))
            self.zombies.append((later, self.process, stall.go_on))
            self.process = self._start()
            return
        except Died as death:
            self.store.happened(f"crash {death}", self.process.name)
            self.process = self._start()
            return
        disturbed = [entry.what for entry in self.store.log[began:] if isinstance(entry, Happened)]
        if not disturbed and not self.process.cache.hangs:
            self._show()
        contended = self.lasts("busy stranger") and CONTENDED.issuperset(disturbed)
        if contended or not disturbed:
            for revision in sorted(self.process.found_bad):
                self.store.log.append(Looked(self.store.now, self.process.name, revision, bool(disturbed)))

    def _show(self) -> None:
        """What the status says while something is broken or new."""
        stored, bad = self.store.object, broken(self)
        if stored.exists and not stored.deleting and (bad or stored.told.generation != stored.generation):
            about, said = stored.told.generation, stored.told.said
            self.store.log.append(Shown(self.store.now, self.process.name, about, stored.generation, said, bad))

    def advance(self, seconds: float) -> None:
        """Let time pass: requests are counted, gateways report, things happen."""
        until = self.store.now + seconds
        while self.coming and self.coming[0].at <= until:
            event = self.coming.pop(0)
            if self.scenario.timely and self.store.object.status.exposure.is_zero:
                self._put_off(event, until)
                continue
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
        override(self)

    def _put_off(self, event: Event, moment: float) -> None:
        later = moment + self.rng.uniform(0.1, LATER_S)
        self.coming.append(replace(event, at=later, until=later + event.until - event.at))
        self.coming.sort(key=lambda one: one.at)

    def calm_down(self) -> None:
        """The end of all faults: what was broken is mended, what people held is let go."""
        self.faulty, self.lasting, self.coming = False, [], []
        for _, process, go_on in self.zombies:
            self._resume(process, go_on)
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
        if not self.faulty or what not in self.scenario.faults:
            return False
        if self.rng.random() >= self.scenario.faults[what]:
            return False
        self.store.happened(f"fault: {what}", process.name if process else self.process.name)
        return True

    def meanwhile(self, what: str) -> None:
        """Between two calls of the operator somebody else may act; a busy one does at each write to a route."""
        if not self.busy and self.coming and self.strikes("meanwhile"):
            event = self.coming.pop(0)
            self.busy = True
            self.happen(replace(event, until=self.store.now + event.until - event.at))
            self.busy = False
        if what == "route" and self.lasts("busy stranger"):
            for name in self.route_names:
                if name in self.store.routes:
                    self.store.touch(name)

    def _resume(self, process: Process, go_on: Callable[[], None]) -> None:
        """A process that stood still, while another took over, goes on where it was."""
        try:
            go_on()
            self.store.happened("a past leader went on, and it was done", process.name)
        except (ApiError, Died) as error:
            self.store.happened(f"a past leader went on: {type(error).__name__}", process.name)

    def _start(self) -> Process:
        self.deaths += 1
        self.store.holder = f"p{self.deaths}"
        self.store.log.append(Leads(self.store.now, self.store.holder))
        return Process(self, self.store.holder)

    # ---- events

    def lasts(self, what: str) -> bool:
        """Whether an event that lasts is on."""
        return any(event.what == what for event in self.lasting)

    def happen(self, event: Event) -> None:
        """Make one event happen; it is noted where there was anything that it could happen to."""
        do = AT_ONCE.get(event.what)
        if do is None:
            self.lasting.append(event)
        if do is None or do(self):
            self.store.happened(event.what)

    # ---- people

    def say(self, action: Action, **bound: Any) -> None:
        """A person makes a decision for this release."""
        self.numbers += 1
        name = f"{action.value.lower()}-{self.numbers}"
        said = {"identity": CONFIRMED, **bound}
        self.store.say(Decision(f"uid-{name}", name, action, "ada", "because", at(self.store.now), UID, **said))

    def approve(self) -> None:
        """Approve what waits for it, once it has waited long enough; in the quiet part at once."""
        progress = self.store.object.status
        plan, candidate = progress.plan, progress.candidate
        if plan is None or candidate is None or progress.since is None:
            return
        asked = _asked(progress, plan)
        if not asked:
            return
        waited = (at(self.store.now) - progress.since).total_seconds()
        if self.faulty and self.scenario.hasty and waited <= TICK_S:
            wrong_approval(self)
        if self.faulty and waited < self.scenario.approves_after:
            return
        known = [(each.uid, each.digest) for each in self.offline() if each.unit_digest == candidate.digest]
        shown = evidence_digest(known, [gate.name for gate in plan.gates])
        for demand in asked:
            about = {"digest": candidate.digest, "plan_digest": plan.digest, "stage": demand.stage, "role": demand.role}
            bound = about | {"evidence_digest": shown, "identity": CONFIRMED}
            if not self._usable(progress, bound):
                self.say(Action.APPROVE, **bound)

    def offline(self) -> tuple[OfflineEvidence, ...]:
        """The offline evidence that there is now."""
        return ()

    def _usable(self, progress: Progress, bound: dict[str, Any]) -> bool:
        return any(
            said.action is Action.APPROVE
            and said.uid not in progress.handled
            and all(getattr(said, field) == value for field, value in bound.items())
            for said in self.store.decisions
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


def _asked(progress: Progress, plan: Plan) -> tuple[Demand, ...]:
    """Who has to approve what comes next: a first install, or the stage after the present one."""
    if progress.state is State.NEW:
        return install_demands(plan)
    later = progress.state is State.OBSERVING and progress.stage + 1 < len(plan.stages)
    return demands(plan, progress.stage + 1) if later else ()


def _same_shares(content: Content, wanted: Content, progress: Progress, segments: tuple[str, ...]) -> bool:
    units = [unit for unit in (progress.stable, progress.candidate, progress.fallback, progress.diverted) if unit]
    loose = not content.explicit and progress.state is not State.SETTLED
    return not loose and all(
        content.share(unit.revision, segments) == wanted.share(unit.revision, segments) for unit in units
    )


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
            kinds = [str(getattr(action, "intention", type(action).__name__)) for action in step.actions]
            text = f"{before.state} → {step.progress.state}: {', '.join(kinds)}"
        case RouteWrite(route=name, after=after, intention=intention):
            rules = "; ".join(
                f"{segment}: " + " ".join(f"{arm.revision or arm.backend.name}={arm.permille}" for arm in arms)
                for segment, arms in after.rules
            )
            text = f"route {name} ({intention or 'by hand'}) {rules} mark={entry.stopped} record={entry.record}"
    return f"{entry.at:7.1f} {entry.actor:9} {type(entry).__name__:14} {text[:230]}"


def _planted(name: str) -> AbstractContextManager[object]:
    from tests.engine.mutants import MUTANTS, planted

    return planted(MUTANTS[name])


def main(arguments: list[str] | None = None) -> int:
    """Print the history of one seed and what it violates."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.world", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--mutant", help="a planted bug, by its name in tests/engine/mutants.py")
    asked = parser.parse_args(arguments)
    with _planted(asked.mutant) if asked.mutant else nullcontext():
        world = history(asked.seed)
    for entry in world.store.log:
        print(show(entry))
    found = violations(world)
    print(f"\nseed {asked.seed}: {world.store.object.status.state}, {len(found)} violations")
    for violation in found:
        print(violation)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
