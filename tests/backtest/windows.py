"""Random windows in two forms: as arrays for the twin, and as strata for the judge."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from modelrelease.backtest.twin import Windows
from modelrelease.domain.evidence import Evidence, Stratum, Tally
from modelrelease.domain.gate import Gate
from modelrelease.gates import judge
from modelrelease.gates.judge import JudgeSettings, machine_of
from modelrelease.gates.state import GateState

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STEP_S = 15
BOUNDS = (0.1, 0.3, 1.2, 5.0, float("inf"))


@dataclass(frozen=True)
class Traffic:
    """What random windows look like. `quiet`: share of windows without events on an arm."""

    candidate: float = 20.0
    stable: float = 400.0
    rate: float = 0.02
    worse: float = 1.0
    quiet: float = 0.0
    segments: int = 1
    fractions: bool = False


def random_windows(seed: int, rows: int, columns: int, traffic: Traffic) -> Windows:
    """Counts of rates, with totals that are sometimes fewer than the bad events, as two counters can be."""
    rng = np.random.default_rng(seed)
    shape = (rows, columns)

    def arm(mean: float, rate: float) -> tuple[np.ndarray, np.ndarray]:
        n = rng.poisson(mean, shape) * (rng.random(shape) >= traffic.quiet)
        y = rng.binomial(n, min(1.0, rate)) + (rng.random(shape) < 0.02)
        if traffic.fractions:
            return n * 0.3712345678, y * 0.3712345678
        return n.astype(float), y.astype(float)

    n_c, y_c = arm(traffic.candidate, traffic.rate * traffic.worse)
    n_s, y_s = arm(traffic.stable, traffic.rate)
    return _timed(n_c, y_c, n_s, y_s, traffic)


def random_sums(seed: int, rows: int, columns: int, traffic: Traffic, *, late: float = 0.0) -> Windows:
    """Counts and sums of values; `late`: share of windows whose sum is not booked yet."""
    rng = np.random.default_rng(seed)
    shape = (rows, columns)

    def arm(mean: float, level: float) -> tuple[np.ndarray, np.ndarray]:
        n = rng.poisson(mean, shape) * (rng.random(shape) >= traffic.quiet)
        values = n * level + np.sqrt(n) * 0.3 * level * rng.standard_normal(shape)
        y = np.maximum(values, 0.0) * (rng.random(shape) >= late)
        return n.astype(float), y

    n_c, y_c = arm(traffic.candidate, 0.8 * traffic.worse)
    n_s, y_s = arm(traffic.stable, 0.8)
    return _timed(n_c, y_c, n_s, y_s, traffic)


def random_histograms(seed: int, rows: int, columns: int, traffic: Traffic) -> Windows:
    """Buckets of both arms, cumulative."""
    rng = np.random.default_rng(seed)

    def arm(mean: float, worse: float) -> np.ndarray:
        slow = min(0.9, 0.05 * worse)
        shares = np.array([0.33, 0.5 - min(slow, 0.5), 0.15, slow * 0.8, 0.02 + slow * 0.2])
        n = rng.poisson(mean, (rows, columns)) * (rng.random((rows, columns)) >= traffic.quiet)
        return np.cumsum(rng.poisson(n[..., None] * shares), axis=2).astype(float)

    zero = np.zeros((rows, columns))
    windows = _timed(zero, zero, zero, zero, traffic)
    buckets = {"buckets_c": arm(traffic.candidate, traffic.worse), "buckets_s": arm(traffic.stable, 1.0)}
    return Windows(zero, zero, zero, zero, **buckets, bounds=BOUNDS, start_s=windows.start_s, end_s=windows.end_s)


def strata_of(windows: Windows, row: int) -> list[Stratum]:
    """One release's windows as the judge takes them."""
    assert windows.start_s is not None and windows.end_s is not None
    found = []
    for column in range(windows.shape[1]):
        start, end = (
            datetime.fromtimestamp(float(times[row, column]), UTC) for times in (windows.start_s, windows.end_s)
        )
        segment = None if windows.segment is None else f"segment-{windows.segment[column]}"
        if windows.buckets_c is None or windows.buckets_s is None:
            candidate = Tally(float(windows.n_c[row, column]), float(windows.y_c[row, column]))
            stable = Tally(float(windows.n_s[row, column]), float(windows.y_s[row, column]))
        else:
            candidate, stable = (
                Tally(
                    float(buckets[row, column, -1]),
                    0.0,
                    tuple(zip(windows.bounds, map(float, buckets[row, column]), strict=True)),
                )
                for buckets in (windows.buckets_c, windows.buckets_s)
            )
        found.append(Stratum(start, end, candidate, stable, segment))
    return found


def folded(gate: Gate, windows: Windows, row: int, settings: JudgeSettings) -> tuple[np.ndarray, np.ndarray, GateState]:
    """Log E for revert and for pass after each window, as the judge finds them, and its state at the end."""
    state, machine = judge.start(gate, settings), machine_of(gate)
    revert, passing = [], []
    for stratum in strata_of(windows, row):
        state = judge.fold(gate, state, Evidence(gate.name, stratum.end, (stratum,), newest=stratum.end))
        (track,) = state.tracks
        revert.append(machine.log_revert(track.machine))
        passing.append(machine.log_pass(track.machine))
    return np.array(revert), np.array(passing), state


def _timed(n_c: np.ndarray, y_c: np.ndarray, n_s: np.ndarray, y_s: np.ndarray, traffic: Traffic) -> Windows:
    rows, columns = n_c.shape
    segment = np.arange(columns) % traffic.segments if traffic.segments > 1 else None
    start_s = T0.timestamp() + STEP_S * (np.arange(columns) // traffic.segments)
    start = np.broadcast_to(start_s, (rows, columns)).astype(float)
    return Windows(n_c, y_c, n_s, y_s, start_s=start, end_s=start + STEP_S, segment=segment)
