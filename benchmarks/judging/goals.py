"""What was promised, compared with what was measured: one line each, with the cells that miss it."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

CONFIDENCE = 0.99

EXCEPTION = "wander-own@500"
"""A candidate whose own rate wanders by itself at high traffic: nothing tells it from a regression (GATES.md)."""

ENOUGH = 0.5
"""A median says something when at least this share of the releases was found."""

Rows = Sequence[Mapping[str, Any]]


def goals(cells: Rows, passing: Rows) -> list[dict[str, Any]]:
    """Each goal with its value (the worst cell's), bound, whether it is met, and where not."""
    default = [cell for cell in cells if cell["judge"] == "default"]
    ordinary = [cell for cell in default if cell["scenario"] != EXCEPTION]
    beyond = [cell for cell in default if cell["scenario"] == EXCEPTION]
    slow = [cell for cell in default if not cell["scenario"].endswith("@500")]
    alone = [cell for cell in slow if cell["scenario"].startswith("independent@")]
    bursts = [cell for cell in slow if cell["scenario"].startswith("bursts-")]
    fast_bursts = [cell for cell in default if cell["scenario"].startswith("bursts-") and cell not in slow]
    first = [cell for cell in cells if cell["judge"] == "default, no history"]
    by_default = [each for each in passing if each["judge"] == "default"]
    return [
        _goal(
            "false reverts: 99 % lower bound of the rate at most α, in every cell but one",
            [(cell["scenario"], _false_reverts(cell)) for cell in ordinary],
            ordinary[0]["alpha"] if ordinary else 0.0,
        ),
        {
            **_goal(
                "false reverts, the one exception: a candidate whose own rate wanders by itself at 500 requests/s",
                [(cell["scenario"], cell["false_reverts"] / cell["releases"]) for cell in beyond],
                beyond[0]["alpha"] if beyond else 0.0,
            ),
            "exception": True,
        },
        _goal("requests to find 2x and 5x, independent errors: at most 1.5 × Wald", _ratios(alone, "2x", "5x"), 1.5),
        _goal(
            "requests to find 2x and 5x, bursts at 5 and 50 requests/s: at most 2.2 × Wald",
            _ratios(bursts, "2x", "5x"),
            2.2,
        ),
        _goal(
            "requests to find 2x and 5x, bursts at 500 requests/s: at most 2.2 × Wald",
            _ratios(fast_bursts, "2x", "5x"),
            2.2,
        ),
        _goal("requests to find 50 % failing, independent errors: at most 2 × Wald", _ratios(alone, "50%"), 2.0),
        _goal(
            "minutes to find what Kayenta's rule finds too: under its own", list(_against_kayenta(cells)), 1.0, _less
        ),
        _goal(
            "passing at the margin, ever: 99 % lower bound of the rate at most β",
            [(each["scenario"], _passed(each)) for each in by_default],
            by_default[0]["beta"] if by_default else 0.0,
        ),
        {
            **_goal(
                "first release ever, no history of stable: 99 % lower bound of false reverts at most α",
                [(cell["scenario"], _false_reverts(cell)) for cell in first],
                first[0]["alpha"] if first else 0.0,
            ),
            "exception": True,
        },
        {
            **_goal(
                "first release ever: passing at the margin, 99 % lower bound at most β",
                [(each["scenario"], _passed(each)) for each in passing if each["judge"] == "default, no history"],
                by_default[0]["beta"] if by_default else 0.0,
            ),
            "exception": True,
        },
    ]


def lower_bound(hits: int, runs: int, confidence: float = CONFIDENCE) -> float:
    """The one-sided lower confidence bound of a rate (Clopper and Pearson 1934)."""
    if hits == 0:
        return 0.0
    low, high = 0.0, hits / runs
    for _ in range(60):
        middle = (low + high) / 2
        if _at_least(hits, runs, middle) < 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def _at_least(hits: int, runs: int, rate: float) -> float:
    """The probability of `hits` or more."""
    log_odds, log_rest = math.log(rate / (1 - rate)), runs * math.log1p(-rate)
    fewer = 0.0
    for count in range(hits):
        chosen = math.lgamma(runs + 1) - math.lgamma(count + 1) - math.lgamma(runs - count + 1)
        fewer += math.exp(chosen + count * log_odds + log_rest)
    return max(0.0, 1 - fewer)


def _less(value: float, bound: float) -> bool:
    return value < bound


def _at_most(value: float, bound: float) -> bool:
    return value <= bound


def _goal(
    says: str,
    found: Sequence[tuple[str, float]],
    bound: float,
    keeps: Callable[[float, float], bool] = _at_most,
) -> dict[str, Any]:
    missed = [(where, value) for where, value in found if not keeps(value, bound)]
    return {
        "goal": says,
        "value": round(max((value for _, value in found), default=0.0), 4),
        "bound": bound,
        "met": bool(found) and not missed,
        "cells": len(found),
        "missed": {where: round(value, 4) for where, value in missed},
    }


def _false_reverts(cell: Mapping[str, Any]) -> float:
    return lower_bound(cell["false_reverts"], cell["releases"])


def _passed(each: Mapping[str, Any]) -> float:
    return lower_bound(each["at_margin"]["passed_ever"], each["at_margin"]["releases"])


def _ratios(cells: Rows, *regressions: str) -> list[tuple[str, float]]:
    """Ratios to Wald where at least half of the releases were found."""
    found = []
    for cell in cells:
        for name in regressions:
            each = cell["detect"][name]
            if each["detected"] >= ENOUGH and each["ratio_to_wald"] is not None:
                found.append((f"{cell['scenario']} {name}", each["ratio_to_wald"]))
    return found


def _against_kayenta(cells: Rows) -> Iterable[tuple[str, float]]:
    """The default judge's minutes over Kayenta's, where both find at least half of the releases."""
    by_name = {(cell["scenario"], cell["judge"]): cell["detect"] for cell in cells}
    for (scenario, judge), detect in by_name.items():
        if judge != "default":
            continue
        for name, ours in detect.items():
            theirs = by_name[scenario, "kayenta"][name]
            if min(ours["detected"], theirs["detected"]) >= ENOUGH:
                yield f"{scenario} {name}", ours["minutes_p50"] / theirs["minutes_p50"]
