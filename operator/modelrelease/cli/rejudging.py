"""Judging a record again from itself: what its gates said of the counts, and what its entry evidence showed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modelrelease.api.entry_record import entry_differences
from modelrelease.domain.record import NotRejudged
from modelrelease.gates.workings import differences

PARTS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[str]]] = {
    "workings": differences,
    "entry": entry_differences,
}
"""The fields of a record's body that verdicts can be judged again from, and by what."""


@dataclass(frozen=True, slots=True)
class Rejudged:
    """What judging again gave: `differs`, what is wrong; `unjudged`, what could not be judged again, and why."""

    differs: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()


def rejudged(body: Mapping[str, Any]) -> Rejudged | None:
    """Judge a record's body again; None where it holds nothing that was judged."""
    there = [part for part in PARTS if body.get(part)]
    differs: list[str] = []
    unjudged: list[str] = []
    for part in there:
        try:
            differs += PARTS[part](body)
        except NotRejudged as error:
            unjudged.append(str(error))
        except (ValueError, KeyError, TypeError) as error:
            differs.append(f"its {part} cannot be read: {error}")
    return Rejudged(tuple(differs), tuple(unjudged)) if there else None
