"""Whether a rollout's stages are long enough for the traffic that it has: looked at once a stage has some data.

What `modelrelease plan` says before a release is said here during one, from the strata that are judged anyway, so that
nobody waits for a proof that cannot come. It is looked at again, ever more seldom, while too little is known, and then
stays for the rest of the stage: the condition that shows it must not flicker.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from modelrelease.domain.evidence import SplitCount
from modelrelease.domain.exposure import REST
from modelrelease.domain.gate import Gate
from modelrelease.domain.habit import Habit
from modelrelease.domain.plan import Plan, StageLengths
from modelrelease.gates.judge import JudgeSettings
from modelrelease.gates.measuring import rough, traffic_of
from modelrelease.gates.planning import forecast
from modelrelease.gates.shortfalls import shortfalls, unknowns
from modelrelease.gates.traffic import ALL, GateTraffic, Measured
from modelrelease.gates.workings import Account
from modelrelease.metrics import compose

FIRST_LOOK_S = 30.0
"""How long a stage is counted before it is looked at; longer where few scrapes fit into that."""

SCRAPES = 4


@dataclass(slots=True)
class Lengths:
    """The looks at one rollout. `found` stays from stage to stage until the next look."""

    found: StageLengths | None = None
    stage_since: datetime | None = None
    wait_s: float = 0.0

    def look(
        self,
        plan: Plan,
        accounts: Iterable[Account],
        split: Sequence[SplitCount],
        settings: JudgeSettings,
        *,
        stage_since: datetime,
        at: datetime,
        scrape_s: float,
        habits: Mapping[str, Habit],
    ) -> bool:
        """Look, if it is time to; whether it was. A look takes some 0.1 s, so a tick has time for one."""
        if stage_since != self.stage_since:
            self.stage_since, self.wait_s = stage_since, max(FIRST_LOOK_S, SCRAPES * scrape_s)
        elapsed_s = (at - stage_since).total_seconds()
        if elapsed_s < self.wait_s:
            return False
        measured = measured_of(accounts, split, seconds=elapsed_s - scrape_s, window_s=scrape_s, habits=habits)
        self.found = lengths_of(plan, measured, settings)
        self.wait_s = 2 * self.wait_s if self.found.unknown else float("inf")
        return True


def lengths_of(plan: Plan, measured: Measured, settings: JudgeSettings) -> StageLengths:
    """Which stages are too short for this traffic, and why nothing can be said of others."""
    expected = forecast(plan, measured, settings)
    return StageLengths(tuple(short.message for short in shortfalls(expected)), unknowns(expected))


def measured_of(
    accounts: Iterable[Account],
    split: Sequence[SplitCount],
    *,
    seconds: float,
    window_s: float,
    habits: Mapping[str, Habit],
) -> Measured:
    """The traffic of the present stage. A figure of few bad events is none: it would change with the next."""
    requests = {one.segment: (one.candidate + one.stable) / seconds for one in split}
    gates = tuple(_sure(account.gate, account, habits.get(account.gate.name)) for account in accounts)
    if _whole(gates) and set(requests) == {REST}:
        requests = {ALL: requests[REST]}
    return Measured(requests, gates, window_s, "" if requests else "no requests were counted")


def _sure(gate: Gate, account: Account, habit: Habit | None) -> GateTraffic:
    traffic = traffic_of(gate, account.strata, apart=compose.per_rule(gate), habit=habit)
    why = rough(traffic)
    if not why:
        return traffic
    return replace(traffic, flows={name: replace(flow, figure=None, note=why) for name, flow in traffic.flows.items()})


def _whole(gates: Iterable[GateTraffic]) -> bool:
    """Whether no gate tells segments apart, so that a count under REST is one of everything."""
    return any(ALL in traffic.flows for traffic in gates)
