"""How a forecast is shown: tables for a terminal, and plain data for programs."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from modelrelease.api.quantities import time_text
from modelrelease.cli.governed_text import asked, governed_data, governed_lines
from modelrelease.cli.measure import Basis
from modelrelease.domain.canonical import plain
from modelrelease.domain.entry import Entry
from modelrelease.domain.exposure import REST
from modelrelease.domain.gate import Cost, Mean, Value
from modelrelease.gates.measuring import rough
from modelrelease.gates.planning import ALLOWED, ALONE, RESERVE, Forecast, Need, StageForecast
from modelrelease.gates.regressions import Worse
from modelrelease.gates.shortfalls import about, shortfalls, unknowns, verdict
from modelrelease.gates.traffic import ALL, GateTraffic
from modelrelease.gates.words import count, number, percent
from modelrelease.governance.train import closed, closes, words

HEADS = {Worse.TWICE: "2x worse", Worse.FIVE_TIMES: "5x worse", Worse.HALF: "half fail"}

NOTE = (
    "Times run from the start of a stage, with what the stages before it have shown; by then about three of four "
    "candidates are through (expected evidence of {reserve:g} times the threshold). Worse: than stable shows, or than "
    "an absolute gate allows. Proof: that a candidate which equals stable is not worse than allowed."
)


@dataclass(frozen=True, slots=True)
class View:
    """All that is shown. `window`, as text and as a length: how far back was looked; None and 0 where nobody was asked.

    `now` is when the train is looked at.
    """

    name: str
    namespace: str
    forecast: Forecast
    basis: Basis
    window: str | None
    window_s: float
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


def as_text(view: View) -> str:
    """For people, as wide as the terminal."""
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    console = Console(file=StringIO(), width=width, color_system=None, highlight=False, markup=False, emoji=False)
    for line in _head(view):
        console.print(line)
    console.print()
    console.print(_stages(view.forecast))
    for stage in view.forecast.stages:
        console.print(f"{stage.stage.name}: {verdict(stage)}")
        if said := asked(view.basis.governance, stage.stage.name):
            console.print(f"  by the policy: {'; '.join(said)}")
    console.print()
    console.print(_gates(view.forecast))
    for line in _warnings(view):
        console.print(line)
    console.print(NOTE.format(reserve=RESERVE))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def as_data(view: View) -> dict[str, Any]:
    """For programs. Times are in seconds; null with a `note` where there is none (never, allowed, unknown …)."""
    measured, settings = view.basis.measured, view.basis.settings
    return {
        "release": view.name,
        "namespace": view.namespace,
        "window": view.window,
        **governed_data(view.basis.governance),
        "seenForSeconds": round(view.basis.seen_for_s),
        "alpha": settings.alpha,
        "beta": settings.beta,
        "tests": settings.gates,
        "comparedEverySeconds": measured.window_s,
        "requestsPerSecond": {name or "all": rate for name, rate in measured.requests.items()},
        "gates": [_gate_data(traffic) for traffic in measured.gates],
        "train": _train_data(view),
        "entry": plain(view.basis.plan.entry) if view.basis.plan.entry.demands else None,
        "stages": [_stage_data(stage) for stage in view.forecast.stages],
        "warnings": [{"field": short.field, "message": short.message} for short in shortfalls(view.forecast)],
        "unknown": list(unknowns(view.forecast)),
    }


def _head(view: View) -> Iterator[str]:
    measured, settings = view.basis.measured, view.basis.settings
    source = "as given" if view.window is None else f"in the last {view.window}"
    if view.window is not None and 0 < view.basis.seen_for_s < 0.9 * view.window_s:
        source += f", seen for {about(view.basis.seen_for_s)} of it"
    yield (
        f"{view.namespace}/{view.name}: {len(view.forecast.stages)} stages, {settings.gates} tests, reverts falsely at "
        f"most {percent(settings.alpha)}, passes falsely at most {percent(settings.beta)}"
    )
    yield from governed_lines(view.basis.governance)
    if measured.total is None:
        yield f"traffic: unknown: {measured.problem or 'no requests were seen'}; give it with --rate"
    else:
        parts = [
            f"{'the rest' if key == REST else key} {number(rate)}" for key, rate in measured.requests.items() if key
        ]
        split = f" ({', '.join(parts)})" if len(parts) > 1 else ""
        yield f"traffic: {number(measured.total)} requests/s{split} {source}"
    if not view.basis.plan.train.unlimited:
        yield _train(view)
    if view.basis.plan.entry.demands:
        yield f"entry: before any traffic, evidence must show {_entry(view.basis.plan.entry)}"
    for traffic in measured.gates:
        yield f"gate {traffic.gate.name}: {_said(traffic)}"


def _entry(entry: Entry) -> str:
    """What is demanded of offline evidence, by name."""
    parts = [gate.name for gate in entry.gates]
    if entry.package:
        parts.append(f"a package with {', '.join(entry.package)}")
    if entry.data_lineage or entry.data_max_age_s is not None:
        parts.append("where its data comes from and how new it is")
    return ", ".join(parts) or f"anything, at most {entry.max_age_s} s old"


def _train(view: View) -> str:
    """When the first raise can be, as far as the release train says."""
    train = view.basis.plan.train
    shut = closed(train, view.now)
    if shut is not None:
        return f"train: {shut.message}; the first raise is not before that"
    end = closes(train, view.now)
    return f"train: open now, until {words(train, end)}" if end else "train: open now"


def _train_data(view: View) -> dict[str, Any] | None:
    train = view.basis.plan.train
    if train.unlimited:
        return None
    shut = closed(train, view.now)
    first, end = (shut.opens_at, None) if shut else (view.now, closes(train, view.now))
    return {
        "open": shut is None,
        "reason": shut.reason if shut else None,
        "firstRaiseFrom": time_text(first) if first else None,
        "closesAt": time_text(end) if end else None,
    }


def _said(traffic: GateTraffic) -> str:
    """Stable's figure, and what it was taken from."""
    if traffic.problem:
        return f"unknown: {traffic.problem}"
    if isinstance(traffic.gate.metric, Value):
        return "one sample per scrape, no traffic needed"
    if all(flow.figure is None for flow in traffic.flows.values()):
        rate = number(sum(flow.per_s for flow in traffic.flows.values()))
        alike = len({flow.note for flow in traffic.flows.values()}) == 1
        notes = [
            flow.note if alike else f"{_named(name) or 'the rest '}{flow.note}" for name, flow in traffic.flows.items()
        ]
        return f"{rate} events/s; {'; '.join(dict.fromkeys(notes))}"
    found = [f"{_named(name)}{_figure(traffic, name)}" for name in traffic.flows]
    bursts = (
        f"; its bad events come in bursts (φ {number(traffic.bursts.stakes)})" if traffic.bursts.stakes > 1.5 else ""
    )
    vague = f"; only a rough guess: {said}, ask for a longer --window" if (said := rough(traffic)) else ""
    return f"stable has {', '.join(found)}{bursts}{vague}"


def _named(segment: str) -> str:
    return "" if segment in (ALL, REST) else f"{segment} "


def _figure(traffic: GateTraffic, name: str) -> str:
    flow = traffic.flows[name]
    rate = f"at {number(flow.per_s)} events/s"
    if flow.figure is None:
        return f"no figure yet {rate} ({flow.note})"
    if isinstance(traffic.gate.metric, Mean | Cost):
        return f"{number(flow.figure)} ± {number(flow.spread)} {rate}"
    counted = f" ({count(round(flow.figure * flow.counted))} of {count(round(flow.counted))})" if flow.counted else ""
    return f"{percent(float(f'{flow.figure:.3g}'))}{counted} {rate}"


def _stages(forecast: Forecast) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column("stage", overflow="fold")
    table.add_column("exposure", overflow="fold")
    for head in ("req/s", "samples", "2x worse", "proof", "min", "max"):
        table.add_column(head, justify="right")
    for stage in forecast.stages:
        rate = "?" if stage.candidate_per_s is None else number(stage.candidate_per_s)
        table.add_row(
            stage.stage.name,
            str(stage.stage.exposure),
            rate,
            _time(stage.samples) if stage.stage.min_samples else "–",
            _time(stage.sight),
            _time(stage.proof) if stage.proof_needed else "–",
            about(stage.stage.min_duration_s),
            about(stage.stage.max_duration_s),
        )
    return table


def _gates(forecast: Forecast) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column("gate", overflow="fold")
    table.add_column("stage", overflow="fold")
    for head in (*HEADS.values(), "proof"):
        table.add_column(head, justify="right")
    names = dict.fromkeys(gate.gate for stage in forecast.stages for gate in stage.gates)
    for name in names:
        for stage in forecast.stages:
            for gate in stage.gates:
                if gate.gate == name:
                    cells = [_time(gate.sees.get(worse, Need(None, "–"))) for worse in Worse]
                    table.add_row(name if stage.index == 0 else "", stage.stage.name, *cells, _time(gate.proves))
    return table


def _time(need: Need) -> str:
    if need.seconds is not None:
        return "before" if need.seconds == 0 else about(need.seconds)
    return {ALLOWED.note: "allowed", ALONE.note: "no stable", "–": "–"}.get(need.note, "unknown")


def _warnings(view: View) -> Iterator[str]:
    for short in shortfalls(view.forecast):
        yield f"warning: {short.field}: {short.message}"
    vague = [traffic.gate.name for traffic in view.basis.measured.gates if _is_vague(traffic)]
    if vague:
        unknown = [traffic for traffic in view.basis.measured.gates if _is_vague(traffic)]
        quiet = not any(flow.counted for traffic in unknown for flow in traffic.flows.values())
        rest = "plan again when there has been traffic" if quiet else "mend what is said of it above"
        yield (
            f"warning: nothing can be said of {', '.join(vague)}: give stable's figure with --base-rate {vague[0]}=P, "
            f"or {rest}"
        )
    segments = [name for name in view.basis.plan.stages[0].exposure.shares if name[0] != REST]
    if ALL in view.basis.measured.requests and any("segment" in why for why in unknowns(view.forecast)):
        name = segments[0][0]
        yield (
            f"warning: the route has no rule for segment {name} yet, so its share of the traffic cannot be read; "
            f"give it with --segment-rate {name}=N"
        )


def _is_vague(traffic: GateTraffic) -> bool:
    return bool(traffic.problem) or any(flow.figure is None for flow in traffic.flows.values())


def _stage_data(stage: StageForecast) -> dict[str, Any]:
    return {
        "name": stage.stage.name,
        "exposure": {name: share / 1000 for name, share in stage.stage.exposure.shares},
        "candidatePerSecond": stage.candidate_per_s,
        "minSamples": stage.stage.min_samples,
        "samples": _need_data(stage.samples),
        "sight": _need_data(stage.sight),
        "proof": _need_data(stage.proof),
        "proofNeeded": stage.proof_needed,
        "minDurationSeconds": stage.stage.min_duration_s,
        "maxDurationSeconds": stage.stage.max_duration_s,
        "leavesAfterSeconds": stage.leaves_s if math.isfinite(stage.leaves_s) else None,
        "sufficiency": stage.sufficiency.value,
        "verdict": verdict(stage),
        "gates": [
            {
                "name": gate.gate,
                "sees": {worse.value: _need_data(need) for worse, need in gate.sees.items()},
                "proves": _need_data(gate.proves),
            }
            for gate in stage.gates
        ],
    }


def _need_data(need: Need) -> dict[str, Any]:
    never = need.seconds is not None and math.isinf(need.seconds)
    said = {"seconds": None if never or need.seconds is None else round(need.seconds, 3)}
    more = {"note": "never" if never else need.note, "gate": need.gate}
    return {**said, **{key: value for key, value in more.items() if value}}


def _gate_data(traffic: GateTraffic) -> dict[str, Any]:
    return {
        "name": traffic.gate.name,
        "problem": traffic.problem or None,
        "phi": traffic.bursts.stakes,
        "segments": {
            name or "all": {
                "eventsPerSecond": flow.per_s,
                "stable": flow.figure,
                "spread": flow.spread or None,
                "counted": flow.counted or None,
                "note": flow.note or None,
            }
            for name, flow in traffic.flows.items()
        },
    }
