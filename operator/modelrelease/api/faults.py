"""pydantic's errors as faults: the path as kubectl writes it, what is wrong, and what to write instead."""

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from modelrelease.domain.release import Fault

INVALID = "InvalidSpec"

_MENDS = {
    "missing": "the field is required; add it",
    "extra_forbidden": "there is no such field; check its spelling and its place",
    "string_type": "text is meant; put the value in quotes",
    "int_type": "a whole number is meant",
}


def fault(path: str, message: str, reason: str = INVALID) -> Fault:
    """A fault in the field at `path`; `message` says what is wrong and what to write instead."""
    return Fault(reason, f"{path}: {message}")


def faults_of(error: ValidationError, base: str) -> tuple[Fault, ...]:
    """One fault per error, with paths such as `spec.strategy.stages[0].name` under `base`."""
    return tuple(
        fault(_path(base, problem["loc"]), _MENDS.get(problem["type"], problem["msg"])) for problem in error.errors()
    )


def _path(base: str, location: tuple[int | str, ...]) -> str:
    path = base
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{to_camel(step) if '_' in step else step}"
    return path
