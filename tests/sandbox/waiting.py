"""Waiting for something to become true; only a generous limit is ever asserted, never how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], *, limit_s: float = 60.0) -> T:
    """The first truthy answer of `probe`."""
    deadline = time.monotonic() + limit_s
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {limit_s:.0f} s; the last answer was {found!r}"
        time.sleep(0.1)
    return found
