"""A pydantic JSON schema to the structural schema of a CRD: references in place, nothing that Kubernetes refuses.

Inside lists no default is written into objects, but told in the description; the operator fills it in when it reads.
A list that comes back with more than was applied is a difference for ever to GitOps tools that compare lists as a
whole, and a conflict for server-side apply.

Rejected: keeping the references and post-processing YAML text; a structural schema has no `$ref` and no `anyOf` with
types in it, so the tree has to be rebuilt anyway.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from modelrelease.api.base import RULES

_KEPT = (
    "type",
    "description",
    "default",
    "enum",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
)

Schema = dict[str, Any]


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model, with camelCase names and its rules."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _node(schema, schema.get("$defs", {}))


def _node(source: Mapping[str, Any], definitions: Mapping[str, Any], *, in_list: bool = False) -> Schema:
    source = _resolved(source, definitions)
    node: Schema = {key: source[key] for key in _KEPT if key in source}
    if "const" in source:
        node["enum"] = [source["const"]]
    if node.get("default") is None:
        node.pop("default", None)
    if in_list and "default" in node:
        default = _told(node.pop("default"))
        if default:
            node["description"] = f"{node.get('description', '')} Default: {default}.".strip()
    if "properties" in source:
        node["properties"] = {
            name: _node(item, definitions, in_list=in_list) for name, item in source["properties"].items()
        }
    required = [name for name in source.get("required", ()) if name in source.get("properties", {})]
    if required:
        node["required"] = required
    if "items" in source:
        node["items"] = _node(source["items"], definitions, in_list=True)
    if isinstance(source.get("additionalProperties"), Mapping):
        node["additionalProperties"] = _node(source["additionalProperties"], definitions, in_list=in_list)
    node.update({key: value for key, value in source.items() if key.startswith("x-kubernetes-")})
    return node


def _told(default: Any) -> str:
    """A default as it would be written."""
    if isinstance(default, list):
        return ", ".join(map(_told, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def _resolved(source: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """The node with its reference or its one non-null alternative merged in; what stands nearer to the field wins."""
    merged: Schema = dict(source)
    for inner in _inner(merged, definitions):
        inner = _resolved(inner, definitions)
        checks = [
            *inner.get(RULES, ()),
            *(check for check in merged.get(RULES, ()) if check not in inner.get(RULES, ())),
        ]
        merged = {**inner, **merged, **({RULES: checks} if checks else {})}
    return {key: value for key, value in merged.items() if key not in ("$ref", "anyOf", "allOf", "$defs")}


def _inner(source: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "$ref" in source:
        return [definitions[source["$ref"].rpartition("/")[2]]]
    if "allOf" in source:
        return list(source["allOf"])
    alternatives = [item for item in source.get("anyOf", ()) if item.get("type") != "null"]
    if len(alternatives) > 1:
        raise ValueError(f"a structural schema has no alternatives: {source}")
    return alternatives
