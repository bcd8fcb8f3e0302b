"""The demo's models are real: measured on images that none of them has seen."""

from __future__ import annotations

from functools import cache

from modelrelease.demo import digits
from modelrelease.demo.instruction import Instruction


@cache
def wrong_percent(version: str) -> float:
    images = digits.held_out_images()
    answers = digits.train(version).predict([Instruction().seen(image.pixels) for image in images])
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
