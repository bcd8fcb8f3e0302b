"""Plans and units as plain data: what status, revisions and records keep of them, with the digest unchanged."""

from collections.abc import Mapping
from typing import Any, cast

from modelrelease.api.plain import NotPlainError, from_plain, to_plain
from modelrelease.domain.plan import Plan
from modelrelease.domain.unit import Backend, Part, PartName, Unit


def plan_to_dict(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-able data; `plan_from_dict` gives the same plan with the same digest."""
    return cast(dict[str, Any], to_plain(plan, Plan))


def plan_from_dict(data: object) -> Plan:
    """Read a plan; NotPlainError (a ValueError) where the data is not one."""
    return from_plain(data, Plan, "plan")


def unit_to_dict(unit: Unit) -> dict[str, Any]:
    """The unit in the form of `spec.unit` of a ReleaseRevision."""
    return {
        "version": unit.version,
        "backend": backend_to_dict(unit.backend),
        "parts": [
            {
                "name": name.value,
                "fields": [{"name": field, "value": value} for field, value in part.fields],
                **_present(configMap=part.config_map, contentDigest=part.content_digest),
            }
            for name, part in unit.parts
        ],
    }


def unit_from_dict(data: object) -> Unit:
    """Read a unit; NotPlainError (a ValueError) where the data is not one."""
    try:
        content = cast(Mapping[str, Any], data)
        return Unit(
            version=_text(content["version"]),
            backend=backend_from_dict(content["backend"]),
            parts=tuple(_part(part) for part in content.get("parts", ())),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotPlainError(f"unit: {type(error).__name__}: {error}") from error


def backend_to_dict(backend: Backend) -> dict[str, Any]:
    """The backend as users write it, without what is not set."""
    return {
        "name": backend.name,
        **_present(port=backend.port),
        "kind": backend.kind,
        "group": backend.group,
        **_present(namespace=backend.namespace),
    }


def backend_from_dict(data: Mapping[str, Any]) -> Backend:
    """Read a backend; ValueError, KeyError or TypeError where the data is not one."""
    return from_plain(dict(data), Backend, "backend")


def _part(data: Mapping[str, Any]) -> tuple[PartName, Part]:
    fields = tuple((_text(field["name"]), _text(field["value"])) for field in data.get("fields", ()))
    config_map, content = data.get("configMap"), data.get("contentDigest")
    return PartName(data["name"]), Part(
        fields=fields,
        config_map=None if config_map is None else _text(config_map),
        content_digest=None if content is None else _text(content),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise NotPlainError(f"text is meant, not {type(value).__name__}")
    return value


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
