"""Child processes that cannot outlive their parent, are ended by their own id only, and explain a failed start.

Every child is the leader of its own process group and asks the kernel to be killed when its parent ends, so that even
`kill -9` of a test run leaves nothing behind. Linux ties that request to the *thread* that started the child, so one
thread that lives as long as the process starts them all.

Rejected: `preexec_fn` for the request. It runs Python between fork and exec, which may deadlock in a process with
threads; a few lines of Python in front of `exec` cost 30 ms and cannot.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import IO

from modelrelease.sandbox.errors import StartError

READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0
LOG_TAIL_LINES = 15

_TIED_EXEC = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class _Spawner:
    """One daemon thread that starts processes for all others and lives until the interpreter ends."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._owner_pid = 0

    def run(self, job: Callable[[], None]) -> None:
        """Have the job done, also when Ctrl-C comes meanwhile: a process that was started must be known."""
        with self._lock:
            if self._owner_pid != os.getpid():  # first use, or first use after a fork
                self._owner_pid = os.getpid()
                threading.Thread(target=self._loop, name="sandbox-spawner", daemon=True).start()
        future: Future[None] = Future()
        self._jobs.put((job, future))
        try:
            future.result()
        except BaseException:
            wait([future], STOP_TIMEOUT_S)
            raise

    def _loop(self) -> None:
        while True:
            job, future = self._jobs.get()
            try:
                job()
                future.set_result(None)
            except BaseException as error:
                future.set_exception(error)


_spawner = _Spawner()


class Part:
    """One program of the sandbox: started, stopped, killed, paused and restarted with the same arguments.

    `ready` is polled after a start until it returns True; it may raise OSError while nobody listens yet.
    `env` None passes the caller's environment on, otherwise the child sees exactly that mapping. `stop_timeout_s` is
    how long a polite stop may take.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        ready: Callable[[], bool] = lambda: True,
        env: Mapping[str, str] | None = None,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        self.name = name
        self.argv = [str(word) for word in argv]
        self.log = log
        self._ready = ready
        self._env = env
        self._stop_timeout_s = stop_timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None when it does not run."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended: its code, or minus the number of the signal that ended it; None before that."""
        return self._process.poll() if self._process is not None else None

    def spawn(self) -> None:
        """Start the program without waiting for it to be ready; nothing happens when it runs already."""
        if self.running:
            return
        with self.log.open("ab") as log:
            _spawner.run(lambda: self._launch(log))

    def _launch(self, log: IO[bytes]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _TIED_EXEC, str(os.getpid()), *self.argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=None if self._env is None else dict(self._env),
            start_new_session=True,
        )

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return when the program answers; StartError when it ended or stays silent."""
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if not self.running:
                raise StartError(f"{self.name} ended while starting; its last words ({self.log}):\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self.name} was not ready after {timeout_s:.0f} s; end of {self.log}:\n{self.log_tail()}"
                )
            time.sleep(0.05)

    def start(self) -> None:
        """Start and return when ready."""
        self.spawn()
        self.wait_ready()

    def stop(self) -> None:
        """Ask to end (SIGTERM), insist after the timeout (SIGKILL); returns when it is gone."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._reap(self._stop_timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End at once (SIGKILL), as a crash would; returns when it is gone."""
        self._signal(signal.SIGKILL)
        self._reap(STOP_TIMEOUT_S)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze (SIGSTOP): the port stays open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) or "(empty log)"

    def _answers(self) -> bool:
        try:
            return self.running and self._ready()
        except OSError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or not self.running:
            return
        # Not reaped yet (`running` just said so), so the id cannot belong to somebody else meanwhile.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _reap(self, timeout_s: float) -> None:
        if self._process is not None:
            self._process.wait(timeout_s)
