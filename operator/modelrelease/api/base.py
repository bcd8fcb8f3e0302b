"""What all kinds share: the base models, field types with their limits, and rules that the API server checks.

A rule is CEL and travels in the JSON schema of the model that declares it; `crds` copies it into the CRD. Rejected:
writing the CRDs by hand beside the models; two descriptions of one field part ways within a month.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, core_schema

from modelrelease.api.quantities import DECIMAL_PATTERN, DURATION_PATTERN, PERCENT_PATTERN

RULES = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
PRESERVE_UNKNOWN = "x-kubernetes-preserve-unknown-fields"

Extra = dict[str, Any]
"""What a field or model adds to its JSON schema."""


class SpecModel(BaseModel):
    """What users write: camelCase on the wire, and a field that nobody knows is an error and not a surprise."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class StatusModel(BaseModel):
    """What the operator wrote, perhaps a newer one: unknown fields are left alone when it is read."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


def rule(
    expression: str, message: str, *, field: str | None = None, message_expression: str | None = None
) -> Mapping[str, str]:
    """One check of the API server: `expression` must hold. `field` is the path that the error names, from here."""
    check = {"rule": expression, "message": message}
    if message_expression is not None:
        check["messageExpression"] = message_expression
    if field is not None:
        check["fieldPath"] = field
    return check


def rules(*checks: Mapping[str, str], **more: Any) -> Extra:
    """The schema extra that carries `checks`; `more` adds other schema keys."""
    return {RULES: [dict(check) for check in checks], **more}


def atomic(*checks: Mapping[str, str]) -> Extra:
    """The schema extra of a list that is replaced as a whole, because its order means something."""
    return {LIST_TYPE: "atomic", **(rules(*checks) if checks else {})}


def map_by(*keys: str, checks: tuple[Mapping[str, str], ...] = ()) -> Extra:
    """The schema extra of a list whose items are found by `keys`, so that several writers can share it."""
    return {LIST_TYPE: "map", LIST_MAP_KEYS: list(keys), **(rules(*checks) if checks else {})}


def unique(key: str, what: str) -> Mapping[str, str]:
    """The check that no two items of a list have the same `key`."""
    return rule(
        f"self.all(x, self.exists_one(y, y.{key} == x.{key}))",
        f"two {what} have the same {key}; give each its own",
    )


@dataclass(frozen=True, slots=True)
class Matches:
    """Text of one form, checked by the API server and by pydantic with the same pattern and the same words."""

    pattern: str
    message: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), **rules(rule(f"self.matches('{self.pattern}')", self.message))}

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise PydanticCustomError(
                "form", "{text} is wrong: {message}", {"text": repr(text), "message": self.message}
            )
        return text


DNS_LABEL_PATTERN = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"

Name = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Matches(DNS_LABEL_PATTERN, "use lower-case letters, digits and '-', starting and ending with a letter or digit"),
]
"""A DNS label: the name of a stage, segment, gate or rule."""

ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Matches(
        "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "the name of an object has lower-case letters, digits, '-' and '.', and no namespace or slash in it",
    ),
]
"""The name of another object."""

Namespace = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Matches(DNS_LABEL_PATTERN, "the name of a namespace has lower-case letters, digits and '-'"),
]
"""The name of a namespace."""

VersionText = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Matches(
        "^[A-Za-z0-9]([A-Za-z0-9._+-]{0,61}[A-Za-z0-9])?$",
        "a version has letters, digits, '.', '_', '+' and '-', such as 2026.11.3",
    ),
]
"""A version that people say aloud."""

Group = Annotated[str, Field(max_length=512)]
"""A group of users, as the API server knows it."""

Digest = Annotated[
    str,
    Field(max_length=128),
    Matches(
        "^sha256:[0-9a-f]{64}$", "write sha256: and the 64 lower-case hex digits that sha256sum prints for the content"
    ),
]
"""A SHA-256 digest."""

Percent = Annotated[
    str,
    Field(max_length=16),
    Matches(
        PERCENT_PATTERN,
        'write a percent from "0" to "100" in quotes, without a sign and with at most one decimal, such as "5" or '
        '"0.5"',
    ),
]
"""A share of traffic, exact to one part per thousand."""

Duration = Annotated[
    str,
    Field(max_length=32),
    Matches(
        DURATION_PATTERN, 'write whole hours, minutes and seconds, such as "90s", "10m" or "1h30m"; never negative'
    ),
]
"""A length of time, exact to the second."""

DecimalText = Annotated[
    str,
    Field(max_length=32),
    Matches(DECIMAL_PATTERN, 'write a decimal number in quotes, such as "0.02" or "1.5"'),
]
"""A number that may be fractional."""

HeaderName = Annotated[
    str,
    Field(min_length=1, max_length=256),
    Matches(
        "^[A-Za-z0-9!#$%&*+.^_|~-]+$",
        "a header name has letters, digits and '-', such as x-model-release; no spaces, no ':' and no value",
    ),
]
"""The name of an HTTP header."""

Port = Annotated[int, Field(ge=1, le=65535)]
Uid = Annotated[str, Field(min_length=1, max_length=64)]
Time = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
"""An RFC 3339 time in UTC."""

IMMUTABLE = rule("self == oldSelf", "this object is immutable: it says what was; write a new one instead of editing it")
"""The check of a spec that nobody edits."""


class ReleaseRef(SpecModel):
    """The release that an object belongs to."""

    name: ObjectName = Field(description="Name of the ModelRelease, in the same namespace.")
    uid: Uid | None = Field(
        None,
        description="UID of the ModelRelease (kubectl get modelrelease NAME -o jsonpath='{.metadata.uid}'), so that a "
        "later release of the same name is never meant.",
    )
