"""One moment of the demo as a value: what the status says beside what the load generator sees.

Views draw it, nobody changes it. Rejected: views that read the cluster; then two views could tell two stories.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from modelrelease.demo.story import Chapter, Outcome
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
    """A gate's newest verdict: Pass, Revert, Undecided or NoData, and its sentence."""

    name: str
    outcome: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Picture:
    """`at_s` and `stage_s` count from the demo's and the stage's beginning.

    `stage` is the number of the stage that the release is in, or was in last when it has `ended`; -1: none yet.
    `waiting` is why the release does not go on, in the operator's words. `seen` is the split of the last seconds on
    the wire, `candidate` and `others` what the arms did in this release so far, `errors` what users got instead.
    """

    chapter: Chapter
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
        GateView(each["name"], each["outcome"], each["sentence"].removeprefix(f"{each['name']}: "))
        for each in status.get("gates") or []
    )


def waiting_for(status: Json) -> str:
    """What the release waits for, in the status' own words."""
    found = [each for each in status.get("conditions") or [] if each["type"] == "Ready" and each["status"] != "True"]
    return str(found[0]["message"]) if found else ""


def stage_index(status: Json) -> int:
    """The number of the stage that a candidate is in, -1 when it is in none."""
    return int((status.get("stage") or {}).get("index", -1))
