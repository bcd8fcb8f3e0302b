"""The stages of a tier and those of a release as one path: never less than the tier asks for at any exposure.

Each stage of a tier speaks for its band: the exposures above the stage before it, up to its own. A release's stage in a
band gets the band's demands; a band in which the release has no stage for the same segments gets the tier's stage.
Rejected: refusing a release that leaves out a stage. Its path would then have to be written anew in each repository
whenever the policy asks for one more, and meanwhile nothing at all could be released.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from modelrelease.domain.exposure import FULL_PERMILLE, REST, Exposure
from modelrelease.domain.plan import Require, Stage, StageType
from modelrelease.domain.policy import TierStage

INSERTED_S = 300
INSERTED_SAMPLES = 100
"""What a tier's stage lasts and needs at least where neither it nor a release says so, unless it is the last."""


@dataclass(frozen=True, slots=True)
class Written:
    """A stage of a release, and which of its fields it left to others."""

    stage: Stage
    open_duration: bool = False
    open_samples: bool = False
    open_require: bool = False


@dataclass(frozen=True, slots=True)
class Unordered:
    """Two stages that no path can have one after the other: `later` gives less of `segment` than `before`."""

    before: Stage
    later: Stage
    segment: str


def resolved(stage: TierStage, segments: Sequence[str]) -> Exposure:
    """The exposure of a tier's stage for a release with these segments.

    An entry for a segment that the release does not have is for all its traffic, where no other entry is.
    """
    shares = dict(stage.shares)
    missing = [share for name, share in stage.shares if name != REST and name not in segments]
    rest = shares.get(REST, max(missing, default=0))
    return Exposure((*((name, shares.get(name, rest)) for name in segments), (REST, rest)))


def undeclared(stages: Sequence[TierStage], segments: Sequence[str]) -> tuple[str, ...]:
    """The segments that a tier's stages name and a release does not declare."""
    named = (name for stage in stages for name, _ in stage.shares)
    return tuple(dict.fromkeys(name for name in named if name != REST and name not in segments))


def banded(
    written: Sequence[Written], tiers: Sequence[Sequence[TierStage]], segments: Sequence[str], *, gated: bool
) -> tuple[Written, ...]:
    """The path with the demands of all `tiers` in it, the highest first. Empty `written`: their own path.

    First each tier puts in what is left out, then each makes its demands of all that is there: a stage that one tier
    puts in may be the first in the band of another.
    """
    path = tuple(written)
    for tier in tiers:
        path = _completed(path, tier, segments, gated=gated)
    for tier in tiers:
        path = _all_demanded(path, tier, segments)
    return path


def _completed(
    written: Sequence[Written], tier: Sequence[TierStage], segments: Sequence[str], *, gated: bool
) -> tuple[Written, ...]:
    """The path with the tier's own stage in each band that has none for the same segments."""
    names = {each.stage.name for each in written}
    path = [each for each in written if each.stage.type is StageType.SHADOW]
    for asked, top, band in _bands(written, tier, segments):
        path += band
        if not any(_support(each.stage.exposure) == _support(top) for each in band):
            made = _made(asked, top, names, last=asked is tier[-1], gated=gated)
            names.add(made.stage.name)
            path.append(made)
    return tuple(path)


def _all_demanded(
    written: Sequence[Written], tier: Sequence[TierStage], segments: Sequence[str]
) -> tuple[Written, ...]:
    """The path with a tier's demands; each band's approvals are asked for where it is entered."""
    path = [each for each in written if each.stage.type is StageType.SHADOW]
    for asked, _, band in _bands(written, tier, segments):
        path += [_demanded(each, asked, first=place == 0) for place, each in enumerate(band)]
    return tuple(path)


def _bands(
    written: Sequence[Written], tier: Sequence[TierStage], segments: Sequence[str]
) -> Iterator[tuple[TierStage, Exposure, list[Written]]]:
    """Each stage of a tier, its exposure, and the stages of the path in its band."""
    tops = [resolved(stage, segments) for stage in tier]
    own = [each for each in written if each.stage.type is StageType.CANARY]
    for index, (asked, top) in enumerate(zip(tier, tops, strict=True)):
        yield asked, top, [each for each in own if _band(each.stage.exposure, tops) == index]


def unordered(path: Sequence[Stage]) -> Iterator[Unordered]:
    """Neighbours of which the later one gives less to a segment: no order of the two is possible."""
    canaries = [stage for stage in path if stage.type is StageType.CANARY]
    for before, later in itertools.pairwise(canaries):
        for name, share in before.exposure.shares:
            if share > later.exposure.of(name):
                yield Unordered(before, later, name)
                break


def _band(exposure: Exposure, tops: Sequence[Exposure]) -> int:
    """The first band that reaches up to an exposure; the last one is everything."""
    return next((index for index, top in enumerate(tops) if exposure.within(top)), len(tops) - 1)


def _support(exposure: Exposure) -> frozenset[str]:
    return frozenset(name for name, share in exposure.shares if share)


def _made(asked: TierStage, top: Exposure, names: set[str], *, last: bool, gated: bool) -> Written:
    """The tier's own stage. Where the release uses its name for something else it gets another one."""
    name = next(
        each for each in (asked.name, *(f"{asked.name[:55]}-tier{n}" for n in range(1, 99))) if each not in names
    )
    full = all(share == FULL_PERMILLE for _, share in top.shares)
    made = Stage(
        name=name,
        exposure=top,
        min_duration_s=0 if last else INSERTED_S,
        min_samples=INSERTED_SAMPLES if gated and not last else 0,
        require=Require.PROVEN if full else Require.NO_HARM,
    )
    return Written(made, open_duration=True, open_samples=True, open_require=True)


def _demanded(written: Written, asked: TierStage, *, first: bool) -> Written:
    """The stage with a band's demands: what it leaves open comes from the tier, in all else the stricter wins."""
    stage = written.stage
    duration, samples, require = asked.min_duration_s, asked.min_samples, asked.require
    approvals = (*stage.approvals, *(role for role in asked.approvals if first and role not in stage.approvals))
    strictest = Require.PROVEN if Require.PROVEN in (stage.require, require) else Require.NO_HARM
    demanded = replace(
        stage,
        min_duration_s=_chosen(stage.min_duration_s, duration, is_open=written.open_duration),
        min_samples=_chosen(stage.min_samples, samples, is_open=written.open_samples),
        require=require if require is not None and written.open_require else strictest,
        approvals=approvals,
    )
    return Written(
        demanded,
        open_duration=written.open_duration and duration is None,
        open_samples=written.open_samples and samples is None,
        open_require=written.open_require and require is None,
    )


def _chosen(said: int, asked: int | None, *, is_open: bool) -> int:
    if asked is None:
        return said
    return asked if is_open else max(said, asked)
