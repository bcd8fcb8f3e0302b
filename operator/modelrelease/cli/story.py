"""What there is to tell about a release's gates: the status' verdicts, a record's, and what judging it again gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from modelrelease.api.convert import record_of
from modelrelease.cli.cluster import fail
from modelrelease.cli.exits import EXIT_NOT_FOUND
from modelrelease.cli.rejudging import PARTS, Rejudged, rejudged
from modelrelease.domain.release import Fault
from modelrelease.gates.curve import Curve, curves_of
from modelrelease.gates.workings import PHASES, unpacked

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explained:
    """One record: what it says of the chosen gates, the curves behind it, and how judging it again differs."""

    spec: Json
    verdicts: tuple[Json, ...] = ()
    curves: tuple[Curve, ...] = ()
    again: Rejudged = field(default_factory=Rejudged)

    @property
    def telling(self) -> Curve | None:
        """The curve of the gate that reverted, else the one nearest to its threshold."""
        named = [curve for curve in self.curves if curve.gate == self.spec["body"].get("gate") and curve.points]
        known = named or [curve for curve in self.curves if curve.points]
        return max(known, key=lambda curve: max(p.log_revert for p in curve.points) / curve.threshold, default=None)


@dataclass(frozen=True, slots=True)
class Story:
    """All that is shown of one release. `now` holds the status' verdicts of the chosen gates; `narrowed`: one gate was
    asked for; `checked`: number and kind of each record that was judged again, and what is wrong with it; `habits`: how
    stable's bad events came before the first stage, by gate; `impact`: what was projected, beside what is observed;
    `waiting`: the reason why it is not ready now, empty where it is."""

    namespace: str
    name: str
    stage: str = ""
    now: tuple[Json, ...] = ()
    record: Explained | None = None
    narrowed: bool = False
    habits: tuple[Json, ...] = ()
    checked: tuple[tuple[int, str, Rejudged], ...] = ()
    impact: tuple[str, ...] = ()
    waiting: str = ""


def story_of(
    release: Json | None,
    records: Sequence[Json],
    *,
    name: str,
    namespace: str,
    gate: str | None = None,
    number: int | None = None,
    verify: bool = False,
) -> Story:
    """What there is to tell; anything that is asked for and not there ends the command."""
    status = (release or {}).get("status") or {}
    ordered = sorted(records, key=lambda item: int(item["spec"]["sequence"]))
    judged = [item for item in ordered if item["spec"]["body"].get("workings")]
    kept = [item for item in ordered if any(map(item["spec"]["body"].get, PARTS))]
    chosen = _chosen(ordered, judged, number, f"{namespace}/{name}")
    now = status.get("gates") or []
    waiting = _waiting(status) if number is None and gate is None else ""
    if chosen is None and not now:
        why = f"; now {waiting}" if waiting else ""
        fail(
            f"{namespace}/{name} has not been judged yet: nothing to explain before a candidate has been measured{why}"
        )
    explained = _explained(chosen) if chosen is not None else None
    said = [*now, *(({"name": v["gate"], **v} for v in explained.verdicts) if explained else ())]
    if gate is not None:
        known = list(dict.fromkeys(_key(item) for item in said))
        if not any(_is(item, gate) for item in said):
            fail(f"{namespace}/{name} has no verdict of a gate {gate}: it has {', '.join(known) or 'none'}")
    stage, state = (status.get("stage") or {}).get("name") or "", str(status.get("state") or "")
    return Story(
        namespace,
        name,
        stage=f"{state} at {stage}, {status.get('weight')}" if stage and state in ("Raising", "Observing") else state,
        now=tuple(item for item in now if number is None and _is(item, gate)),
        record=_only(explained, gate) if explained else None,
        narrowed=gate is not None,
        habits=tuple(item for item in status.get("habits") or () if number is None and gate in (None, item["gate"])),
        checked=tuple(_checked(item) for item in kept) if verify and number is None else (),
        waiting=waiting,
    )


def _waiting(status: Json) -> str:
    ready = next((one for one in status.get("conditions") or () if one["type"] == "Ready"), None)
    return f"{ready['reason']}: {ready['message']}" if ready and ready["status"] != "True" else ""


def _chosen(ordered: Sequence[Json], judged: Sequence[Json], number: int | None, key: str) -> Json | None:
    if number is None:
        return judged[-1] if judged else None
    found = next((item for item in ordered if int(item["spec"]["sequence"]) == number), None)
    if found is None:
        last = int(ordered[-1]["spec"]["sequence"]) if ordered else 0
        there = f"its records go from 1 to {last}" if last else "it has none yet"
        fail(f"{key} has no record {number}: {there}", EXIT_NOT_FOUND)
    if found not in judged:
        numbers = ", ".join(str(item["spec"]["sequence"]) for item in judged) or "none"
        fail(f"record {number} of {key} ({found['spec']['kind']}) holds no evidence; records that do: {numbers}")
    return found


def _explained(item: Json) -> Explained:
    spec, body = item["spec"], item["spec"]["body"]
    verdicts = tuple({**said, "phase": phase} for phase, field_ in PHASES.items() for said in body.get(field_) or ())
    try:
        written = [one for phase in PHASES for one in unpacked(body["workings"]).get(phase, ())]
        curves = tuple(curve for one in written for curve in curves_of(one))
    except (ValueError, KeyError, TypeError):
        curves = ()
    return Explained(spec, verdicts, curves, _checked(item)[2])


def _checked(item: Json) -> tuple[int, str, Rejudged]:
    """Number and kind of a record, and what is wrong with it: its hash, or what judging it again gives."""
    spec, found = item["spec"], record_of(item)
    again = rejudged(spec["body"]) or Rejudged()
    if isinstance(found, Fault):
        again = replace(again, differs=(found.message, *again.differs))
    return int(spec["sequence"]), str(spec["kind"]), again


def _only(explained: Explained, gate: str | None) -> Explained:
    return Explained(
        explained.spec,
        tuple(said for said in explained.verdicts if _is({"name": said["gate"], **said}, gate)),
        tuple(curve for curve in explained.curves if gate in (None, curve.gate, curve.key)),
        explained.again,
    )


def _key(item: Json) -> str:
    return "/".join(filter(None, (item["name"], item.get("segment"))))


def _is(item: Json, gate: str | None) -> bool:
    return gate in (None, item["name"], _key(item))
