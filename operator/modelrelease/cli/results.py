"""What result files say, as parts of a ReleaseEvidence; and the names and figures that it takes."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class ResultsError(Exception):
    """A result file that cannot be used: where in the file, what is wrong, what to do instead."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}" if where else message)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asks of a reader. `subgroup_by`: what makes subgroups, in the format's own terms.

    `confidence`: of the intervals that are made from standard errors.
    """

    subgroup_by: tuple[str, ...] = ()
    red_team: bool = False
    confidence: str = "0.95"


@dataclass(slots=True)
class Results:
    """What a file says, in the form of ReleaseEvidence.spec; `suite` may lack its version."""

    suite: dict[str, str] = field(default_factory=dict)
    produced_at: str = ""
    expires_at: str = ""
    sections: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, section: str, item: Mapping[str, Any]) -> None:
        """Add one item to a list such as metrics."""
        self.sections.setdefault(section, []).append(dict(item))


def joined(found: Sequence[Results]) -> Results:
    """Several files of one suite as one. Raises ResultsError where they are of different suites."""
    whole = Results()
    for each in found:
        for name, value in each.suite.items():
            if whole.suite.setdefault(name, value) != value:
                raise ResultsError(
                    "", f"the files have different suites ({name} {whole.suite[name]} and {value}): submit one by one"
                )
        whole.produced_at = max(whole.produced_at, each.produced_at)
        whole.expires_at = min(filter(None, (whole.expires_at, each.expires_at)), default="")
        for section, items in each.sections.items():
            whole.sections.setdefault(section, []).extend(items)
    return whole


def decimal_text(value: float, where: str) -> str:
    """A number as decimal text. Raises ResultsError for what is none (NaN, infinite, too large)."""
    if not math.isfinite(value) or abs(value) >= 1e9:
        raise ResultsError(where, f"{value} is no figure that can be judged: leave it out or mend the evaluation")
    return f"{value:.9f}".rstrip("0").rstrip(".") or "0"


def metric_name(text: str) -> str:
    """A name that a metric may have: other characters become '-'."""
    return re.sub(r"[^A-Za-z0-9_.@-]+", "-", text).strip("-._@")[:63] or "metric"


def label(text: str) -> str:
    """A DNS label: the name of a dimension."""
    return re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")[:63] or "group"
