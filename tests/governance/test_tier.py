"""The tier of a release: the highest of what it says, what changes, and what it touches."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.domain.tier import Tier, Touch
from modelrelease.domain.unit import Backend, Part, PartName, Unit
from modelrelease.governance.tier import changes, classify
from tests.governance.builders import FLOORS, part, unit

HERE, THERE = Backend("chat-v1", 8080), Backend("chat-v2", 8080)
STABLE = unit(
    backend=HERE,
    model=part(name="support-7b", version="14", digest="sha256:a"),
    prompt=part(version="30"),
    tools=part(version="2"),
    safety=part(version="7"),
)


def tier_of(new: Unit, stable: Unit | None = STABLE, declared: Tier | None = None, touches: tuple[Touch, ...] = ()):
    return classify(FLOORS, declared=declared, touches=touches, unit=new, stable=stable)


def changed(**parts: Part | None) -> Unit:
    """Stable with other parts; None takes one out."""
    known = {name.value: each for name, each in STABLE.parts} | parts
    return unit(backend=HERE, **{name: each for name, each in known.items() if each is not None})


@pytest.mark.parametrize(
    ("name", "tier"),
    [
        ("model", Tier.HIGH),
        ("safety", Tier.HIGH),
        ("tools", Tier.MEDIUM),
        ("routing", Tier.MEDIUM),
        ("inference", Tier.MEDIUM),
        ("evaluation", Tier.MEDIUM),
        ("prompt", Tier.LOW),
    ],
)
def test_each_changed_part_has_its_floor(name: str, tier: Tier) -> None:
    found = tier_of(changed(**{name: part(version="99")}))
    assert found.tier is tier
    assert found.reasons[0].startswith(f"unit.{name} ") and found.reasons[0].endswith(f": at least {tier.value}")


def test_nothing_that_changes_is_low() -> None:
    assert tier_of(STABLE).tier is Tier.LOW
    assert tier_of(replace(STABLE, version="other")).tier is Tier.LOW


def test_safety_rules_that_are_taken_out_are_a_change() -> None:
    found = tier_of(changed(safety=None))
    assert found.tier is Tier.HIGH and found.reasons == ("unit.safety is gone: at least High",)


def test_without_a_known_stable_every_part_counts_as_changed() -> None:
    assert tier_of(STABLE, None).tier is Tier.HIGH
    assert tier_of(unit(backend=HERE, prompt=part(version="1")), None).tier is Tier.HIGH


@pytest.mark.parametrize("said", [None, Tier.LOW])
def test_nobody_talks_a_new_model_down(said: Tier | None) -> None:
    found = tier_of(changed(model=part(name="support-7b", version="15", digest="sha256:b")), declared=said)
    assert found.tier is Tier.HIGH
    assert found.reasons[0] == "unit.model changed (support-7b 14 to support-7b 15): at least High"


def test_a_backend_that_does_not_say_which_model_it_serves_counts_as_another_model() -> None:
    bare = unit(backend=HERE, prompt=part(version="1"))
    assert tier_of(replace(bare, backend=THERE), bare).tier is Tier.HIGH
    unsure = unit(backend=HERE, model=part(name="support-7b", version="14"))
    assert tier_of(replace(unsure, backend=THERE), unsure).tier is Tier.HIGH


def test_another_backend_of_the_same_model_is_a_change_of_inference() -> None:
    found = tier_of(replace(STABLE, backend=THERE))
    assert found.tier is Tier.MEDIUM and "serves the same model" in found.reasons[0]


def test_people_and_what_is_touched_can_only_raise() -> None:
    assert tier_of(STABLE, declared=Tier.MEDIUM).tier is Tier.MEDIUM
    assert tier_of(STABLE, touches=(Touch.PERSONAL_DATA,)).tier is Tier.MEDIUM
    found = tier_of(STABLE, touches=(Touch.SENSITIVE_DOMAIN,), declared=Tier.LOW)
    assert found.tier is Tier.HIGH
    assert found.reasons == ("spec.touches names SensitiveDomain: at least High", "spec.risk says Low: at least Low")


parts = st.dictionaries(
    st.sampled_from([name.value for name in PartName]), st.sampled_from("12").map(lambda said: part(version=said))
)
units = st.builds(lambda backend, found: unit(backend=backend, **found), st.sampled_from([HERE, THERE]), parts)


@given(new=units, stable=st.none() | units, declared=st.none() | st.sampled_from(Tier), data=st.data())
def test_the_tier_is_the_highest_floor_and_more_never_lowers_it(new, stable, declared, data) -> None:
    touches = tuple(data.draw(st.sets(st.sampled_from(Touch))))
    found = tier_of(new, stable, declared, touches)
    floors = [FLOORS.of_part(change.part) for change in changes(new, stable)]
    floors += [FLOORS.of_touch(touch) for touch in touches] + ([declared] if declared else [])
    assert found.tier.rank == max((floor.rank for floor in floors), default=0)
    assert found.reasons
    assert tier_of(new, stable, Tier.HIGH, touches).tier is Tier.HIGH
    assert tier_of(new, stable, declared, tuple(Touch)).tier.rank >= found.tier.rank
