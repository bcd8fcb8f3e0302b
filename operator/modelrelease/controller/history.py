"""How stable's bad events come: read from Prometheus before a release's first stage, once for each release.

Stable's own counters of the last hours are read as if it were the only arm, and what `gates.windows` makes of them is
frozen in the release's status. Where there is too little history, or it cannot be read for a while, nothing is known,
and the tests learn on the way: a release is not held up by a past that nobody has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from modelrelease.domain.evidence import Cause, Stratum, Tally
from modelrelease.domain.gate import Absolute, Gate, Value
from modelrelease.domain.habit import Habit
from modelrelease.gates.windows import known_habit
from modelrelease.metrics.subscription import Place, Subscription, Tick

LONGEST_S = 6 * 3600.0
MOST_SCRAPES = 1500
"""How far back is read: so many seconds, but not more than so many scrapes."""

MOST_ROUNDS = 2 * MOST_SCRAPES
"""Of a source that scrapes more often than it says, so many of the newest rounds count: arithmetic has an end."""

PATIENCE_S = 60.0
"""For how long the first stage waits for a history that cannot be read from a source that answers otherwise."""

READING_S = 300.0
"""For how long it waits while the history is being read: many releases that start at once take turns."""

ALIGNED_S = 300.0
"""Reading begins at a multiple of this, so that releases that start together share their queries."""

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
    """The reading of one release's history. `habits`: what came of it by gate, None where too little is known.

    `handed`: the gates whose history is whole; what is read of them afterwards is another one and does not count.
    """

    wanted: HistoryWanted
    strata: dict[str, list[Stratum]] = field(default_factory=dict)
    habits: dict[str, Habit | None] = field(default_factory=dict)
    handed: set[str] = field(default_factory=set)
    _asked: dict[str, datetime] = field(default_factory=dict)
    _unread_s: dict[str, float] = field(default_factory=dict)

    def take(self, tick: Tick, *, answers: bool = True) -> tuple[str, ...]:
        """Take what was read; the gates whose history is whole now, each once. One that cannot be read is given up.

        `answers`: whether the source answers what else the release asks. While it does not, the release is held up
        anyway, and its history can still be read when it is back.
        """
        whole = []
        for evidence in tick.evidence:
            name = evidence.gate
            if self.is_done(name):
                continue
            late = self._waited_s(name, tick.at, answers) > (PATIENCE_S if tick.source_down else READING_S)
            self.strata.setdefault(name, []).extend(map(_of_stable, evidence.strata))
            if evidence.problem is None or evidence.problem.cause is not Cause.SOURCE_DOWN:
                whole.append(name)
                self.handed.add(name)
            elif late:
                self.give_up(name)
        return tuple(whole)

    def is_done(self, name: str) -> bool:
        """Whether nothing more is to be read for a gate."""
        return name in self.handed or name in self.habits

    def give_up(self, name: str) -> None:
        """Nothing is known of a gate: its test learns on the way."""
        self.habits[name] = None
        self.strata.pop(name, None)

    def work_out(self, name: str) -> None:
        """Find one gate's habit. Up to a second of arithmetic, so not for an event loop."""
        gate = next(gate for gate in self.wanted.gates if gate.name == name)
        strata = sorted(self.strata.pop(name, []), key=lambda stratum: stratum.start)
        self.habits[name] = known_habit(gate, strata[-MOST_ROUNDS:])

    def _waited_s(self, name: str, at: datetime, answers: bool) -> float:
        """Seconds for which a gate's history was waited for while the source answered."""
        before, self._asked[name] = self._asked.get(name, self.wanted.since), at
        if answers:
            self._unread_s[name] = self._unread_s.get(name, 0.0) + (at - before).total_seconds()
        return self._unread_s.get(name, 0.0)

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
    start_s = wanted.since.timestamp() - min(LONGEST_S, MOST_SCRAPES * scrape_interval_s)
    return Subscription(
        key=wanted.key + SUFFIX,
        generation=wanted.token,
        gates=tuple(replace(gate, rule=Absolute()) for gate in gates),
        places=wanted.places,
        since=datetime.fromtimestamp(start_s - start_s % ALIGNED_S, UTC),
        stage_since=wanted.since,
        fresh_s=fresh_s,
        every_round=True,
        patient=True,
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
