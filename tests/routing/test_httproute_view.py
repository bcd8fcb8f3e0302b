"""Routes are read as they are, however people left them."""

from __future__ import annotations

from typing import Any

import pytest

from modelrelease.domain.exposure import uniform
from modelrelease.domain.traffic import Acceptance, HeaderMatch, RouteRef, Segment, Target, Traffic
from modelrelease.domain.unit import Backend
from modelrelease.routing.marks import parse_layout
from modelrelease.routing.protocol import PLACEHOLDERS, Change, ChangeKind, Guard, Refusal, Unchanged
from modelrelease.routing.registry import kind_fault, router_for
from tests.routing.builders import (
    CANDIDATE,
    HEADER,
    LOW,
    ROUTER,
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
    share,
    shares,
    two_arms,
    unit,
)

ARMS = (STABLE, CANDIDATE)


def arms_of(obj: Json, known: tuple[Any, ...] = ARMS) -> list[tuple[str | None, int]]:
    view = ROUTER.view(release(), "chat", obj, arms=known)
    return [(arm.revision, arm.permille) for arm in view.rules[0].arms]


def test_a_laid_out_route_reads_as_it_was_written() -> None:
    of = release(LOW)
    view = ROUTER.view(of, "chat", raised(of, two_arms(50, low=200)), arms=ARMS)
    assert [(each.rule, each.segment, each.explicit) for each in view.rules] == [
        ("chat--low", "low", True),
        ("chat", "*", True),
    ]
    assert dict(view.share_of(CANDIDATE.revision).shares) == {"low": 200, "*": 50}
    assert (view.exists, view.problem, view.release) == (True, None, "assistants/chat/uid-1")
    assert (view.uid, view.generation, view.resource_version) == ("route-uid", 3, "9")


@pytest.mark.parametrize(
    ("refs", "expected"),
    [
        pytest.param([ref("chat-v1", None)], [(STABLE.revision, 1000)], id="a missing weight means 1"),
        pytest.param(
            [ref("chat-v1", 90), ref("chat-v2", 10)],
            [(STABLE.revision, 900), (CANDIDATE.revision, 100)],
            id="arms without header are told by their backend",
        ),
        pytest.param(
            [ref("chat-v2", 100, says=CANDIDATE.revision), ref("chat-v1", 900, says=STABLE.revision)],
            [(CANDIDATE.revision, 100), (STABLE.revision, 900)],
            id="the order does not matter",
        ),
        pytest.param(
            [ref("chat-v1", 999_999, says=STABLE.revision), ref("chat-v2", 1, says=CANDIDATE.revision)],
            [(STABLE.revision, 1000), (CANDIDATE.revision, 1)],
            id="a share above zero never reads as none",
        ),
        pytest.param(
            [ref("chat-v1", 500, says=STABLE.revision), ref("intruder", 500)],
            [(STABLE.revision, 500), (None, 500)],
            id="a third backend is nobody",
        ),
        pytest.param(
            [ref("chat-v2", 1000, says=STABLE.revision)],
            [(CANDIDATE.revision, 1000)],
            id="the header of stable on the candidate's backend lies",
        ),
        pytest.param(
            [ref("intruder", 1000, says=STABLE.revision)],
            [(None, 1000)],
            id="the header of stable on a strange backend lies",
        ),
        pytest.param(
            [ref("old", 1000, says="chat-0123456789")],
            [("chat-0123456789", 1000)],
            id="the header of a unit not known here is believed",
        ),
        pytest.param(
            [ref("chat-v1", 0, says=STABLE.revision), ref("chat-v2", 0, says=CANDIDATE.revision)],
            [(STABLE.revision, 0), (CANDIDATE.revision, 0)],
            id="all weights 0 serve nobody",
        ),
        pytest.param([], [], id="no backends at all"),
    ],
)
def test_arms_as_people_left_them(refs: list[Json], expected: list[tuple[str | None, int]]) -> None:
    assert arms_of(route(rule("chat", *refs))) == expected


def test_arms_with_one_backend_are_told_by_the_header_alone() -> None:
    prompt_only = unit(2, backend="chat-v1")
    obj = route(rule("chat", ref("chat-v1", 900, says=STABLE.revision), ref("chat-v1", 100)))
    assert arms_of(obj, (STABLE, prompt_only)) == [(STABLE.revision, 900), (None, 100)]


def test_header_names_compare_without_case() -> None:
    obj = route(rule("chat", ref("chat-v1", 1000, says=STABLE.revision)))
    modifier = obj["spec"]["rules"][0]["backendRefs"][0]["filters"][0]["requestHeaderModifier"]
    modifier["set"][0]["name"] = HEADER.upper()
    assert arms_of(obj, ()) == [(STABLE.revision, 1000)]


@pytest.mark.parametrize(
    ("values", "explicit"), [((900, 100), True), ((None, 999), False), ((90, 10), False), ((1000, 0), True)]
)
def test_weights_that_are_missing_or_do_not_add_up_are_not_in_form(
    values: tuple[int | None, ...], explicit: bool
) -> None:
    view = ROUTER.view(release(), "chat", reweighted(laid_out(release()), "chat", *values), arms=ARMS)
    assert view.rules[0].explicit is explicit


def test_what_cannot_be_steered_says_why() -> None:
    assert "does not exist" in str(ROUTER.view(release(), "chat", None).problem)
    assert "no rule named chat" in str(ROUTER.view(release(), "chat", route(rule("other"))).problem)
    assert ROUTER.view(owning(), "chat", None).problem is None
    assert "was not made by this release" in str(ROUTER.view(owning(), "chat", adopted()).problem)


def test_rules_that_left_the_spec_or_lost_their_name_still_show_their_share() -> None:
    both = release(rules=("chat", "beta"))
    obj = raised(both, two_arms(200), adopted(rule("beta", ref("chat-v1"), path="/beta")))
    assert [each.rule for each in ROUTER.view(release(), "chat", obj).rules] == ["chat", "beta"]
    rules_by_name(obj)["beta"]["name"] = "renamed"
    assert [each.rule for each in ROUTER.view(release(), "chat", obj).rules] == ["chat", "renamed"]
    assert share(reweighted(obj, "chat", 1000, 0), release()) == {"*": 200}


def test_a_segment_rule_that_left_the_spec_shows_under_its_old_name() -> None:
    assert share(raised(release(LOW), two_arms(0, low=200)), release()) == {"low": 200, "*": 0}


@pytest.mark.parametrize("text", [None, "", "{", "[]", "7", '{"chat": 3}', '"chat"'])
def test_a_layout_mark_that_is_none_reads_as_empty(text: str | None) -> None:
    assert parse_layout(text) == {}


# --- the parents' acceptance ---


def condition(kind: str, status: str = "True", *, generation: int = 3, reason: str = "", message: str = "") -> Json:
    given = reason or kind
    return {"type": kind, "status": status, "reason": given, "message": message, "observedGeneration": generation}


def report(*conditions: Json, controller: str = "one", **parent: Any) -> Json:
    return {
        "controllerName": f"example.com/{controller}",
        "parentRef": {"name": "public", "namespace": "infra", **parent},
        "conditions": list(conditions),
    }


GOOD = (condition("Accepted"), condition("ResolvedRefs"))


def accepted(*reports: Json, obj: Json | None = None) -> tuple[Acceptance, str]:
    read = {**(obj or adopted()), "status": {"parents": list(reports)}}
    view = ROUTER.view(release(), "chat", read)
    return view.acceptance, view.acceptance_message


@pytest.mark.parametrize(
    ("reports", "expected", "words"),
    [
        pytest.param([report(*GOOD)], Acceptance.ACCEPTED, "", id="accepted and resolved"),
        pytest.param([], Acceptance.PENDING, "has not reported", id="no report"),
        pytest.param([report(GOOD[0])], Acceptance.PENDING, "ResolvedRefs", id="half a report"),
        pytest.param(
            [report(GOOD[0], condition("ResolvedRefs", generation=2))],
            Acceptance.PENDING,
            "generation 3",
            id="one condition of an older generation",
        ),
        pytest.param(
            [report(condition("Accepted", "False", reason="NotAllowedByListeners"), GOOD[1])],
            Acceptance.REFUSED,
            "allowedRoutes",
            id="not allowed",
        ),
        pytest.param(
            [report(condition("Accepted", "False", reason="Pending"), GOOD[1])],
            Acceptance.PENDING,
            "Pending",
            id="not reconciled yet",
        ),
        pytest.param(
            [report(GOOD[0], condition("ResolvedRefs", "Unknown"))], Acceptance.PENDING, "Unknown", id="unknown"
        ),
        pytest.param(
            [report(GOOD[0], condition("ResolvedRefs", "False", reason="BackendNotFound", message="no chat-v2."))],
            Acceptance.REFUSED,
            "BackendNotFound: no chat-v2; create the backend",
            id="no backend",
        ),
        pytest.param(
            [report(*GOOD, condition("PartiallyInvalid", message="rule 2 dropped"))],
            Acceptance.REFUSED,
            "rule 2 dropped",
            id="partially invalid",
        ),
        pytest.param(
            [report(*GOOD, condition("PartiallyInvalid", "False"))], Acceptance.ACCEPTED, "", id="wholly valid"
        ),
        pytest.param([report(*GOOD, name="another")], Acceptance.PENDING, "infra/public", id="another parent"),
        pytest.param(
            [report(condition("Accepted", "False", generation=1)), report(*GOOD, controller="two")],
            Acceptance.ACCEPTED,
            "",
            id="what a former controller left behind",
        ),
    ],
)
def test_acceptance_of_one_parent(reports: list[Json], expected: Acceptance, words: str) -> None:
    found, message = accepted(*reports)
    assert found is expected
    assert words in message


def test_every_parent_must_accept() -> None:
    obj = adopted()
    obj["spec"]["parentRefs"].append({"name": "mesh", "kind": "Service", "group": ""})
    found, message = accepted(report(*GOOD), obj=obj)
    assert found is Acceptance.PENDING
    assert "Service assistants/mesh" in message


def test_a_route_without_parents_is_served_by_nobody() -> None:
    obj = adopted()
    del obj["spec"]["parentRefs"]
    assert accepted(obj=obj)[0] is Acceptance.REFUSED


def test_a_refused_reference_names_the_namespace_that_needs_a_grant() -> None:
    obj = route(rule("chat", ref("chat-v1", namespace="models")))
    bad = condition("ResolvedRefs", "False", reason="RefNotPermitted")
    found, message = accepted(report(GOOD[0], bad), obj=obj)
    assert found is Acceptance.REFUSED
    assert "ReferenceGrant in namespace models that lets HTTPRoutes of namespace assistants" in message


# --- the baseline ---


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([rule("chat", ref("chat-v1"))], Backend("chat-v1", 8080), id="one backend"),
        pytest.param([rule("chat", ref("a", 10), ref("b", 0))], Backend("a", 8080), id="weight 0 serves nobody"),
        pytest.param([rule("chat", ref("a"), ref("a"))], Backend("a", 8080), id="twice the same"),
        pytest.param([rule("chat")], None, id="nothing yet"),
        pytest.param([rule("chat", ref("a", namespace="assistants"))], Backend("a", 8080), id="own namespace"),
        pytest.param(
            [rule("chat", ref("a", namespace="models"))], Backend("a", 8080, namespace="models"), id="elsewhere"
        ),
        pytest.param([rule("chat", ref("a"), ref("b"))], "a:8080 (rule chat), Service b:8080", id="two backends"),
        pytest.param([rule("other", ref("a"))], "no rule named chat", id="rule missing"),
    ],
)
def test_the_baseline_is_the_one_backend_served(rules: list[Json], expected: Backend | str | None) -> None:
    found = ROUTER.baseline(release(), "chat", route(*rules))
    if isinstance(expected, str):
        assert isinstance(found, Refusal)
        assert expected in found.message
    else:
        assert found == expected


def test_rules_with_different_backends_have_no_baseline() -> None:
    both = release(rules=("a", "b"))
    for second in (ref("two"), None):
        obj = route(rule("a", ref("one"), path="/a"), rule("b", *([second] if second else []), path="/b"))
        assert isinstance(ROUTER.baseline(both, "chat", obj), Refusal)


def test_a_missing_route_serves_nothing() -> None:
    assert ROUTER.baseline(release(), "chat", None) is None


# --- places ---


def test_places_name_both_arms_of_each_segment() -> None:
    of = release(LOW)
    obj = raised(of, two_arms(50, low=200), adopted())
    found = ROUTER.places(of, "chat", obj, candidate=CANDIDATE, stable=STABLE)
    assert [(place.rule, place.segment) for place in found] == [("chat--low", "low"), ("chat", "*")]
    assert found[0].candidate == {
        "namespace": "assistants",
        "release": "chat",
        "route": "chat",
        "rule": "chat--low",
        "ruleIndex": "0",
        "segment": "low",
        "service": "chat-v2",
        "serviceNamespace": "assistants",
        "port": "8080",
        "backendIndex": "1",
        "revision": CANDIDATE.revision,
        "version": "v2",
        "digest": CANDIDATE.digest.removeprefix("sha256:")[:10],
    }
    assert set(found[0].candidate) == set(PLACEHOLDERS)
    assert found[1].stable is not None
    assert (found[1].stable["ruleIndex"], found[1].stable["backendIndex"]) == ("1", "0")


def test_an_arm_that_is_not_there_has_no_place() -> None:
    tidy = changed(adopted(), release(), Target(STABLE), Guard.LAYOUT)
    (place,) = ROUTER.places(release(), "chat", tidy, candidate=CANDIDATE, stable=STABLE)
    assert place.candidate is None
    assert place.stable is not None
    assert ROUTER.places(release(), "chat", None, candidate=None, stable=STABLE) == ()


# --- routes of our own ---


def test_an_owned_route_is_made_with_everything_in_it() -> None:
    found = change(None, owning(LOW, hostnames=("chat.example.com",), path="/chat"), Target(STABLE), Guard.LAYOUT)
    assert isinstance(found, Change) and isinstance(found.body, dict)
    assert (found.kind, found.name, found.namespace) == (ChangeKind.CREATE, "chat", "assistants")
    assert found.body["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "modelrelease"}
    assert "ownerReferences" not in found.body["metadata"]
    assert found.body["spec"]["hostnames"] == ["chat.example.com"]
    assert found.body["spec"]["parentRefs"][0]["name"] == "public"
    (only,) = found.body["spec"]["rules"]
    assert (only["name"], only["matches"]) == ("main", [{"path": {"type": "PathPrefix", "value": "/chat"}}])
    assert [each["weight"] for each in only["backendRefs"]] == [1000]


def made(of: Any, target: Target | None = None) -> Json:
    found = change(None, of, target or Target(STABLE), Guard.LAYOUT)
    assert isinstance(found, Change) and isinstance(found.body, dict)
    metadata = {**found.body["metadata"], "uid": "u", "resourceVersion": "1", "generation": 1}
    return {**found.body, "metadata": metadata}


def test_an_owned_route_just_made_needs_no_change() -> None:
    of = owning(LOW)
    assert isinstance(change(made(of), of, Target(STABLE), Guard.LAYOUT), Unchanged)
    assert isinstance(change(made(of, two_arms()), of, two_arms(), Guard.LAYOUT), Unchanged)


def test_an_owned_route_follows_the_spec_s_hosts_gateways_and_path() -> None:
    obj = made(owning(hostnames=("old.example.com",)))
    after = changed(obj, owning(path="/v1"), Target(STABLE), Guard.LAYOUT)
    assert "hostnames" not in after["spec"]
    assert after["spec"]["rules"][0]["matches"][0]["path"]["value"] == "/v1"


def test_making_an_owned_route_anew_raises_nobody_under_layout() -> None:
    assert isinstance(change(None, owning(), two_arms(100), Guard.LAYOUT), Refusal)
    assert isinstance(change(None, owning(), two_arms(100), Guard.RAISE), Change)


def test_only_an_owned_route_is_deleted_and_only_the_one_that_was_read() -> None:
    found = ROUTER.delete(owning(), "chat", made(owning()))
    assert isinstance(found, Change)
    assert (found.kind, found.body) == (ChangeKind.DELETE, {"preconditions": {"uid": "u"}})
    assert isinstance(ROUTER.delete(owning(), "chat", None), Unchanged)
    assert isinstance(ROUTER.delete(owning(), "chat", adopted()), Refusal)
    assert isinstance(ROUTER.delete(release(), "chat", laid_out(release())), Refusal)


def test_a_foreign_route_of_the_release_s_name_is_never_touched() -> None:
    for guard in Guard:
        assert isinstance(change(adopted(), owning(), Target(STABLE), guard), Refusal)


# --- what can be declared ---


def segment(name: str, *headers: str, method: str | None = None) -> Segment:
    return Segment(name, headers=tuple(HeaderMatch(header, "1") for header in headers), method=method)


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        pytest.param([segment("a", "x"), segment("b", "y")], None, id="equally specific"),
        pytest.param([segment("a", "x", "y"), segment("b", "x")], None, id="the more specific first"),
        pytest.param([segment("a", "x"), segment("b", "x", "y")], "SegmentOrder", id="the more specific later"),
        pytest.param([segment("a", "x"), segment("b", method="GET")], "SegmentOrder", id="a method wins over headers"),
        pytest.param(
            [LOW, Segment("b", (HeaderMatch("X-Criticality", "mid"), *LOW.query), (), "GET")], None, id="disjoint"
        ),
        pytest.param([segment("a", "x"), segment("a", "y")], "SegmentAmbiguous", id="one name twice"),
        pytest.param([segment("a")], "SegmentEmpty", id="no condition"),
    ],
)
def test_segments_that_a_gateway_would_tell_apart_otherwise_are_refused(
    segments: list[Segment], reason: str | None
) -> None:
    found = ROUTER.steerable(Traffic(segments=tuple(segments)))
    assert (found.reason if found else None) == reason


def test_every_share_in_parts_per_thousand_can_be_expressed() -> None:
    assert ROUTER.expressible(uniform(["low"], 1)) is None
    assert ROUTER.expressible(shares(1001)) is not None


def test_the_registry_names_the_router_or_says_what_is_missing() -> None:
    assert router_for(release()).kind == router_for(owning()).kind == "HTTPRoute"
    assert kind_fault(release().traffic) is None
    found = kind_fault(Traffic(routes=(RouteRef("a", kind="Ingress"),)))
    assert found is not None
    assert "Ingress" in found.message
