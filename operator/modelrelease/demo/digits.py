"""The model and its data: handwritten digits, 8 × 8 pixels, which come with scikit-learn.

Half of the images train the versions; only the other half is ever sent as a request. What a version gets wrong is
therefore measured, not set. Rejected: drawing wrong answers by a dice; then the quality gate would judge the dice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from modelrelease.demo.instruction import Instruction

SEED = 0


@dataclass(frozen=True, slots=True)
class Image:
    """64 pixels, row by row, 0 to 16, and the digit that a person saw in them."""

    pixels: tuple[int, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a version is made: an estimator and how many labelled images it is trained on (None: all of them)."""

    text: str
    estimator: Callable[[], Any]
    images: int | None = None


def _linear() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=300)


def _kernel(c: float) -> Any:
    from sklearn.svm import SVC

    return SVC(gamma="scale", C=c)


def _tree() -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(random_state=SEED)


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "v1": Recipe("logistic regression, trained on the first 100 labelled images", _linear, 100),
        "v2": Recipe("support vectors, trained on all of them", partial(_kernel, 10)),
        "v3": Recipe("a decision tree, which is cheaper", _tree),
        "v4": Recipe("support vectors with a wider margin", partial(_kernel, 5)),
    }
)


def training_images() -> list[Image]:
    """What versions learn from, in a fixed random order."""
    return _halves()[0]


def held_out_images() -> list[Image]:
    """What no version has ever learnt from, in a fixed random order."""
    return _halves()[1]


def train(version: str) -> Any:
    """The fitted estimator of a version, which learns from pictures as they are; takes a fraction of a second."""
    recipe = RECIPES[version]
    images = training_images()[: recipe.images]
    shown = Instruction()
    return recipe.estimator().fit([shown.seen(image.pixels) for image in images], [image.label for image in images])


def _halves() -> tuple[list[Image], list[Image]]:
    """Both halves hold every digit equally often."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    images = [
        Image(tuple(int(pixel) for pixel in row), str(int(label))) for row, label in zip(pixels, labels, strict=True)
    ]
    first, second = train_test_split(images, test_size=0.5, random_state=SEED, stratify=labels)
    return list(first), list(second)
