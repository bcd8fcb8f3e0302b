"""Result files as evidence: what each format says, and an answer with place and mend for what cannot be used."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from modelrelease.api.releaseevidence import ReleaseEvidenceSpec
from modelrelease.cli.evidence_writing import content, reference
from modelrelease.cli.results import Results, ResultsError, Wanted, joined
from modelrelease.cli.results_files import read

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="golden">
  <testsuite name="refunds" timestamp="2026-11-20T08:00:00.123+01:00" tests="3">
    <testcase name="a"><properties><property name="language" value="en"/></properties></testcase>
    <testcase name="b"><properties><property name="language" value="tr"/></properties><failure>no</failure></testcase>
    <testcase name="c"><properties><property name="language" value="tr"/></properties><skipped/></testcase>
  </testsuite>
  <testsuite name="greetings">
    <properties><property name="language" value="en"/></properties>
    <testcase name="d"><system-out>hello</system-out></testcase>
  </testsuite>
</testsuites>
"""

LM_EVAL = {
    "results": {
        "arc_easy": {
            "alias": "arc_easy",
            "acc,none": 0.75,
            "acc_stderr,none": math.sqrt(0.75 * 0.25 / 399),
            "acc_norm,none": 0.7025,
            "acc_norm_stderr,none": 0.02,
        },
        "wikitext": {"alias": "wikitext", "word_perplexity,none": 11.25, "word_perplexity_stderr,none": "N/A"},
        "gsm8k": {"alias": "gsm8k", "exact_match,strict-match": 0.5, "exact_match_stderr,strict-match": 0.1},
    },
    "group_subtasks": {"arc_easy": [], "wikitext": []},
    "higher_is_better": {"arc_easy": {"acc": True}, "wikitext": {"word_perplexity": False}},
    "n-samples": {"arc_easy": {"original": 2376, "effective": 400}, "gsm8k": {"original": 26, "effective": 26}},
    "versions": {"arc_easy": 1.0},
    "n-shot": {"arc_easy": 0},
    "config": {"limit": 400.0},
    "date": 1763000000.5,
    "lm_eval_version": "0.4.9.1",
}

GROUPED = {
    "results": {
        "mmlu": {"acc,none": 0.6, "acc_stderr,none": 0.01},
        "mmlu_stem": {"acc,none": 0.55, "acc_stderr,none": 0.02},
        "mmlu_law": {"acc,none": 0.5, "acc_stderr,none": math.sqrt(0.25 / 99)},
        "mmlu_physics": {"acc,none": 0.25, "acc_stderr,none": math.sqrt(0.1875 / 39)},
    },
    "group_subtasks": {"mmlu": ["mmlu_stem", "mmlu_law"], "mmlu_stem": ["mmlu_physics"]},
    "n-samples": {"mmlu_law": {"effective": 100}, "mmlu_physics": {"effective": 40}},
    "lm_eval_version": "0.4.9.1",
}


def given(folder: Path, text: str | dict[str, Any], name: str = "auto", **wanted: Any) -> Results:
    path = folder / "results"
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return read(path, name, Wanted(**wanted))


def spec_of(results: Results) -> ReleaseEvidenceSpec:
    """What would be sent, as the schema reads it."""
    bound = {"releaseRef": {"name": "chat"}, "unitDigest": "sha256:" + "0" * 64, "producer": "carol"}
    found = content(results, produced_at="2026-11-21T08:00:00Z", expires=timedelta(0))
    return ReleaseEvidenceSpec.model_validate({**bound, **found})


def test_junit_counts_passes_per_suite_and_what_was_skipped_has_not_passed(tmp_path: Path) -> None:
    results = given(tmp_path, JUNIT, subgroup_by=("language",))
    assert results.suite == {"name": "golden"}
    assert results.produced_at == "2026-11-20T07:00:00Z"
    assert results.sections["metrics"] == [{"name": "pass-rate", "count": 2, "total": 4}]
    assert results.sections["scenarios"] == [
        {"name": "refunds", "passed": 1, "total": 3},
        {"name": "greetings", "passed": 1, "total": 1},
    ]
    groups = {each["group"]: each["metrics"][0] for each in results.sections["subgroups"]}
    assert {name: (each["count"], each["total"]) for name, each in groups.items()} == {"en": (2, 2), "tr": (0, 2)}
    results.suite["version"] = "12"
    assert spec_of(results).suite.version == "12"
    assert "redTeam" in given(tmp_path, JUNIT, red_team=True).sections


@pytest.mark.parametrize(
    ("text", "wanted", "says"),
    [
        ('<!DOCTYPE x [<!ENTITY a "aa">]><testsuite/>', {}, "line 1, column 13: a document type declaration is not"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>', {}, "a document type declaration is not accepted"),
        ("<testsuite>\n  <testcase></testsuite>", {}, "line 2, column 15: it is not XML: mismatched tag"),
        ("<report/>", {}, "the root is report; JUnit XML begins with testsuites or testsuite"),
        ("<testsuites><testcase/></testsuites>", {}, "line 1, column 13: a testcase stands outside of a testsuite"),
        ("<testsuite name='x'/>", {}, "there is no testcase in it"),
        (JUNIT, {"subgroup_by": ("region",)}, "no test case has a property region; they have ['language']"),
        ("<testsuite>" * 40, {}, "nested deeper than 32"),
    ],
)
def test_junit_that_cannot_be_used_is_told_with_its_place(
    text: str, wanted: dict[str, Any], says: str, tmp_path
) -> None:
    with pytest.raises(ResultsError) as refused:
        given(tmp_path, text, **wanted)
    assert says in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "results"))


def test_lm_eval_figures_are_counts_where_they_are_shares_of_ones(tmp_path: Path) -> None:
    results = given(tmp_path, LM_EVAL)
    metrics = {each["name"]: each for each in results.sections["metrics"]}
    assert metrics["arc_easy.acc"] == {"name": "arc_easy.acc", "count": 300, "total": 400}
    norm = metrics["arc_easy.acc_norm"]
    assert (norm["value"], norm["total"]) == ("0.7025", 400)
    assert norm["interval"]["confidence"] == "0.95"
    assert float(norm["interval"]["lower"]) == pytest.approx(0.7025 - 1.959964 * 0.02, abs=1e-6)
    assert metrics["wikitext.word_perplexity"] == {
        "name": "wikitext.word_perplexity", "better": "Lower", "value": "11.25",
    }  # fmt: skip
    assert "gsm8k.exact_match.strict-match" in metrics
    assert results.suite["version"] == "0.4.9.1"
    assert results.produced_at == "2025-11-13T02:13:20Z"
    assert len(spec_of(results).metrics or ()) == 4


def test_lm_eval_with_other_shots_or_versions_is_another_suite(tmp_path: Path) -> None:
    base = given(tmp_path, LM_EVAL).suite["digest"]
    assert given(tmp_path, {**LM_EVAL, "n-shot": {"arc_easy": 5}}).suite["digest"] != base
    assert given(tmp_path, {**LM_EVAL, "config": {"limit": None}}).suite["digest"] != base
    assert given(tmp_path, {**LM_EVAL, "date": 1.0}).suite["digest"] == base


def test_lm_eval_tasks_of_a_group_are_its_subgroups(tmp_path: Path) -> None:
    results = given(tmp_path, GROUPED, subgroup_by=("mmlu",))
    groups = {each["group"]: each for each in results.sections["subgroups"]}
    assert set(groups) == {"mmlu_law", "mmlu_physics"}
    assert groups["mmlu_law"]["metrics"] == [{"name": "mmlu.acc", "count": 50, "total": 100}]
    assert {each["name"]: each.get("total") for each in results.sections["metrics"]} == {
        "mmlu.acc": 140, "mmlu_stem.acc": 40,
    }  # fmt: skip
    spec_of(results)
    with pytest.raises(ResultsError, match="there is no group bbh in group_subtasks; it has mmlu, mmlu_stem"):
        given(tmp_path, GROUPED, subgroup_by=("bbh",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"results": {"t": {"acc,none": NaN}}}', "results.t['acc,none']: nan is no figure"),
        ('{"results": {"t": {"acc,none": [1]}}}', "a number is meant, not list"),
        ('{"results": {}', "line 1, column 15: it is not JSON"),
        ('{"results": {}}', "a mapping of tasks to figures is meant"),
    ],
)
def test_lm_eval_that_cannot_be_used(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ResultsError) as refused:
        given(tmp_path, text, "lm-eval")
    assert says in str(refused.value)


def test_json_and_yaml_are_the_spec_itself(tmp_path: Path) -> None:
    as_json = {"suite": {"name": "golden", "version": "12"}, "metrics": [{"name": "auc", "value": "0.9"}]}
    assert given(tmp_path, as_json).sections["metrics"] == as_json["metrics"]
    text = (
        "suite: {name: golden, version: '12'}\nproducedAt: 2026-11-20T08:00:00Z\nmetrics: [{name: auc, value: '0.9'}]"
    )
    assert given(tmp_path, text).produced_at == "2026-11-20T08:00:00Z"
    example = Path(__file__).parents[2] / "examples" / "releaseevidence.yaml"
    whole = read(example, "auto", Wanted())
    assert whole.expires_at == "2027-02-20T00:00:00Z"
    assert len(spec_of(whole).subgroups or ()) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"metrics": [}', "line 1, column 14: it is not JSON"),
        ("metrics: [", "it is not YAML"),
        ("- 1", "a mapping with metrics"),
        ('{"metric": []}', "metric: there is no such section: write suite, producedAt or metrics, subgroups"),
        ('{"metrics": {}}', "metrics: a list is meant"),
    ],
)
def test_json_that_cannot_be_used(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ResultsError) as refused:
        given(tmp_path, text)
    assert says in str(refused.value)


def test_files_of_two_suites_are_not_mixed(tmp_path: Path) -> None:
    first = Results({"name": "golden", "version": "1"}, sections={"metrics": [{"name": "a"}]})
    second = Results({"name": "golden", "version": "1"}, sections={"metrics": [{"name": "b"}]})
    assert [each["name"] for each in joined([first, second]).sections["metrics"]] == ["a", "b"]
    with pytest.raises(ResultsError, match="different suites"):
        joined([first, Results({"name": "other"})])
    with pytest.raises(ResultsError, match="say --suite-version"):
        content(Results({"name": "golden"}), produced_at="", expires=timedelta(0))
    with pytest.raises(ResultsError, match="it cannot be read"):
        read(tmp_path / "none", "auto", Wanted())


@pytest.mark.parametrize(
    ("produced_at", "days", "says"),
    [
        ("0001-01-01T00:00:00+14:00", 0, "--produced-at: '0001-01-01T00:00:00[+]14:00' is no time"),
        ("9990-01-01", 36_500, "--expires-in: 36500 days end after the year 9999"),
    ],
)
def test_times_outside_the_calendar_are_told_and_no_traceback(produced_at: str, days: int, says: str) -> None:
    with pytest.raises(ResultsError, match=says):
        content(Results({"name": "golden", "version": "1"}), produced_at=produced_at, expires=timedelta(days))


def test_references_by_type_address_and_digest() -> None:
    digest = "a" * 64
    assert reference(f"ModelCard=https://x/@home@sha256:{digest}", "") == {
        "type": "ModelCard", "uri": "https://x/@home", "digest": f"sha256:{digest}",
    }  # fmt: skip
    plan = reference("ReadinessPlan=https://x", "2027-03-31")
    assert plan["reviewBy"] == "2027-03-31T00:00:00Z"
    for wrong in ("Modelcard=https://x", "ModelCard", "ModelCard=https://x@sha256:abc"):
        with pytest.raises(ResultsError, match="--reference"):
            reference(wrong, "")
