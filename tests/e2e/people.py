"""People with the command line: what they type, what they read, and which exit code a script would see."""

import os
import subprocess
import sys
from dataclasses import dataclass

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.scene import SOURCE_ROOT


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Person:
    """A user of the sandbox with a kubeconfig of their own, in one namespace."""

    sandbox: Sandbox
    user: str
    namespace: str

    def types(self, *words: str) -> Answer:
        """Run `modelrelease <words> --namespace …` as this user."""
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.sandbox.kubeconfig(self.user)),
            "PYTHONPATH": str(SOURCE_ROOT),
            "COLUMNS": "120",
        }
        command = [sys.executable, "-m", "modelrelease.cli", *words, "--namespace", self.namespace]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return Answer(done.returncode, done.stdout.strip(), done.stderr.strip())

    def does(self, *words: str) -> str:
        """The same, where it has to succeed; gives back what it printed."""
        answer = self.types(*words)
        assert answer.code == 0, answer
        return answer.out
