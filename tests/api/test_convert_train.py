"""`spec.train` becomes a Train with one spelling per time; each fault names its field and the mend."""

from __future__ import annotations

from typing import Any

import pytest

from modelrelease.api.convert import plan_of
from modelrelease.api.convert_policy import PolicyObject, policy_object, policy_of
from modelrelease.api.convert_train import train_of
from modelrelease.domain.plan import Plan
from modelrelease.domain.policy import Policy
from modelrelease.domain.tier import Tier
from modelrelease.domain.train import EVERY_DAY, Cron, Freeze, Schedule, Train, Weekday, Weekly
from tests.builders import TEMPLATES, model_release

OFFICE = {"timeZone": "Europe/Paris", "days": ["Friday", "Monday"], "from": "09:00", "to": "17:30"}
PEAK = {"from": "2026-12-18T17:00:00+01:00", "until": "2026-12-27T00:00:00Z", "reason": "peak"}


def test_windows_and_freezes() -> None:
    monthly = {"cron": "0  6 1 * *", "duration": "12h"}
    train = train_of({"windows": [OFFICE, monthly, {"from": "22:00", "to": "06:00"}], "freezes": [PEAK]})
    assert train == Train(
        (
            Schedule(
                (
                    Weekly("Europe/Paris", (Weekday.MONDAY, Weekday.FRIDAY), 540, 1050),
                    Cron("0 6 1 * *", 12 * 3600),
                    Weekly("UTC", EVERY_DAY, 1320, 360),
                )
            ),
        ),
        (Freeze("2026-12-18T16:00:00Z", "2026-12-27T00:00:00Z", "peak"),),
    )


def test_it_is_part_of_the_plan_and_of_its_digest() -> None:
    spec: dict[str, Any] = model_release()["spec"]
    without, with_it = plan_of(spec, TEMPLATES), plan_of({**spec, "train": {"freezes": [PEAK]}}, TEMPLATES)
    assert isinstance(without, Plan) and isinstance(with_it, Plan)
    assert without.train == Train() and with_it.train.freezes
    assert without.digest != with_it.digest
    other = {**PEAK, "from": "2026-12-18T16:00:00Z"}
    same = plan_of({**spec, "train": {"freezes": [other]}}, TEMPLATES)
    assert isinstance(same, Plan) and same.digest == with_it.digest


def test_a_wrong_train_is_a_fault_of_the_release() -> None:
    spec = {**model_release()["spec"], "train": {"windows": [{"timeZone": "Europe/Pariss", "from": "09:00"}]}}
    (fault,) = plan_of(spec, TEMPLATES)  # type: ignore[misc]
    assert fault.message.startswith("spec.train.windows[0]: there is no time zone 'Europe/Pariss'")


@pytest.mark.parametrize(
    ("section", "field", "mend"),
    [
        ({"windows": [{}]}, "spec.train.windows[0]", "one of the two"),
        ({"windows": []}, "spec.train.windows", ""),
        ({"windows": [{"from": "09:00", "to": "09:00"}]}, "spec.train.windows[0].from", "differs from to"),
        ({"windows": [{"from": "24:00", "to": "09:00"}]}, "spec.train.windows[0].from", "before midnight"),
        ({"windows": [{"from": 540}]}, "spec.train.windows[0].from", "put the value in quotes"),
        ({"windows": [{"cron": "0 9 * * *"}]}, "spec.train.windows[0].duration", "write both"),
        ({"windows": [{"cron": "0 9 30 2 *", "duration": "1h"}]}, "spec.train.windows[0]", "cron expression"),
        ({"windows": [{"cron": "0 9 * * *", "duration": "30s"}]}, "spec.train.windows[0].duration", "1m to 168h"),
        ({"windows": [{"cron": "0 9 * * *", "duration": "200h"}]}, "spec.train.windows[0].duration", "1m to 168h"),
        ({"windows": [{"days": ["monday"]}]}, "spec.train.windows[0].days[0]", "Monday"),
        ({"freezes": [{**PEAK, "until": "2026-12-01T00:00:00Z"}]}, "spec.train.freezes[0].until", "not after from"),
        ({"freezes": [{**PEAK, "from": "tomorrow"}]}, "spec.train.freezes[0].from", "is not a time"),
        ({"holidays": []}, "spec.train.holidays", "there is no such field"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(section: object, field: str, mend: str) -> None:
    found = train_of(section)
    assert isinstance(found, tuple)
    assert found[0].message.startswith(f"{field}: ")
    assert mend in found[0].message


def test_a_tier_calls_it_by_its_own_name() -> None:
    train = train_of({"freezes": [PEAK]}, "spec.tiers.high.train", "ReleasePolicy standard, tier High")
    assert isinstance(train, Train)
    assert train.freezes[0].origin == "ReleasePolicy standard, tier High"
    (fault,) = train_of({"windows": [{}]}, "spec.tiers.high.train")  # type: ignore[misc]
    assert fault.message.startswith("spec.tiers.high.train.windows[0]: ")


def test_a_policy_asks_for_a_train_per_tier() -> None:
    def tier_high(train: dict[str, Any]) -> Any:
        tiers = {"high": {"train": train}}
        read = policy_object({"metadata": {"name": "standard"}, "spec": {"tiers": tiers}})
        assert isinstance(read, PolicyObject), read
        return policy_of(read, {})

    policy = tier_high({"windows": [OFFICE]})
    assert isinstance(policy, Policy)
    assert policy.of(Tier.HIGH).train.schedules[0].origin == "ReleasePolicy standard, tier High"
    assert policy.of(Tier.LOW).train == Train()
    (fault,) = tier_high({"windows": [{"timeZone": "Mars/Base", "from": "09:00"}]})
    assert fault.message.startswith("ReleasePolicy standard: spec.tiers.high.train.windows[0]: there is no time zone")
