"""Properties over histories: people and other tools edit a route at random while the operator writes to it.

The oracle does not use the router: it follows each kind of request to the rule that serves it and adds up raw weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from fractions import Fraction

from hypothesis import assume, event, given
from hypothesis import strategies as st

from modelrelease.domain.release import Release
from modelrelease.domain.traffic import Segment, Target
from modelrelease.routing.protocol import Change, Guard, Unchanged
from tests.routing.applier import Failed, apply
from tests.routing.builders import (
    CANDIDATE,
    GERMAN,
    LOW,
    ROUTER,
    STABLE,
    Json,
    change,
    ref,
    release,
    route,
    rule,
    shares,
)

SEGMENTS = (LOW, GERMAN)
STEERED = ("chat", "tools")
OURS = "modelrelease.dev/"

Edit = Callable[[Json, st.DataObject], None]


# --- the oracle ---


def rule_for(obj: Json, main: str, segment: str) -> Json | None:
    """The rule that serves a request of `main` in `segment` ("*": in none)."""
    by_name = {each.get("name"): each for each in reversed(obj["spec"]["rules"])}
    found: Json | None = by_name.get(f"{main}--{segment}") or by_name.get(main)
    return found


def candidate_share(obj: Json, main: str, segment: str) -> Fraction:
    serving = rule_for(obj, main, segment)
    refs = serving["backendRefs"] if serving else []
    total = sum(each.get("weight", 1) for each in refs)
    sent = sum(each.get("weight", 1) for each in refs if each["name"] == CANDIDATE.backend.name)
    return Fraction(sent, total) if total else Fraction(0)


def exposure(obj: Json) -> dict[tuple[str, str], Fraction]:
    slots = [(main, segment) for main in STEERED for segment in ("low", "german", "*")]
    return {slot: candidate_share(obj, *slot) for slot in slots}


def steered(name: str | None) -> bool:
    return name is not None and name.split("--")[0] in STEERED


def others(obj: Json) -> list[Json]:
    return [each for each in obj["spec"]["rules"] if not steered(each.get("name"))]


def frame(obj: Json) -> Json:
    """Everything that is none of our business."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in ("annotations", "resourceVersion")}
    notes = {key: text for key, text in obj["metadata"].get("annotations", {}).items() if not key.startswith(OURS)}
    spec = {key: value for key, value in obj["spec"].items() if key != "rules"}
    return {"metadata": metadata, "annotations": notes, "spec": spec, "rules": others(obj)}


# --- what people and other tools do ---


def reweigh(obj: Json, data: st.DataObject) -> None:
    each = data.draw(st.sampled_from(obj["spec"]["rules"]))
    for backend in each["backendRefs"]:
        backend["weight"] = data.draw(st.sampled_from([0, 1, 10, 500, 1000, 999_999]))


def intrude(obj: Json, data: st.DataObject) -> None:
    each = data.draw(st.sampled_from(obj["spec"]["rules"]))
    if len(each["backendRefs"]) < 4:
        backend = data.draw(st.sampled_from(["intruder", "chat-v1", "chat-v2"]))
        each["backendRefs"].insert(data.draw(st.integers(0, len(each["backendRefs"]))), ref(backend, 300))


def behead(obj: Json, data: st.DataObject) -> None:
    for backend in data.draw(st.sampled_from(obj["spec"]["rules"]))["backendRefs"]:
        backend.pop("filters", None)


def swap(obj: Json, data: st.DataObject) -> None:
    data.draw(st.sampled_from(obj["spec"]["rules"]))["backendRefs"].reverse()


def drop_rule(obj: Json, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(obj["spec"]["rules"]) - 1))
    if len(obj["spec"]["rules"]) > 1:
        del obj["spec"]["rules"][index]


def add_rule(obj: Json, data: st.DataObject) -> None:
    rules = obj["spec"]["rules"]
    if len(rules) < 9:
        path = f"/added{len(rules)}"
        rules.insert(data.draw(st.integers(0, len(rules))), rule(data.draw(NAMES), ref("added"), path=path))


def shuffle(obj: Json, data: st.DataObject) -> None:
    obj["spec"]["rules"] = data.draw(st.permutations(obj["spec"]["rules"]))


def retime(obj: Json, data: st.DataObject) -> None:
    data.draw(st.sampled_from(obj["spec"]["rules"]))["timeouts"] = {"request": "9s"}


def annotate(obj: Json, data: st.DataObject) -> None:
    obj["metadata"].setdefault("annotations", {})[data.draw(st.sampled_from(["team", "a/b~c"]))] = "x"


def strip(obj: Json, data: st.DataObject) -> None:
    notes = obj["metadata"].get("annotations", {})
    for key in [key for key in notes if data.draw(st.booleans())]:
        del notes[key]
    if data.draw(st.booleans()):
        obj["metadata"].pop("annotations", None)


NAMES = st.sampled_from([None, "late", "later"])
EDITS: tuple[Edit, ...] = (reweigh, intrude, behead, swap, drop_rule, add_rule, shuffle, retime, annotate, strip)


def edited(obj: Json, data: st.DataObject, *, most: int) -> Json:
    result = copy.deepcopy(obj)
    for edit in data.draw(st.lists(st.sampled_from(EDITS), max_size=most)):
        edit(result, data)
    if result != obj:
        result["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) + 1)
    return result


# --- what the operator does ---

segments_of = st.lists(st.sampled_from(SEGMENTS), unique=True).map(tuple)
permille = st.sampled_from([0, 1, 10, 50, 333, 999, 1000])


def a_release(segments: tuple[Segment, ...]) -> Release:
    return release(*segments, rules=STEERED)


@st.composite
def targets(draw: st.DrawFn, segments: tuple[Segment, ...], *, tidy: bool = True) -> Target:
    stopped = draw(st.sampled_from([None, "", CANDIDATE.digest]))
    if tidy and draw(st.booleans()):
        return Target(STABLE, stopped=stopped)
    wanted = shares(draw(permille), **{segment.name: draw(permille) for segment in segments})
    return Target(STABLE, CANDIDATE, wanted, stopped=stopped, holder=draw(st.sampled_from(["", "one", "two"])))


def fresh() -> Json:
    return route(
        rule("first", ref("first"), path="/first"),
        rule("chat", ref("chat-v1"), path="/chat"),
        rule("tools", ref("chat-v1"), path="/tools"),
        annotations={"team": "nlp"},
    )


def started(data: st.DataObject) -> tuple[Json, Release]:
    """A route on which a rollout is under way, and then edited by somebody."""
    segments = data.draw(segments_of)
    of = a_release(segments)
    obj = fresh()
    for guard in (Guard.LAYOUT, Guard.RAISE):
        target = Target(STABLE, CANDIDATE) if guard is Guard.LAYOUT else data.draw(targets(segments, tidy=False))
        found = change(obj, of, target, guard)
        if isinstance(found, Change):
            assert isinstance(found.body, list)
            obj = apply(obj, found.body)
    return edited(obj, data, most=3), a_release(data.draw(segments_of))


def written(data: st.DataObject, read: Json, of: Release, guard: Guard) -> tuple[Change, Target]:
    target = data.draw(targets(of.traffic.segments))
    found = change(read, of, target, guard)
    event(f"{guard}: {type(found).__name__}")
    assume(isinstance(found, Change))
    assert isinstance(found, Change)
    return found, target


@given(st.data())
def test_owned_weights_are_explicit_and_add_up_to_1000(data: st.DataObject) -> None:
    read, of = started(data)
    guard = data.draw(st.sampled_from(Guard))
    found, target = written(data, read, of, guard)
    assert isinstance(found.body, list)
    after = apply(read, found.body)
    allowed = {STABLE.backend.name, CANDIDATE.backend.name} if target.other else {STABLE.backend.name}
    touched = {
        name for op in found.body if op["op"] != "test" and "/spec/rules/" in op["path"] for name in [op["path"]]
    }
    for each in after["spec"]["rules"]:
        if steered(each.get("name")) and touched:
            assert all(type(backend["weight"]) is int for backend in each["backendRefs"])
            assert sum(backend["weight"] for backend in each["backendRefs"]) == 1000
            assert {backend["name"] for backend in each["backendRefs"]} <= allowed


@given(st.data())
def test_nothing_outside_the_owned_parts_changes(data: st.DataObject) -> None:
    read, of = started(data)
    found, _ = written(data, read, of, data.draw(st.sampled_from(Guard)))
    assert isinstance(found.body, list)
    assert frame(apply(read, found.body)) == frame(read)


@given(st.data())
def test_changing_again_is_no_change(data: st.DataObject) -> None:
    """A route with a problem may need a second lowering: the first makes it ours again, the second tidies it."""
    read, of = started(data)
    guard = data.draw(st.sampled_from(Guard))
    found, target = written(data, read, of, guard)
    assert isinstance(found.body, list)
    after = apply(read, found.body)
    again = change(after, of, target, guard)
    if guard is Guard.LOWER and ROUTER.view(of, "chat", read).problem and isinstance(again, Change):
        event("a second lowering")
        assert isinstance(again.body, list)
        again = change(apply(after, again.body), of, target, guard)
    assert isinstance(again, Unchanged)


@given(st.data())
def test_a_lowering_raises_nobody_however_old_the_read_is(data: st.DataObject) -> None:
    read, of = started(data)
    server = edited(read, data, most=3)
    found, _ = written(data, read, of, Guard.LOWER)
    assert isinstance(found.body, list)
    try:
        after = apply(server, found.body)
    except Failed:
        event("the patch was refused")
        return
    before = exposure(server)
    assert {slot: share for slot, share in exposure(after).items() if share > before[slot]} == {}


@given(st.data())
def test_a_full_revert_on_a_fresh_read_leaves_the_candidate_nothing(data: st.DataObject) -> None:
    read, of = started(data)
    segments = of.traffic.segments
    back = Target(STABLE, CANDIDATE if data.draw(st.booleans()) else None, shares(0), stopped=CANDIDATE.digest)
    found = change(read, of, back, Guard.LOWER)
    assume(isinstance(found, Change))
    assert isinstance(found, Change) and isinstance(found.body, list)
    event(f"{len(segments)} segments")
    after = apply(read, found.body)
    assert set(exposure(after).values()) == {Fraction(0)}
    assert after["metadata"]["annotations"]["modelrelease.dev/stopped"] == CANDIDATE.digest


@given(st.data())
def test_a_layout_raises_nobody(data: st.DataObject) -> None:
    read, of = started(data)
    found, _ = written(data, read, of, Guard.LAYOUT)
    assert isinstance(found.body, list)
    before, after = exposure(read), exposure(apply(read, found.body))
    assert {slot: share for slot, share in after.items() if share > before[slot]} == {}


@given(st.data())
def test_a_raise_gives_exactly_what_was_wanted(data: st.DataObject) -> None:
    read, of = started(data)
    found, target = written(data, read, of, Guard.RAISE)
    assert isinstance(found.body, list)
    after = apply(read, found.body)
    names = {each.get("name") for each in after["spec"]["rules"]}
    for main in STEERED:
        for segment in ("*", *(each.name for each in of.traffic.segments)):
            wanted = target.exposure.of(segment) if target.other else 0
            assert candidate_share(after, main, segment) == Fraction(wanted, 1000)
            assert (f"{main}--{segment}" in names) == (segment != "*" and target.other is not None)


@given(st.data())
def test_a_revert_holds_whatever_happens_to_weights_between_read_and_write(data: st.DataObject) -> None:
    """L5 in small."""
    read, of = started(data)
    assume(any(exposure(read).values()))
    found = change(read, of, Target(STABLE, CANDIDATE, shares(0)), Guard.LOWER)
    assert isinstance(found, Change) and isinstance(found.body, list)
    server = copy.deepcopy(read)
    for _ in range(3):
        reweigh(server, data)
    assert set(exposure(apply(server, found.body)).values()) == {Fraction(0)}
