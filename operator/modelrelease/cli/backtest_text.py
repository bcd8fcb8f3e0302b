"""How a backtest is shown: a table, the stops in words and a strip per gate for a terminal; plain data for programs."""

import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from modelrelease.backtest.arms import Named
from modelrelease.backtest.replay import MOST_STOPS, Found, Result, Stop
from modelrelease.backtest.study import Phases
from modelrelease.cli.backtest_chart import strips
from modelrelease.cli.backtest_view import View, utc
from modelrelease.cli.governed_text import governed_data, governed_lines
from modelrelease.domain.gate import Phase
from modelrelease.gates.words import count, number, percent

MOST_COLUMNS = 3
"""Up to so many incidents have a column of their own; of more it says how many were found, and the median delay."""

SHOWN = 8
"""In so many releases a gate's false alarms are told in text; JSON has all."""


def as_text(view: View, chart: Path | None = None) -> str:
    """For people, as wide as the terminal."""
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    console = Console(file=StringIO(), width=width, color_system=None, highlight=False, markup=False, emoji=False)
    for line in _head(view):
        console.print(line)
    if view.governance.standing is not None and not view.governance.standing.built_in:
        for line in governed_lines(view.governance):
            console.print(line)
    for phases in view.phases:
        console.print()
        for line in _releases(view, phases):
            console.print(line)
        console.print(_table(phases))
        for line in _remarks(phases):
            console.print(line)
        for heading, said in _told(phases):
            console.print(heading)
            console.print(Padding(said, (0, 0, 0, 2)))
        console.print()
        for line in strips(phases, width=width):
            console.print(line, no_wrap=True, crop=True)
    if chart is not None:
        console.print(f"chart: {chart}", soft_wrap=True)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def as_data(view: View) -> dict[str, Any]:
    """For programs. Times are RFC 3339, lengths in seconds."""
    return {
        "release": view.name,
        "namespace": view.namespace,
        "from": _rfc3339(view.span.since_s),
        "to": _rfc3339(view.span.grid.end_s),
        "stepSeconds": view.span.step_s,
        "candidate": None if view.arms.candidate is None else _named(view.arms.candidate),
        "stable": _named(view.arms.stable),
        "phases": [_phase_data(phases) for phases in view.phases],
        **governed_data(view.governance),
    }


def elapsed(seconds: float) -> str:
    """An exact length for people: `45 s`, `2 min 15 s`, `3 h`, `30 days`."""
    whole = round(seconds)
    parts = ((whole // 86400, "days"), (whole % 86400 // 3600, "h"), (whole % 3600 // 60, "min"), (whole % 60, "s"))
    said = [f"{amount} {'day' if unit == 'days' and amount == 1 else unit}" for amount, unit in parts if amount]
    return " ".join(said[:2]) or "0 s"


def _head(view: View) -> Iterator[str]:
    grid = view.span.grid
    length = elapsed(grid.count * grid.step_s)
    times = f"{view.since[:16]} to {view.until[:16]} UTC"
    yield f"{view.namespace}/{view.name} over {length}, {times}, in steps of {grid.step_s:g} s"
    if view.arms.candidate is None:
        named, how = _named(view.arms.stable), dict.fromkeys(note for one in view.phases for note in _usual(one))
        yield ", ".join([f"arms: stable{f' ({named})' if named else ''} against itself", *how])
    else:
        theirs = _named(view.arms.stable) or "as the release says"
        yield f"arms: candidate {_named(view.arms.candidate)} against stable {theirs}"


def _releases(view: View, phases: Phases) -> Iterator[str]:
    table, bars, found = phases.timetable, phases.bars, phases.releases
    watch = " of the watch" if phases.phase is Phase.WATCH else ""
    length = elapsed(table.release_steps * table.grid.step_s)
    shares = f" at {', '.join(percent(share) for share in phases.shares)}" if phases.shares else ""
    number_of = len(table.starts())
    ones = "1 release" if number_of == 1 else f"{count(number_of)} releases, one after the other,"
    yield (
        f"{ones}{watch} of {length}{shares}; {bars.gates} {'test' if bars.gates == 1 else 'tests'}, so a gate stops at "
        f"E ≥ {number(bars.gates / bars.alpha)}"
    )
    if found.count:
        allowed = f", {percent(bars.alpha)} allowed" if view.arms.candidate is None else ""
        outside = " outside incidents" if table.incidents else ""
        yield (
            f"{count(found.stopped)} of {count(found.count)} releases{outside} would have been stopped "
            f"({number(100 * found.stopped / found.count)} %{allowed})"
        )


def _table(phases: Phases) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column("gate", no_wrap=True, overflow="ellipsis", max_width=28)
    for head in ("stops", "false", "per week", *_incident_heads(phases)):
        table.add_column(head, justify="right", no_wrap=True)
    for result in phases.results:
        per_week = "–" if result.per_week is None else number(float(f"{result.per_week:.2g}"))
        table.add_row(
            _name(result),
            count(len(result.stops)) if not result.track.problem else "–",
            count(len(result.false_alarms)) if not result.track.problem else "–",
            per_week,
            *_caught(result, phases),
        )
    return table


def _incident_heads(phases: Phases) -> list[str]:
    incidents = phases.timetable.incidents
    if len(incidents) > MOST_COLUMNS:
        return ["incidents"]
    return ["incident"] if len(incidents) == 1 else [f"inc. {index + 1}" for index in range(len(incidents))]


def _caught(result: Result, phases: Phases) -> list[str]:
    if len(phases.timetable.incidents) <= MOST_COLUMNS:
        return [_delay(found) for found in result.incidents]
    delays = sorted(found.delay_s for found in result.incidents if found.delay_s is not None)
    judged = sum(found.judged for found in result.incidents)
    return [f"{len(delays)} of {judged}{f', {_brief(delays[len(delays) // 2])}' if delays else ''}"]


def _delay(found: Found) -> str:
    if found.delay_s is not None:
        return _brief(found.delay_s)
    return "missed" if found.judged else "no data"


def _brief(seconds: float) -> str:
    """A length in one unit, for a narrow column: `45 s`, `9.8 min`, `3.2 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def _remarks(phases: Phases) -> Iterator[str]:
    """What of the gates was not judged, or not as the others were."""
    usual = _usual(phases)
    for result in phases.results:
        track, grid = result.track, phases.timetable.grid
        share = float(track.covered.sum()) / grid.count
        said = [f"not judged: {track.problem}"] if track.problem else []
        if not track.problem and share < 0.999:
            said.append(f"there was something to judge in {number(100 * share)} % of the time")
        said += [note for note in track.notes if note not in usual]
        if result.cut:
            said.append(f"in {count(result.cut)} releases only the first {count(MOST_STOPS)} stops are counted")
        if said:
            yield f"{_name(result)}: {'; '.join(said)}"


def _usual(phases: Phases) -> tuple[str, ...]:
    """What is noted of every gate that was judged."""
    noted = [result.track.notes for result in phases.results if not result.track.problem]
    return tuple(note for note in (noted[0] if noted else ()) if all(note in each for each in noted))


def _told(phases: Phases) -> Iterator[tuple[str, str]]:
    """The first stop in each incident, and the first false alarm in each release, each with its sentence."""
    stops = [(stop, result, 0) for result in phases.results for stop in result.stops if stop.said]
    first = {id(found.stop) for result in phases.results for found in result.incidents if found.stop is not None}
    shown = [each for each in stops if id(each[0]) in first]
    left = 0
    for result in phases.results:
        alarms = list(_by_release(result.false_alarms, phases).values())
        shown += [(each[0], result, len(each) - 1) for each in alarms[:SHOWN] if each[0].said]
        left += sum(map(len, alarms[SHOWN:]))
    for stop, result, again in sorted(shown, key=lambda each: each[0].at_s):
        more = f", and {count(again)} more in this release" if again else ""
        yield f"{utc(stop.at_s)}  {_heading(stop, result, phases)}{more}", stop.said
    if left:
        yield f"and {count(left)} more false alarms", "-o json lists them all"


def _by_release(stops: Iterable[Stop], phases: Phases) -> dict[int, list[Stop]]:
    """Stops by the number of the release that they are in, in order of time."""
    grid, steps = phases.timetable.grid, phases.timetable.release_steps
    found: dict[int, list[Stop]] = {}
    for stop in stops:
        found.setdefault(round((stop.at_s - grid.start_s) / grid.step_s) // steps, []).append(stop)
    return found


def _heading(stop: Stop, result: Result, phases: Phases) -> str:
    if stop.incident is None:
        return f"false alarm, {elapsed(stop.after_s)} into the test"
    which = f" {stop.incident + 1}" if len(phases.timetable.incidents) > 1 else ""
    delay_s = stop.at_s - phases.timetable.incidents[stop.incident].from_s
    return f"incident{which} found after {elapsed(delay_s)}"


def _name(result: Result) -> str:
    segment = result.track.segment
    return f"{result.track.gate.name} [{segment}]" if segment else result.track.gate.name


def _named(named: Named) -> str:
    values = [f"{label}={value}" for label, value in named.values.items()]
    return ",".join([*values, *(f"{one.label}{one.op.value}{one.value}" for one in named.matchers)])


def _phase_data(phases: Phases) -> dict[str, Any]:
    table, bars = phases.timetable, phases.bars
    return {
        "phase": phases.phase.value,
        "alpha": bars.alpha,
        "tests": bars.gates,
        "threshold": bars.gates / bars.alpha,
        "releaseSeconds": table.release_steps * table.grid.step_s,
        "releases": {
            "all": len(table.starts()),
            "undisturbed": phases.releases.count,
            "stopped": phases.releases.stopped,
        },
        "shares": list(phases.shares),
        "gates": [_result_data(result) for result in phases.results],
    }


def _result_data(result: Result) -> dict[str, Any]:
    known = result.evidence[np.isfinite(result.evidence)]
    return {
        "gate": result.track.gate.name,
        "segment": result.track.segment,
        "problem": result.track.problem or None,
        "notes": list(result.track.notes),
        "judgedSeconds": result.judged_s,
        "falseAlarms": len(result.false_alarms),
        "falseAlarmsPerWeek": result.per_week,
        "highestLogE": float(known.max()) if len(known) else None,
        "incidents": [
            {
                "from": _rfc3339(found.incident.from_s),
                "to": _rfc3339(found.incident.to_s),
                "judged": found.judged,
                "found": found.stop is not None,
                "delaySeconds": found.delay_s,
            }
            for found in result.incidents
        ],
        "stops": [
            {
                "at": _rfc3339(stop.at_s),
                "afterSeconds": stop.after_s,
                "incident": stop.incident,
                "sentence": stop.said or None,
            }
            for stop in result.stops
        ],
        "releasesCut": result.cut,
    }


def _rfc3339(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")
