"""The history of a release's route as the API server's audit log tells it, and the properties that it must have.

The oracle is independent of the operator: it reads what was written, by whom, in which order.
"""

import itertools
from dataclasses import dataclass
from typing import Any

from modelrelease.sandbox.audit import AuditEvent

STOPPED = "modelrelease.dev/stopped"
HOLDER = "modelrelease.dev/holder"
OPERATOR = "system:serviceaccount:modelrelease-system:modelrelease-operator"


@dataclass(frozen=True)
class RouteState:
    """One committed write to the route: who, and what each rule gives to each release header."""

    user: str
    generation: int
    stopped: str | None
    holder: str | None
    shares: dict[str, dict[str, int]]

    def share(self, revision: str) -> dict[str, int]:
        """Weight of one arm per rule, in parts per thousand of the rule's sum."""
        found = {}
        for rule, arms in self.shares.items():
            total = sum(arms.values()) or 1
            found[rule] = round(1000 * arms.get(revision, 0) / total)
        return found


def route_states(events: list[AuditEvent], namespace: str, name: str) -> list[RouteState]:
    """All committed states of a route, oldest first."""
    states = []
    for event in events:
        if event.resource != "httproutes" or event.subresource or event.namespace != namespace or event.code >= 300:
            continue
        obj = event.response or {}
        if (obj.get("metadata") or {}).get("name") == name and "rules" in (obj.get("spec") or {}):
            states.append(_state(event.user, obj))
    return states


def _state(user: str, obj: Any) -> RouteState:
    shares: dict[str, dict[str, int]] = {}
    for index, rule in enumerate(obj["spec"].get("rules") or []):
        arms = shares.setdefault(rule.get("name") or str(index), {})
        for ref in rule.get("backendRefs") or []:
            arms[_revision(ref)] = arms.get(_revision(ref), 0) + ref.get("weight", 1)
    annotations = obj["metadata"].get("annotations") or {}
    return RouteState(user, obj["metadata"]["generation"], annotations.get(STOPPED), annotations.get(HOLDER), shares)


def top(state: RouteState, revision: str) -> int:
    """The most that any rule gives to an arm, in parts per thousand."""
    return max(state.share(revision).values(), default=0)


def foreign_raises(states: list[RouteState], revision: str) -> list[RouteState]:
    """What somebody else wrote that gave the arm more than there was before."""
    pairs = itertools.pairwise(states)
    return [after for before, after in pairs if after.user != OPERATOR and top(after, revision) > top(before, revision)]


def statuses(events: list[AuditEvent], namespace: str, name: str) -> list[Any]:
    """All committed statuses of a release, oldest first: also what was shown for a moment only."""
    return [
        (event.response or {}).get("status") or {}
        for event in events
        if (event.resource, event.subresource, event.namespace, event.name)
        == ("modelreleases", "status", namespace, name)
        and event.code < 300
    ]


def shown(found: list[Any], condition: str) -> list[Any]:
    """Each time that a condition was in a status, as it was."""
    return [one for status in found for one in status.get("conditions") or [] if one["type"] == condition]


def _revision(ref: Any) -> str:
    for one in ref.get("filters") or []:
        for header in (one.get("requestHeaderModifier") or {}).get("set") or []:
            if header["name"] == "x-model-release":
                return str(header["value"])
    return f"backend {ref['name']}"


def raises(states: list[RouteState], revision: str, *, user: str | None = None) -> list[tuple[int, int]]:
    """(before, after) of each write, of one user or of all, that gave the arm more in any rule, by its highest share.

    The requests of a segment rule that is new were served by the rule that it stands in front of.
    """
    found = []
    for before, after in itertools.pairwise(states):
        if user not in (None, after.user):
            continue
        old, new = before.share(revision), after.share(revision)
        if any(share > old.get(rule, old.get(rule.partition("--")[0], 0)) for rule, share in new.items()):
            found.append((max(old.values(), default=0), max(new.values(), default=0)))
    return found


def assert_order(states: list[RouteState], revision: str, stages: list[int]) -> None:
    """S5: the operator's raises go from one stage to the next only, or from zero to the first after starting over."""
    allowed = set(zip([0, *stages], stages, strict=False))
    for step in raises(states, revision, user=OPERATOR):
        assert step in allowed, f"raised {step[0]} → {step[1]} ‰, allowed are {sorted(allowed)}"


def assert_stays_down(states: list[RouteState], revision: str, digest: str) -> None:
    """S3: once the stopped mark is on the route, the operator never gives the arm more again."""
    marked = next((index for index, state in enumerate(states) if state.stopped == digest), None)
    assert marked is not None, "the stopped mark was never written"
    assert not raises(states[marked:], revision, user=OPERATOR), "the candidate rose again after it was stopped"
    assert max(states[-1].share(revision).values(), default=0) == 0


def assert_form(states: list[RouteState], user: str) -> None:
    """S1: whatever the operator wrote has a fixed sum and at most two arms per rule."""
    for state in states:
        if state.user != user:
            continue
        for rule, arms in state.shares.items():
            assert sum(arms.values()) == 1000, f"rule {rule}: weights {arms}"
            assert len(arms) <= 2, f"rule {rule}: arms {arms}"
