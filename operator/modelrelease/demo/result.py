"""How each release ended: one value per release, as a table for people and as summary.json for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from modelrelease.demo.story import Chapter, Outcome


@dataclass(frozen=True, slots=True)
class Result:
    """One release as it was seen from outside.

    `outcome` None: it did not end in time. `weights_percent`: the plateaus on the wire in order, each named by the
    intended percentage when it is close to it (`wire.tolerance`); `realised_percent` has them unrounded.
    `evidence_to_revert_s`: see `evidence`. `errors_served` counts what users got instead of an answer. `pilot_low` and
    `pilot_others`: how many low-criticality and other requests the candidate answered before it was let into the second
    stage. `wrong_percent`: what it and stable got wrong, among the answers they gave.
    """

    chapter: Chapter
    outcome: Outcome | None
    weights_percent: tuple[float, ...]
    realised_percent: tuple[float, ...]
    evidence_to_revert_s: float | None
    errors_served: int
    reason: str
    pilot_low: int
    pilot_others: int
    wrong_percent: float
    stable_wrong_percent: float

    @property
    def complaint(self) -> str:
        """What is not as it should be, in one sentence; "" when all is well."""
        version = self.chapter.version
        if self.outcome is not self.chapter.expected:
            ended = self.outcome.lower() if self.outcome else "did not end in time"
            return f"{version} should have been {self.chapter.expected.lower()}, but {ended}: {self.reason}"
        if self.pilot_others:
            return f"{version} answered {self.pilot_others} requests at 1 % that were not of low criticality"
        return ""

    @property
    def weights_text(self) -> str:
        """`1 → 5 → 20 → 100`."""
        return " → ".join(f"{percent:g}" for percent in self.weights_percent) or "none"

    @property
    def headline(self) -> str:
        """The end of the release in one sentence."""
        ended = self.outcome or "unfinished"
        return f"{self.chapter.version} {ended}, {self.weights_text} % on the wire: {self.reason}"

    def as_json(self) -> dict[str, Any]:
        """The fields of summary.json; whole percentages are written as integers."""
        return {
            "version": self.chapter.version,
            "outcome": self.outcome.value if self.outcome else "Unfinished",
            "weights_percent": [int(each) if each == int(each) else each for each in self.weights_percent],
            "evidence_to_revert_s": None if self.evidence_to_revert_s is None else round(self.evidence_to_revert_s, 3),
            "errors_served": self.errors_served,
            "reason": self.reason,
            "realised_percent": [round(each, 2) for each in self.realised_percent],
            "pilot_requests": {"low_criticality": self.pilot_low, "others": self.pilot_others},
            "wrong_percent": {"candidate": round(self.wrong_percent, 2), "stable": round(self.stable_wrong_percent, 2)},
        }


def write_summary(results: Sequence[Result], folder: Path) -> Path:
    """Write summary.json into `folder`, which is made when absent."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "summary.json"
    path.write_text(json.dumps({"releases": [each.as_json() for each in results]}, indent=2) + "\n")
    return path


def table(results: Sequence[Result]) -> Table:
    """The last thing that the demo says; fits 80 columns."""
    made = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title="What users saw", title_justify="left", title_style="bold"
    )
    headers = ("release\n", "outcome\n", "weights on\nthe wire, %", "at 1 %:\nlow/other", "wrong, %\n(stable)")
    for header in (*headers, "revert\nafter"):
        made.add_column(header, no_wrap=True)
    made.add_column("errors\nserved", justify="right", no_wrap=True)
    for each in results:
        made.add_row(
            each.chapter.version,
            f"[{'red' if each.complaint else 'green'}]{each.outcome or 'unfinished'}[/]",
            each.weights_text,
            f"{each.pilot_low}/{each.pilot_others}",
            f"{each.wrong_percent:.1f} ({each.stable_wrong_percent:.1f})",
            "–" if each.evidence_to_revert_s is None else f"{each.evidence_to_revert_s:.1f} s",
            str(each.errors_served),
        )
    return made
