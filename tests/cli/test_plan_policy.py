"""`modelrelease plan` under a policy: tier, reasons, and what of the plan is whose, without a cluster."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from modelrelease.cli.main import app
from tests.cli.test_plan import GIVEN, RELEASE

POLICY = """---
apiVersion: modelrelease.dev/v1alpha1
kind: ReleasePolicy
metadata: {name: strict}
spec:
  tiers:
    high:
      watch: 72h
      stages:
      - {name: pilot, exposure: [{segment: low, percent: "1"}], minDuration: 1h, approvals: [owner]}
      - {name: half, exposure: [{percent: "50"}], minDuration: 2h}
      - {name: full, exposure: [{percent: "100"}], require: Proven}
      gates:
      - {name: strict-errors, template: gateway-error-rate, max: "0.04"}
"""


@pytest.fixture
def release(tmp_path: Path) -> Path:
    path = tmp_path / "release.yaml"
    path.write_text(RELEASE.replace(", maxDuration: 1h", "").replace('max: "0.05"', 'max: "0.04"') + POLICY)
    return path


def plan(*words: object) -> Result:
    return CliRunner().invoke(app, ["plan", *map(str, words)], env={"COLUMNS": "200"})


def data(*words: object) -> dict:
    result = plan(*words, "-o", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_the_data_says_the_tier_why_and_what_is_the_policys(release: Path) -> None:
    found = data("-f", release, *GIVEN)
    assert found["tier"] == "High" and found["policy"]["name"] == "strict"
    assert "Service chat-v2:8080 counts as another model" in found["tierReasons"][0]
    assert [stage["name"] for stage in found["stages"]] == ["pilot", "mixed", "broad", "full"]
    assert found["fromPolicy"] == {
        "pilot": ["minDuration 1h instead of 10m", "approvals owner instead of none"],
        "mixed": ["minDuration 2h instead of 10m"],
        "broad": ["minDuration 2h instead of 30m"],
        "plan": ["watch 72h instead of 24h"],
    }
    assert found["stages"][0]["minDurationSeconds"] == 3600
    assert any("nothing is known of what serves" in said for said in found["notKnown"])


def test_the_text_says_the_same(release: Path) -> None:
    text = plan("-f", release, *GIVEN).output
    assert "tier High of ReleasePolicy strict: Service chat-v2:8080 counts as another model" in text
    assert "by the policy: watch 72h instead of 24h" in text
    assert "  by the policy: minDuration 1h instead of 10m; approvals owner instead of none" in text


def test_without_a_policy_the_built_in_one_advises(tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_text(RELEASE)
    found = data("-f", path, *GIVEN)
    assert (found["tier"], found["policy"]["name"]) == ("High", "built-in")
    assert found["fromPolicy"] == {"plan": ["watch 72h instead of 24h"]}
    assert "the built-in policy, which advises" in plan("-f", path, *GIVEN).output


def test_a_release_below_its_tier_ends_it_with_field_and_mend(release: Path) -> None:
    release.write_text(RELEASE + POLICY)
    found = plan("-f", release, *GIVEN)
    assert found.exit_code == 1
    assert "spec.gates[1].max (errors-absolute): 0.05 is looser; write at most 0.04" in found.output
