"""The live view fits the terminal at every moment of a release."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from rich.console import Console

from modelrelease.demo import story
from modelrelease.demo.picture import GateView, Note, Picture, gates_of, with_stop
from modelrelease.demo.plain import PlainView
from modelrelease.demo.view import draw
from modelrelease.demo.wire import Quality, Tally

SENTENCE = "41 of 1,204 on the candidate against 310 of 60,950 on stable; rate ratio at least 4.9 with 99 % confidence"
BUSY = Picture(
    story.CHAPTERS[1],
    began_s=1000.0,
    at_s=75.0,
    state="Observing",
    stable="v2",
    stage=1,
    stage_s=3.0,
    waiting="stage mixed lasts at least 7 s " * 5,
    seen=Tally(500, 25, 500, 24),
    candidate=Quality(1204, 3, 90),
    others=Quality(60950, 0, 700),
    gates=tuple(GateView(gate["name"], "Undecided", SENTENCE * 3, 1070.0) for gate in story.GATES),
    notes=tuple(Note(float(second), f"event {second} " * 20) for second in range(40)),
)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("picture", [BUSY, Picture(story.CHAPTERS[0], began_s=0.0, at_s=0.0)])
def test_a_frame_fits_the_terminal_and_shows_the_newest_event(size: tuple[int, int], picture: Picture) -> None:
    console = Console(width=size[0], height=size[1], record=True, force_terminal=True)
    lines = console.render_lines(draw(picture, width=size[0], height=size[1]))
    text = ["".join(segment.text for segment in line) for line in lines]
    assert len(text) < size[1]
    assert max(map(len, text)) <= size[0]
    if picture.notes:
        assert any("event 39" in line for line in text)
        assert any("▶ mixed 3 s" in line for line in text)


def test_plain_lines_say_each_thing_once(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView(sys.stdout)
    for _ in range(3):
        view.show(BUSY)
    said = capsys.readouterr().out
    assert said.count("0:07  event 7 ") == 1
    assert said.count("is in stage mixed") == 1


def test_a_stage_that_is_over_tells_the_split_before_the_raise(capsys: pytest.CaptureFixture[str]) -> None:
    """What the next stage already sends is none of it, or the pilot seems to have served requests of others."""
    view = PlainView(sys.stdout)
    pilot = replace(BUSY, stage=0, seen=Tally(500, 5, 500, 0))
    view.show(pilot)
    view.show(replace(pilot, state="Raising", seen=Tally(500, 9, 500, 4)))
    view.show(replace(pilot, stage=1, state="Observing", seen=Tally(500, 12, 500, 7)))
    [over] = [line for line in capsys.readouterr().out.splitlines() if "is over" in line]
    assert "1.0 % (5 of 500) of low-criticality requests and 0.0 % (0 of 500) of the others" in over


def test_gates_say_their_name_once() -> None:
    said = {"name": "errors", "outcome": "Pass", "sentence": "errors: 0 of 9", "at": "2026-01-01T00:00:01Z"}
    [gate] = gates_of({"gates": [said]})
    assert gate.sentence == "0 of 9"


def test_a_stopped_release_shows_what_its_gate_said_last() -> None:
    stop = {"gate": "errors", "message": "gate errors: 9 of 9", "at": "2026-01-01T00:00:01Z"}
    stopped = with_stop((GateView("errors", "Undecided", "0 of 1"), GateView("latency", "Pass", "fine")), stop)
    assert [(gate.outcome, gate.sentence) for gate in stopped] == [("Revert", "9 of 9"), ("Pass", "fine")]
