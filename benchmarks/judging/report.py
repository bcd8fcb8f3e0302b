"""Tables for people: what each judge did in each cell, and which goals are met."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

Rows = Sequence[Mapping[str, Any]]
_WIDE = 190
_SHOWN = ("1.5x", "2x", "5x", "50%", "2x late")


def show(found: Mapping[str, Any], *, width: int | None = None) -> None:
    """Print the cells, the passing and the goals."""
    console = Console(width=width or (None if sys.stdout.isatty() else _WIDE), highlight=False)
    console.print(_cells(found["cells"]), _passing(found["passing"]), _goals(found["goals"]))


def _cells(cells: Rows) -> Table:
    table = Table(title="false reverts, and the median time to find a regression (× Wald's requests; share found)")
    for column in ("cell", "judge", "false reverts", *_SHOWN):
        table.add_column(column, justify="left" if column in ("cell", "judge") else "right", no_wrap=True)
    before = ""
    for cell in cells:
        if before and cell["scenario"] != before:
            table.add_section()
        name, before = ("" if cell["scenario"] == before else cell["scenario"]), cell["scenario"]
        share = 100 * cell["false_reverts"] / cell["releases"]
        table.add_row(name, cell["judge"], f"{share:.2f} %", *(_detection(cell["detect"][key]) for key in _SHOWN))
    return table


def _detection(found: Mapping[str, Any]) -> str:
    if found["samples_p50"] is None:
        return "never"
    ratio = "" if found["ratio_to_wald"] is None else f" ({found['ratio_to_wald']:.2f}×)"
    share = "" if found["detected"] >= 0.995 else f" {100 * found['detected']:.0f} %"
    return f"{found['minutes_p50']:.1f} min{ratio}{share}"


def _passing(passing: Rows) -> Table:
    table = Table(title="passing a ratio of 1.5: at the margin, and as good as stable")
    for column in ("cell", "judge", "passed at the margin, ever", "as good as stable, ever", "median minutes"):
        table.add_column(column, justify="left" if column in ("cell", "judge") else "right")
    for each in passing:
        at, good = each["at_margin"], each["as_good_as_stable"]
        minutes = "" if good["minutes_p50"] is None else f"{good['minutes_p50']:.0f}"
        table.add_row(each["scenario"], each["judge"], _share(at), _share(good), minutes)
    return table


def _share(found: Mapping[str, Any]) -> str:
    return f"{100 * found['passed_ever'] / found['releases']:.1f} %"


def _goals(goals: Rows) -> Table:
    table = Table(title="goals")
    for column in ("goal", "worst", "bound", "met", "missed in"):
        table.add_column(column)
    for goal in goals:
        met = (
            "yes"
            if goal["met"]
            else "beyond the goals"
            if goal.get("exception")
            else "no"
            if goal["cells"]
            else "not measured"
        )
        missed = ", ".join(f"{where} {value}" for where, value in goal["missed"].items())
        table.add_row(goal["goal"], str(goal["value"]), str(goal["bound"]), met, missed)
    return table
