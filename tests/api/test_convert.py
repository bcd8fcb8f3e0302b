"""What users write becomes the domain's nouns, and every fault names its field and the mend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from modelrelease.api.convert import (
    Source,
    config_maps_of,
    content_digest,
    content_of,
    decision_of,
    plan_of,
    release_of,
    requests_of,
    source_of,
    templates_of,
    traffic_of,
    unit_of,
)
from modelrelease.api.names import FINALIZER
from modelrelease.domain.decision import Action, Decision
from modelrelease.domain.exposure import REST
from modelrelease.domain.gate import Absolute, AgainstStable, Gate, Kind, Phase, Ratio, Scope
from modelrelease.domain.plan import AtMaxDuration, OnDrift, OnNoSafePath, Plan, Require
from modelrelease.domain.release import Fault, Release
from modelrelease.domain.traffic import GatewayRef, HeaderMatch, RouteRef, Segment, Traffic
from modelrelease.domain.unit import Backend, PartName, Unit
from tests.builders import LOW_CRITICALITY, SMALLEST, TEMPLATES, gate, model_release, stage

PROMPT = {"system.txt": "Be kind."}
ZEROS = "sha256:" + "0" * 64


def spec_with(**sections: Any) -> dict[str, Any]:
    return model_release(**sections)["spec"]  # type: ignore[no-any-return]


def plan_with(templates: Mapping[str, object] = TEMPLATES, **sections: Any) -> Plan:
    plan = plan_of(spec_with(**sections), templates)
    assert isinstance(plan, Plan), plan
    return plan


def per_rule(template: Any) -> dict[str, Any]:
    return {**template, "arm": [*template["arm"], {"label": "rule", "value": "${ruleIndex}"}]}


def faults_with(templates: Mapping[str, object] = TEMPLATES, **sections: Any) -> str:
    release = release_of(model_release(**sections), config_maps={}, templates=templates)
    assert release.faults
    return "\n".join(f"{fault.reason}: {fault.message}" for fault in release.faults)


def unit_with(config_maps: Mapping[str, Mapping[str, str] | None] | None = None, **parts: Any) -> Any:
    return unit_of(spec_with(unit={**SMALLEST["unit"], **parts}), "assistants", config_maps or {})


# --- unit ---


def test_the_smallest_unit() -> None:
    assert unit_with() == Unit("v2", Backend("chat-v2", 8080))


def test_parts_keep_their_fields_and_the_digest_of_their_content() -> None:
    unit = unit_with(
        {"prompt-31": PROMPT},
        model={"name": "support-7b", "version": "14", "digest": ZEROS},
        prompt={"version": "31", "configMapRef": {"name": "prompt-31"}},
        safety={"version": "7", "digest": ZEROS},
    )
    parts = dict(unit.parts)
    assert dict(parts[PartName.MODEL].fields) == {"name": "support-7b", "version": "14", "digest": ZEROS}
    assert parts[PartName.PROMPT].config_map == "prompt-31"
    assert parts[PartName.PROMPT].content_digest == content_digest(PROMPT)
    assert parts[PartName.SAFETY].content_digest == ZEROS


def test_a_declared_image_is_part_of_the_unit() -> None:
    model, inference = {"name": "m", "version": "1"}, {"version": "1", "digest": ZEROS}
    plain = unit_with(model=model, inference=inference)
    unit = unit_with(
        model={**model, "imageDigest": ZEROS},
        inference={**inference, "imageDigest": ZEROS},
    )
    assert isinstance(unit, Unit) and unit.digest != plain.digest
    assert [dict(part.fields).get("imageDigest") for _, part in unit.parts] == [ZEROS, ZEROS]
    assert "spec.unit.prompt.imageDigest" in faults_with(
        unit={**SMALLEST["unit"], "prompt": {"version": "1", "digest": ZEROS, "imageDigest": ZEROS}}
    )


def test_a_changed_content_is_another_unit() -> None:
    prompt = {"version": "31", "configMapRef": {"name": "p"}}
    digests = {unit_with({"p": content}, prompt=prompt).digest for content in (PROMPT, {"system.txt": "Be rude."}, {})}
    assert len(digests) == 3


def test_order_of_keys_does_not_matter_but_binary_data_is_not_text() -> None:
    first = content_of({"data": {"a": "1", "b": "2"}})
    second = content_of({"data": {"b": "2", "a": "1"}, "metadata": {"labels": {"x": "y"}}})
    assert content_digest(first) == content_digest(second)
    assert content_digest(content_of({"data": {"a": "QQ=="}})) != content_digest(
        content_of({"binaryData": {"a": "QQ=="}})
    )
    assert content_of({}) == {}


def test_config_maps_are_found_in_a_spec_that_is_otherwise_wrong() -> None:
    part = {"configMapRef": {"name": "shared"}}
    assert config_maps_of({"unit": {"prompt": part, "tools": part, "safety": {"configMapRef": 5}}}) == ("shared",)
    assert config_maps_of({}) == ()
    assert config_maps_of({"unit": "none"}) == ()


def test_a_missing_config_map_is_named_with_its_field() -> None:
    (fault,) = unit_with(prompt={"version": "31", "configMapRef": {"name": "prompt-31"}})
    assert fault == Fault(
        "ConfigMapNotFound",
        "spec.unit.prompt.configMapRef.name: there is no ConfigMap prompt-31 in namespace assistants; create it or "
        "correct the name",
    )


def test_a_digest_that_does_not_match_the_content() -> None:
    (fault,) = unit_with({"p": PROMPT}, prompt={"version": "31", "configMapRef": {"name": "p"}, "digest": ZEROS})
    assert fault.reason == "DigestMismatch"
    assert fault.message.startswith(f"spec.unit.prompt.digest: ConfigMap p has content {content_digest(PROMPT)}")
    declared = {"version": "31", "configMapRef": {"name": "p"}, "digest": content_digest(PROMPT)}
    assert isinstance(unit_with({"p": PROMPT}, prompt=declared), Unit)


# --- traffic ---


def test_traffic_as_written() -> None:
    traffic = traffic_of(
        spec_with(
            traffic={
                "gatewayRefs": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
                "hostnames": ["chat.example.com"],
                "pathPrefix": "/v1",
                "segments": [LOW_CRITICALITY, {"name": "trial", "query": [{"name": "trial", "value": "1"}]}],
                "safeBackend": {"name": "pool", "kind": "InferencePool", "group": "inference.networking.k8s.io"},
            },
            deletionPolicy="Delete",
        )
    )
    assert traffic == Traffic(
        gateways=(GatewayRef("public", "gateways", "https"),),
        hostnames=("chat.example.com",),
        path_prefix="/v1",
        segments=(
            Segment("low-criticality", headers=(HeaderMatch("x-criticality", "low"),)),
            Segment("trial", query=(HeaderMatch("trial", "1"),)),
        ),
        safe_backend=Backend("pool", None, "InferencePool", "inference.networking.k8s.io"),
        delete_owned_route=True,
    )


def test_traffic_defaults() -> None:
    assert traffic_of(spec_with()) == Traffic(routes=(RouteRef("chat"),))


# --- plan ---


def test_the_default_path() -> None:
    plan = plan_with()
    assert [(s.name, dict(s.exposure.shares)) for s in plan.stages] == [
        ("pilot", {REST: 10}),
        ("mixed", {REST: 50}),
        ("broad", {REST: 200}),
        ("full", {REST: 1000}),
    ]
    assert [s.require for s in plan.stages] == [*[Require.NO_HARM] * 3, Require.PROVEN]
    assert [s.min_duration_s for s in plan.stages] == [300, 300, 300, 0]
    assert plan.watch_s == 24 * 3600


def test_the_default_path_starts_with_low_criticality_where_it_is_declared() -> None:
    plan = plan_with(traffic={"routes": [{"name": "chat"}], "segments": [LOW_CRITICALITY]})
    assert plan.stages[0].exposure.shares == (("low-criticality", 10), (REST, 0))
    assert plan.stages[1].exposure.shares == (("low-criticality", 50), (REST, 50))


def test_a_plan_is_about_the_very_requests_that_its_segments_mean() -> None:
    def segmented(**conditions: Any) -> Plan:
        return plan_with(
            traffic={"routes": [{"name": "chat"}], "segments": [{"name": "low-criticality", **conditions}]}
        )

    low = segmented(headers=[{"name": "x-criticality", "value": "low"}])
    assert low.digest == plan_with(traffic={"routes": [{"name": "other"}], "segments": [LOW_CRITICALITY]}).digest
    assert low.digest != segmented(method="POST").digest
    assert low.digest != segmented(headers=[{"name": "x-criticality", "value": "high"}]).digest
    assert plan_with().requests == ""


def test_an_entry_without_segment_is_for_all_that_are_not_named() -> None:
    segments = [LOW_CRITICALITY, {"name": "german", "headers": [{"name": "accept-language", "value": "de"}]}]
    plan = plan_with(
        traffic={"routes": [{"name": "chat"}], "segments": segments},
        strategy={
            "stages": [stage("a", {"german": "0.5", "": "0"}), stage("b", {"german": "5", "": "2"}), stage("c", "100")]
        },
    )
    assert plan.stages[0].exposure.shares == (("low-criticality", 0), ("german", 5), (REST, 0))
    assert plan.stages[1].exposure.shares == (("low-criticality", 20), ("german", 50), (REST, 20))


def test_a_stage_as_written() -> None:
    written = stage(
        "pilot", "1", minDuration="10m", maxDuration="1h30m", atMaxDuration="Revert", minSamples=500,
        require="Proven", approvals=["product-owner"],
    )  # fmt: skip
    first = plan_with(strategy={"stages": [written, stage("full", "100")]}).stages[0]
    assert (first.min_duration_s, first.max_duration_s, first.min_samples) == (600, 5400, 500)
    assert first.at_max_duration is AtMaxDuration.REVERT
    assert (first.require, first.approvals) == (Require.PROVEN, ("product-owner",))


def test_samples_are_needed_by_default_once_there_are_gates() -> None:
    assert [s.min_samples for s in plan_with().stages] == [0, 0, 0, 0]
    assert [s.min_samples for s in plan_with(gates=[gate()]).stages] == [100, 100, 100, 0]


def test_only_the_stage_with_everything_needs_proof_by_default() -> None:
    stages = [stage("pilot", "1"), stage("broad", "20"), stage("full", "100")]
    assert [s.require for s in plan_with(strategy={"stages": stages}).stages] == [
        Require.NO_HARM,
        Require.NO_HARM,
        Require.PROVEN,
    ]


def test_limits_and_conduct() -> None:
    plan = plan_with(
        strategy={"noData": {"missing": "5m"}, "watch": {"duration": "72h"}},
        traffic={
            "routes": [{"name": "chat"}],
            "onDrift": "Hold",
            "onNoSafePath": "Stable",
            "revertCapacityPercent": 80,
        },
    )
    assert (plan.limits.missing_s, plan.limits.broken_s, plan.limits.revert_capacity_percent) == (300, 120, 80)
    assert (plan.on_drift, plan.on_no_safe_path) == (OnDrift.HOLD, OnNoSafePath.STABLE)
    assert plan.watch_s == 72 * 3600


def test_gates_take_metric_arm_and_kind_from_their_template() -> None:
    absolute, margin = plan_with(
        gates=[
            gate(),
            gate("cost", "cost", against="Stable", maxRatio="1.2", floor="0.1", kind="Operational", source="other",
                 phases=["Watch"], scope="Segment", warmUp="2m"),
        ],
        templates={**TEMPLATES, "cost": per_rule(TEMPLATES["cost"])},
    ).gates  # fmt: skip
    assert isinstance(absolute.metric, Ratio)
    assert (absolute.rule, absolute.kind, absolute.source) == (Absolute("0.01"), Kind.OPERATIONAL, "default")
    assert (absolute.phases, absolute.template) == ((Phase.STAGE, Phase.WATCH), "error-rate")
    assert (margin.rule, margin.kind, margin.source) == (AgainstStable("1.2", None, "0.1"), Kind.OPERATIONAL, "other")
    assert (margin.phases, margin.scope, margin.warm_up_s) == ((Phase.WATCH,), Scope.SEGMENT, 120)


def test_every_type_of_metric_converts() -> None:
    names = ["error-rate", "latency", "score", "cost", "drift"]
    gates = plan_with(gates=[gate(name, name, max="0.5") for name in names]).gates
    assert [type(each.metric).__name__ for each in gates] == ["Ratio", "Quantile", "Mean", "Cost", "Value"]


def test_templates_of_names_the_counting_one_too() -> None:
    assert templates_of(spec_with(gates=[gate(), gate("again")])) == ("error-rate", "gateway-requests")
    assert templates_of({"traffic": {"requestsTemplate": "mine"}, "gates": [5, {}]}) == ("mine",)


def test_requests_of() -> None:
    found = requests_of(spec_with(), TEMPLATES)
    assert isinstance(found, Gate)
    assert (found.source, found.template) == ("default", "gateway-requests")
    missing = requests_of(spec_with(), {})
    assert isinstance(missing, Fault)
    assert missing.message.startswith("spec.traffic.requestsTemplate: there is no GateTemplate")
    wrong = requests_of(spec_with(), {"gateway-requests": TEMPLATES["latency"]})
    assert isinstance(wrong, Fault)
    assert "has no ratio metric" in wrong.message


# --- faults ---

FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("no template", {"gates": [gate(template="nope")]}, "TemplateNotFound: spec.gates[0].template: there is no Gate"),
    ("no bound", {"gates": [{"name": "e", "template": "error-rate"}]}, "spec.gates[0]: write either max or min"),
    (
        "both bounds",
        {"gates": [gate(max="0.1", against="Stable", maxRatio="2")]},
        "spec.gates[0]: write either max or min",
    ),
    ("margin alone", {"gates": [gate(maxRatio="2")]}, "spec.gates[0].against: against: Stable and maxRatio"),
    ("floor alone", {"gates": [gate(floor="0.1")]}, "spec.gates[0].floor: floor belongs to a margin"),
    ("same gate", {"gates": [gate(), gate()]}, "spec.gates[1].name: another gate is called errors already"),
    (
        "value against stable",
        {"gates": [gate(template="drift", against="Stable", maxRatio="2")]},
        "InvalidGate: spec.gates[0].against: a value metric is one figure for all",
    ),
    (
        "value per segment",
        {"gates": [gate(template="drift", scope="Segment")]},
        "InvalidGate: spec.gates[0].scope: a value metric is one figure for all traffic, so it cannot be judged per "
        "segment; write scope: Whole, or use a template with a ratio",
    ),
    (
        "segments that nothing tells apart",
        {"gates": [gate(scope="Segment")]},
        "InvalidGate: spec.gates[0].scope: nothing in the arm of template error-rate tells segments apart",
    ),
    ("quantile with min", {"gates": [gate(template="latency", min="1")]}, "spec.gates[0].min: a quantile has no lower"),
    ("cost with min", {"gates": [gate(template="cost", min="1")]}, "spec.gates[0].min: a cost has no lower bound"),
    (
        "ratio in percent",
        {"gates": [gate(max="5")]},
        'spec.gates[0].max: a ratio lies between 0 and 1; write 1 % as "0.01"',
    ),
    (
        "negative difference",
        {"gates": [gate(against="Stable", maxDifference="-0.1")]},
        "spec.gates[0].maxDifference: a ratio lies between 0 and 1",
    ),
    (
        "the same twice",
        {"strategy": {"stages": [stage("a", "5"), stage("b", "5.0"), stage("c", "100")]}},
        "spec.strategy.stages[1].exposure: stage b gives the same as a before it; raise its percent, or make one stage",
    ),
    (
        "beginning with nobody",
        {"strategy": {"stages": [stage("a", "0"), stage("c", "100")]}},
        "spec.strategy.stages[0].exposure: it gives nothing to the candidate; raise its percent, or remove the stage",
    ),
    (
        "approvals of no time",
        {"approvals": {"roles": [{"name": "owner", "accountable": True}], "window": {"length": "0s"}}},
        "spec.approvals.window.length: it is no time at all, so no approval could count; write a longer one",
    ),
    (
        "falling",
        {"strategy": {"stages": [stage("a", "5"), stage("b", "1"), stage("c", "100")]}},
        "spec.strategy.stages[1].exposure: stage b gives less of the rest than a before it",
    ),
    (
        "not full",
        {"strategy": {"stages": [stage("a", "5")]}},
        'spec.strategy.stages[0].exposure: the last stage must give everything; write [{percent: "100"}]',
    ),
    (
        "unknown segment",
        {"strategy": {"stages": [stage("a", {"low": "5"}), stage("b", "100")]}},
        "spec.strategy.stages[0].exposure[0].segment: segment low is not declared",
    ),
    (
        "same stage",
        {"strategy": {"stages": [stage("a", "5"), stage("a", "100")]}},
        "spec.strategy.stages[1].name: another stage is called a already",
    ),
    (
        "shadow",
        {"strategy": {"stages": [stage("a", "5", type="Shadow"), stage("b", "100")]}},
        "UnsupportedStage: spec.strategy.stages[0].type: HTTPRoute routing cannot mirror",
    ),
    (
        "max before min",
        {"strategy": {"stages": [stage("a", "5", minDuration="1h", maxDuration="1m"), stage("b", "100")]}},
        "spec.strategy.stages[0].maxDuration: it is shorter than minDuration",
    ),
    (
        "bad percent",
        {"strategy": {"stages": [stage("a", "5 %"), stage("b", "100")]}},
        "spec.strategy.stages[0].exposure[0].percent: '5 %' is wrong: write a percent",
    ),
    ("typo", {"strategy": {"stagez": []}}, "spec.strategy.stagez: there is no such field"),
    ("number", {"gates": [gate(max=0.01)]}, "spec.gates[0].max: text is meant; put the value in quotes"),
    ("no unit", {"unit": None}, "spec.unit: "),
    ("no port", {"unit": {"version": "1", "backend": {"name": "a"}}}, "spec.unit.backend.port: a Service needs a port"),
    (
        "no content",
        {"unit": {"version": "1", "backend": {"name": "a", "port": 1}, "prompt": {"version": "1"}}},
        "spec.unit.prompt: name the ConfigMap",
    ),
    ("no route", {"traffic": {}}, "spec.traffic: write exactly one of routes and gatewayRefs"),
    (
        "empty segment",
        {"traffic": {"routes": [{"name": "r"}], "segments": [{"name": "s"}]}},
        "spec.traffic.segments[0]: a segment needs at least one condition",
    ),
    (
        "twin segments",
        {
            "traffic": {
                "routes": [{"name": "r"}],
                "segments": [
                    {"name": "low", "headers": [{"name": "x-c", "value": "low"}]},
                    {"name": "cheap", "headers": [{"name": "X-C", "value": "low"}]},
                ],
            }
        },
        "spec.traffic.segments[1]: cheap asks for the same as low before it, which gets all of its requests",
    ),
    (
        "release header that is taken",
        {"traffic": {"routes": [{"name": "r"}], "releaseHeader": "Content-Type"}},
        "spec.traffic.releaseHeader: requests need Content-Type for something else",
    ),
    (
        "release header as segment",
        {
            "traffic": {
                "routes": [{"name": "r"}],
                "segments": [{"name": "s", "headers": [{"name": "X-Model-Release", "value": "1"}]}],
            }
        },
        "spec.traffic.segments[0].headers: x-model-release is the releaseHeader",
    ),
    (
        "too many rules",
        {
            "traffic": {
                "routes": [{"name": "r", "rules": [f"rule-{n}" for n in range(9)]}],
                "segments": [LOW_CRITICALITY],
            }
        },
        "spec.traffic.routes[0].rules: rules times (segments + 1) is over 16",
    ),
    (
        "safe is own",
        {"traffic": {"routes": [{"name": "r"}], "safeBackend": {"name": "chat-v2", "port": 8080}}},
        "spec.traffic.safeBackend: it is the backend that is being released",
    ),
]


@pytest.mark.parametrize(("sections", "expected"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS])
def test_a_fault_names_its_field_and_the_mend(sections: dict[str, Any], expected: str) -> None:
    assert expected in faults_with(**sections)


def test_all_faults_are_told_at_once() -> None:
    told = faults_with(gates=[gate(template="nope")], unit={"version": "v2"}, traffic={"routes": []})
    assert "spec.unit.backend: the field is required" in told
    assert "spec.traffic" in told


def test_traffic_can_still_be_steered_while_a_gate_has_no_template() -> None:
    release = release_of(model_release(gates=[gate(template="nope")]), config_maps={}, templates=TEMPLATES)
    assert release.traffic.routes == (RouteRef("chat"),)
    assert release.unit is not None
    assert release.plan is None


@pytest.mark.parametrize("spec", [None, {}, [], "text", {"unit": [], "traffic": 5, "strategy": [], "gates": {}}])
def test_rubbish_is_a_fault_and_never_an_exception(spec: object) -> None:
    obj = {**model_release(), "spec": spec}
    assert release_of(obj, config_maps={}, templates={}).faults


def test_metadata_of_a_release() -> None:
    obj = model_release()
    obj["metadata"] |= {"deletionTimestamp": "2026-11-21T08:00:00Z", "finalizers": [FINALIZER], "generation": 7}
    release = release_of(obj, config_maps={}, templates=TEMPLATES)
    assert (release.deleting, release.finalizer, release.generation) == (True, True, 7)
    assert release_of(model_release(), config_maps={}, templates=TEMPLATES) == Release(
        "assistants", "chat", "uid-1", 1, Traffic(routes=(RouteRef("chat"),)), Unit("v2", Backend("chat-v2", 8080)),
        plan_with(), finalizer=False,
    )  # fmt: skip


# --- decisions and sources ---


def decision(**spec: Any) -> dict[str, Any]:
    content = {"releaseRef": {"name": "chat"}, "action": "Pause", "author": "alice", "reason": "cold cache", **spec}
    metadata = {"uid": "d-1", "name": "d", "creationTimestamp": "2026-11-21T08:00:00Z"}
    return {"metadata": metadata, "spec": content}


def test_a_decision_as_written() -> None:
    found = decision_of(decision(digest=ZEROS, stage="full"))
    assert isinstance(found, Decision)
    assert (found.action, found.author, found.digest, found.stage) == (Action.PAUSE, "alice", ZEROS, "full")
    assert found.created_at.isoformat() == "2026-11-21T08:00:00+00:00"


def test_an_unreadable_decision_has_no_effect_and_says_why() -> None:
    found = decision_of(decision(action="Rollback"))
    assert isinstance(found, Fault)
    assert found.message.startswith("ReleaseDecision d has no effect: spec.action: ")
    unborn = decision()
    del unborn["metadata"]["creationTimestamp"]
    assert isinstance(decision_of(unborn), Fault)


def source(**spec: Any) -> Source | tuple[Fault, ...]:
    return source_of({"metadata": {"name": "default"}, "spec": {"address": "http://prometheus:9090/", **spec}})


def test_a_source_as_written() -> None:
    found = source(tickInterval="1s", auth={"bearerTokenFile": "token"}, allowedNamespaces=["a", "b"])
    assert isinstance(found, Source)
    assert (found.address, found.tick_s, found.scrape_s, found.timeout_s) == ("http://prometheus:9090", 1, 15, 1)
    assert found.bearer_token_file == "token"
    assert [found.allows(namespace) for namespace in "abc"] == [True, True, False]


def test_a_source_is_for_everybody_unless_it_says_otherwise() -> None:
    found = source()
    assert isinstance(found, Source)
    assert found.allows("anything")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"auth": {"bearerTokenFile": "../token"}}, "spec.auth.bearerTokenFile"),
        ({"address": "ftp://x"}, "spec.address"),
        ({"tickInterval": "fast"}, "spec.tickInterval"),
    ],
)
def test_a_source_that_cannot_work(spec: dict[str, Any], expected: str) -> None:
    found = source(**spec)
    assert isinstance(found, tuple)
    assert found[0].message.startswith(expected)
