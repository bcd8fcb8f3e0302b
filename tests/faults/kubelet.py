"""Starts a process again whenever it ends, as a kubelet does with a container."""

import threading
from typing import Self

from modelrelease.sandbox.process import Part


class Kubelet:
    """Looks after parts inside the block. `restarts` counts how often it had to start one again."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="kubelet", daemon=True)
        self.restarts = 0

    def __enter__(self) -> Self:
        for part in self._parts:
            part.spawn()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for part in self._parts:
            part.stop()

    def _look_after(self) -> None:
        while not self._over.wait(0.05):
            for part in self._parts:
                if not part.running:
                    self.restarts += 1
                    part.spawn()
