"""How an explanation is shown: sentences, numbers and a curve for a terminal, and plain data for programs."""

import math
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelrelease.cli import charts
from modelrelease.cli.rejudging import Rejudged
from modelrelease.cli.story import Explained, Json, Story
from modelrelease.domain.habit import INDEPENDENT
from modelrelease.gates.curve import Curve, Point
from modelrelease.gates.words import count, number

NO_CURVE = "no record of {} holds the evidence of a gate with an E-value yet; the next raise or revert writes one"

_COUNTS = (("candidate", "n_c", "y_c"), ("stable", "n_s", "y_s"))


def as_text(story: Story, chart: Path | None = None) -> str:
    """For people, as wide as the terminal."""
    width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 160))
    lines = [f"{story.namespace}/{story.name}: {story.stage or 'no status'}"]
    lines += textwrap.wrap(story.waiting, width, initial_indent="  ", subsequent_indent="  ")
    if story.now:
        lines += ["", "now"]
        for item in story.now:
            lines += _verdict(item, width)
        lines += [f"  {line}" for item in story.habits for line in textwrap.wrap(_habit(item), width - 2)]
    lines += _impact(story.impact, width)
    if story.record is not None:
        lines += ["", *_record(story.record, width, brief=bool(story.now) and not story.narrowed)]
    else:
        lines += ["", *textwrap.wrap(NO_CURVE.format(story.name), width)]
    if story.checked:
        lines.append("")
        for sequence, kind, again in story.checked:
            said = "wrong:" if again.differs else "not judged again:" if again.unjudged else "recomputed: the same"
            lines.append(f"record {sequence:>4}  {kind:<15} {said}")
            lines += [f"    {each}" for each in (*again.differs, *again.unjudged)]
    if chart is not None:
        lines += ["", f"drawn into {chart}"]
    return "\n".join(lines)


def as_data(story: Story) -> dict[str, Any]:
    """For programs. Evidence is given as natural logarithms of E-values."""
    record = story.record
    return {
        "release": story.name,
        "namespace": story.namespace,
        "stage": story.stage,
        "waiting": story.waiting,
        "now": [dict(item) for item in story.now],
        "habits": [dict(item) for item in story.habits],
        "impact": list(story.impact),
        "record": _record_data(record) if record else None,
        "verified": [
            {"sequence": sequence, "kind": kind, **_again_data(again)} for sequence, kind, again in story.checked
        ],
    }


def _record(record: Explained, width: int, *, brief: bool) -> Iterator[str]:
    """`brief`: without the numbers, where those of now stand above."""
    spec, body = record.spec, record.spec["body"]
    yield from textwrap.wrap(
        f"record {spec['sequence']}, {str(body.get('at', ''))[:19]}Z, {spec['kind']}: {body.get('message', '')}", width
    )
    for said in record.verdicts:
        yield from _verdict({**said, **({"numbers": {}} if brief else {})}, width)
    yield from _impact(body.get("impact") or () if not brief else (), width)
    again = record.again
    how = "not the same" if again.differs else "not possible" if again.unjudged else "the same"
    yield f"recomputed from the record: {how}"
    yield from (f"    {each}" for each in (*again.differs, *again.unjudged))
    curve = record.telling
    if curve is not None:
        said = next(
            (v for v in record.verdicts if (v["gate"], v.get("segment") or None) == (curve.gate, curve.segment)), {}
        )
        yield ""
        yield from charts.in_terminal(curve, width=width, passing=said.get("outcome") == "Pass")


def _habit(item: Json) -> str:
    """How stable's bad events came before the release, and what follows for the gate."""
    phi, window_s = item.get("phi"), int(item["windowSeconds"])
    noise = f", {number(float(phi))} times as noisy as independent ones" if phi and float(phi) > INDEPENDENT else ""
    said = f"{item['gate']}: before the release stable's bad events"
    if not window_s:
        return f"{said} kept to one scrape{noise}: each scrape is judged"
    return f"{said} came together over up to {window_s} s{noise}: arms are compared in windows of {window_s} s"


def _impact(said: Sequence[str], width: int) -> Iterator[str]:
    """Projections beside what was observed."""
    if said:
        yield from ("", "projected impact")
    for sentence in said:
        yield from textwrap.wrap(sentence, width, initial_indent="  ", subsequent_indent="    ")


def _verdict(item: Json, width: int) -> Iterator[str]:
    phase = " (watch)" if item.get("phase") == "Watch" else ""
    yield from textwrap.wrap(
        f"{item['outcome']:<9} {item['sentence']}{phase}", width, initial_indent="  ", subsequent_indent=" " * 12
    )
    for line in _numbers(item.get("numbers") or {}):
        yield from textwrap.wrap(line, width, initial_indent=" " * 12, subsequent_indent=" " * 12)


def _numbers(numbers: Mapping[str, str]) -> Iterator[str]:
    """The numbers in words: events of each arm, what else the test uses, and how far the evidence is."""
    found = {name: float(value) for name, value in numbers.items()}
    used = {"log_e", "threshold", "log_e_pass", "threshold_pass"}
    arms = []
    for arm, events, bad in _COUNTS:
        if found.get(events):
            arms.append(
                f"{arm} {_amount(found[bad])} of {_amount(found[events])} ({number(found[bad] / found[events])})"
            )
        used |= {events, bad}
    others = [f"{name} {number(value)}" for name, value in found.items() if name not in used]
    if arms or others:
        yield "; ".join([*arms, *others])
    evidence = []
    if "log_e" in found and "threshold" in found:
        evidence.append(f"reverts at E = {odds(found['threshold'])}: it was {odds(found['log_e'])} at most")
    if "log_e_pass" in found and "threshold_pass" in found:
        evidence.append(f"passes at E = {odds(found['threshold_pass'])}: it is {odds(found['log_e_pass'])}")
    if evidence:
        yield "; ".join(evidence)


def odds(log_e: float) -> str:
    """An E-value from its natural logarithm: 5.99 → `400`, 60 → `10^26`."""
    if log_e > math.log(1e6):
        return f"10^{log_e / math.log(10):.0f}"
    return number(math.exp(log_e)) if log_e > math.log(0.001) else "under 0.001"


def _amount(value: float) -> str:
    return count(value) if value == math.floor(value) else number(value)


def _record_data(record: Explained) -> dict[str, Any]:
    body = record.spec["body"]
    return {
        "sequence": record.spec["sequence"],
        "kind": record.spec["kind"],
        "at": body.get("at"),
        "message": body.get("message"),
        "verdicts": [dict(said) for said in record.verdicts],
        **_again_data(record.again),
        "curves": [_curve_data(curve) for curve in record.curves],
    }


def _curve_data(curve: Curve) -> dict[str, Any]:
    return {
        "gate": curve.gate,
        "segment": curve.segment,
        "threshold": curve.threshold,
        "thresholdPass": curve.threshold_pass,
        "points": [_point_data(point) for point in curve.points],
    }


def _point_data(point: Point) -> dict[str, Any]:
    at = point.at.isoformat().replace("+00:00", "Z")
    return {"at": at, "logRevert": point.log_revert, "logPass": point.log_pass, "events": point.events}


def _again_data(again: Rejudged) -> dict[str, Any]:
    return {
        "same": not (again.differs or again.unjudged),
        "differs": list(again.differs),
        "notRecomputed": list(again.unjudged),
    }
