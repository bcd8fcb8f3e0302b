"""A de-duplicating work queue with due times: each release is worked on by one worker at a time, and never lost.

Waking a release that is being worked on makes it run once more afterwards. Event types do not exist here: a release
is looked at, whatever woke it.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable


class DueQueue:
    """Keys with the loop time at which they are due. Not thread-safe: other threads go through the loop."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._busy: set[str] = set()
        self._again: dict[str, float] = {}
        self._changed = asyncio.Event()

    def wake(self, key: str, *, delay_s: float = 0.0) -> None:
        """Make `key` due in `delay_s` seconds, or earlier if it already is."""
        at = asyncio.get_running_loop().time() + max(0.0, delay_s)
        if key in self._busy:
            self._again[key] = min(at, self._again.get(key, at))
            return
        if at < self._due.get(key, float("inf")):
            self._due[key] = at
            heapq.heappush(self._heap, (at, key))
            self._changed.set()

    def forget(self, key: str) -> None:
        """Drop a key that no longer exists."""
        self._due.pop(key, None)
        self._again.pop(key, None)

    def __len__(self) -> int:
        return len(self._due) + len(self._busy)

    async def work(self, handle: Callable[[str], Awaitable[None]]) -> None:
        """Take due keys one after the other, for ever. Run as many of these as there are workers."""
        while True:
            key = await self._next()
            self._busy.add(key)
            try:
                await handle(key)
            finally:
                self._busy.discard(key)
                if key in self._again:
                    at = self._again.pop(key)
                    self.wake(key, delay_s=at - asyncio.get_running_loop().time())

    async def _next(self) -> str:
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            while self._heap:
                at, key = self._heap[0]
                if self._due.get(key) != at:
                    heapq.heappop(self._heap)
                    continue
                if at > now:
                    break
                heapq.heappop(self._heap)
                del self._due[key]
                return key
            self._changed.clear()
            timeout = self._heap[0][0] - now if self._heap else None
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
            except TimeoutError:
                continue
