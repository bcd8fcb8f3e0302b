"""One moment of the demo as a value: what the status says beside what the load generator sees.

Views draw it, nobody changes it. Rejected: views that read the cluster; then two views could tell two stories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelrelease.demo.story import Chapter, Outcome
from modelrelease.demo.times import seconds
from modelrelease.demo.wire import Quality, Tally
from modelrelease.sandbox.kube import Json


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, `at_s` seconds after the demo began."""

    at_s: float
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class GateView:
    """A gate's newest published verdict (Pass, Revert, Undecided or NoData), its sentence, and when it was said.

    The status is written when something changes and not with each number, so a sentence may be some seconds old.
    """

    name: str
    outcome: str
    sentence: str
    said_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """`began_s`: when the demo began, seconds since the epoch. `at_s` and `stage_s` count from there and from the
    stage's beginning.

    `stage` is the number of the stage that the release is in, or was in last when it has `ended`; -1: none yet.
    `waiting` is why the release does not go on, in the operator's words. `seen` is the split of the last seconds on
    the wire, `candidate` and `others` what the arms did in this release so far, `errors` what users got instead.
    """

    chapter: Chapter
    began_s: float
    at_s: float
    state: str = ""
    stable: str = ""
    stage: int = -1
    stage_s: float = 0.0
    ended: Outcome | None = None
    waiting: str = ""
    seen: Tally = field(default_factory=Tally)
    candidate: Quality = field(default_factory=Quality)
    others: Quality = field(default_factory=Quality)
    errors: int = 0
    gates: tuple[GateView, ...] = ()
    notes: tuple[Note, ...] = ()


def gates_of(status: Json) -> tuple[GateView, ...]:
    """The verdicts that a status tells; a sentence that begins with its gate's name says it once here."""
    return tuple(
        GateView(each["name"], each["outcome"], each["sentence"].removeprefix(f"{each['name']}: "), seconds(each["at"]))
        for each in status.get("gates") or []
    )


def with_stop(gates: Sequence[GateView], stop: Json) -> tuple[GateView, ...]:
    """The same gates, the one that stopped the release with what it said then: a stopped status has no gates."""
    return tuple(each if each.name != stop.get("gate") else _stopping(each, stop) for each in gates)


def _stopping(gate: GateView, stop: Json) -> GateView:
    sentence = stop["message"].removeprefix(f"gate {gate.name}: ").removeprefix(f"{gate.name}: ")
    return GateView(gate.name, "Revert", sentence, seconds(stop["at"]))


def waiting_for(status: Json) -> str:
    """What the release waits for, in the status' own words."""
    found = [each for each in status.get("conditions") or [] if each["type"] == "Ready" and each["status"] != "True"]
    return str(found[0]["message"]) if found else ""


def stage_index(status: Json) -> int:
    """The number of the stage that a candidate is in, -1 when it is in none."""
    return int((status.get("stage") or {}).get("index", -1))
