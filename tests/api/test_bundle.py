"""A bundle holds exactly what the unit's digest covers, and says so by itself."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrelease.api.bundle import MAX_BYTES, bundle_faults, bundle_manifest, bundle_name, bundle_problem, is_ours
from modelrelease.api.convert import content_of, release_of, unit_of
from modelrelease.domain.unit import Unit, unit_ref
from tests.builders import TEMPLATES, model_release

PROMPT = {"system.txt": "Be kind.", "binary/logo.png": base64.b64encode(b"\x89PNG").decode()}
TOOLS = {"tools.json": "[]"}
CONTENTS = {"prompt-31": PROMPT, "tools-7": TOOLS}
UNIT_SPEC = {
    "version": "31",
    "backend": {"name": "chat", "port": 8080},
    "model": {"name": "support-7b", "version": "14"},
    "prompt": {"version": "31", "configMapRef": {"name": "prompt-31"}},
    "tools": {"version": "7", "configMapRef": {"name": "tools-7"}},
    "safety": {"version": "7", "digest": "sha256:" + "0" * 64},
}


def unit_with(contents: Any = None, **parts: Any) -> Unit:
    unit = unit_of({"unit": {**UNIT_SPEC, **parts}}, "assistants", contents or CONTENTS)
    assert isinstance(unit, Unit), unit
    return unit


def made(unit: Unit | None = None, contents: Any = None) -> dict[str, Any]:
    unit = unit or unit_with()
    ref = unit_ref("chat", unit)
    return bundle_manifest(unit, ref, namespace="assistants", release="chat", contents=contents or CONTENTS)


def problem(bundle: dict[str, Any], unit: Unit | None = None) -> str | None:
    unit = unit or unit_with()
    return bundle_problem(bundle, unit, unit_ref("chat", unit))


def test_it_holds_each_part_under_its_name_and_the_unit() -> None:
    bundle = made()
    ref = unit_ref("chat", unit_with())
    assert bundle["metadata"]["name"] == bundle_name(ref.revision) == f"{ref.revision}-bundle"
    assert bundle["metadata"]["labels"] == {"modelrelease.dev/release": "chat", "modelrelease.dev/bundle": ref.revision}
    assert bundle["immutable"] is True
    assert set(bundle["data"]) == {"unit.json", "prompt.system.txt", "tools.tools.json"}
    assert bundle["data"]["prompt.system.txt"] == "Be kind."
    assert bundle["binaryData"] == {"prompt.logo.png": PROMPT["binary/logo.png"]}
    said = json.loads(bundle["data"]["unit.json"])
    assert (said["version"], said["digest"], said["revision"]) == ("31", ref.digest, ref.revision)
    assert said["parts"]["safety"]["content"] == "sha256:" + "0" * 64
    assert said["parts"]["model"]["fields"]["name"] == "support-7b"


def test_it_verifies_by_the_unit_alone() -> None:
    assert problem(made()) is None
    assert is_ours(made(), "chat") and not is_ours(made(), "chit")
    assert not is_ours({"metadata": {}}, "chat")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda b: b["data"].update({"prompt.system.txt": "Be rude."}), "content of prompt"),
        (lambda b: b["data"].pop("tools.tools.json"), "content of tools"),
        (lambda b: b["data"].update({"prompt.more.txt": "x"}), "content of prompt"),
        (lambda b: b["binaryData"].pop("prompt.logo.png"), "content of prompt"),
        (lambda b: b["data"].update({"safety.rules": "none"}), "content of safety"),
        (lambda b: b["data"].update({"notes": "x"}), "notes besides the unit"),
        (lambda b: b["data"].update({"unit.json": "{}"}), "unit.json"),
        (lambda b: b.pop("data"), "unit.json"),
        (lambda b: b.pop("immutable"), "can be edited"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_change_is_found(change: Any, said: str) -> None:
    bundle = copy.deepcopy(made())
    change(bundle)
    assert said in (problem(bundle) or "")


@given(st.dictionaries(st.from_regex(r"[a-zA-Z0-9._-]{1,12}", fullmatch=True), st.text(max_size=20), max_size=4))
def test_whatever_a_config_map_holds_comes_back(content: dict[str, str]) -> None:
    contents = {**CONTENTS, "prompt-31": content}
    unit = unit_with(contents)
    assert problem(made(unit, contents), unit) is None
    if content != PROMPT:
        assert problem(made(), unit) is not None


def test_what_does_not_fit_into_one_config_map_is_a_fault_of_the_release() -> None:
    half = {"text": "x" * (MAX_BYTES // 2)}
    contents = {"prompt-31": half, "tools-7": half}
    [fault] = bundle_faults(unit_with(contents), contents)
    assert fault.reason == "BundleTooLarge" and "1,048,576 bytes together" in fault.message
    release = release_of(model_release(unit=UNIT_SPEC), config_maps=contents, templates=TEMPLATES)
    assert fault in release.faults
    assert not list(bundle_faults(unit_with(), CONTENTS))
    long = {"prompt-31": {"k" * 250: "x"}, "tools-7": TOOLS}
    [too_long] = bundle_faults(unit_with(long), long)
    assert "spec.unit.prompt.configMapRef" in too_long.message and "at most 246 characters" in too_long.message


def test_the_digest_of_what_was_read_is_the_digest_of_what_was_written() -> None:
    """As the API server gives a ConfigMap back: without empty sections."""
    bundle = made()
    assert content_of(bundle).keys() >= {"prompt.system.txt", "binary/prompt.logo.png"}
