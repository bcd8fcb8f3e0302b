"""Gives each running sandbox a number of its own, and with it a service network and ports nobody else uses.

A slot is held by a file lock for as long as the sandbox runs; the kernel frees it even after `kill -9`. Ports are
below the range the kernel hands to outgoing connections, so a stopped part finds its port free when it starts again.

Rejected: asking the kernel for free ports (bind to 0). A client's outgoing connection may take such a port while the
part that owned it is restarting.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path
from typing import IO

from modelrelease.sandbox.errors import SandboxError

HOST = "127.0.0.1"
SLOTS = 64
FIRST_NETWORK = 96
FIRST_PORT = 21000
PORTS_PER_SLOT = 16


class Slot:
    """Number `index` of SLOTS: the network 127.(96+index).0.0/16 and 16 ports."""

    def __init__(self, index: int, lock: IO[str]) -> None:
        self.index = index
        self._lock = lock

    @property
    def service_range(self) -> str:
        return f"127.{FIRST_NETWORK + self.index}.0.0/16"

    def port(self, offset: int) -> int:
        """The port number `offset` (0 to 15) of this slot."""
        return FIRST_PORT + self.index * PORTS_PER_SLOT + offset

    def release(self) -> None:
        self._lock.close()


def claim() -> Slot:
    """The first slot that no running sandbox holds and whose ports are all free."""
    folder = Path(tempfile.gettempdir()) / f"modelrelease-sandbox-slots-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for index in range(SLOTS):
        slot = _try_claim(index, folder / f"{index}.lock")
        if slot is not None:
            return slot
    raise SandboxError(f"all {SLOTS} sandbox slots are taken: end some with `modelrelease sandbox down --all`")


def _try_claim(index: int, lock_file: Path) -> Slot | None:
    lock = lock_file.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    slot = Slot(index, lock)
    if all(_is_free(slot.port(offset)) for offset in range(PORTS_PER_SLOT)):
        return slot
    slot.release()
    return None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
