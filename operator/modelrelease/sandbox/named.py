"""Sandboxes that people start from the command line, by name: which ones run, where, and how to end one.

The process that runs a sandbox holds a lock on `<name>.lock` for its whole life. So "is it running" is a question to
the kernel, and a recorded process id is only ever signalled while its owner provably lives.

Rejected: a pid file alone. After a crash the id may belong to somebody else's process.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from modelrelease.sandbox.cluster import Sandbox
from modelrelease.sandbox.errors import SandboxError

END_TIMEOUT_S = 30.0
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Record:
    """Where a running sandbox is. `addresses` is host:port by program name."""

    name: str
    pid: int
    since: str
    state_dir: str
    kubeconfig: str
    api_url: str
    gateway_url: str
    prometheus_url: str
    audit_log: str
    addresses: dict[str, str]

    def listening(self) -> dict[str, bool]:
        """Which programs accept connections now."""
        return {name: _accepts(address) for name, address in self.addresses.items()}


def state_home() -> Path:
    """`$XDG_STATE_HOME/modelrelease/sandbox`, created when absent."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(base) / "modelrelease" / "sandbox"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def check_name(name: str) -> str:
    """The name itself; SandboxError when it would not do as a folder."""
    if not NAME.fullmatch(name):
        raise SandboxError(f"sandbox name {name!r}: use up to 40 lower-case letters, digits and dashes, as in `demo-2`")
    return name


def state_dir(name: str) -> Path:
    return state_home() / check_name(name)


def log_file(name: str) -> Path:
    """Where a detached sandbox writes what it would have printed."""
    return state_home() / f"{check_name(name)}.log"


@contextmanager
def owned(name: str) -> Iterator[Path]:
    """Own the name while the block runs; yields its empty state folder. SandboxError when it runs already."""
    with _lock_file(name).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(
                f"sandbox {name!r} is already running: choose another --name, or end it with "
                f"`modelrelease sandbox down {name}`"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        shutil.rmtree(state_dir(name), ignore_errors=True)
        yield state_dir(name)


def record(sandbox: Sandbox) -> Record:
    """Write down where `sandbox` is, for `running` and `end`."""
    made = Record(
        name=sandbox.name,
        pid=os.getpid(),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        state_dir=str(sandbox.state_dir),
        kubeconfig=str(sandbox.kubeconfig()),
        api_url=sandbox.api_url,
        gateway_url=sandbox.gateway_url,
        prometheus_url=sandbox.prometheus_url,
        audit_log=str(sandbox.audit_log),
        addresses=sandbox.addresses(),
    )
    draft = sandbox.state_dir / "sandbox.json.tmp"
    draft.write_text(json.dumps(asdict(made), indent=2))
    draft.replace(sandbox.state_dir / "sandbox.json")
    return made


def running() -> list[Record]:
    """All sandboxes that run and are up, by name."""
    names = sorted(lock.stem for lock in state_home().glob("*.lock"))
    return [found for name in names if (found := find(name)) is not None]


def find(name: str) -> Record | None:
    """The running sandbox of that name, None when there is none or it is not up yet."""
    if not is_owned(name):
        return None
    try:
        return Record(**json.loads((state_dir(name) / "sandbox.json").read_text()))
    except FileNotFoundError:
        return None


def is_owned(name: str) -> bool:
    """Whether a live process holds the name."""
    try:
        with _lock_file(name).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def end(name: str) -> None:
    """Ask the process behind a running sandbox to stop, insist after a while; returns when all of it is gone.

    The kernel ends the sandbox's programs with their parent, so even an impolite end leaves nothing running.
    """
    if not is_owned(name):
        raise SandboxError(f"no sandbox {name!r} is running; `modelrelease sandbox status` lists those that are")
    owner = int(_lock_file(name).read_text())
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(owner, number)
        if _released(name):
            shutil.rmtree(state_dir(name), ignore_errors=True)
            return
    raise SandboxError(f"sandbox {name!r} (process {owner}) does not end")


def _released(name: str) -> bool:
    deadline = time.monotonic() + END_TIMEOUT_S
    while is_owned(name):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _lock_file(name: str) -> Path:
    return state_home() / f"{check_name(name)}.lock"


def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True
