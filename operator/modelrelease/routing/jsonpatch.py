"""Write JSON patches (RFC 6902) as plain operations.

Only building: the API server applies them. A library was rejected, because these do diffing, and a diff of two objects
has none of the conditions that make a patch safe.
"""

from typing import Any

Operation = dict[str, Any]


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901) from unescaped parts: `~` becomes `~0`, `/` becomes `~1`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def test(path: str, value: object) -> Operation:
    """Demand that the value at `path` equals `value`; the whole patch fails (422) otherwise."""
    return {"op": "test", "path": path, "value": value}


def absent(path: str) -> Operation:
    """Demand that there is nothing at `path`.

    RFC 6902 has no such test. The API server's library (evanphx/json-patch) reads a missing member as null, so a test
    for null does it, as long as the parent exists.
    """
    return {"op": "test", "path": path, "value": None}


def add(path: str, value: object) -> Operation:
    """Set the member at `path`, or insert into a list in front of the item at `path`."""
    return {"op": "add", "path": path, "value": value}


def replace(path: str, value: object) -> Operation:
    """Replace what is at `path`, which must exist."""
    return {"op": "replace", "path": path, "value": value}


def remove(path: str) -> Operation:
    """Remove what is at `path`, which must exist."""
    return {"op": "remove", "path": path}
