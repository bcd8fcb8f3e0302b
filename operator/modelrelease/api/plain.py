"""Frozen dataclasses to JSON-able values and back, exactly: by the types of the fields, never by guessing from values.

Text, integers, booleans, enums, times, optional values, tuples and dataclasses are known; a union of dataclasses is
written as `{"<class name>": {…}}`. Names are camelCase, because people see them in a status. None is left out, because
Kubernetes drops nulls on some paths. Rejected: pydantic's TypeAdapter; it picks the member of an untagged union by
the values it finds.
"""

import dataclasses
import types
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic.alias_generators import to_camel

from modelrelease.api.quantities import time_of, time_text

T = TypeVar("T")


class NotPlainError(ValueError):
    """A value that is not what the type says; the text names the place."""


def to_plain(value: object, hint: Any) -> Any:
    """Write `value`, whose declared type is `hint`, as JSON-able data."""
    members = _members(hint)
    if len(members) > 1:
        return {type(value).__name__: _write_fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [
            to_plain(item, item_hint) for item, item_hint in zip(value, _item_hints(members[0], value), strict=True)
        ]
    if dataclasses.is_dataclass(value):
        return _write_fields(value)
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, datetime):
        return time_text(value)
    raise TypeError(f"{type(value).__name__} has no plain form")


def from_plain(data: object, hint: type[T], path: str = "$") -> T:
    """Read what `to_plain` wrote. NotPlainError names the first place that does not fit."""
    return cast(T, _read(data, hint, path))


def _read(data: object, hint: Any, path: str) -> Any:
    members = _members(hint)
    if len(members) > 1:
        return _read_union(data, members, path)
    kind = members[0]
    if get_origin(kind) is tuple:
        return _read_tuple(data, kind, path)
    if dataclasses.is_dataclass(kind):
        return _read_fields(data, kind, path)
    if isinstance(kind, type) and issubclass(kind, StrEnum) and isinstance(data, str):
        try:
            return kind(data)
        except ValueError:
            raise NotPlainError(f"{path}: {data!r} is not one of {', '.join(kind)}") from None
    if kind is datetime and isinstance(data, str):
        return time_of(data)
    if type(data) is not kind:
        raise NotPlainError(f"{path}: {type(data).__name__} where {getattr(kind, '__name__', kind)} is meant")
    return data


def _read_union(data: object, members: tuple[Any, ...], path: str) -> Any:
    by_name = {member.__name__: member for member in members}
    if not isinstance(data, Mapping) or len(data) != 1 or next(iter(data)) not in by_name:
        raise NotPlainError(f"{path}: exactly one of {', '.join(by_name)} is meant")
    name, content = next(iter(data.items()))
    return _read_fields(content, by_name[name], f"{path}.{name}")


def _read_tuple(data: object, hint: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        raise NotPlainError(f"{path}: a list is meant, not {type(data).__name__}")
    hints = _item_hints(hint, data)
    if len(hints) != len(data):
        raise NotPlainError(f"{path}: {len(hints)} items are meant, not {len(data)}")
    return tuple(_read(item, kind, f"{path}[{n}]") for n, (item, kind) in enumerate(zip(data, hints, strict=True)))


def _read_fields(data: object, kind: Any, path: str) -> Any:
    if not isinstance(data, Mapping):
        raise NotPlainError(f"{path}: a mapping is meant, not {type(data).__name__}")
    hints, names = _hints(kind), _names(kind)
    unknown = set(data) - set(names)
    if unknown:
        raise NotPlainError(f"{path}: {kind.__name__} has no field {', '.join(sorted(map(str, unknown)))}")
    given = {names[key]: _read(item, hints[names[key]], f"{path}.{key}") for key, item in data.items()}
    for field in dataclasses.fields(kind):
        if field.name not in given and _required(field):
            raise NotPlainError(f"{path}: {field.name} is missing")
    return kind(**given)


def _write_fields(value: Any) -> dict[str, Any]:
    hints = _hints(value.__class__)
    written = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if item is not None:
            written[to_camel(field.name)] = to_plain(item, hints[field.name])
    return written


def _members(hint: Any) -> tuple[Any, ...]:
    """The types that a value may have besides None."""
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(member for member in get_args(hint) if member is not type(None))
    return (hint,)


def _item_hints(hint: Any, items: Sequence[Any]) -> Sequence[Any]:
    hints = get_args(hint)
    return [hints[0]] * len(items) if len(hints) == 2 and hints[1] is Ellipsis else hints


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _names(kind: Any) -> dict[str, str]:
    """How fields are spelled in data, to their names."""
    return {to_camel(field.name): field.name for field in dataclasses.fields(kind)}
