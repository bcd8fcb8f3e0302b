"""Which records of a chain may leave the cluster: what is kept elsewhere, and proven to be whole by a signature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelrelease.domain.record import Head
from modelrelease.governance.chain import Chain, Report

KEPT = 100
"""The newest records of each release stay, however old: the operator finds its way by them when a status is lost."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One record as it is in the cluster. `old`: past its retention."""

    head: Head
    old: bool


@dataclass(frozen=True, slots=True)
class Retired:
    """What may go of one chain, oldest first, and why the next one stays ("" when nothing older is left)."""

    chain: Chain
    heads: tuple[Head, ...] = ()
    why: str = ""


def retired(
    chain: Chain, cluster: Sequence[Kept], exported: Mapping[tuple[Chain, int], str], report: Report
) -> Retired:
    """The oldest records of a chain that may be deleted. `exported`: the hash of each record of a verified export.

    Only a beginning of the chain may go: what stays must still be one chain, that an anchor is the end of.
    """
    anchor = report.anchored.get(chain)
    found: list[Head] = []
    ordered = sorted(cluster, key=lambda kept: kept.head.sequence)
    for index, kept in enumerate(ordered):
        number = kept.head.sequence
        if len(ordered) - index <= KEPT:
            return Retired(chain, tuple(found), f"the newest {KEPT} records stay")
        if not kept.old:
            return Retired(chain, tuple(found), f"record {number} is not old enough")
        if exported.get((chain, number)) != kept.head.hash:
            return Retired(chain, tuple(found), f"record {number} is not in the export as it is in the cluster")
        if anchor is None or number > anchor.head.sequence:
            return Retired(chain, tuple(found), f"record {number} is beyond the last checkpoint")
        found.append(kept.head)
    return Retired(chain, tuple(found))
