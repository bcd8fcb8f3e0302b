"""The release package: which papers must be there, how new the data must be, and where it must come from (R4, R9)."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from modelrelease.domain.entry import Entry, EntryOutcome, EntryVerdict, Lack
from modelrelease.domain.offline import OfflineEvidence, ReferenceType
from modelrelease.governance.readings import listed
from modelrelease.governance.standing import CLOCK_SKEW

PACKAGE, DATA = "package", "data"


def package_verdicts(entry: Entry, current: Iterable[OfflineEvidence], *, now: datetime) -> Iterator[EntryVerdict]:
    """Whether the package and the data are what the entry demands; nothing where it demands nothing of them."""
    found = tuple(current)
    uids = tuple(each.uid for each in found)
    if entry.package:
        lacks = tuple(_papers(entry, found, now))
        have = ", ".join(entry.package)
        yield _verdict(PACKAGE, lacks, f"the package is complete: {have}", uids)
    if entry.data_max_age_s is not None or entry.data_lineage:
        lacks = tuple(_data(entry, found, now))
        sets = sum(len(each.data) for each in found)
        yield _verdict(DATA, lacks, f"{sets} data sets are as new as demanded, with lineage where demanded", uids)


def _papers(entry: Entry, current: tuple[OfflineEvidence, ...], now: datetime) -> Iterator[tuple[Lack, str]]:
    papers = [paper for each in current for paper in each.references]
    absent = [wanted for wanted in entry.package if all(paper.type is not wanted for paper in papers)]
    if absent:
        names = ", ".join(absent)
        mend = f"submit evidence with --reference {absent[0]}=URI@sha256:DIGEST"
        yield Lack.INCOMPLETE, f"the package lacks {names}: {mend}"
    for wanted in entry.package:
        reviews = [paper.review_by for paper in papers if paper.type is wanted]
        if wanted is ReferenceType.READINESS_PLAN and reviews and all(review is None for review in reviews):
            yield Lack.INCOMPLETE, "the ReadinessPlan has no review date: submit it with reviewBy"
        elif reviews and all(review is not None and review <= now for review in reviews):
            passed = max(review for review in reviews if review is not None)
            said = f"the {wanted} had to be reviewed by {passed:%Y-%m-%d}"
            yield Lack.EXPIRED, f"{said}: review it and submit it with a new reviewBy"


def _data(entry: Entry, current: tuple[OfflineEvidence, ...], now: datetime) -> Iterator[tuple[Lack, str]]:
    sets = [each for evidence in current for each in evidence.data]
    if not sets:
        yield Lack.INCOMPLETE, "no evidence says which data the unit was made and measured with: submit data"
    for each in sets:
        if entry.data_lineage and not each.lineage:
            yield Lack.INCOMPLETE, f"data set {each.name} has no lineage: submit its lineage"
        if entry.data_max_age_s is None:
            continue
        if each.collected_until is None:
            yield Lack.INCOMPLETE, f"data set {each.name} does not say how new it is: submit collectedUntil"
        elif each.collected_until > now + CLOCK_SKEW:
            said = each.collected_until.strftime("%Y-%m-%d")
            yield Lack.INCOMPLETE, f"data set {each.name} says that it was collected in the future, until {said}"
        elif now - each.collected_until >= (age := timedelta(seconds=entry.data_max_age_s)):
            since = (each.collected_until + age).strftime("%Y-%m-%d %H:%M UTC")
            yield Lack.EXPIRED, f"data set {each.name} has been too old since {since}: use newer data"


def _verdict(name: str, lacks: tuple[tuple[Lack, str], ...], good: str, uids: tuple[str, ...]) -> EntryVerdict:
    if not lacks:
        return EntryVerdict(name, EntryOutcome.PASS, good, evidence=uids)
    return EntryVerdict(name, EntryOutcome.MISSING, listed(said for _, said in lacks), lacks[0][0], uids)
