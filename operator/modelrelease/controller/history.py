"""How stable's bad events come: read from Prometheus before a release's first stage, once for each release.

Stable's own counters of the last hours are read as if it were the only arm, and what `gates.windows` makes of them is
frozen in the release's status. Where there is too little history, or it cannot be read for a while, nothing is known,
and the tests learn on the way: a release is not held up by a past that nobody has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from modelrelease.domain.evidence import Cause, Stratum, Tally
from modelrelease.domain.gate import Absolute, Gate, Value
from modelrelease.domain.habit import Habit
from modelrelease.gates.windows import known_habit
from modelrelease.metrics.subscription import Place, Subscription, Tick

LONGEST_S = 6 * 3600.0
MOST_SCRAPES = 1500
"""How far back is read: so many seconds, but not more than so many scrapes."""

PATIENCE_S = 60.0
"""For how long the first stage waits for a history that cannot be read."""

SUFFIX = "#history"
"""Ends the keys of these subscriptions."""


@dataclass(frozen=True, slots=True)
class HistoryWanted:
    """Whose history is wanted: the gates that can have a habit, and where stable's series are (`Place.candidate`).

    `since`: when the release began to be prepared.
    """

    key: str
    token: str
    gates: tuple[Gate, ...]
    places: tuple[Place, ...]
    since: datetime


@dataclass(slots=True)
class History:
    """The reading of one release's history. `habits`: what came of it by gate, None where too little is known."""

    wanted: HistoryWanted
    strata: dict[str, list[Stratum]] = field(default_factory=dict)
    habits: dict[str, Habit | None] = field(default_factory=dict)

    def take(self, tick: Tick) -> tuple[str, ...]:
        """Take what was read; the gates whose history is whole now. One that cannot be read for long is given up."""
        late = (tick.at - self.wanted.since).total_seconds() > PATIENCE_S
        whole = []
        for evidence in tick.evidence:
            if evidence.gate in self.habits:
                continue
            self.strata.setdefault(evidence.gate, []).extend(map(_of_stable, evidence.strata))
            if evidence.problem is None or evidence.problem.cause is not Cause.SOURCE_DOWN:
                whole.append(evidence.gate)
            elif late:
                self.habits[evidence.gate] = None
        return tuple(whole)

    def work_out(self, name: str) -> None:
        """Find one gate's habit. Up to a second of arithmetic, so not for an event loop."""
        gate = next(gate for gate in self.wanted.gates if gate.name == name)
        strata = self.strata.pop(name, [])
        self.habits[name] = known_habit(gate, strata)

    @property
    def found(self) -> tuple[tuple[str, Habit], ...] | None:
        """What is known of each gate that can have a habit, None while it is being read."""
        names = [gate.name for gate in self.wanted.gates]
        if any(name not in self.habits for name in names):
            return None
        return tuple((name, habit) for name in names if (habit := self.habits[name]) is not None)


def can_have_habit(gate: Gate) -> bool:
    """Whether a gate counts events, which may come together; a value is judged by its last samples."""
    return not isinstance(gate.metric, Value)


def subscription(
    wanted: HistoryWanted, gates: tuple[Gate, ...], *, scrape_interval_s: float, fresh_s: float
) -> Subscription:
    """What to ask a collector for: stable alone, from some hours before the release on."""
    back_s = min(LONGEST_S, MOST_SCRAPES * scrape_interval_s)
    return Subscription(
        key=wanted.key + SUFFIX,
        generation=wanted.token,
        gates=tuple(replace(gate, rule=Absolute()) for gate in gates),
        places=wanted.places,
        since=wanted.since - timedelta(seconds=back_s),
        stage_since=wanted.since,
        fresh_s=fresh_s,
        every_round=True,
    )


def places_of_stable(places: tuple[Place, ...]) -> tuple[Place, ...]:
    """Where stable's series were: its rule and its place in it may have moved when rules for segments were put in."""
    found: dict[tuple[tuple[str, str], ...], Place] = {}
    for place in places:
        if not place.stable:
            continue
        for values in _elsewhere(place.stable):
            found.setdefault(
                tuple(sorted(values.items())), Place(segment=places[0].segment, candidate=values, stable={})
            )
    return tuple(found.values())


def _elsewhere(values: Mapping[str, str]) -> list[dict[str, str]]:
    rule, backend = values.get("ruleIndex", ""), values.get("backendIndex", "")
    rules = range(int(rule) + 1) if rule.isdecimal() else [rule]
    backends = range(2) if backend.isdecimal() else [backend]
    moved = [{"ruleIndex": str(r), "backendIndex": str(b)} for r in rules for b in backends]
    return [{**values, **{name: text for name, text in each.items() if text}} for each in moved]


def _of_stable(stratum: Stratum) -> Stratum:
    """Stable was read as the only arm, which the collector calls the candidate."""
    return replace(stratum, candidate=Tally(), stable=stratum.candidate)
