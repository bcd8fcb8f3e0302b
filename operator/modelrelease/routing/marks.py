"""The annotations that the operator leaves on a route, and how they are read back.

They are for the operator that comes after this one (a crash, a wiped status) and for admission policies; nothing here
counts as evidence or approval. Counters and timestamps were rejected: whoever may edit the route could set them so that
they block a revert.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from modelrelease.domain.release import Release
from modelrelease.domain.traffic import Target
from modelrelease.routing import jsonpatch
from modelrelease.routing.protocol import Guard, Object

RELEASE = "modelrelease.dev/release"
"""Whose route this is: `namespace/name/uid` of the ModelRelease."""

HOLDER = "modelrelease.dev/holder"
"""The Lease holder who wrote last; the fencing admission policy compares it with the Lease."""

RECORD = "modelrelease.dev/record"
"""The ReleaseRecord behind the last raise."""

STOPPED = "modelrelease.dev/stopped"
"""Digest of the unit that must not get traffic again (S3)."""

LAYOUT = "modelrelease.dev/layout"
"""The owned rules and the segments laid out in front of each, as canonical JSON: `{"chat":["low-criticality"]}`."""

Layout = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Marks:
    """The operator's annotations as read. None: not there. `present` says whether the object has annotations at all."""

    present: bool
    release: str | None = None
    stopped: str | None = None
    record: str | None = None
    layout: str | None = None


def owner_mark(release: Release) -> str:
    """The value of the release annotation, `namespace/name/uid`."""
    return f"{release.namespace}/{release.name}/{release.uid}"


def same_release(mark: str | None, release: Release) -> bool:
    """Whether `mark` names this release, also one of the same name that was deleted and made again."""
    return mark is not None and mark.rpartition("/")[0] == f"{release.namespace}/{release.name}"


def read(obj: Object) -> Marks:
    """Read the operator's annotations from a route."""
    annotations = obj.get("metadata", {}).get("annotations")
    if annotations is None:
        return Marks(present=False)
    return Marks(
        present=True,
        release=annotations.get(RELEASE),
        stopped=annotations.get(STOPPED) or None,
        record=annotations.get(RECORD),
        layout=annotations.get(LAYOUT),
    )


def parse_layout(text: str | None) -> Layout:
    """Read a layout mark; anything that is not one reads as empty, because people can edit it."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    return {
        rule: tuple(str(segment) for segment in segments)
        for rule, segments in value.items()
        if isinstance(segments, list)
    }


def layout_mark(layout: Layout) -> str:
    """Write a layout mark."""
    return json.dumps({rule: list(segments) for rule, segments in layout.items()}, separators=(",", ":"))


def wanted(release: Release, target: Target, marks: Marks, *, layout: Layout | None) -> dict[str, str | None]:
    """The marks that have to differ before a write is worth it; None removes. Holder and record alone are not."""
    result: dict[str, str | None] = {RELEASE: owner_mark(release)}
    if layout is not None:
        result[LAYOUT] = layout_mark(layout)
    if target.stopped is not None:
        result[STOPPED] = target.stopped or None
    have = {RELEASE: marks.release, LAYOUT: marks.layout, STOPPED: marks.stopped}
    return {key: value for key, value in result.items() if have[key] != value}


def all_of(release: Release, target: Target, layout: Layout) -> dict[str, str]:
    """Every mark of a route that is made anew."""
    values = {
        RELEASE: owner_mark(release),
        LAYOUT: layout_mark(layout),
        STOPPED: target.stopped,
        HOLDER: target.holder,
        RECORD: target.record,
    }
    return {key: value for key, value in values.items() if value}


def operations(
    changes: Mapping[str, str | None], target: Target, marks: Marks, *, guard: Guard
) -> tuple[list[jsonpatch.Operation], list[jsonpatch.Operation]]:
    """Tests and writes for the annotations: `changes`, and with them holder and record.

    A missing map is made. Under LOWER that is conditioned on its absence, because adding it would otherwise wipe
    annotations that somebody added since the read (S10).
    """
    tests: list[jsonpatch.Operation] = []
    writes: list[jsonpatch.Operation] = []
    root = jsonpatch.pointer("metadata", "annotations")
    if not marks.present:
        if guard is Guard.LOWER:
            tests.append(jsonpatch.absent(root))
        writes.append(jsonpatch.add(root, {}))
    for key, value in ((RELEASE, marks.release), (LAYOUT, marks.layout)):
        if value is not None:
            tests.append(jsonpatch.test(_at(key), value))
        elif marks.present and guard is Guard.LOWER:
            tests.append(jsonpatch.absent(_at(key)))
    values: dict[str, str | None] = {**changes}
    if target.holder:
        values[HOLDER] = target.holder
    if target.record is not None:
        values[RECORD] = target.record
    for key, value in values.items():
        writes.append(jsonpatch.remove(_at(key)) if value is None else jsonpatch.add(_at(key), value))
    return tests, writes


def _at(key: str) -> str:
    return jsonpatch.pointer("metadata", "annotations", key)
