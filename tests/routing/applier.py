"""A JSON patch applier that does what the API server does, in the few ways that matter here.

Not PyPI's jsonpatch: it has no test for absence, and knows nothing of resourceVersion.
"""

from __future__ import annotations

import copy
from typing import Any


class Failed(Exception):
    """422: a test failed, or a path does not exist."""


class Conflicted(Exception):
    """409: the patch was written for another resourceVersion."""


def apply(obj: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """The object after the patch, with the next resourceVersion. Raises Failed or Conflicted."""
    result = copy.deepcopy(obj)
    for operation in operations:
        _apply_one(result, operation)
    version = obj["metadata"]["resourceVersion"]
    if result["metadata"]["resourceVersion"] != version:
        raise Conflicted(f"written for {result['metadata']['resourceVersion']}, not for {version}")
    result["metadata"]["resourceVersion"] = str(int(version) + 1)
    return result


def _apply_one(obj: Any, operation: dict[str, Any]) -> None:
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    where = obj
    for part in parents:
        where = _get(where, part)
        if where is None:
            raise Failed(f"{operation}: {part} is not there")
    value = copy.deepcopy(operation.get("value"))
    match operation["op"]:
        case "test":
            if _get(where, last) != value:
                raise Failed(f"{operation}: it is {_get(where, last)!r}")
        case "add" if isinstance(where, list):
            if not 0 <= int(last) <= len(where):
                raise Failed(f"{operation}: out of range")
            where.insert(int(last), value)
        case "add":
            where[last] = value
        case "replace":
            if _get(where, last) is None:
                raise Failed(f"{operation}: nothing to replace")
            where[int(last) if isinstance(where, list) else last] = value
        case "remove":
            if _get(where, last) is None:
                raise Failed(f"{operation}: nothing to remove")
            del where[int(last) if isinstance(where, list) else last]
        case other:
            raise ValueError(other)


def _get(where: Any, part: str) -> Any:
    if isinstance(where, list):
        return where[int(part)] if 0 <= int(part) < len(where) else None
    return where.get(part)
