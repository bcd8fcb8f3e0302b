"""Tells the person waiting what is being done and for how long.

On a terminal one line is redrawn; elsewhere (CI, logs) plain lines appear now and then, so that a silent ten minutes
never look like a hang. Rejected: a progress bar with a percentage. Neither a Go build nor an API server's start knows
its total.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

PLAIN_INTERVAL_S = 20.0


def elapsed(seconds: float) -> str:
    """`75.3` → `1:15`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """Lines on `stream` (default: standard error); `quiet` says nothing at all. Safe to use from several threads."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        self._write(f"{line}\n")

    @contextmanager
    def step(self, what: str) -> Iterator[Step]:
        """While the block runs, show `what`, the latest detail and the elapsed time; say how long it took."""
        step = Step(self, what)
        ticker = threading.Thread(target=step.run, name="sandbox-progress", daemon=True)
        ticker.start()
        outcome = "done"
        try:
            yield step
        except BaseException as error:
            outcome = str(error).partition("\n")[0] or type(error).__name__
            raise
        finally:
            step.ended.set()
            ticker.join()
            self.say(f"{self._redraw()}{what}: {outcome} ({elapsed(time.monotonic() - step.since)})")

    def show(self, line: str) -> None:
        """An intermediate state: replaces the current line of a terminal, a line of its own elsewhere."""
        self._write(f"{self._redraw()}{line}" if self.is_terminal else f"{line}\n")

    @property
    def is_terminal(self) -> bool:
        return self._stream.isatty()

    def _redraw(self) -> str:
        return "\r\x1b[2K" if self.is_terminal else ""

    def _write(self, text: str) -> None:
        if self._quiet:
            return
        with self._lock:
            self._stream.write(text)
            self._stream.flush()


class Step:
    """One thing that takes a while; set `detail` to say how far it is."""

    def __init__(self, progress: Progress, what: str) -> None:
        self.detail = ""
        self.since = time.monotonic()
        self.ended = threading.Event()
        self._progress = progress
        self._what = what

    def run(self) -> None:
        self._show()
        interval_s = 0.5 if self._progress.is_terminal else PLAIN_INTERVAL_S
        while not self.ended.wait(interval_s):
            self._show()

    def _show(self) -> None:
        detail = f" ({self.detail})" if self.detail else ""
        self._progress.show(f"{self._what}{detail}: {elapsed(time.monotonic() - self.since)}")
