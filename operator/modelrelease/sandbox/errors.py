"""What can go wrong with a sandbox, as sentences for the person who started it.

Rejected: letting `OSError` and `urllib` errors through. They name a syscall, not what to install or which log to read.
"""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox cannot do what was asked; the message says why and what to do instead."""


class MissingToolError(SandboxError):
    """A program is neither installed, nor downloadable, nor buildable here."""


class StartError(SandboxError):
    """A part did not become ready; the message ends with the last lines of its log."""


class ApiError(SandboxError):
    """The API server refused a request. `status` is the HTTP code (0: no answer), `reason` the API's word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
