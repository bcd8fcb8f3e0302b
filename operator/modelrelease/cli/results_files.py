"""Result files: which format a file has, and what is wrong with it, where, and the mend.

A new format is one module with `looks_like` and `read`, and one line in `FORMATS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelrelease.cli import results_json, results_junit, results_lm_eval
from modelrelease.cli.results import Results, ResultsError, Wanted

MAX_BYTES = 64 * 1024 * 1024
"""How large a result file may be."""


@dataclass(frozen=True, slots=True)
class Format:
    """One format of result files."""

    name: str
    looks_like: Callable[[bytes], bool]
    read: Callable[[bytes, Wanted], Results]


FORMATS = (
    Format("junit", results_junit.looks_like, results_junit.read),
    Format("lm-eval", results_lm_eval.looks_like, results_lm_eval.read),
    Format("json", results_json.looks_like, results_json.read),
)
"""All formats, the most telling first."""


def read(path: Path, name: str, wanted: Wanted) -> Results:
    """Read one file in a format, `auto` for the one that it looks like. Raises ResultsError."""
    known = {each.name: each for each in FORMATS}
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
