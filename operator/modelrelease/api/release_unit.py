"""`spec.unit` of a ModelRelease: what is released. Any change in here is a new release (R1, R2).

Parts that hold text live in ConfigMaps and are named, not inlined: a prompt of 200 KiB does not belong into an object
that is read at each event.
"""

from typing import Annotated

from pydantic import ConfigDict, Field

from modelrelease.api.base import Digest, Namespace, ObjectName, Port, SpecModel, VersionText, rule, rules


class ConfigMapRef(SpecModel):
    """A ConfigMap in the release's namespace."""

    name: ObjectName = Field(description="Name of the ConfigMap, in the namespace of the release.")


class BackendSpec(SpecModel):
    """Something that an HTTPRoute can send requests to."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.kind) || self.kind != 'Service' || has(self.port)",
                "a Service needs a port: write the port of the Service that answers requests, such as port: 8080",
                field=".port",
            ),
            rule(
                "has(self.kind) && self.kind != 'Service' ? has(self.group) && self.group != '' : !has(self.group) || "
                "self.group == ''",
                "group and kind belong together: leave out both for a Service, or write both, such as group: "
                "inference.networking.k8s.io with kind: InferencePool",
                field=".group",
            ),
        )
    )

    name: ObjectName = Field(description="Name of the Service or InferencePool.")
    port: Port | None = Field(
        None, description="Port of the Service, 1 to 65535. Required for a Service; an InferencePool has its own."
    )
    kind: Annotated[str, Field(pattern="^[A-Z][A-Za-z0-9]{0,62}$", max_length=63)] = Field(
        "Service", description="Kind of the backend. Service (the default), or InferencePool with its group."
    )
    group: Annotated[str, Field(pattern="^$|^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)] | None = Field(
        None, description="API group of the backend's kind. Left out for a Service."
    )
    namespace: Namespace | None = Field(
        None,
        description="Namespace of the backend; the release's own when left out. Another namespace must allow it with a "
        "ReferenceGrant for HTTPRoute; while it does not, condition RouteAccepted is False and nothing is raised.",
    )


ImageDigest = Annotated[
    Digest | None,
    Field(
        None,
        description="SHA-256 of the container image that serves it, as the registry shows it. Every ready pod behind "
        "the backend must run a container of this image; else condition UnitIntact is False with reason UnitViolated, "
        "or Unknown where that cannot be told, and nothing is raised. Left out: whatever runs at the first raise.",
    ),
]


class ModelPart(SpecModel):
    """The model itself."""

    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Name of the model, as people and the model registry call it. At most 253 characters."
    )
    version: VersionText = Field(description="Version of the model. At most 63 characters.")
    uri: Annotated[str, Field(max_length=2048)] | None = Field(
        None, description="Where the weights are, such as s3://models/support-7b/14. Recorded, never fetched."
    )
    digest: Digest | None = Field(
        None,
        description="SHA-256 of the weights or of their manifest. Recorded and part of the unit's digest, so that a "
        "model that is replaced under the same version is a new release.",
    )
    image_digest: ImageDigest


class ContentPart(SpecModel):
    """A part whose content is text: a prompt, tool settings, rules."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.configMapRef) || has(self.digest)",
                "say what this part contains: name its ConfigMap in configMapRef, or give the content's digest",
                field=".configMapRef",
            )
        )
    )

    version: VersionText = Field(description="Version of this part. At most 63 characters.")
    config_map_ref: ConfigMapRef | None = Field(
        None,
        description="ConfigMap with the content. Its data is part of the unit's digest: when somebody edits it in "
        "place the running release is reported as drifted, and the edited content is a new release. While it is "
        "missing, Ready is False and Stalled True with reason ConfigMapNotFound.",
    )
    uri: Annotated[str, Field(max_length=2048)] | None = Field(
        None, description="Where the content is when it is not a ConfigMap. Recorded, never fetched."
    )
    digest: Digest | None = Field(
        None,
        description="SHA-256 of the content. With configMapRef it must equal the digest of the ConfigMap's data (as "
        "`modelrelease digest` prints it), else Stalled is True with reason DigestMismatch.",
    )


class InferencePart(ContentPart):
    """Inference settings, and the image of the server that reads them."""

    image_digest: ImageDigest


class EvaluationPart(SpecModel):
    """The evaluation set that authorises entry to production."""

    suite: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Name of the evaluation set. At most 253 characters."
    )
    version: VersionText = Field(description="Version of the evaluation set. At most 63 characters.")
    digest: Digest | None = Field(None, description="SHA-256 of the evaluation set.")


class UnitSpec(SpecModel):
    """The release unit: a version, a backend and the parts that together decide what users see."""

    version: VersionText = Field(
        description="The version of the whole unit, which people say aloud and dashboards show. At most 63 characters. "
        "A new version with equal parts is a new release."
    )
    backend: BackendSpec = Field(
        description="What serves this unit. Two releases may name the same backend when only prompt, tools or rules "
        "differ: the application then reads the release header to know which one to answer with."
    )
    model: ModelPart | None = Field(None, description="The model: name, version, where it is and its digest.")
    inference: InferencePart | None = Field(
        None, description="Inference settings such as sampling and limits: version with a ConfigMap or a digest."
    )
    prompt: ContentPart | None = Field(
        None, description="System prompt and context templates: version with a ConfigMap or a digest."
    )
    tools: ContentPart | None = Field(
        None, description="Tool configuration and invocation policies: version with a ConfigMap or a digest."
    )
    safety: ContentPart | None = Field(
        None, description="Safety rules, filters and escalation policies: version with a ConfigMap or a digest."
    )
    routing: ContentPart | None = Field(
        None, description="Rules that pick the model per request: version with a ConfigMap or a digest."
    )
    evaluation: EvaluationPart | None = Field(
        None, description="The evaluation set that authorises this unit: suite, version and digest."
    )
