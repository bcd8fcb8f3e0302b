"""Laying out two arms: rules, names, filters, limits, and what a layout may never do."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from modelrelease.domain.traffic import HeaderMatch, RouteRef, Segment, Target
from modelrelease.domain.unit import Backend, UnitRef
from modelrelease.routing.protocol import JSON_PATCH, Change, ChangeKind, Guard, Refusal, Unchanged
from modelrelease.routing.rules import prefix, segment_rule
from tests.routing.applier import Conflicted, apply
from tests.routing.builders import (
    CANDIDATE,
    GERMAN,
    HEADER,
    LOW,
    STABLE,
    Json,
    adopted,
    change,
    changed,
    laid_out,
    owning,
    raised,
    ref,
    release,
    reweighted,
    route,
    rule,
    rules_by_name,
    two_arms,
    unit,
    weights,
)


def refusal(obj: Json | None, of: object, target: Target, guard: Guard = Guard.LAYOUT) -> Refusal:
    found = change(obj, of, target, guard)  # type: ignore[arg-type]
    assert isinstance(found, Refusal), found
    return found


def test_each_segment_is_a_rule_in_front_of_the_rule_in_declared_order() -> None:
    after = laid_out(release(LOW, GERMAN), adopted(rule("other", ref("other"), path="/other")))
    assert [each["name"] for each in after["spec"]["rules"]] == ["chat--low", "chat--german", "chat", "other"]
    assert rules_by_name(after)["chat--low"]["matches"] == [
        {
            "path": {"type": "PathPrefix", "value": "/"},
            "headers": [{"type": "Exact", "name": "x-criticality", "value": "low"}],
        }
    ]


def test_weights_are_explicit_and_zero_is_written() -> None:
    after = laid_out(release(LOW))
    assert weights(after, "chat--low") == weights(after, "chat") == [1000, 0]


def test_each_arm_carries_the_release_header() -> None:
    refs = rules_by_name(laid_out(release()))["chat"]["backendRefs"]
    assert [each["filters"] for each in refs] == [
        [
            {
                "type": "RequestHeaderModifier",
                "requestHeaderModifier": {"set": [{"name": HEADER, "value": arm.revision}]},
            }
        ]
        for arm in (STABLE, CANDIDATE)
    ]


def test_a_release_of_a_prompt_alone_has_the_same_service_on_both_arms() -> None:
    candidate = unit(2, backend="chat-v1")
    after = changed(adopted(), release(), Target(STABLE, candidate), Guard.LAYOUT)
    assert [each["name"] for each in rules_by_name(after)["chat"]["backendRefs"]] == ["chat-v1", "chat-v1"]


def test_the_tidy_form_has_one_arm_and_no_segment_rules() -> None:
    of = release(LOW)
    after = changed(laid_out(of), of, Target(STABLE), Guard.LAYOUT)
    assert [each["name"] for each in after["spec"]["rules"]] == ["chat"]
    assert weights(after) == [1000]


def test_a_segment_rule_copies_filters_and_timeouts_of_its_rule() -> None:
    rewrite = {"type": "URLRewrite", "urlRewrite": {"hostname": "models.internal"}}
    obj = route(rule("chat", ref("chat-v1"), filters=[rewrite], timeouts={"request": "30s"}))
    low = rules_by_name(laid_out(release(LOW), obj))["chat--low"]
    assert (low["filters"], low["timeouts"]) == ([rewrite], {"request": "30s"})


def test_an_edit_of_the_rule_reaches_its_segment_rules_with_the_next_layout() -> None:
    of = release(LOW)
    obj = laid_out(of)
    rules_by_name(obj)["chat"]["timeouts"] = {"request": "5s"}
    after = changed(obj, of, two_arms(), Guard.LAYOUT)
    assert rules_by_name(after)["chat--low"]["timeouts"] == {"request": "5s"}


def test_filters_that_people_put_on_the_backend_go_with_both_arms() -> None:
    tenant = {"name": "x-tenant", "value": "a"}
    ours = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [tenant], "remove": ["x-debug"]}}
    answer = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["server"]}}
    obj = route(rule("chat", ref("chat-v1", filters=[ours, answer])))
    of = release(LOW)
    after = raised(of, two_arms(200, low=100), obj)
    for each in (*rules_by_name(after)["chat"]["backendRefs"], *rules_by_name(after)["chat--low"]["backendRefs"]):
        modifier, kept = each["filters"]
        assert kept == answer
        assert modifier["requestHeaderModifier"]["remove"] == ["x-debug"]
        assert modifier["requestHeaderModifier"]["set"][0] == tenant
        assert modifier["requestHeaderModifier"]["set"][1]["name"] == HEADER


def test_a_backend_in_another_namespace_is_written_with_it_and_one_at_home_without() -> None:
    elsewhere = replace(CANDIDATE, backend=Backend("chat-v2", 8080, namespace="models"))
    at_home = replace(STABLE, backend=Backend("chat-v1", 8080, namespace="assistants"))
    after = changed(adopted(), release(), Target(at_home, elsewhere), Guard.LAYOUT)
    first, second = rules_by_name(after)["chat"]["backendRefs"]
    assert "namespace" not in first
    assert second["namespace"] == "models"


def test_an_inference_pool_needs_no_port() -> None:
    pool = Backend("chat-pool", None, kind="InferencePool", group="inference.networking.k8s.io")
    after = changed(adopted(), release(), Target(STABLE, replace(CANDIDATE, backend=pool)), Guard.LAYOUT)
    written = rules_by_name(after)["chat"]["backendRefs"][1]
    assert (written["group"], written["kind"]) == ("inference.networking.k8s.io", "InferencePool")
    assert "port" not in written


def test_an_unnamed_only_rule_gets_a_name() -> None:
    of = release(LOW, rules=())
    after = laid_out(of, route(rule(None, ref("chat-v1"))))
    assert [each["name"] for each in after["spec"]["rules"]] == ["main--low", "main"]
    assert isinstance(change(after, of, two_arms(), Guard.LAYOUT), Unchanged)


def test_several_rules_without_a_choice_are_refused_with_what_to_do() -> None:
    found = refusal(route(rule(None, ref("a")), rule(None, ref("b"))), release(rules=()), two_arms())
    assert found.reason == "RulesAmbiguous"
    assert "spec.traffic.routes[].rules" in found.message


def test_a_rule_that_somebody_adds_later_does_not_make_the_only_rule_unclear() -> None:
    of = release(rules=())
    obj = laid_out(of, route(rule("chat", ref("chat-v1"))))
    obj["spec"]["rules"].append(rule("late", ref("late"), path="/late"))
    after = changed(obj, of, two_arms(100), Guard.RAISE)
    assert weights(after) == [900, 100]
    assert rules_by_name(after)["late"] == rules_by_name(obj)["late"]


def test_a_match_that_demands_another_value_is_left_out_of_the_segment() -> None:
    obj = route(
        rule("eu", ref("chat-v1"), headers={"X-Criticality": "high"}),
        rule("chat", ref("chat-v1"), path="/chat"),
    )
    after = laid_out(release(LOW, rules=("eu", "chat")), obj)
    assert [each["name"] for each in after["spec"]["rules"]] == ["eu", "chat--low", "chat"]


def test_a_segment_that_no_rule_can_see_is_refused() -> None:
    obj = route(rule("chat", ref("chat-v1"), headers={"x-criticality": "high"}))
    assert refusal(obj, release(LOW), two_arms()).reason == "SegmentUnreachable"


def test_a_regular_expression_on_the_segment_s_header_is_refused() -> None:
    obj = route(rule("chat", ref("chat-v1"), headers={"x-criticality": "l.*"}))
    obj["spec"]["rules"][0]["matches"][0]["headers"][0]["type"] = "RegularExpression"
    assert refusal(obj, release(LOW), two_arms()).reason == "SegmentNotExact"


def test_query_and_method_of_a_segment_are_matched_too() -> None:
    posts = Segment("posts", query=(HeaderMatch("tier", "free"),), method="POST")
    match = rules_by_name(laid_out(release(posts)))["chat--posts"]["matches"][0]
    assert match["method"] == "POST"
    assert match["queryParams"] == [{"type": "Exact", "name": "tier", "value": "free"}]


def test_a_segment_that_would_take_requests_from_another_rule_is_refused() -> None:
    beta = rule("beta", ref("beta"), headers={"x-beta": "1"})
    assert refusal(adopted(beta), release(LOW), two_arms()).reason == "SegmentTakesRequests"


@pytest.mark.parametrize(
    "harmless",
    [
        pytest.param(rule("other", ref("other"), path="/other"), id="a longer path wins anyway"),
        pytest.param(rule("other", ref("other"), headers={"x-criticality": "high"}), id="no request is both"),
        pytest.param(rule("other", ref("other"), headers={"a": "1", "b": "2"}), id="more headers win anyway"),
    ],
)
def test_a_segment_that_takes_nothing_from_another_rule_is_laid_out(harmless: Json) -> None:
    assert "chat--low" in rules_by_name(laid_out(release(LOW), adopted(harmless)))


def test_two_steered_rules_do_not_take_each_other_s_requests() -> None:
    of = release(LOW, rules=("beta", "chat"))
    obj = route(rule("beta", ref("chat-v1"), headers={"x-beta": "1"}), rule("chat", ref("chat-v1")))
    assert set(rules_by_name(laid_out(of, obj))) == {"beta--low", "beta", "chat--low", "chat"}


def test_too_many_rules_are_refused_with_the_numbers() -> None:
    of = release(LOW, GERMAN, rules=tuple(f"r{index}" for index in range(6)))
    obj = route(*(rule(f"r{index}", ref("chat-v1"), path=f"/{index}") for index in range(6)))
    found = refusal(obj, of, two_arms())
    assert found.reason == "TooManyRules"
    assert "18 rules" in found.message


def test_a_missing_rule_and_a_missing_route_are_refused() -> None:
    assert refusal(route(rule("other", ref("a"))), release(), two_arms()).reason == "RuleMissing"
    assert refusal(None, release(), two_arms()).reason == "RouteMissing"


def test_a_foreign_rule_with_a_reserved_name_is_refused() -> None:
    obj = adopted(rule("chat--beta", ref("beta"), path="/beta"))
    assert refusal(obj, release(LOW), two_arms()).reason == "RuleNameReserved"


def test_a_stage_with_an_undeclared_segment_is_refused() -> None:
    assert refusal(laid_out(release(LOW)), release(LOW), two_arms(0, gold=10), Guard.RAISE).reason == "SegmentUnknown"


def test_a_redirecting_rule_is_refused() -> None:
    redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": "elsewhere"}}
    assert refusal(route(rule("chat", filters=[redirect])), release(), two_arms()).reason == "RuleRedirects"


def test_long_names_are_shortened_and_still_recognised() -> None:
    name, segment = "a" * 60, "s" * 60
    made = segment_rule(name, segment)
    assert len(made) <= 63
    assert made.startswith(prefix(name))
    assert segment_rule(name, "s" * 59 + "t") != made
    of = release(Segment(segment, headers=(HeaderMatch("x", "1"),)), rules=(name,))
    obj = laid_out(of, route(rule(name, ref("chat-v1"))))
    assert isinstance(change(obj, of, two_arms(), Guard.LAYOUT), Unchanged)


def test_a_raise_and_a_layout_hold_only_for_the_object_that_was_read() -> None:
    of = release()
    obj = laid_out(of)
    moved = copy.deepcopy(obj)
    moved["metadata"]["resourceVersion"] = "99"
    for guard, target in ((Guard.RAISE, two_arms(100)), (Guard.LAYOUT, Target(STABLE))):
        found = change(obj, of, target, guard)
        assert isinstance(found, Change) and isinstance(found.body, list)
        assert (found.kind, found.content_type) == (ChangeKind.PATCH, JSON_PATCH)
        with pytest.raises(Conflicted):
            apply(moved, found.body)


def test_a_layout_raises_nobody() -> None:
    of = release(LOW)
    assert refusal(laid_out(of), of, two_arms(0, low=10)).reason == "WouldRaise"


def test_a_layout_does_not_raise_a_segment_by_taking_its_rule_away() -> None:
    of = release(LOW)
    obj = raised(of, two_arms(200, low=0))
    assert refusal(obj, release(), two_arms(200)).reason == "WouldRaise"


def test_a_layout_promotes_nobody() -> None:
    of = release()
    assert refusal(raised(of, two_arms(200)), of, Target(CANDIDATE)).reason == "WouldRaise"
    promoted = changed(raised(of, two_arms(1000)), of, Target(CANDIDATE), Guard.LAYOUT)
    assert weights(promoted) == [1000]


def test_a_layout_promotes_no_prompt_either() -> None:
    of, prompt = release(), unit(2, backend="chat-v1")
    split = Target(STABLE, prompt, two_arms(200).exposure)
    obj = changed(changed(adopted(), of, Target(STABLE, prompt), Guard.LAYOUT), of, split, Guard.RAISE)
    assert refusal(obj, of, Target(prompt)).reason == "WouldRaise"


def test_a_layout_gives_back_to_base_what_somebody_else_put_in() -> None:
    of = release()
    obj = changed(adopted(), of, Target(STABLE), Guard.LAYOUT)
    obj["spec"]["rules"][0]["backendRefs"].append(ref("intruder", 500))
    assert weights(changed(obj, of, Target(STABLE), Guard.LAYOUT)) == [1000]


def test_adopting_relabels_the_arm_of_a_unit_that_nobody_knows_any_more() -> None:
    obj = route(rule("chat", ref("chat-v1", 1000, says="chat-0000000000")))
    after = changed(obj, release(), Target(STABLE), Guard.LAYOUT)
    assert rules_by_name(after)["chat"]["backendRefs"][0]["filters"][0]["requestHeaderModifier"]["set"] == [
        {"name": HEADER, "value": STABLE.revision}
    ]


def test_a_rule_that_left_the_spec_is_let_go_to_base() -> None:
    before = release(rules=("chat", "beta"))
    obj = raised(before, two_arms(200), adopted(rule("beta", ref("chat-v1"), path="/beta")))
    after = changed(obj, release(), two_arms(100), Guard.LOWER)
    assert weights(after, "beta") == [1000]
    assert "filters" not in rules_by_name(after)["beta"]["backendRefs"][0]
    assert isinstance(change(after, release(), two_arms(100), Guard.LOWER), Unchanged)


def test_a_rule_that_left_the_spec_takes_its_segment_rules_along_and_needs_no_header_to_be_found() -> None:
    before = release(LOW, rules=("chat", "beta"))
    obj = raised(before, two_arms(200, low=200), adopted(rule("beta", ref("chat-v1"), path="/beta")))
    for each in rules_by_name(obj)["beta"]["backendRefs"]:
        del each["filters"]
    after = changed(obj, release(LOW), two_arms(100, low=100), Guard.LOWER)
    assert [each["name"] for each in after["spec"]["rules"]] == ["chat--low", "chat", "beta"]
    assert [each["name"] for each in rules_by_name(after)["beta"]["backendRefs"]] == ["chat-v1"]


@pytest.mark.parametrize("guard", [Guard.RAISE, Guard.LAYOUT])
def test_a_copy_that_somebody_makes_of_a_rule_is_let_go_to_base(guard: Guard) -> None:
    of = release()
    obj = raised(of, two_arms(200))
    obj["spec"]["rules"].append({**copy.deepcopy(obj["spec"]["rules"][0]), "name": "copy"})
    after = changed(obj, of, two_arms(200), guard)
    assert (weights(after), weights(after, "copy")) == ([800, 200], [1000])
    assert isinstance(change(after, of, two_arms(200), guard), Unchanged)


def test_segments_that_left_the_spec_lose_their_rules() -> None:
    obj = laid_out(release(LOW, GERMAN))
    after = changed(obj, release(GERMAN), two_arms(), Guard.LAYOUT)
    assert [each["name"] for each in after["spec"]["rules"]] == ["chat--german", "chat"]


def test_a_hand_removed_segment_rule_comes_back_with_the_next_layout() -> None:
    of = release(LOW)
    obj = laid_out(of)
    del obj["spec"]["rules"][0]
    assert "chat--low" in rules_by_name(changed(obj, of, two_arms(), Guard.LAYOUT))


def test_what_the_api_server_spells_out_by_itself_is_no_change() -> None:
    of = release()
    obj = changed(adopted(), of, Target(STABLE), Guard.LAYOUT)
    terse = copy.deepcopy(obj)
    for field in ("group", "kind"):
        del terse["spec"]["rules"][0]["backendRefs"][0][field]
    assert isinstance(change(terse, of, Target(STABLE), Guard.LAYOUT), Unchanged)


def test_a_missing_weight_is_a_change_although_it_means_one() -> None:
    of = release()
    obj = reweighted(changed(adopted(), of, Target(STABLE), Guard.LAYOUT), "chat", None)
    assert weights(changed(obj, of, Target(STABLE), Guard.LAYOUT)) == [1000]


def test_only_http_routes_are_named() -> None:
    refs = (RouteRef("chat"), RouteRef("grpc", kind="GRPCRoute"), RouteRef("chat", rules=("a",)))
    from tests.routing.builders import ROUTER

    assert ROUTER.names(release(routes=refs)) == ("chat",)
    assert ROUTER.names(owning()) == ("chat",)


def test_the_safe_backend_may_be_the_base_arm() -> None:
    of = release()
    safe = UnitRef("", "chat-safe", "safe backend", Backend("fallback", 8080))
    after = changed(raised(of, two_arms(200)), of, Target(safe, stopped=CANDIDATE.digest), Guard.LOWER)
    assert [each["name"] for each in rules_by_name(after)["chat"]["backendRefs"]] == ["fallback"]
