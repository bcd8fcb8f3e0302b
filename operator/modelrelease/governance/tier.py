"""In which risk tier a release is: the highest of what it says, what it changes, and what it touches (R5).

What changed is read from the units and never from what somebody says about them: nobody talks a new model down.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modelrelease.domain.policy import Floors
from modelrelease.domain.tier import Tier, Touch
from modelrelease.domain.unit import Part, PartName, Unit


@dataclass(frozen=True, slots=True)
class Classified:
    """A tier and why it is this one, in sentences: what made it so first."""

    tier: Tier
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A part in which a unit differs from stable, with the words for it."""

    part: PartName
    message: str


def classify(
    floors: Floors, *, declared: Tier | None, touches: Iterable[Touch], unit: Unit, stable: Unit | None
) -> Classified:
    """The tier of releasing `unit` where `stable` serves. None: nothing is known of what serves, so all is new."""
    found = [(floors.of_part(change.part), change.message) for change in changes(unit, stable)]
    found += [(floors.of_touch(touch), f"spec.touches names {touch.value}") for touch in touches]
    if declared is not None:
        found.append((declared, f"spec.risk says {declared.value}"))
    ordered = sorted(found, key=lambda reason: -reason[0].rank)
    if not ordered:
        return Classified(Tier.LOW, ("nothing changes that a policy has a floor for",))
    return Classified(ordered[0][0], tuple(f"{message}: at least {tier.value}" for tier, message in ordered))


def changes(unit: Unit, stable: Unit | None) -> tuple[Change, ...]:
    """The parts in which `unit` differs from `stable`, those that were taken out included."""
    found = tuple(_parts(unit, stable))
    if any(change.part is PartName.MODEL for change in found):
        return found
    return (*found, *_backend(unit, stable))


def _parts(unit: Unit, stable: Unit | None) -> Iterator[Change]:
    new, old = dict(unit.parts), dict(stable.parts) if stable else {}
    for name in PartName:
        after, before = new.get(name), old.get(name)
        if after == before:
            continue
        if after is None:
            yield Change(name, f"unit.{name.value} is gone")
        elif before is None:
            what = "is new" if stable else "is new, as far as is known"
            yield Change(name, f"unit.{name.value} {what} ({_named(after)})")
        else:
            yield Change(name, f"unit.{name.value} changed ({_named(before)} to {_named(after)})")


def _backend(unit: Unit, stable: Unit | None) -> Iterator[Change]:
    """Another backend serves another model, unless the unit gives the digest of the same one."""
    if stable is not None and stable.backend == unit.backend:
        return
    model = dict(unit.parts).get(PartName.MODEL)
    if model is not None and "digest" in dict(model.fields):
        yield Change(PartName.INFERENCE, f"another backend serves the same model ({unit.backend})")
        return
    why = "unit.model is not set" if model is None else "unit.model has no digest"
    told = "with the digest that stable's has it would count as the same"
    yield Change(PartName.MODEL, f"{unit.backend} counts as another model, because {why}; {told}")


def _named(part: Part) -> str:
    fields = dict(part.fields)
    words = [fields[name] for name in ("name", "suite", "version") if name in fields]
    return " ".join(words) or part.config_map or (part.content_digest or fields.get("digest", "unnamed"))[:17]
