"""Who may vouch for a release: enforced by the API server, with an answer that says what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelrelease.api.names import OPERATOR_ACCOUNT
from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.errors import ApiError
from tests.api.objects import ZEROS, Json, bind, create
from tests.api.test_admission import allowed, denied, rule


def evidence(namespace: str, *, name: str = "golden", **spec: object) -> Json:
    """Carol's results of one unit of `chat`, unless `spec` says otherwise."""
    content = {
        "releaseRef": {"name": "chat"},
        "unitDigest": ZEROS,
        "producer": "carol",
        "suite": {"name": "golden", "version": "12"},
        "producedAt": "2026-11-20T08:00:00Z",
        "metrics": [{"name": "accuracy", "count": 9, "total": 10}],
    }
    return {
        "apiVersion": "modelrelease.dev/v1alpha1",
        "kind": "ReleaseEvidence",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**content, **spec},
    }


@pytest.fixture
def writers(installed: Sandbox, namespace: str) -> str:
    """A namespace in which carol, mallory and the operator may write evidence, but may not vouch for any release."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "write-evidence"},
        "rules": [rule(["releaseevidences"], ["create", "get", "patch", "update", "delete"])],
    }
    installed.apply(role)
    for user in ("carol", "mallory", OPERATOR_ACCOUNT):
        bind(installed, namespace, user, "write-evidence")
    return namespace


def test_a_forged_producer_is_refused_and_told_the_right_one(installed: Sandbox, writers: str) -> None:
    message = denied(lambda: create(installed.client("mallory"), evidence(writers)))
    assert 'spec.producer: you are logged in as "mallory" and not as "carol": write producer: mallory' in message
    assert "you are logged in as" in denied(lambda: create(installed.client(), evidence(writers)))


def test_who_may_not_attest_is_told_what_to_ask_for(installed: Sandbox, writers: str) -> None:
    message = denied(lambda: create(installed.client("carol"), evidence(writers)))
    assert '"carol" may not submit evidence for ModelRelease chat' in message
    assert "verb attest on modelreleases/evidence" in message
    assert "ClusterRole modelrelease-submit-evidence" in message


def test_the_operator_vouches_for_nothing(installed: Sandbox, writers: str) -> None:
    doc = evidence(writers, producer=OPERATOR_ACCOUNT)
    assert "the operator measures nothing" in denied(lambda: create(installed.client("operator"), doc))


def test_the_shipped_role_lets_evidence_in_and_nothing_lets_it_be_edited(
    installed: Sandbox, writers: str, namespace: str
) -> None:
    bind(installed, namespace, "carol", "modelrelease-submit-evidence")
    carol, doc = installed.client("carol"), evidence(writers)
    allowed(lambda: create(carol, doc))
    path = carol.path_of(doc)
    for client in (carol, installed.client()):
        with pytest.raises(ApiError, match="immutable"):
            client.patch(path, {"spec": {"metrics": [{"name": "accuracy", "count": 10, "total": 10}]}})
    assert "may not withdraw evidence about ModelRelease chat" in denied(lambda: carol.delete(path))
    assert "verb revoke on modelreleases.modelrelease.dev" in denied(lambda: carol.delete(path))
    bind(installed, namespace, "carol", "modelrelease-revoke")
    allowed(lambda: carol.delete(path))


def test_a_right_for_one_release_is_not_one_for_another(installed: Sandbox, writers: str, namespace: str) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "attest-chat"},
        "rules": [rule(["modelreleases/evidence"], ["attest"], ["chat"])],
    }
    installed.apply(role)
    bind(installed, namespace, "carol", "attest-chat")
    allowed(lambda: create(installed.client("carol"), evidence(writers)))
    other = evidence(writers, name="other", releaseRef={"name": "search"})
    assert "ModelRelease search" in denied(lambda: create(installed.client("carol"), other))


WRONG: list[tuple[Callable[[], Json], str]] = [
    (lambda: {"metrics": [{"name": "accuracy"}]}, "write either count and total"),
    (lambda: {"metrics": [{"name": "accuracy", "count": 11, "total": 10}]}, "make count at most that"),
    (lambda: {"metrics": [{"name": "accuracy", "count": 1}]}, "add total"),
    (lambda: {"metrics": [{"name": "accuracy", "value": 0.9}]}, "spec.metrics[0].value"),
    (lambda: {"metrics": [{"name": "red-team-pass-rate", "value": "1"}]}, "are made from scenarios, redTeam and data"),
    (lambda: {"metrics": [{"name": "a b", "value": "1"}]}, "such as accuracy or pass@1"),
    (
        lambda: {
            "metrics": [
                {"name": "auc", "value": "0.9", "interval": {"lower": "0.91", "upper": "0.95", "confidence": "0.95"}}
            ]
        },
        "value lies outside its interval",
    ),
    (lambda: {"scenarios": [{"name": "x", "passed": 3, "total": 2}]}, "passed is at most total"),
    (lambda: {"expiresAt": "2026-11-19T08:00:00Z"}, "expiresAt is not after producedAt"),
    (lambda: {"metrics": None}, "there is no result in it"),
    (lambda: {"impact": [{"gate": "errors"}]}, "write either expected"),
    (lambda: {"unitDigest": "sha256:abc"}, "write sha256: and the 64"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG, ids=[says for _, says in WRONG])
def test_wrong_evidence_is_refused_with_its_field_and_the_mend(
    wrong: Callable[[], Json], says: str, installed: Sandbox, namespace: str
) -> None:
    doc = evidence(namespace, producer="admin")
    doc["spec"] = {name: value for name, value in {**doc["spec"], **wrong()}.items() if value is not None}
    with pytest.raises(ApiError) as refused:
        create(installed.client(), doc, dry_run=True)
    assert refused.value.status == 422
    assert says in refused.value.message


def test_the_largest_evidence_that_the_schema_allows_fits(installed: Sandbox, namespace: str) -> None:
    metrics = [{"name": f"m{number}", "count": 1, "total": 2} for number in range(16)]
    groups = [{"dimension": "language", "group": f"g{number}", "metrics": metrics} for number in range(256)]
    doc = evidence(namespace, producer="admin", subgroups=groups)
    create(installed.client(), doc, dry_run=True)
