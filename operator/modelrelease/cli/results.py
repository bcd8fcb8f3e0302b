"""Result files as parts of a ReleaseEvidence: which format a file has, and what is wrong with it, where, and the mend.

A new format is one module with `looks_like` and `read`, and one line in `FORMATS`.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_BYTES = 64 * 1024 * 1024
"""How large a result file may be."""


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


@dataclass(frozen=True, slots=True)
class Format:
    """One format of result files."""

    name: str
    looks_like: Callable[[bytes], bool]
    read: Callable[[bytes, Wanted], Results]


def formats() -> tuple[Format, ...]:
    """All formats, the most telling first."""
    from modelrelease.cli import results_json, results_junit, results_lm_eval

    return (
        Format("junit", results_junit.looks_like, results_junit.read),
        Format("lm-eval", results_lm_eval.looks_like, results_lm_eval.read),
        Format("json", results_json.looks_like, results_json.read),
    )


def read(path: Path, name: str, wanted: Wanted) -> Results:
    """Read one file in a format, `auto` for the one that it looks like. Raises ResultsError."""
    known = {each.name: each for each in formats()}
    if name != "auto" and name not in known:
        raise ResultsError("--format", f"{name!r}: write auto, {', '.join(known)}")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ResultsError(str(path), f"it is larger than {MAX_BYTES // 1024 // 1024} MiB: submit a summary of it")
        content = path.read_bytes()
    except OSError as error:
        raise ResultsError(str(path), f"it cannot be read: {error.strerror}") from error
    chosen = (
        known[name] if name != "auto" else next((each for each in known.values() if each.looks_like(content)), None)
    )
    if chosen is None:
        raise ResultsError(str(path), f"it looks like none of {', '.join(known)}: say --format")
    try:
        return chosen.read(content, wanted)
    except ResultsError as error:
        raise ResultsError(str(path), str(error)) from error


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
