"""The demo's models are real: measured on images that none of them has seen."""

from __future__ import annotations

from functools import cache

from modelrelease.demo import digits, story
from modelrelease.demo.instruction import read_instruction


@cache
def wrong_percent(version: str, prompt: str = "1") -> float:
    images, instruction = digits.held_out_images(), read_instruction(story.PROMPTS[prompt])
    answers = digits.train(version).predict([instruction.seen(image.pixels) for image in images])
    wrong = sum(str(answer) != image.label for answer, image in zip(answers, images, strict=True))
    return 100 * wrong / len(images)


def test_requests_show_only_images_that_no_version_was_trained_on() -> None:
    learnt, asked = digits.training_images(), digits.held_out_images()
    assert len(learnt) + len(asked) == 1797
    assert not {image.pixels for image in learnt} & {image.pixels for image in asked}


def test_the_versions_are_as_good_and_as_bad_as_the_story_says() -> None:
    assert wrong_percent("v2") < 2 < wrong_percent("v1") / 3
    assert wrong_percent("v3") > 5 * wrong_percent("v2")
    assert wrong_percent("v4") < 2


def test_the_second_prompt_makes_the_same_model_worse() -> None:
    assert wrong_percent("v2", "2") > 5 * wrong_percent("v2")
