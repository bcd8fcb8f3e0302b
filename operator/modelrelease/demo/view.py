"""The demo drawn live in a terminal: stages, split, gates, events. Fits 80 × 24 and uses more where there is more.

Rejected: the alternate screen. What was shown should still be there when the demo has ended.
"""

from __future__ import annotations

import textwrap
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from modelrelease.demo import story
from modelrelease.demo.picture import GateView, Picture
from modelrelease.demo.plain import share
from modelrelease.demo.result import Result
from modelrelease.demo.story import Outcome
from modelrelease.demo.wire import Quality
from modelrelease.sandbox.progress import elapsed

MARKS = {"Pass": ("✔", "green"), "Revert": ("✘", "bold red"), "Undecided": ("…", "yellow"), "NoData": ("?", "magenta")}
SENTENCE_LINES = 2
FEWEST_NOTES = 2


class LiveView:
    """Redraws in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, picture: Picture) -> None:
        """Draw this picture in the place of the last one."""
        width, height = self._console.size
        self._live.update(draw(picture, width=width, height=height), refresh=True)

    def finish(self, result: Result) -> None:
        """Leave a line above the picture for a release that has ended."""
        self._console.print(escape(result.headline))


def draw(picture: Picture, *, width: int, height: int) -> Panel:
    """One frame for a terminal of `width` × `height` characters, at most one line less high than that."""
    inside = width - 4
    parts = [*_stages(picture, inside), Text(), _wire(picture), Text(), _gates(picture, inside), Text()]
    used = sum(_lines(part) for part in parts)
    room = max(FEWEST_NOTES, height - 1 - 2 - used)
    parts += _notes(picture, inside, room)
    title = f"[bold]{picture.chapter.version}[/], {picture.chapter.title}"
    subtitle = f"{story.RATE_PER_S:.0f} requests/s · stable {picture.stable or '–'} · {elapsed(picture.at_s)}"
    return Panel(
        Group(*parts),
        title=title,
        title_align="left",
        subtitle=subtitle,
        subtitle_align="right",
        border_style="blue",
        height=height - 1,
    )


def _stages(picture: Picture, width: int) -> list[RenderableType]:
    """One column per stage, the present one marked with the time it has lasted; below, what the release waits for."""
    grid = Table.grid(expand=True)
    names, shares = [], []
    for index, stage in enumerate(story.STAGES):
        grid.add_column(ratio=1)
        exposure = stage["exposure"][0]
        style, mark, after = _stage_look(picture, index)
        names.append(Text(f"{mark} {stage['name']}{after}", style=style))
        where = " (low only)" if "segment" in exposure else ""
        shares.append(Text(f"  {exposure['percent']} %{where}", style=style.replace("reverse", "")))
    grid.add_row(*names)
    grid.add_row(*shares)
    return [grid, Text(_clip(f"{picture.state}: {picture.waiting}" if picture.waiting else picture.state, width))]


def _stage_look(picture: Picture, index: int) -> tuple[str, str, str]:
    """Style, mark and addition of a stage: done, stopped here, present, or still to come."""
    if index < picture.stage or picture.ended is Outcome.COMPLETED:
        return "green", "✔", ""
    if index > picture.stage:
        return "dim", " ", ""
    if picture.ended is Outcome.REVERTED:
        return "bold red", "✘", " taken back"
    return "bold reverse", "▶", f" {picture.stage_s:.0f} s "


def _wire(picture: Picture) -> Table:
    """What the load generator sees: the split of the last seconds, and how both arms have answered so far."""
    seen, version = picture.seen, picture.chapter.version
    grid = Table.grid(padding=(0, 2))
    grid.add_row(f"low criticality to {version}", _now(seen.low_candidate, seen.low))
    grid.add_row(f"all others to {version}", _now(seen.rest_candidate, seen.rest))
    grid.add_row(f"answers of {version}", _quality(picture.candidate))
    grid.add_row("answers of stable", _quality(picture.others))
    return grid


def _now(part: int, whole: int) -> Text:
    return Text(f"{share(part, whole)} in the last seconds", style="bold cyan" if part else "")


def _quality(of: Quality) -> Text:
    if not of.answered:
        return Text("none yet", style="dim")
    text = Text(f"{of.answered:,}, of them {of.wrong_percent:.1f} % wrong")
    return text.append(f", {of.errors} failed", style="bold red") if of.errors else text


def _gates(picture: Picture, width: int) -> Table:
    """Each gate with its newest published verdict and when that was; a sentence gets at most two lines."""
    shown = {gate.name: gate for gate in picture.gates}
    longest = max(len(str(gate["name"])) for gate in story.GATES)
    grid = Table.grid(padding=(0, 1))
    for gate in story.GATES:
        found = shown.get(gate["name"], GateView(gate["name"], "", "not judged yet"))
        mark, style = MARKS.get(found.outcome, (" ", "dim"))
        said = elapsed(found.said_s - picture.began_s) if found.outcome else ""
        first, *more = _wrap(found.sentence, width - longest - len(said) - 5)
        grid.add_row(Text(mark, style), Text(found.name, style), Text(said, "dim"), Text(first))
        for line in more:
            grid.add_row("", "", "", Text(line))
    return grid


def _notes(picture: Picture, width: int, room: int) -> list[RenderableType]:
    """The newest events that fit, the last one at the bottom."""
    return [
        Text(_clip(f"{elapsed(note.at_s)}  {note.text}", width), style="red" if note.bad else "")
        for note in picture.notes[-room:]
    ]


def _lines(part: RenderableType) -> int:
    return part.row_count if isinstance(part, Table) else 1


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 20), max_lines=SENTENCE_LINES, placeholder=" …")


def _clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
