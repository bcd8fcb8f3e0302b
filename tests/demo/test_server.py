"""One process answers for every release of its model, each with the prompt in that release's bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from modelrelease.api.bundle import bundle_manifest
from modelrelease.api.convert_unit import content_digest
from modelrelease.demo import digits, story
from modelrelease.demo.instruction import Instruction, InstructionError, read_instruction
from modelrelease.demo.server import DigitServer
from modelrelease.domain.unit import Backend, Part, PartName, Unit, unit_ref
from modelrelease.sandbox.modelserver import NO_RELEASE, Behaviour


@cache
def model() -> Any:
    return digits.train("v2")


@pytest.fixture
def server() -> Iterator[DigitServer]:
    yield DigitServer("v2", model(), kubeconfig=Path("none"), namespace="shop")


def bundle(version: str, *, model: str = "v2", text: str) -> tuple[str, dict[str, str]]:
    """The header's value and the data of the ConfigMap that the operator writes for a unit."""
    content = {"instruction.yaml": text}
    prompt = Part((("version", "1"),), "prompt", content_digest(content))
    parts = ((PartName.MODEL, Part((("name", "digits"), ("version", model)))), (PartName.PROMPT, prompt))
    unit = Unit(version, Backend(f"digits-{model}", 8080), parts)
    ref = unit_ref("digits", unit)
    manifest = bundle_manifest(unit, ref, namespace="shop", release="digits", contents={"prompt": content})
    return ref.revision, manifest["data"]


def answers(server: DigitServer, release: str) -> list[str]:
    bodies = [json.dumps({"input": list(image.pixels)}).encode() for image in digits.held_out_images()[:200]]
    return [server.answer(release, Behaviour(), body)["answer"] for body in bodies]


def test_two_releases_of_one_process_answer_differently_and_each_under_its_own_version(server: DigitServer) -> None:
    first, second = bundle("v2", text=story.PROMPTS["1"]), bundle("v2.1", text=story.PROMPTS["2"])
    server.take(*first)
    server.take(*second)
    assert answers(server, first[0]) == answers(server, NO_RELEASE) != answers(server, second[0])
    assert [server.called(release) for release in (NO_RELEASE, first[0], second[0])] == ["v2", "v2", "v2.1"]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (bundle("v3", model="v3", text="look: grey"), "is for model v3, and this is v2"),
        (bundle("v2.2", text="look: twice"), "look: write grey"),
        (("digits-x", {}), "is for model None"),
    ],
)
def test_what_a_server_cannot_follow_it_does_not_take(
    server: DigitServer, made: tuple[str, dict[str, str]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        server.take(*made)
    assert server.called(made[0]) == "v2"


def test_instructions_decide_what_the_model_is_shown() -> None:
    assert read_instruction(story.PROMPTS["1"]).seen([0, 4, 16]) == [0, 0.25, 1]
    assert read_instruction(story.PROMPTS["2"]).seen([0, 3, 4, 16]) == [0, 0, 1, 1]
    assert Instruction() == read_instruction("look: grey")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must say look"),
        ("[", "no YAML"),
        ("look: ink", "inkFrom: write a whole number"),
        ("look: ink\ninkFrom: 17", "not 17"),
        ("look: grey\ninkFrom: 4", "look: write grey"),
        ("look: grey\nzoom: 2", "zoom: there is no such field"),
    ],
)
def test_an_instruction_that_cannot_be_followed_says_why(text: str, said: str) -> None:
    with pytest.raises(InstructionError, match=said):
        read_instruction(text)
