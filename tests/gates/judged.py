"""What this version of the judge says of counts that never change: `judged.json`, and how it is written.

python -m tests.gates.judged       # after gates.workings.JUDGE was raised
"""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelrelease.domain.gate import AgainstStable, Gate, Scope
from modelrelease.engine.records import verdict_body
from modelrelease.gates.workings import JUDGE, Account, packed
from tests.gates.builders import COST, LATENCY, SCORE, SETTINGS, T0, VALUE, evidence, gate, histogram, stratum, under

KEPT = Path(__file__).with_name("judged.json")
TICKS = 240

BURSTS = replace(SETTINGS, window_s=60, phi=4.0)
WANDERING = replace(SETTINGS, window_s=60, phi=40.0)
INDEPENDENT = replace(SETTINGS, window_s=0, phi=1.0)
GATES = {
    "compared": (gate(), SETTINGS),
    "compared-independent": (gate(), INDEPENDENT),
    "compared-bursts": (gate(), BURSTS),
    "compared-wandering": (gate(), WANDERING),
    "difference": (gate(rule=AgainstStable(max_difference="0.01", floor="0.001")), BURSTS),
    "bound": (gate(rule=under("0.02")), SETTINGS),
    "bound-bursts": (gate(rule=under("0.02")), BURSTS),
    "segments": (gate(scope=Scope.SEGMENT), SETTINGS),
    "slow": (gate(LATENCY, AgainstStable(max_ratio="1.2")), SETTINGS),
    "slow-bound": (gate(LATENCY, under("0.5")), SETTINGS),
    "score": (gate(SCORE, AgainstStable(max_difference="0.1")), SETTINGS),
    "cost": (gate(COST, under("0.4")), SETTINGS),
    "value": (gate(VALUE, under("0.3")), SETTINGS),
}


def body() -> dict[str, Any]:
    """A record's body with one gate of each way to judge; the candidate gets worse half-way."""
    verdicts, written = [], []
    for name, (shape, settings) in GATES.items():
        of = replace(shape, name=name)
        account = Account.open(of, settings)
        drawn = random.Random(name)
        for tick in range(TICKS):
            account.fold(_tick(of, tick, drawn))
            if tick == TICKS // 4:
                account.new_stage()
        at = account.state.newest or T0
        verdicts += account.verdicts(at=at, settings=settings)
        written.append(account.written(at=at, settings=settings))
    return {"judge": JUDGE, "verdicts": verdict_body(verdicts), "workings": packed({"Stage": written})}


def _tick(of: Gate, tick: int, drawn: random.Random) -> Any:
    worse = 1 + (tick > TICKS // 2)
    if of.metric == VALUE:
        return evidence(value=0.2 + drawn.random() / 20, newest=T0)
    if of.metric == LATENCY:
        slow = {0.1: 40, 0.2: 7, 0.5: 2}
        return evidence(histogram(tick, {**slow, 1.0: drawn.randrange(2 * worse)}, {**slow, 1.0: drawn.randrange(2)}))
    candidate, stable = (20, drawn.randrange(2) * worse), (80, drawn.randrange(3))
    segments = ("low", "*") if of.scope is Scope.SEGMENT else (None,)
    return evidence(*(stratum(tick, candidate, stable, segment) for segment in segments))


if __name__ == "__main__":
    KEPT.write_text(json.dumps(body(), indent=1, sort_keys=True) + "\n")
