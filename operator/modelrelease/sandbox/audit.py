"""Reads the API server's audit log: who wrote what, when, and what the server answered.

Rejected: watching the objects instead. A watch shows results; only the audit log shows refused writes and their author.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One write. `request` and `response` are None where the policy records metadata only; `code` 0: no answer yet."""

    at: datetime
    user: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    request: Any
    response: Any
    raw: dict[str, Any]


def read(log: Path) -> list[AuditEvent]:
    """All complete lines, oldest first; a line that is still being written is left out."""
    if not log.exists():
        return []
    *lines, _ = log.read_bytes().split(b"\n")
    return [_parse(json.loads(line)) for line in lines if line]


def _parse(raw: dict[str, Any]) -> AuditEvent:
    target = raw.get("objectRef", {})
    return AuditEvent(
        at=datetime.fromisoformat(raw["stageTimestamp"]),
        user=raw["user"].get("username", ""),
        verb=raw["verb"],
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=raw.get("responseStatus", {}).get("code", 0),
        request=raw.get("requestObject"),
        response=raw.get("responseObject"),
        raw=raw,
    )
