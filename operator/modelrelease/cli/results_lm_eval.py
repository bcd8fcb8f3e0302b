"""Results of EleutherAI's lm-evaluation-harness: the `results_<time>.json` that `lm_eval --output_path` writes.

Format as of lm_eval 0.4.9.1 (lm_eval/loggers/evaluation_tracker.py, lm_eval/evaluator.py): `results` maps a task or
group to `"<metric>,<filter>": figure` and `"<metric>_stderr,<filter>": standard error or "N/A"`; `n-samples`,
`higher_is_better`, `versions`, `n-shot` and `group_subtasks` go by task.

A figure becomes counts where its standard error is that of zeros and ones (the sample variance reaches p(1 − p) only
then); else a value with a normal interval. The suite's digest covers task versions and shots, so that only like is
compared with like.
"""

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from statistics import NormalDist
from typing import Any

from modelrelease.cli.results import Results, ResultsError, Wanted, decimal_text, label, metric_name
from modelrelease.domain.canonical import digest

SUITE = "lm-evaluation-harness"

Json = Mapping[str, Any]


def looks_like(content: bytes) -> bool:
    """A JSON object with results by task."""
    try:
        found = json.loads(content)
    except ValueError:
        return False
    results = found.get("results") if isinstance(found, dict) else None
    return isinstance(results, dict) and all(isinstance(each, dict) for each in results.values())


def read(content: bytes, wanted: Wanted) -> Results:
    """Read it. Raises ResultsError with the place in the document."""
    try:
        found = json.loads(content)
    except json.JSONDecodeError as error:
        raise ResultsError(f"line {error.lineno}, column {error.colno}", f"it is not JSON: {error.msg}") from error
    if not looks_like(content) or not found["results"]:
        raise ResultsError("results", "a mapping of tasks to figures is meant, as lm_eval --output_path writes it")
    groups = {group: _leaves(found, group) for group in wanted.subgroup_by}
    results = Results(suite=_suite(found), produced_at=_time(found.get("date")))
    inside = {task for tasks in groups.values() for task in tasks}
    for task in found["results"]:
        if task in inside:
            continue
        for metric in _metrics(found, task, task, wanted):
            results.add("metrics", metric)
    for group, tasks in groups.items():
        for task in tasks:
            metrics = list(_metrics(found, task, group, wanted))
            results.add("subgroups", {"dimension": label(group), "group": task[:128], "metrics": metrics})
    return results


def _metrics(found: Json, task: str, prefix: str, wanted: Wanted) -> Iterator[Json]:
    figures = found["results"][task]
    better = (found.get("higher_is_better") or {}).get(task) or {}
    for key, value in figures.items():
        metric, _, filter_ = key.partition(",")
        if not filter_ or metric.endswith("_stderr") or isinstance(value, str | bool) or value is None:
            continue
        where = f"results.{task}[{key!r}]"
        if not isinstance(value, int | float):
            raise ResultsError(where, f"a number is meant, not {type(value).__name__}")
        name = metric_name(".".join([prefix, metric, *([filter_] if filter_ != "none" else [])]))
        error = figures.get(f"{metric}_stderr,{filter_}")
        error = float(error) if isinstance(error, int | float) and math.isfinite(error) else None
        lower = better.get(metric) is False
        yield {
            "name": name,
            **({"better": "Lower"} if lower else {}),
            **_figure(float(value), error, _cases(found, task), wanted, where),
        }


def _figure(value: float, error: float | None, total: int | None, wanted: Wanted, where: str) -> Json:
    text = decimal_text(value, where)
    if total and error is not None and _of_zeros_and_ones(value, error, total):
        return {"count": round(value * total), "total": total}
    found: dict[str, Any] = {"value": text}
    if total:
        found["total"] = total
    if error is not None:
        reach = NormalDist().inv_cdf((1 + float(wanted.confidence)) / 2) * error
        lower, upper = (decimal_text(value + sign * reach, where) for sign in (-1, 1))
        found["interval"] = {"lower": lower, "upper": upper, "confidence": wanted.confidence}
    return found


def _of_zeros_and_ones(value: float, error: float, total: int) -> bool:
    """Whether all cases were 0 or 1: their count is whole, and the sample variance is the most that it can be."""
    if not 0 <= value <= 1 or total < 2 or abs(value * total - round(value * total)) > 1e-6 * total:
        return False
    return math.isclose(error, math.sqrt(value * (1 - value) / (total - 1)), rel_tol=1e-6, abs_tol=1e-12)


def _cases(found: Json, task: str) -> int | None:
    samples = found.get("n-samples") or {}
    known = [samples[leaf].get("effective") for leaf in _leaves(found, task, strict=False) if leaf in samples]
    return sum(known) if known and all(isinstance(each, int) for each in known) else None


def _leaves(found: Json, group: str, *, strict: bool = True) -> tuple[str, ...]:
    """The tasks of a group, through groups of groups; a task's only leaf is itself."""
    subtasks = found.get("group_subtasks") or {}
    children = subtasks.get(group) or []
    if strict and not children:
        known = ", ".join(sorted(name for name, tasks in subtasks.items() if tasks)) or "none"
        raise ResultsError("--subgroup-by", f"there is no group {group} in group_subtasks; it has {known}")
    if not children:
        return (group,)
    return tuple(dict.fromkeys(leaf for child in children for leaf in _leaves(found, child, strict=False)))


def _suite(found: Json) -> dict[str, str]:
    version = str(found.get("lm_eval_version") or found.get("git_hash") or "")
    asked = {name: _as_text(found.get(name) or {}) for name in ("versions", "n-shot")}
    limit = (found.get("config") or {}).get("limit")
    return {
        "name": SUITE,
        **({"version": version[:63]} if version else {}),
        "digest": digest({**asked, "limit": str(limit)}),
    }


def _as_text(values: Json) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()}


def _time(date: object) -> str:
    if not isinstance(date, int | float) or not 0 < date < 4e9:
        return ""
    return datetime.fromtimestamp(date, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
