"""Frozen states to plain strings, integers, lists and mappings and back, without losing a bit.

Floats become hexadecimal text (`float.hex`), because records are digested and a decimal float has no one spelling.
The types of the fields say how to read them back. pickle was rejected: a record must be readable by others.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_KIND = "is"
"""The key that names the class, so that a union of states can be told apart."""


def encode(value: object) -> object:
    """Write a state down. Raises TypeError for what a state may not hold."""
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | str():
            return value
        case float():
            return value.hex()
        case datetime():
            return value.isoformat()
        case tuple():
            return [encode(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            body = {field.name: encode(getattr(value, field.name)) for field in fields(value)}
            return {_KIND: type(value).__name__, **body}
        case _:
            raise TypeError(f"{type(value).__name__} has no place in a state")


def decode(written: object, hint: Any) -> Any:
    """Read a value of the type `hint` back. Raises ValueError where it does not fit."""
    if get_origin(hint) in (Union, UnionType):
        return _decode_union(written, get_args(hint))
    if get_origin(hint) is tuple:
        return _decode_tuple(written, get_args(hint))
    if hint is float and isinstance(written, int):
        return float(written)
    if hint is float:
        return float.fromhex(_as(written, str))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(written)
    if hint is datetime:
        return datetime.fromisoformat(_as(written, str))
    if isinstance(hint, type) and is_dataclass(hint):
        body = _as(written, Mapping)
        if _kind(body) != hint.__name__:
            raise ValueError(f"expected the state of {hint.__name__}, found {_kind(body)!r}")
        return hint(**{name: decode(body[name], of) for name, of in _hints(hint).items()})
    return _as(written, hint)


def _decode_union(written: object, options: tuple[Any, ...]) -> Any:
    if written is None and NoneType in options:
        return None
    for option in options:
        if option is NoneType:
            continue
        if not is_dataclass(option) or _kind(written) == getattr(option, "__name__", ""):
            return decode(written, option)
    raise ValueError(f"none of {', '.join(str(option) for option in options)} fits {written!r}")


def _decode_tuple(written: object, items: tuple[Any, ...]) -> tuple[Any, ...]:
    values = _as(written, list)
    if items[-1] is Ellipsis:
        return tuple(decode(value, items[0]) for value in values)
    if len(values) != len(items):
        raise ValueError(f"expected {len(items)} items, found {len(values)}")
    return tuple(decode(value, item) for value, item in zip(values, items, strict=True))


def _kind(written: object) -> object:
    return written.get(_KIND) if isinstance(written, Mapping) else None


def _as(written: object, kind: type) -> Any:
    if not isinstance(written, kind):
        raise ValueError(f"expected {kind.__name__}, found {written!r}")
    return written


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
