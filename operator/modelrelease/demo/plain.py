"""The demo as plain lines, one per change: for logs, pipes and `--plain`.

Rejected: a line per second. In a log of a hundred of them nobody finds the one that matters.
"""

from __future__ import annotations

from typing import Self, TextIO

from modelrelease.demo import story
from modelrelease.demo.picture import GateView, Picture
from modelrelease.demo.result import Result
from modelrelease.sandbox.progress import elapsed

DECIDED = ("Pass", "Revert")


class PlainView:
    """Writes to `stream` what changed since the last picture."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._notes_seen = 0
        self._stage = ("", -1)
        self._split = ""
        self._verdicts: dict[str, str] = {}
        self._at_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def show(self, picture: Picture) -> None:
        """Say what is new."""
        self._at_s = picture.at_s
        for note in picture.notes[self._notes_seen :]:
            self._say(f"{'! ' if note.bad else ''}{note.text}", note.at_s)
        self._notes_seen = len(picture.notes)
        for gate in picture.gates:
            self._show_gate(gate)
        self._show_stage(picture)

    def finish(self, result: Result) -> None:
        """Say how a release ended."""
        self._verdicts = {}
        self._say(result.headline)

    def _show_gate(self, gate: GateView) -> None:
        """Say what is decided, and what no longer is."""
        before = self._verdicts.get(gate.name, "")
        self._verdicts[gate.name] = gate.outcome
        if gate.outcome != before and (gate.outcome in DECIDED or before in DECIDED):
            self._say(f"  gate {gate.name} says {gate.outcome}: {gate.sentence}")

    def _show_stage(self, picture: Picture) -> None:
        """On each change of stage, the split that users saw at the end of the one before, until it was raised."""
        (version, stage), self._stage = self._stage, (picture.chapter.version, picture.stage)
        split, self._split = self._split, split_text(picture) if picture.state == "Observing" else self._split
        if self._stage == (version, stage) or picture.stage < 0:
            return
        if version == picture.chapter.version and stage >= 0:
            self._say(f"  stage {story.STAGES[stage]['name']} is over; {split}")
        self._say(f"  {picture.chapter.version} is in stage {story.STAGES[picture.stage]['name']}")

    def _say(self, text: str, at_s: float | None = None) -> None:
        self._stream.write(f"{elapsed(self._at_s if at_s is None else at_s)}  {text}\n")
        self._stream.flush()


def split_text(picture: Picture) -> str:
    """What the load generator saw in the last seconds, per segment."""
    seen = picture.seen
    low = f"{share(seen.low_candidate, seen.low)} of low-criticality requests"
    return f"in the last seconds it got {low} and {share(seen.rest_candidate, seen.rest)} of the others"


def share(part: int, whole: int) -> str:
    """`1.0 % (5 of 498)`."""
    return f"{100 * part / whole:.1f} % ({part:,} of {whole:,})" if whole else "none"
