"""Who may decide, who may write evidence, and who may write routes: enforced by the API server, said in its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from modelrelease.api.names import OPERATOR_ACCOUNT
from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.errors import ApiError
from modelrelease.sandbox.kube import KubeClient
from tests.api import objects
from tests.api.objects import Json, bind, create

CACHE_S = 60.0


def allowed(act: Callable[[], object]) -> None:
    """Do it, with some patience: rights come into force a moment after they are written."""
    deadline = time.monotonic() + CACHE_S
    while True:
        try:
            act()
            return
        except ApiError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def denied(act: Callable[[], object]) -> str:
    """The words of the admission policy that refuses; RBAC's own refusals are waited out."""
    deadline = time.monotonic() + CACHE_S
    while True:
        with pytest.raises(ApiError) as refused:
            act()
        message = refused.value.message
        if "ValidatingAdmissionPolicy" in message:
            assert refused.value.status == 403
            return message
        assert time.monotonic() < deadline, message
        time.sleep(0.1)


def rule(resources: list[str], verbs: list[str], names: list[str] | None = None) -> Json:
    limited = {"resourceNames": names} if names else {}
    return {"apiGroups": ["modelrelease.dev"], "resources": resources, "verbs": verbs, **limited}


@pytest.fixture
def grant(installed: Sandbox, namespace: str) -> Callable[..., None]:
    """Give a user rights in the test's namespace."""

    def give(user: str, *rules: Json) -> None:
        name = f"{namespace}-{user.rpartition(':')[2]}-{len(rules[0]['verbs'])}-{rules[0]['verbs'][0]}"
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
        installed.apply({**role, "rules": list(rules)})
        bind(installed, namespace, user, name)

    return give


@pytest.fixture
def writers(grant: Callable[..., None], namespace: str) -> str:
    """A namespace in which some may write decisions, records and revisions, but hold no verb of deciding."""
    everything = ["create", "get", "update", "patch", "delete"]
    for user in ("alice", "mallory", OPERATOR_ACCOUNT):
        grant(user, rule(["releasedecisions", "releaserecords", "releaserevisions"], everything))
    return namespace


def alice(sandbox: Sandbox) -> KubeClient:
    return sandbox.client("alice")


# --- decisions ---


def test_a_forged_author_is_refused_and_told_the_right_one(installed: Sandbox, writers: str) -> None:
    forged = objects.decision(writers, author="alice")
    message = denied(lambda: create(installed.client("mallory"), forged))
    assert 'spec.author: you are logged in as "mallory" and not as "alice": write author: mallory' in message


def test_even_an_administrator_cannot_forge_an_author(installed: Sandbox, writers: str) -> None:
    assert "you are logged in as" in denied(lambda: create(installed.client(), objects.decision(writers)))


def test_the_right_author_without_the_verb_is_refused_and_told_what_to_ask_for(
    installed: Sandbox, writers: str
) -> None:
    message = denied(lambda: create(alice(installed), objects.decision(writers)))
    assert '"alice" may not pause ModelRelease chat: ask for a role with verb pause on modelreleases' in message
    assert f"in namespace {writers}, such as ClusterRole modelrelease-decide" in message


@pytest.mark.parametrize("action", ["Pause", "Resume", "Promote", "Abort", "Retry"])
def test_the_shipped_role_allows_every_plain_action(action: str, installed: Sandbox, namespace: str) -> None:
    bind(installed, namespace, "alice", "modelrelease-decide")
    bound = {"releaseRef": {"name": "chat", "uid": "u"}, "digest": objects.ZEROS}
    allowed(lambda: create(alice(installed), objects.decision(namespace, action=action, **bound)))


def test_a_verb_for_one_release_is_not_one_for_another(
    installed: Sandbox, writers: str, grant: Callable[..., None]
) -> None:
    grant("alice", rule(["modelreleases"], ["pause"], ["chat"]))
    allowed(lambda: create(alice(installed), objects.decision(writers)))
    other = objects.decision(writers, name="other", releaseRef={"name": "search"})
    assert "may not pause ModelRelease search" in denied(lambda: create(alice(installed), other))


def test_deciding_plainly_is_not_approving(installed: Sandbox, namespace: str) -> None:
    bind(installed, namespace, "alice", "modelrelease-decide")
    message = denied(lambda: create(alice(installed), objects.approval(namespace, "product-owner")))
    assert "verb approve on modelreleases/product-owner (group modelrelease.dev)" in message


def test_an_approval_counts_in_the_granted_role_only(
    installed: Sandbox, writers: str, grant: Callable[..., None]
) -> None:
    grant("alice", rule(["modelreleases/product-owner"], ["approve"]))
    allowed(lambda: create(alice(installed), objects.approval(writers, "product-owner")))
    rejection = objects.approval(writers, "product-owner", name="rejection", action="Reject")
    allowed(lambda: create(alice(installed), rejection))
    risk = objects.approval(writers, "risk", name="risk")
    assert "modelreleases/risk" in denied(lambda: create(alice(installed), risk))


def test_accepting_a_risk_needs_a_role_of_its_own(installed: Sandbox, namespace: str) -> None:
    bind(installed, namespace, "alice", "modelrelease-decide")
    bound = {"releaseRef": {"name": "chat", "uid": "u"}, "digest": objects.ZEROS, "stage": "full", "gate": "cost"}
    risk = objects.decision(namespace, action="AcceptRisk", expiresAt="2030-01-01T00:00:00Z", **bound)
    assert "may not acceptrisk ModelRelease chat" in denied(lambda: create(alice(installed), risk))
    bind(installed, namespace, "alice", "modelrelease-accept-risk")
    allowed(lambda: create(alice(installed), risk))


def test_the_groups_of_an_author_are_those_of_the_request(installed: Sandbox, namespace: str) -> None:
    bind(installed, namespace, "alice", "modelrelease-decide")
    made: list[Json] = []
    pretending = objects.decision(namespace, authorGroups=["system:masters"])
    allowed(lambda: made.append(create(alice(installed), pretending)))
    assert sorted(made[0]["spec"]["authorGroups"]) == ["product", "system:authenticated"]


def test_the_operator_decides_nothing(installed: Sandbox, writers: str) -> None:
    forged = objects.decision(writers, author=OPERATOR_ACCOUNT)
    message = denied(lambda: create(installed.client("operator"), forged))
    assert "the operator decides nothing in the name of people" in message


def test_a_decision_cannot_be_edited_and_needs_the_verb_to_be_revoked(
    installed: Sandbox, writers: str, grant: Callable[..., None]
) -> None:
    grant("alice", rule(["modelreleases"], ["pause"]))
    doc = objects.decision(writers)
    allowed(lambda: create(alice(installed), doc))
    path = installed.client().path_of(doc)
    with pytest.raises(ApiError, match="immutable: it says what was"):
        alice(installed).patch(path, {"spec": {"reason": "another"}})
    alice(installed).patch(path, {"metadata": {"labels": {"seen": "yes"}}})
    assert "verb revoke on modelreleases.modelrelease.dev" in denied(lambda: alice(installed).delete(path))
    grant("alice", rule(["modelreleases"], ["revoke", "get"]))
    allowed(lambda: alice(installed).delete(path))


# --- evidence ---


def test_only_the_operator_writes_records(installed: Sandbox, writers: str) -> None:
    for client in (alice(installed), installed.client()):
        assert "only the operator writes ReleaseRecords" in denied(lambda: create(client, objects.record(writers)))  # noqa: B023
    allowed(lambda: create(installed.client("operator"), objects.record(writers)))


def test_a_records_name_is_its_number(installed: Sandbox, writers: str) -> None:
    allowed(lambda: create(installed.client("operator"), objects.record(writers, 7)))
    with pytest.raises(ApiError, match="eight digits"):
        create(installed.client("operator"), objects.record(writers, 8, name="chat-00000009"))
    with pytest.raises(ApiError) as taken:
        create(installed.client("operator"), objects.record(writers, 7))
    assert taken.value.status == 409


def test_nobody_edits_a_record_not_even_deep_inside(installed: Sandbox, writers: str) -> None:
    doc = objects.record(writers)
    allowed(lambda: create(installed.client("operator"), doc))
    path = installed.client().path_of(doc)
    for client in (installed.client("operator"), installed.client(), alice(installed)):
        for change in ({"body": {"deep": {"shares": ["2 %"]}}}, {"kind": "Completed"}, {"sequence": 2}):
            with pytest.raises(ApiError, match="immutable"):
                client.patch(path, {"spec": change})
    assert installed.client().get(path)["spec"] == doc["spec"]


def test_records_and_revisions_are_kept(installed: Sandbox, writers: str) -> None:
    for doc in (objects.record(writers), objects.revision(writers)):
        allowed(lambda: create(installed.client("operator"), doc))  # noqa: B023
        path = installed.client().path_of(doc)
        for client in (installed.client("operator"), alice(installed)):
            assert "go only with their namespace" in denied(lambda: client.delete(path))  # noqa: B023
        installed.client().delete(path)


def test_people_may_prepare_a_revision_but_not_change_it(installed: Sandbox, writers: str) -> None:
    doc = objects.revision(writers)
    allowed(lambda: create(alice(installed), doc))
    with pytest.raises(ApiError, match="immutable"):
        alice(installed).patch(installed.client().path_of(doc), {"spec": {"unit": {"version": "v3"}}})


# --- routes ---


@pytest.fixture
def leader(installed: Sandbox) -> Iterator[str]:
    """The Lease, held by the process `leader`."""
    objects.lease(installed, "leader")
    yield "leader"
    objects.free_lease(installed)


def test_only_the_holder_of_the_lease_writes_routes(installed: Sandbox, namespace: str, leader: str) -> None:
    operator, doc = installed.client("operator"), objects.route(namespace, holder=leader)
    allowed(lambda: create(operator, doc))
    stale = {"metadata": {"annotations": {"modelrelease.dev/holder": "past-leader"}}}
    message = denied(lambda: operator.patch(operator.path_of(doc), stale))
    assert 'annotation modelrelease.dev/holder is "past-leader" and the Lease is held by "leader"' in message
    assert "must not write routes" in denied(
        lambda: create(operator, objects.route(namespace, holder=None), dry_run=True)
    )


def test_a_past_leader_is_fenced_off_when_the_lease_moves(installed: Sandbox, namespace: str, leader: str) -> None:
    operator, doc = installed.client("operator"), objects.route(namespace, holder=leader)
    allowed(lambda: create(operator, doc))
    objects.lease(installed, "successor")
    write = {"metadata": {"annotations": {"modelrelease.dev/record": "chat-00000001"}}}
    denied_soon = time.monotonic() + CACHE_S
    while True:
        try:
            operator.patch(operator.path_of(doc), write)
        except ApiError as error:
            assert error.status == 403
            break
        assert time.monotonic() < denied_soon
        time.sleep(0.02)
    write["metadata"]["annotations"]["modelrelease.dev/holder"] = "successor"
    operator.patch(operator.path_of(doc), write)


def test_nobody_leads_nobody_writes(installed: Sandbox, namespace: str, leader: str) -> None:
    operator, doc = installed.client("operator"), objects.route(namespace, holder=leader)
    allowed(lambda: create(operator, doc))
    objects.free_lease(installed)
    for holder in (leader, "", None):
        unled = objects.route(namespace, holder=holder)
        assert 'the Lease is held by ""' in denied(lambda: create(operator, unled, dry_run=True))  # noqa: B023


@pytest.mark.parametrize("missing", [False, True])
def test_other_peoples_routes_are_none_of_its_business(missing: bool, installed: Sandbox, namespace: str) -> None:
    """Also while the Lease is missing: with parameterNotFoundAction Deny all routes of the cluster would be frozen."""
    if missing:
        objects.drop_lease(installed)
    try:
        for _ in range(10):
            create(installed.client(), objects.route(namespace, holder=None), dry_run=True)
            time.sleep(0.1)
    finally:
        objects.free_lease(installed)
