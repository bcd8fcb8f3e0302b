"""The judges' vectorised twin: log E of every window of many releases at once, as `gates.judge` finds it one by one.

    windows = Windows(n_c=…, y_c=…, n_s=…, y_s=…)              # arrays of shape (releases, windows)
    log_revert(gate, windows)                                  # the same shape: evidence after each window
    log_pass(gate, windows)
    peak(log_revert(gate, windows)) >= bars.log_revert         # from where on each release is reverted
    state(gate, windows)                                       # the judge's own state of one release: sentences

Grids, margins and formulas are the judges' own where they can be; what is written twice is tested against the scalar
code to 1e-9 (tests/backtest/test_twin_*.py). Rejected: compiling the scalar code (numba, Cython); a second toolchain
for what cumulative sums do.
"""

from modelrelease.backtest.twin.judge import first_crossing, log_pass, log_revert, peak
from modelrelease.backtest.twin.state import state
from modelrelease.backtest.twin.value import breaches
from modelrelease.backtest.twin.windows import Windows

__all__ = ["Windows", "breaches", "first_crossing", "log_pass", "log_revert", "peak", "state"]
