"""Figures as they are reported: quantiles by the nearest rank, files under build/bench."""

import json
import math
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OUT = Path("build/bench")


def nearest_rank(values: Sequence[float], q: float) -> float:
    """The q-quantile (0 < q ≤ 1) by the nearest rank: always one of the values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """p50, p95 and max."""
    return {
        "p50": round(nearest_rank(values, 0.5), digits),
        "p95": round(nearest_rank(values, 0.95), digits),
        "max": round(max(values), digits),
    }


def write(name: str, figures: dict[str, Any], *, show: bool = True) -> Path:
    """Write build/bench/<name>.json, with the machine it was measured on, and print it, or only where it is."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.json"
    machine = {"system": platform.system(), "machine": platform.machine(), "python": platform.python_version()}
    text = json.dumps({**figures, "machine": machine}, indent=2)
    path.write_text(text + "\n")
    print(f"{text}\nwritten to {path}" if show else f"written to {path}")
    return path
