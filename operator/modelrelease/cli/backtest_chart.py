"""A backtest as a picture: one strip per gate in a terminal, one panel per gate in a file (matplotlib).

Shown is the evidence as a share of what a stop takes, log E over its threshold; a month has more steps than a picture
has columns, so each column shows the highest.
"""

import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from modelrelease.backtest.replay import Result
from modelrelease.backtest.study import Phases
from modelrelease.backtest.twin.windows import Floats, Ints
from modelrelease.cli.backtest_view import View
from modelrelease.cli.cluster import fail

LEVELS = " ▁▂▃▄▅▆▇"
FALSE, RIGHT, NOTHING = "✗", "✓", "·"
COLUMNS_IN_FILE = 1500
LONGEST_NAME = 22


def strips(phases: Phases, *, width: int) -> Iterator[str]:
    """Lines no longer than `width`: each gate's evidence over time, the incidents, and the times at both ends."""
    names = [_short(result) for result in phases.results]
    margin = max([*map(len, names), len("incidents")]) + 2
    columns = min(max(20, width - margin - 1), phases.timetable.grid.count)
    for name, result in zip(names, phases.results, strict=True):
        yield f"{name:<{margin}}{_strip(result, phases, columns)}"
    if phases.timetable.incidents:
        within = _highest(phases.timetable.disturbed().astype(float), columns) > 0
        yield f"{'incidents':<{margin}}{''.join('▔' if one else ' ' for one in within)}"
    grid = phases.timetable.grid
    first, last = (f"{datetime.fromtimestamp(at_s, UTC):%m-%d %H:%M}" for at_s in (grid.start_s, grid.end_s))
    yield f"{'':<{margin}}{first}{last:>{max(0, columns - len(first))}}"
    marks = [f"{FALSE} false alarm", *([f"{RIGHT} stop in an incident"] if phases.timetable.incidents else [])]
    legend = f"▁…▇ evidence, as a share of what a stop takes; {', '.join(marks)}, {NOTHING} no data"
    yield from textwrap.wrap(legend, width)


def save(view: View, file: Path) -> None:
    """Draw the evidence of every gate into `file`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(phases, result) for phases in view.phases for result in phases.results]
    figure = Figure(figsize=(11, 1.0 + 1.3 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    times = f"{view.since[:16]} to {view.until[:16]} UTC"
    figure.suptitle(f"{view.namespace}/{view.name}, {times}", x=0.01, ha="left", fontsize="medium")
    for axes, (phases, result) in zip(
        figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0], panels, strict=True
    ):
        _panel(axes, phases, result)
    handles = dict(pair[::-1] for axes in figure.axes for pair in zip(*axes.get_legend_handles_labels(), strict=True))
    figure.legend(list(handles.values()), list(handles), loc="outside lower left", ncols=5, fontsize="small")
    try:
        figure.savefig(file, dpi=120)
    except OSError as error:
        fail(f"--chart {file}: {error.strerror or error}")


def _panel(axes: object, phases: Phases, result: Result) -> None:
    from matplotlib.axes import Axes
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    assert isinstance(axes, Axes)
    grid = phases.timetable.grid

    def day(at_s: float) -> float:
        return float(date2num(datetime.fromtimestamp(at_s, UTC)))

    columns = min(COLUMNS_IN_FILE, grid.count)
    ends = _edges(grid.count, columns)[1:] - 1
    days = [day(at_s) for at_s in (grid.start_s + ends * grid.step_s).tolist()]
    heights = np.clip(_highest(_relative(result), columns), 0.0, 1.15)
    axes.fill_between(days, heights, step="pre", color="tab:blue", alpha=0.35, linewidth=0)
    axes.step(days, heights, where="pre", color="tab:blue", linewidth=0.8, label="evidence (log E, share of threshold)")
    axes.axhline(1.0, color="tab:red", linestyle="--", linewidth=0.9, label="a stop")
    for incident in phases.timetable.incidents:
        axes.axvspan(day(incident.from_s), day(incident.to_s), color="tab:orange", alpha=0.25, label="incident")
    for stops, colour, label in (
        (result.false_alarms, "tab:red", "false alarm"),
        ([stop for stop in result.stops if stop.incident is not None], "tab:green", "stop in an incident"),
    ):
        if stops:
            axes.plot([day(stop.at_s) for stop in stops], [1.0] * len(stops), "v", color=colour, ms=6, label=label)
    if result.track.problem:
        axes.text(0.01, 0.5, result.track.problem, transform=axes.transAxes, fontsize="small", color="tab:red")
    axes.set_ylim(0.0, 1.25)
    axes.set_yticks([0.0, 0.5, 1.0])
    axes.set_xlim(day(grid.start_s), day(grid.end_s))
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    alarms, right = len(result.false_alarms), len(result.stops) - len(result.false_alarms)
    incidents = f", {right} in incidents" if phases.timetable.incidents else ""
    axes.set_title(f"{_title(result)}: {alarms} false alarms{incidents}", loc="left", fontsize="small")


def _strip(result: Result, phases: Phases, columns: int) -> str:
    heights = _highest(_relative(result), columns)
    cells = [
        NOTHING if np.isnan(height) else LEVELS[int(np.clip(height, 0.0, 0.999) * len(LEVELS))] for height in heights
    ]
    grid = phases.timetable.grid
    edges = _edges(grid.count, columns)
    for stop in sorted(result.stops, key=lambda stop: stop.incident is None):
        step = round((stop.at_s - grid.start_s) / grid.step_s)
        cells[int(np.searchsorted(edges, step, side="right")) - 1] = FALSE if stop.incident is None else RIGHT
    return "".join(cells)


def _relative(result: Result) -> Floats:
    """Log E over the threshold; a value gate is there or not."""
    return np.clip(result.evidence / result.threshold, 0.0, 2.0)


def _highest(values: Floats, columns: int) -> Floats:
    """The highest value in each of `columns` parts, NaN where there is none."""
    filled = np.where(np.isnan(values), -np.inf, values)
    found = np.maximum.reduceat(filled, _edges(len(values), columns)[:-1])
    return np.where(np.isinf(found), np.nan, found)


def _edges(count: int, columns: int) -> Ints:
    return np.linspace(0, count, columns + 1).astype(np.int64)


def _short(result: Result) -> str:
    name = _title(result)
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _title(result: Result) -> str:
    segment = result.track.segment
    return f"{result.track.gate.name} [{segment}]" if segment else result.track.gate.name
