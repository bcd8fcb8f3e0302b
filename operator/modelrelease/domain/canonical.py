"""Canonical bytes and digests: one way to write a value down, so that two parties get the same digest.

The form is JSON with sorted keys, no white space and UTF-8 (the part of RFC 8785 that needs no number rules: numbers
here are integers or strings; floats are refused). Hashing YAML or a model dump was rejected: both change with the
library.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum

_SCALARS = (str, int, bool, type(None))


def canonical(value: object) -> bytes:
    """Write `value` (None, bool, int, str, mappings with string keys, sequences) as canonical JSON bytes.

    Raises TypeError for anything else, floats included: a float has no one spelling.
    """
    _check(value, "$")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: object) -> str:
    """The SHA-256 digest of the canonical form, as `sha256:<64 hex digits>`."""
    return digest_of_bytes(canonical(value))


def digest_of_bytes(content: bytes) -> str:
    """The SHA-256 digest of raw bytes, as `sha256:<64 hex digits>`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def short(value: str, length: int = 10) -> str:
    """The first hex digits of a digest, for names and messages; an already short text is returned as it is."""
    return value.removeprefix("sha256:")[:length]


def plain(value: object) -> object:
    """A dataclass as mappings, lists, strings and integers, which have a canonical form; what is None is left out.

    Names are camelCase, because people see them in records; times are RFC 3339 in UTC.
    """
    if is_dataclass(value) and not isinstance(value, type):
        items = ((each.name, getattr(value, each.name)) for each in fields(value))
        return {_camel(name): plain(item) for name, item in items if item is not None}
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.value if isinstance(value, StrEnum) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _check(value: object, path: str) -> None:
    if isinstance(value, _SCALARS):
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{path}: a key must be a string, not {type(key).__name__}")
            _check(item, f"{path}.{key}")
        return
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]")
        return
    raise TypeError(f"{path}: {type(value).__name__} has no canonical form")
