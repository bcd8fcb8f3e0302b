"""Images in the life of a release: held to from the first approval or the first raise, compared before each raise.

Images of stable are held to as well, and told when they move; they hold nothing, because stable serves anyway.
Nothing here lowers exposure or is asked before something that does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from modelrelease.domain.decision import Action as Said
from modelrelease.domain.images import ImagesSeen, UnitImages
from modelrelease.domain.release import IN_TRAFFIC, Observed, Progress, Release, State
from modelrelease.domain.unit import PartName, UnitRef
from modelrelease.engine.actions import Emit, Hold, Save, Step
from modelrelease.engine.case import Case
from modelrelease.governance.images import freeze, injected, moved, other_than, untold

VIOLATED = "UnitViolated"
UNKNOWN = "ImagesUnknown"
MEND = "put the image back, or write a new version of the unit"
STABLE_MEND = "put the image back, or release what runs now as a new version (it holds nothing up)"
COMPARED_IN = IN_TRAFFIC | {State.WATCHING}


@dataclass(frozen=True, slots=True)
class Intactness:
    """Whether the units are what was released: True, False, or None where that cannot be told."""

    intact: bool | None
    reason: str
    message: str


def freeze_images(case: Case) -> Step | None:
    """Hold candidate and stable to what runs once somebody approved the candidate, or as soon as it can be told.

    Otherwise the first raise does so. Not before: a Deployment that is applied together with its release still shows
    its old pods at the first look.
    """
    progress = case.progress
    approved = progress.candidate and case.decisions(Said.APPROVE, digest=progress.candidate.digest, anybody=True)
    if progress.state is not State.OBSERVING and not (progress.state is State.PREPARING and approved):
        return None
    images = noted(case)
    if images == progress.images:
        return None
    held = replace(progress, images=images)
    return Step(held, (Save(held), *noted_events(case, images)))


def noted(case: Case) -> tuple[UnitImages, ...]:
    """The images that are held to, with what candidate and stable run now where they are held to nothing yet."""
    images = case.progress.images
    for unit in (case.progress.candidate, case.progress.stable):
        seen = _seen(case.observed, unit)
        if seen is not None and all(held.digest != seen.digest for held in images):
            frozen = freeze(seen)
            images = (*images, frozen) if frozen is not None else images
    return images


def noted_events(case: Case, images: tuple[UnitImages, ...]) -> tuple[Emit, ...]:
    """What people are told of images that are held to from now on."""
    units = {unit.digest: unit for unit in (case.progress.stable, case.progress.candidate) if unit}
    new = [held for held in images if held not in case.progress.images]
    return tuple(Emit("ImagesSeen", f"{units[held.digest].version} runs {_listed(held)}") for held in new)


def images_are_intact(case: Case) -> Hold | None:
    """What runs behind the candidate's backend is what it is held to, and what the spec declares.

    Where images could never be told they are not asked for, unless the spec declares one; where they could be, not
    knowing them any more holds.
    """
    candidate = case.progress.candidate
    if candidate is None:
        return None
    frozen, seen = held_to(case.progress, candidate), _seen(case.observed, candidate)
    asked = bool(_declared(case.release, candidate)) or (frozen is not None and not frozen.partial)
    if seen is None:
        return Hold(UNKNOWN, f"the images behind {candidate.backend} have not been read") if asked else None
    wrong = violation(case.release, case.progress, case.observed)
    if wrong is not None:
        return Hold(VIOLATED, wrong)
    why = untold(seen)
    if seen.unread or (why and asked):
        return Hold(UNKNOWN, f"images behind {candidate.backend} cannot be compared: {why}")
    return None


def violation(release: Release, progress: Progress, observed: Observed) -> str | None:
    """Which image of the candidate is not what it should be, on which pod, and what to do; None where none is."""
    candidate = progress.candidate
    seen, frozen = _seen(observed, candidate), held_to(progress, candidate)
    if candidate is None or seen is None:
        return None
    for part, declared in _declared(release, candidate):
        other = other_than(declared, seen)
        if other is not None:
            return f"{other}, but spec.unit.{part}.imageDigest says otherwise: correct one of them"
    found = moved(frozen, seen) if frozen is not None else None
    return f"{found}: {MEND}" if found else None


def intactness(release: Release, progress: Progress, observed: Observed) -> Intactness | None:
    """Whether candidate, stable and their ConfigMaps are what was released; None while nothing is compared."""
    if progress.state not in COMPARED_IN:
        return None
    if observed.violations:
        return Intactness(False, observed.violations[0].reason, observed.violations[0].message)
    wrong = violation(release, progress, observed)
    if wrong is not None:
        return Intactness(False, VIOLATED, wrong)
    stable, seen = progress.stable, _seen(observed, progress.stable)
    frozen = held_to(progress, stable)
    found = moved(frozen, seen) if frozen is not None and seen is not None else None
    if found is not None and stable is not None:
        return Intactness(
            False, "StableMoved", f"stable {stable.version} is not what was released: {found}; {STABLE_MEND}"
        )
    return _told(progress, observed)


def held_to(progress: Progress, unit: UnitRef | None) -> UnitImages | None:
    """The images that a unit is held to, None where none have been seen yet."""
    return next((held for held in progress.images if unit is not None and held.digest == unit.digest), None)


def kept(progress: Progress, *units: UnitRef | None) -> tuple[UnitImages, ...]:
    """The images of these units and of those that may get traffic back; the others are forgotten."""
    keep = {unit.digest for unit in (*units, progress.stable, progress.fallback) if unit}
    return tuple(held for held in progress.images if held.digest in keep)


def images_body(case: Case, images: tuple[UnitImages, ...]) -> Mapping[str, object] | None:
    """What a raise or the end of a rollout knew of the images: by unit, or why not. `images`: what is held to."""
    body: dict[str, object] = {}
    for name, unit in (("candidate", case.progress.candidate), ("stable", case.progress.stable)):
        frozen, seen = held_to(replace(case.progress, images=images), unit), _seen(case.observed, unit)
        found: dict[str, object] = {"heldTo": {c: list(i) for c, i in frozen.containers}} if frozen else {}
        if seen is not None:
            found |= {"pods": len(seen.pods), "untold": untold(seen), "moved": (frozen and moved(frozen, seen)) or ""}
        if found:
            body[name] = found
    return body or None


def _told(progress: Progress, observed: Observed) -> Intactness | None:
    unit = progress.candidate or progress.stable
    seen, frozen = _seen(observed, unit), held_to(progress, unit)
    if unit is None or seen is None or seen.unread:
        return None
    why = untold(seen)
    if why:
        return Intactness(None, UNKNOWN, f"images behind {unit.backend} are not compared: {why}")
    if frozen is None:
        return None
    late = injected(frozen, seen)
    beside = f"; not compared, because it came later: container {', '.join(late)}" if late else ""
    return Intactness(True, "Intact", f"{unit.version} runs {_listed(frozen)}{beside}")


def _declared(release: Release, candidate: UnitRef) -> list[tuple[str, str]]:
    """The image digests that the spec declares for the candidate, by part."""
    unit = release.unit
    if unit is None or unit.digest != candidate.digest:
        return []
    found = [(name, dict(part.fields).get("imageDigest")) for name, part in unit.parts]
    return [(name.value, image) for name, image in found if image and name in (PartName.MODEL, PartName.INFERENCE)]


def _seen(observed: Observed, unit: UnitRef | None) -> ImagesSeen | None:
    return next((seen for seen in observed.images if unit is not None and seen.digest == unit.digest), None)


def _listed(frozen: UnitImages) -> str:
    return ", ".join(f"{' or '.join(images)} in container {name}" for name, images in frozen.containers)
