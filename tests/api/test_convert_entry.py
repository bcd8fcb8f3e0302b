"""`spec.entry` and a tier's `entry` become demands, or faults with the field and the mend."""

from __future__ import annotations

import pytest

from modelrelease.api.convert_entry import entry_of
from modelrelease.api.convert_policy import PolicyObject, policy_object, policy_of
from modelrelease.domain.entry import NO_ENTRY, Entry, EntryGate, SubgroupRule
from modelrelease.domain.offline import Better, ReferenceType
from modelrelease.domain.policy import Policy
from modelrelease.domain.tier import Tier
from tests.api.objects import Json

WHOLE = {
    "maxAge": "720h",
    "package": ["ModelCard"],
    "dataMaxAge": "24h",
    "dataLineage": True,
    "gates": [
        {
            "name": "quality",
            "metric": "accuracy",
            "suite": "golden",
            "min": "0.9",
            "maxDifference": "0.02",
            "confidence": "0.95",
            "subgroups": [
                {
                    "dimension": "language",
                    "groups": ["en", "tr"],
                    "min": "0.85",
                    "minSamples": 100,
                    "maxDisparity": {"difference": "0.05", "ratio": "1.25"},
                }
            ],
        },
        {"name": "ece", "metric": "ece", "kind": "Safety", "max": "0.05"},
    ],
}


def test_everything_that_is_written_is_demanded() -> None:
    found = entry_of(WHOLE, "spec.entry")
    assert isinstance(found, Entry)
    quality, ece = found.gates
    rule = SubgroupRule("language", ("en", "tr"), "0.85", None, "0.05", "1.25", 100)
    assert quality == EntryGate(
        "quality",
        "accuracy",
        suite="golden",
        minimum="0.9",
        max_difference="0.02",
        confidence="0.95",
        subgroups=(rule,),
    )
    assert (ece.better, ece.kind.value, ece.maximum) == (Better.LOWER, "Safety", "0.05")
    assert (found.package, found.max_age_s, found.data_max_age_s, found.data_lineage) == (
        (ReferenceType.MODEL_CARD,), 720 * 3600, 86400, True,
    )  # fmt: skip
    assert entry_of(None, "spec.entry") == NO_ENTRY


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"gates": [{"name": "x", "metric": "a", "min": 0.9}]}, "spec.entry.gates[0].min"),
        ({"package": ["Modelcard"]}, "spec.entry.package[0]"),
        ({"maxAge": "3d"}, "spec.entry.maxAge"),
        ({"gate": []}, "spec.entry.gate: there is no such field"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(wrong: Json, says: str) -> None:
    found = entry_of(wrong, "spec.entry")
    assert isinstance(found, tuple)
    assert says in found[0].message


def read(**tiers: Json) -> Policy | tuple[object, ...]:
    found = policy_object({"metadata": {"name": "house"}, "spec": {"tiers": tiers}})
    assert isinstance(found, PolicyObject)
    return policy_of(found, {})


def test_a_tier_has_the_same_section() -> None:
    found = read(high={"entry": WHOLE})
    assert isinstance(found, Policy)
    assert found.of(Tier.HIGH).entry == entry_of(WHOLE, "spec.entry")
    assert found.of(Tier.LOW).entry == NO_ENTRY


def test_a_policy_whose_higher_tier_is_looser_than_a_lower_one_is_told() -> None:
    gate = {"name": "quality", "metric": "accuracy", "min": "0.9"}
    found = read(low={"entry": {"gates": [gate]}}, high={"entry": {"gates": [{**gate, "min": "0.8"}]}})
    assert isinstance(found, tuple)
    assert found[0].message == (  # type: ignore[attr-defined]
        "ReleasePolicy house: spec.tiers.high.entry.gates (quality).min: 0.8 is looser than is demanded; write 0.9 or "
        "more, as tier Low says"
    )
