"""What the chain of records still says when the status is lost: who was stopped, who is stable, what was used.

The controller reads the records and the units; what they mean is decided here. Believing the route's weights instead
was rejected: a weight edited by hand would then become the truth and jump to 100 % (RELIABILITY.md, Known traps).
"""

from collections.abc import Iterable, Mapping

from modelrelease.domain.record import Record, RecordKind
from modelrelease.domain.unit import UnitRef
from modelrelease.engine.case import Case

STOPPING = frozenset({RecordKind.REVERTED, RecordKind.ABORTED})
SERVING = frozenset({RecordKind.ADOPTED, RecordKind.COMPLETED, RecordKind.WATCH_COMPLETED})

_SUBJECT = {
    RecordKind.ADOPTED: "stable",
    RecordKind.STARTED: "candidate",
    RecordKind.RETRIED: "candidate",
    RecordKind.COMPLETED: "stable",
    RecordKind.WATCH_COMPLETED: "stable",
    RecordKind.REVERTED: "stopped",
    RecordKind.ABORTED: "stopped",
    RecordKind.WITHDRAWN: "withdrawn",
    RecordKind.SUPERSEDED: "given_up",
}
"""Which unit of its body a record is about; the other kinds say nothing about how a unit stands."""


def history(records: Iterable[Record]) -> dict[str, RecordKind]:
    """What the records (in any order) last say about each unit digest; the digest spoken of last comes last."""
    found: dict[str, RecordKind] = {}

    def say(digest: object, kind: RecordKind) -> None:
        if isinstance(digest, str):
            found.pop(digest, None)
            found[digest] = kind

    for record in sorted(records, key=lambda record: record.sequence):
        stable = _digest(record.body.get("stable"))
        if isinstance(stable, str) and stable in found:
            say(stable, found[stable])
        if record.kind not in _SUBJECT:
            continue
        say(_digest(record.body.get(_SUBJECT[record.kind])), record.kind)
        if record.kind is RecordKind.SUPERSEDED:
            say(_digest(record.body.get("candidate")), RecordKind.STARTED)
        also = record.body.get("alsoStopped")
        for digest in also if isinstance(also, list | tuple) else ():
            say(digest, record.kind)
    return found


def used(records: Iterable[Record]) -> tuple[str, ...]:
    """The UIDs of the decisions that records name: each of them counts as used (S2).

    Except what a later record gives back, because the raise that it was said for raised nothing.
    """
    found: dict[str, None] = {}
    for record in sorted(records, key=lambda record: record.sequence):
        named, returned = record.body.get("decisions"), record.body.get("returned")
        items = named if isinstance(named, list | tuple) else ()
        uids = (item.get("uid") for item in items if isinstance(item, Mapping))
        found |= dict.fromkeys(uid for uid in uids if isinstance(uid, str))
        for uid in returned if isinstance(returned, list | tuple) else ():
            found.pop(uid, None)
    return tuple(found)


def stopped_digests(case: Case) -> tuple[str, ...]:
    """The units that records or a route's mark say were stopped (S14)."""
    recorded = (digest for digest, kind in case.observed.history.items() if kind in STOPPING)
    marked = (view.stopped for view in case.observed.routes if view.stopped)
    return tuple(dict.fromkeys((*recorded, *marked)))


def proven_units(case: Case) -> tuple[UnitRef, ...]:
    """The kept units that were stable at some time and were not stopped since, the newest first."""
    known = {unit.digest: unit for unit in case.observed.revisions}
    return tuple(known[digest] for digest in _serving(case) if digest in known)


def recovered_arms(case: Case) -> tuple[UnitRef | None, UnitRef | None]:
    """Who is stable and who is beside it on the routes, told by the records; without records, by the arms' order.

    Neither where no arm of ours is on a route, or where the unit that was stable is not kept any more.
    """
    known = {unit.revision: unit for unit in case.observed.revisions}
    names = dict.fromkeys(
        arm.revision for view in case.observed.routes for rule in view.rules for arm in rule.arms if arm.revision
    )
    on_route = [known[name] for name in names if name in known]
    if not on_route:
        return None, None
    by_digest = {unit.digest: unit for unit in known.values()}
    serving = _serving(case)
    stable = by_digest.get(serving[0]) if serving else on_route[0]
    if stable is None:
        return None, None
    return stable, next((unit for unit in on_route if unit != stable), None)


def _serving(case: Case) -> list[str]:
    gone = stopped_digests(case)
    serving = [digest for digest, kind in case.observed.history.items() if kind in SERVING and digest not in gone]
    return serving[::-1]


def _digest(body: object) -> object:
    return body.get("digest") if isinstance(body, Mapping) else None
