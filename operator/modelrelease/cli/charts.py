"""Evidence over time as a picture: braille dots in a terminal (plotille), or a file (matplotlib, the extra `charts`).

plotext was rejected: its sixth version compiles a C++ kernel and has another interface than all before it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from modelrelease.cli.cluster import fail
from modelrelease.gates.curve import Curve

SUFFIXES = (".svg", ".png")
HEIGHT = 12
MARGIN = 26
"""What plotille writes to the left and right of the picture, in characters."""


def check(file: Path) -> None:
    """End the command early when the chart could not be written."""
    if file.suffix.lower() not in SUFFIXES:
        fail(f"--chart {file}: name a file that ends in .svg or .png", 2)
    if not file.resolve().parent.is_dir():
        fail(f"--chart {file}: there is no folder {file.parent}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        fail(f"--chart {file} needs matplotlib: pip install 'modelrelease[charts]', or leave --chart out")


def in_terminal(curve: Curve, *, width: int, passing: bool) -> Iterator[str]:
    """The curve and its threshold; the evidence for a pass where `passing`, else that for a revert."""
    import plotille

    threshold = curve.threshold_pass if passing else curve.threshold
    what = "a pass" if passing else "a revert"
    yield f"{curve.key}: evidence for {what}, log10 E; at {_log10(threshold):.2f} (the straight line) it is enough"
    times = [point.at.timestamp() for point in curve.points]
    values = [_log10(point.log_pass if passing else point.log_revert) for point in curve.points]
    figure = plotille.Figure()
    figure.width, figure.height, figure.with_colors = max(30, width - MARGIN), HEIGHT, False
    figure.origin = False
    figure.x_label, figure.y_label = "UTC", "log10 E"
    least, most = min([0.0, *values]), max(_log10(threshold), *values)
    figure.set_y_limits(min_=max(least, -2 * abs(most)) - 0.02 * most, max_=1.1 * most)
    first, last = times[0], max(times[-1], times[0] + 1.0)
    figure.set_x_limits(min_=first, max_=last + 0.02 * (last - first))  # plotille leaves out what lies at the limit
    figure.register_label_formatter(float, _label(last))
    figure.plot([first, last], [_log10(threshold)] * 2)
    figure.plot(times, values)
    yield from (line.rstrip() for line in figure.show().splitlines())


def save(curves: Sequence[Curve], file: Path, *, title: str) -> None:
    """Draw every curve with both thresholds into `file`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import ConciseDateFormatter, date2num
    from matplotlib.figure import Figure

    shown = [curve for curve in curves if curve.points]
    figure = Figure(figsize=(9, 0.6 + 2.6 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium")
    for axes, curve in zip(figure.subplots(len(shown), 1, squeeze=False)[:, 0], shown, strict=True):
        times = [date2num(point.at) for point in curve.points]
        for name, colour, threshold, values in (
            ("revert", "tab:red", curve.threshold, [point.log_revert for point in curve.points]),
            ("pass", "tab:green", curve.threshold_pass, [point.log_pass for point in curve.points]),
        ):
            axes.plot(times, [_log10(value) for value in values], color=colour, drawstyle="steps-post", label=name)
            axes.axhline(_log10(threshold), color=colour, linestyle="--", linewidth=0.8, label=f"{name} at")
        axes.xaxis_date()
        axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator(), tz=UTC))
        axes.set_title(curve.key, loc="left", fontsize="medium")
        axes.set_ylabel("log10 E")
        lowest = min(min(point.log_pass, point.log_revert) for point in curve.points)
        axes.set_ylim(bottom=max(_log10(lowest), -2 * _log10(curve.threshold)) - 0.2)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=4, fontsize="small")
    try:
        figure.savefig(file)
    except OSError as error:
        fail(f"--chart {file}: {error.strerror or error}")


def _label(last: float) -> Callable[..., str]:
    """Ticks of both axes are floats: those as large as a time are times."""

    def label(value: float, chars: int, delta: float, left: bool = False) -> str:
        is_time = abs(value) > last / 2
        text = f"{datetime.fromtimestamp(value, UTC):%H:%M:%S}" if is_time else f"{value:.2f}"
        return text.ljust(chars) if left else text.rjust(chars)

    return label


def _log10(log_e: float) -> float:
    return log_e / math.log(10)
