"""The kind ReleaseRecord: one decision as it is kept, numbered and linked to the one before (S15).

The object's name holds its number, so creating it is the compare and swap: two writers cannot both write number 7.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from modelrelease.api.base import (
    IMMUTABLE,
    PRESERVE_UNKNOWN,
    Digest,
    ObjectName,
    SpecModel,
    StatusModel,
    Time,
    Uid,
    rule,
    rules,
)
from modelrelease.api.names import API_VERSION, RELEASE_LABEL, RELEASE_RECORD
from modelrelease.domain.record import Record, RecordKind, record_name
from modelrelease.domain.release import Fault

MAX_SEQUENCE = 99_999_999


class RecordRelease(SpecModel):
    """The release that a record is about."""

    name: ObjectName = Field(description="Name of the ModelRelease, in the same namespace.")
    uid: Uid = Field(description="UID of the ModelRelease.")


class ReleaseRecordSpec(SpecModel):
    """One link of the chain."""

    model_config = ConfigDict(json_schema_extra=rules(IMMUTABLE))

    release: RecordRelease = Field(description="The release that this is about.")
    sequence: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)] = Field(
        description="Number of the record, from 1 without gaps; also the end of the object's name."
    )
    previous: Digest = Field(description="Hash of the record before; 64 zeros for the first.")
    hash: Digest = Field(description="Hash over sequence, previous, kind and body.")
    kind: RecordKind = Field(description="What happened.")
    time: Time = Field(description="When it was decided.")
    body: Any = Field(
        description="What was decided and why: message, evidence, verdicts, digests, before and after. Numbers that "
        "may be fractional are text. At most 64 fields.",
        json_schema_extra={"type": "object", PRESERVE_UNKNOWN: True, "maxProperties": 64},
    )


class ReleaseRecord(StatusModel):
    """One decision of the operator or a person, as evidence: immutable, numbered, linked by hash to the one before."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.metadata.name.matches('-[0-9]{8}$') && "
                "int(self.metadata.name.substring(size(self.metadata.name) - 8)) == self.spec.sequence",
                "the name of a record ends in its sequence number with eight digits, such as support-chat-00000007",
            )
        )
    )

    spec: ReleaseRecordSpec = Field(description="One link of the chain.")


def record_manifest(record: Record, *, namespace: str, release: str, uid: str) -> dict[str, Any]:
    """The ReleaseRecord to create for `record`. A 409 on creation means that somebody else wrote this number.

    The same record always gives the same manifest: its time is the `at` of its body.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": RELEASE_RECORD.kind,
        "metadata": {
            "namespace": namespace,
            "name": record_name(release, record.sequence),
            "labels": {RELEASE_LABEL: release},
        },
        "spec": {
            "release": {"name": release, "uid": uid},
            "sequence": record.sequence,
            "previous": record.previous,
            "hash": record.hash,
            "kind": record.kind.value,
            "time": record.body["at"],
            "body": dict(record.body),
        },
    }


def record_of(obj: Mapping[str, Any]) -> Record | Fault:
    """Read a ReleaseRecord; a Fault where it is unreadable or its content does not have the hash that it claims."""
    name = obj["metadata"]["name"]
    try:
        spec = obj["spec"]
        record = Record(int(spec["sequence"]), str(spec["previous"]), RecordKind(spec["kind"]), dict(spec["body"]))
        found = record.hash
    except (ValueError, KeyError, TypeError) as error:
        return Fault("RecordUnreadable", f"ReleaseRecord {name} cannot be read ({error})")
    if found != spec.get("hash"):
        return Fault("RecordAltered", f"ReleaseRecord {name}: its content has hash {found} and not {spec.get('hash')}")
    return record
