"""What the API server refuses, as a sentence: the object, what is wrong, what to do; and the exit code of its kind."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelrelease.cli.decide import decision
from modelrelease.cli.errors import explained
from modelrelease.cli.main import app
from modelrelease.controller.kube import ApiError, Changed, Denied, NotFound, Unavailable

HERE = "/apis/modelrelease.dev/v1alpha1/namespaces/assistants"
FORBIDDEN = 'User "dave" cannot get resource "modelreleases" in the namespace "assistants"'
POLICY = "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: \"dave\" may not pause ModelRelease chat"

CASES: Mapping[str, tuple[ApiError, int, str]] = {
    "an object": (
        NotFound(404, "NotFound", f'GET {HERE}/modelreleases/chit: modelreleases.modelrelease.dev "chit" not found'),
        3,
        "there is no ModelRelease chit in namespace assistants: kubectl get modelreleases -n assistants",
    ),
    "a kind": (
        NotFound(404, "NotFound", f"GET {HERE}/modelreleases/chat: the server could not find the requested resource"),
        3,
        "this cluster does not know modelreleases: install the CRDs (kubectl apply",
    ),
    "a login": (
        Denied(401, "Unauthorized", f"GET {HERE}/modelreleases/chat: Unauthorized"),
        4,
        "the API server does not accept your credentials (Unauthorized): log in anew",
    ),
    "a right to read": (
        Denied(403, "Forbidden", f"GET {HERE}/modelreleases/chat: {FORBIDDEN}"),
        4,
        f"{FORBIDDEN}; ask for the ClusterRole modelrelease-view",
    ),
    "a right to decide": (
        Denied(403, "Forbidden", f"POST {HERE}/releasedecisions: it is forbidden"),
        4,
        "it is forbidden; ask for the ClusterRole modelrelease-decide in assistants",
    ),
    "a policy's leave": (
        Denied(403, "Forbidden", f'POST {HERE}/releasedecisions: releasedecisions "a" is forbidden: {POLICY}'),
        4,
        '"dave" may not pause ModelRelease chat',
    ),
    "an answer": (
        Unavailable(0, "X", f"GET {HERE}/x/y: Cannot connect to host 127.0.0.1:9 ssl:default [Connect call failed]"),
        1,
        "the API server: Cannot connect to host 127.0.0.1:9 (Connect call failed); is the cluster up",
    ),
    "a valid object": (Changed(422, "Invalid", f"POST {HERE}/x: spec.a: too long"), 1, "Invalid: spec.a: too long"),
}


@pytest.mark.parametrize("lacking", CASES)
def test_what_is_lacking_is_named_with_its_mend_and_without_the_address_of_the_api(lacking: str) -> None:
    error, code, begins = CASES[lacking]
    found, message = explained(error)
    assert (found, message[: len(begins)]) == (code, begins)
    assert "/apis/" not in message


@pytest.mark.parametrize("words", [("pause", "chat"), ("abort", "chat"), ("retry", "chat")])
def test_a_decision_needs_a_reason_in_words(words: tuple[str, ...], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*words, "--reason", " ", "--kubeconfig", str(tmp_path / "none")])
    assert (result.exit_code, "say why in at least one word" in result.output) == (2, True)


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["status", "chat", "--kubeconfig", str(tmp_path / "none")])
    assert (result.exit_code, result.output) == (
        1,
        f"error: kubeconfig {tmp_path}/none does not exist: correct --kubeconfig or KUBECONFIG\n",
    )


def release(state: str, **units: Any) -> dict[str, Any]:
    return {"metadata": {"name": "chat", "namespace": "a", "uid": "u"}, "status": {"state": state, **units}}


CANDIDATE = {"digest": "sha256:c", "version": "v3"}
WATCHED = {"unit": {"digest": "sha256:w", "version": "v2"}}


@pytest.mark.parametrize(
    ("state", "units", "digest"),
    [
        ("Observing", {"candidate": CANDIDATE}, "sha256:c"),
        ("Observing", {"candidate": CANDIDATE, "watch": WATCHED}, "sha256:c"),
        ("Watching", {"watch": WATCHED}, "sha256:w"),
    ],
)
def test_an_abort_is_about_the_candidate_or_else_about_what_is_watched(state: str, units: Any, digest: str) -> None:
    assert decision("Abort", release(state, **units), author="me", reason="r")["spec"]["digest"] == digest


def test_an_abort_after_the_candidate_was_stopped_never_means_the_unit_that_serves(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopped = release("Stopped", candidate=CANDIDATE, watch=WATCHED)
    with pytest.raises(BaseException, match="1"):
        decision("Abort", stopped, author="me", reason="r")
    said = capsys.readouterr().err
    assert "v3 is stopped already: nothing to abort" in said
    assert "to take back v2" in said
    assert "modelrelease abort chat --watched" in said
